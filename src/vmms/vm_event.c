// SPDX-License-Identifier: Apache-2.0
/* What workers say without being asked. */
#include "vm_event.h"

#include <stdio.h>
#include <string.h>

#include "events.h"
#include "job.h"
#include "lib/bits.h"
#include "link.h"
#include "vm.h"
#include "vm_guest.h"
#include "vmms.h"

/* Lines "key=value" as members; a value that is no UTF-8 is left out. */
static json_t *members(const char *text)
{
	json_t *o = json_object();

	for (const char *line = text; *line != '\0';) {
		const char *end = strchrnul(line, '\n'),
			   *equals = memchr(line, '=', (size_t)(end - line));
		char key[64];

		if (equals != NULL && (size_t)(equals - line) < sizeof(key)) {
			snprintf(key, sizeof(key), "%.*s", (int)(equals - line), line);
			json_object_set_new(o, key,
					    json_stringn(equals + 1, (size_t)(end - equals - 1)));
		}
		line = *end == '\0' ? end : end + 1;
	}
	return o;
}

/* Only what nobody has asked for: operations set the states that they lead to. */
static void on_state(struct vm *vm, const char *text)
{
	char state[24];

	if (vm->job != NULL || !link_value(text, "state", state, sizeof(state))) {
		return;
	}
	if (strcmp(state, "running") == 0) {
		vm_set_state(vm, VM_RUNNING);
	} else if (strcmp(state, "paused") == 0) {
		vm_set_state(vm, VM_PAUSED);
	}
}

static void on_trouble(struct vm *vm, const char *text)
{
	char why[VM_REASON_BYTES] = "";

	(void)link_value(text, "text", why, sizeof(why));
	vm_set_critical(vm, why);
}

static void on_pairs(struct vm *vm, const char *text)
{
	(void)text; /* that they changed is all that is said */
	vm_guest_ask(vm);
}

/* The share of the work that the worker does itself. */
static void on_save(struct vm *vm, const char *text)
{
	unsigned long long done = link_number(text, "done"), total = link_number(text, "total");

	if (vm->job != NULL && vm->state == VM_SAVING && total > 0 && done <= total) {
		job_progress(vm->job, (unsigned)(done * 100 / total), "writing memory");
	}
}

void vm_event(void *ctx, const char *name, const char *text)
{
	static const struct {
		const char *name;
		void (*fn)(struct vm *vm, const char *text);
	} known[] = {{"state", on_state},
		     {"trouble", on_trouble},
		     {"heartbeat", vm_guest_set_heartbeat},
		     {"kvp", on_pairs},
		     {"save", on_save}};
	struct vm *vm = ctx;
	char type[64];

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcmp(name, known[i].name) == 0) {
			known[i].fn(vm, text);
		}
	}
	if (strcmp(name, "state") != 0 && strcmp(name, "save") != 0) {
		snprintf(type, sizeof(type), "vm.%.50s", name);
		events_publish(vm->vmms, type, vm, vm->job, members(text));
	}
	if (vm->on_event != NULL) {
		vm->on_event(vm, name, text);
	}
}
