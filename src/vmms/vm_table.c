// SPDX-License-Identifier: Apache-2.0
/* All VMs, and which one is meant. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "call.h"
#include "lib/check.h"
#include "vm.h"
#include "vm_guest.h"
#include "vmms.h"

#define CANDIDATES_MAX 16u

static bool grow(struct vmms *v)
{
	size_t capacity = v->vm_capacity == 0 ? 64 : v->vm_capacity * 2;
	struct vm **vms = realloc(v->vms, capacity * sizeof(struct vm *));

	if (vms == NULL) {
		return false;
	}
	v->vms = vms;
	v->vm_capacity = capacity;
	return true;
}

struct vm *vm_add(struct vmms *v, const char *id)
{
	struct vm *vm = v->vm_count == v->vm_capacity && !grow(v) ? NULL : calloc(1, sizeof(*vm));

	if (vm == NULL) {
		return NULL;
	}
	CHECK(strlen(id) < sizeof(vm->id));
	vm->vmms = v;
	memcpy(vm->id, id, strlen(id) + 1);
	vm->worker.pidfd = -1;
	vm->heartbeat = "none";
	v->vms[v->vm_count++] = vm;
	return vm;
}

void vm_remove(struct vm *vm)
{
	struct vmms *v = vm->vmms;
	size_t i = 0;

	CHECK(vm->job == NULL && vm->worker.pid == 0);
	while (v->vms[i] != vm) {
		i++;
	}
	memmove(&v->vms[i], &v->vms[i + 1], (v->vm_count - i - 1) * sizeof(struct vm *));
	v->vm_count--;
	loop_timer_set(v->loop, &vm->timer, 0);
	loop_timer_set(v->loop, &vm->restart_timer, 0);
	loop_timer_set(v->loop, &vm->tidy_timer, 0);
	vm_forget_description(vm);
	json_decref(vm->configuration);
	json_decref(vm->ended);
	vm_guest_forget(vm);
	json_decref(vm->checkpoints);
	free(vm->then);
	free(vm);
}

static bool comes_from(const struct vm *vm, const char *id)
{
	const json_t *from = json_object_get(vm->configuration, "cloned_from");
	bool found = false;

	for (size_t i = 0; i < json_array_size(from) && !found; i++) {
		const char *one = json_string_value(json_array_get(from, i));

		found = one != NULL && strcmp(one, id) == 0;
	}
	return found;
}

const struct vm *vm_clone_of(const struct vm *vm)
{
	const struct vmms *v = vm->vmms;

	for (size_t i = 0; i < v->vm_count; i++) {
		if (comes_from(v->vms[i], vm->id)) {
			return v->vms[i];
		}
	}
	return NULL;
}

struct vm *vm_find_id(struct vmms *v, const char *id)
{
	for (size_t i = 0; i < v->vm_count; i++) {
		if (strcasecmp(v->vms[i]->id, id) == 0) {
			return v->vms[i];
		}
	}
	return NULL;
}

void vm_each(struct vmms *v, const char *text,
	     bool (*fn)(void *ctx, const char *id, const char *name), void *ctx)
{
	for (size_t i = 0; i < v->vm_count; i++) {
		const struct vm *vm = v->vms[i];

		if ((text == NULL || strcasecmp(vm->id, text) == 0 ||
		     strcmp(vm_name(vm), text) == 0) &&
		    !fn(ctx, vm->id, vm_name(vm))) {
			return;
		}
	}
}

struct named {
	struct vmms *vmms;
	struct vm *first;
	size_t count;
	json_t *candidates;
};

static bool add_named(void *ctx, const char *id, const char *name)
{
	struct named *n = ctx;

	if (n->count++ == 0) {
		n->first = vm_find_id(n->vmms, id);
	}
	json_array_append_new(n->candidates, json_pack("{s:s, s:s}", "id", id, "name", name));
	return n->count < CANDIDATES_MAX;
}

struct vm *vm_of_call(struct call *c)
{
	const char *text = c->parameters[0];
	struct named n = {.vmms = c->vmms, .first = vm_find_id(c->vmms, text)};

	if (n.first != NULL) {
		return n.first;
	}
	n.candidates = json_array();
	vm_each(c->vmms, text, add_named, &n);
	if (n.count == 1) {
		json_decref(n.candidates);
		return n.first;
	}
	if (n.count == 0) {
		json_decref(n.candidates);
		call_refuse(c, API_NOT_FOUND, NULL,
			    "there is no VM '%s'; expected the id or the name of one", text);
		return NULL;
	}
	call_refuse(c, API_AMBIGUOUS, json_pack("{s:o}", "candidates", n.candidates),
		    "%zu%s VMs are called '%s'; expected an id, such as %s", n.count,
		    n.count == CANDIDATES_MAX ? " or more" : "", text, n.first->id);
	return NULL;
}
