// SPDX-License-Identifier: Apache-2.0
/* GET /metrics: asks the workers, waits a moment for them, and tells. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call_stream.h"
#include "cpu_policy.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "link.h"
#include "metrics.h"
#include "roles.h"
#include "routes.h"
#include "vm.h"
#include "vmms.h"

/* What a worker said last. */
struct sample {
	struct sample *next;
	uint64_t at_ns;
	char *stats;
	char id[API_ID_BYTES];
};

struct waiting {
	struct waiting *next;
	struct call *call;
};

struct metrics {
	struct api *api;
	struct sample *samples;
	struct waiting *waiting;
	struct round *round; /* of questions that are on their way */
	struct loop_timer patience;
};

/* Questions to workers that were sent together. */
struct round {
	struct metrics *metrics; /* NULL: it does not wait any longer */
	unsigned pending;
};

struct question {
	struct round *round;
	char id[API_ID_BYTES];
};

/* ---- Samples ---- */

static struct sample *find_sample(struct metrics *m, const char *id)
{
	for (struct sample *s = m->samples; s != NULL; s = s->next) {
		if (strcmp(s->id, id) == 0) {
			return s;
		}
	}
	return NULL;
}

static void keep_sample(struct metrics *m, const char *id, const char *stats)
{
	struct sample *s = find_sample(m, id);

	if (s == NULL) {
		s = calloc(1, sizeof(*s));
		CHECK(s != NULL);
		snprintf(s->id, sizeof(s->id), "%s", id);
		s->next = m->samples;
		m->samples = s;
	}
	free(s->stats);
	s->stats = strdup(stats);
	s->at_ns = host_now_ns();
}

static void free_sample(struct sample *s)
{
	free(s->stats);
	free(s);
}

/* Of VMs that do not run any more. */
static void drop_old(struct metrics *m)
{
	uint64_t now = host_now_ns();

	for (struct sample **link = &m->samples; *link != NULL;) {
		struct sample *s = *link;

		if (now - s->at_ns > METRICS_FRESH_NS + METRICS_PATIENCE_NS) {
			*link = s->next;
			free_sample(s);
		} else {
			link = &s->next;
		}
	}
}

/* ---- Text ---- */

static size_t collect(struct metrics *m, struct call *c, struct metrics_vm *ret)
{
	struct vmms *v = c->vmms;
	size_t count = 0;

	for (size_t i = 0; i < v->vm_count; i++) {
		struct vm *vm = v->vms[i];
		struct sample *s = vm->worker.pid == 0 ? NULL : find_sample(m, vm->id);

		if (caller_may(c->caller, vm->id, RIGHT_READ)) {
			ret[count++] = (struct metrics_vm){.id = vm->id,
							   .name = vm_name(vm),
							   .state = vm_state_name(vm->state),
							   .critical = vm->critical,
							   .stats = s == NULL ? NULL : s->stats};
			ret[count - 1].grouped = cpu_policy_usage(vm, &ret[count - 1].usage);
		}
	}
	return count;
}

static void tell(struct metrics *m, struct call *c)
{
	struct metrics_vm *vms = calloc(c->vmms->vm_count + 1, sizeof(*vms));
	struct metrics_text t = {0};

	CHECK(vms != NULL);
	metrics_vms(&t, vms, collect(m, c, vms));
	if (caller_may(c->caller, NULL, RIGHT_READ)) {
		metrics_service(&t, c);
	}
	free(vms);
	call_text(c, "text/plain; version=0.0.4; charset=utf-8", t.text, t.bytes);
}

/* ---- Asking ---- */

static void end_round(struct metrics *m)
{
	struct waiting *w = m->waiting;

	m->waiting = NULL;
	loop_timer_set(api_loop(m->api), &m->patience, 0);
	if (m->round != NULL) {
		m->round->metrics = NULL; /* late answers are for nobody */
		m->round = NULL;
	}
	while (w != NULL) {
		struct waiting *next = w->next;

		tell(m, w->call);
		free(w);
		w = next;
	}
	drop_old(m);
}

static void on_patience(void *ctx)
{
	end_round(ctx);
}

static void answered(void *ctx, const char *answer)
{
	struct question *q = ctx;
	struct round *r = q->round;
	struct metrics *m = r->metrics;

	if (m != NULL && answer != NULL && link_is_ok(answer)) {
		keep_sample(m, q->id, answer);
	}
	free(q);
	if (--r->pending > 0) {
		return;
	}
	free(r);
	if (m != NULL) {
		m->round = NULL;
		end_round(m);
	}
}

static void ask(struct metrics *m, struct round *r, struct vm *vm)
{
	const struct sample *s = find_sample(m, vm->id);
	struct question *q;

	if (vm->worker.link == NULL || (s != NULL && host_now_ns() - s->at_ns < METRICS_FRESH_NS)) {
		return;
	}
	q = malloc(sizeof(*q));
	CHECK(q != NULL);
	q->round = r;
	snprintf(q->id, sizeof(q->id), "%s", vm->id);
	r->pending++;
	link_ask_words(vm->worker.link, answered, q, -1, "stats", NULL);
}

/* False: there is nobody to ask. */
static bool begin_round(struct metrics *m, struct vmms *v)
{
	struct round *r = calloc(1, sizeof(*r));

	CHECK(r != NULL);
	r->metrics = m;
	for (size_t i = 0; i < v->vm_count; i++) {
		ask(m, r, v->vms[i]);
	}
	if (r->pending == 0) {
		free(r);
		return false;
	}
	m->round = r;
	loop_timer_set(api_loop(m->api), &m->patience, host_now_ns() + METRICS_PATIENCE_NS);
	return true;
}

static void destroy(void *data)
{
	struct metrics *m = data;

	loop_timer_set(api_loop(m->api), &m->patience, 0);
	if (m->round != NULL) {
		m->round->metrics = NULL;
	}
	while (m->waiting != NULL) {
		struct waiting *w = m->waiting;

		m->waiting = w->next;
		free(w);
	}
	while (m->samples != NULL) {
		struct sample *s = m->samples;

		m->samples = s->next;
		free_sample(s);
	}
	free(m);
}

static struct metrics *metrics_of(struct api *a)
{
	struct api_kept *kept = api_slot(a, API_SLOT_METRICS);

	if (kept->data == NULL) {
		struct metrics *m = calloc(1, sizeof(*m));

		CHECK(m != NULL);
		m->api = a;
		m->patience = (struct loop_timer){.fn = on_patience, .ctx = m};
		*kept = (struct api_kept){m, destroy};
	}
	return kept->data;
}

static void on_gone(void *ctx, struct call *c)
{
	struct metrics *m = ctx;

	for (struct waiting **link = &m->waiting; *link != NULL; link = &(*link)->next) {
		if ((*link)->call == c) {
			struct waiting *w = *link;

			*link = w->next;
			free(w);
			return;
		}
	}
}

static void get_metrics(struct call *c)
{
	struct metrics *m = metrics_of(call_api(c));
	struct waiting *w;

	if (m->round == NULL && !begin_round(m, c->vmms)) {
		tell(m, c);
		return;
	}
	w = malloc(sizeof(*w));
	CHECK(w != NULL);
	*w = (struct waiting){.next = m->waiting, .call = c};
	m->waiting = w;
	call_hold(c, on_gone, m);
}

static const struct route routes[] = {
	{"GET", "/metrics", RIGHT_READ, false, get_metrics,
	 "Counters of the service and of the VMs that the caller may see, for Prometheus", NULL,
	 "Metrics"},
};

const struct route_table metric_routes = {routes, ARRAY_LEN(routes)};
