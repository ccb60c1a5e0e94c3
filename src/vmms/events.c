// SPDX-License-Identifier: Apache-2.0
#include "events.h"

#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "job.h"
#include "lib/check.h"
#include "vm.h"
#include "vmms.h"

struct events {
	json_t *ring[EVENTS_KEPT];
	uint64_t first; /* number of the oldest one */
	uint64_t next;	/* of the next one */
	struct events_watch *watches;
};

struct events *events_create(void)
{
	struct events *e = calloc(1, sizeof(*e));

	if (e != NULL) {
		/* Microseconds: no process of ours publishes as fast, so numbers are never used twice. */
		e->first = e->next = clock_now_us();
	}
	return e;
}

void events_destroy(struct events *e)
{
	for (uint64_t i = e == NULL ? 0 : e->first; e != NULL && i < e->next; i++) {
		json_decref(e->ring[i % EVENTS_KEPT]);
	}
	free(e);
}

static void set_vm(json_t *o, const struct vm *vm)
{
	json_object_set_new(o, "vm", vm == NULL ? json_null() : json_string(vm->id));
	json_object_set_new(o, "vm_name", vm == NULL ? json_null() : json_string(vm_name(vm)));
}

static json_t *describe(uint64_t id, const char *type, const struct vm *vm, const struct job *job,
			json_t *extra)
{
	json_t *o = json_object();
	char time[CLOCK_TEXT_BYTES];

	CHECK(o != NULL);
	json_object_set_new(o, "id", json_integer((json_int_t)id));
	json_object_set_new(o, "time", json_string(clock_text(clock_now_us(), time)));
	json_object_set_new(o, "type", json_string(type));
	set_vm(o, vm);
	json_object_set_new(o, "job", job == NULL ? json_null() : json_string(job_id(job)));
	if (extra != NULL) {
		json_object_update_missing(o, extra);
		json_decref(extra);
	}
	return o;
}

void events_publish(struct vmms *v, const char *type, const struct vm *vm, const struct job *job,
		    json_t *extra)
{
	struct events *e = v->events;

	if (e->next - e->first == EVENTS_KEPT) {
		json_decref(e->ring[e->first++ % EVENTS_KEPT]);
	}
	e->ring[e->next % EVENTS_KEPT] = describe(e->next, type, vm, job, extra);
	e->next++;
	for (struct events_watch *w = e->watches, *next; w != NULL; w = next) {
		next = w->next;
		w->came(w->ctx);
	}
}

uint64_t events_first(const struct events *e)
{
	return e->first;
}

uint64_t events_next(const struct events *e)
{
	return e->next;
}

json_t *events_get(const struct events *e, uint64_t id)
{
	return id >= e->first && id < e->next ? e->ring[id % EVENTS_KEPT] : NULL;
}

void events_watch(struct events *e, struct events_watch *w)
{
	w->next = e->watches;
	e->watches = w;
}

void events_unwatch(struct events *e, struct events_watch *w)
{
	for (struct events_watch **p = &e->watches; *p != NULL; p = &(*p)->next) {
		if (*p == w) {
			*p = w->next;
			return;
		}
	}
}
