// SPDX-License-Identifier: Apache-2.0
/* Disks, DVD drives and network adapters of one VM: changing one that is there. */
#include <string.h>

#include "config.h"
#include "device_request.h"
#include "vm.h"
#include "vmms.h"

/* The configuration with the body merged into the item; false after the call was refused. */
static bool patch_item(struct device_request *r, int index)
{
	struct schema_error error;

	if (index < 0 || !device_request_has_body(r)) {
		return false;
	}
	json_t *patch =
		json_pack("{s:O}", r->op.kind, json_object_get(r->vm->configuration, r->op.kind));
	json_t *list = json_deep_copy(json_object_get(patch, r->op.kind));
	json_t *item = json_array_get(list, (size_t)index);

	json_object_update(item, r->call->body);
	json_object_set_new(patch, r->op.kind, list);
	r->op.config = vm_config_patch(r->vm->configuration, patch, &error);
	json_decref(patch);
	if (r->op.config == NULL) {
		device_request_give_up(r, API_INVALID, error.text);
		return false;
	}
	return device_request_check_paths(r);
}

static void find_patched(struct device_request *r, int index)
{
	const json_t *before =
		json_array_get(json_object_get(r->vm->configuration, r->op.kind), (size_t)index);
	struct vm_config_place place;

	if (strcmp(r->op.kind, "adapters") == 0) {
		index = vm_config_adapter_find(
			r->op.config, json_integer_value(json_object_get(before, "number")));
	} else {
		vm_config_place_text(before, r->place);
		index = vm_config_place_parse(r->place, &place)
				? vm_config_place_find(r->op.config, r->op.kind, &place)
				: -1;
	}
	r->op.item = index < 0 ? NULL
			       : json_array_get(json_object_get(r->op.config, r->op.kind),
						(size_t)index);
}

/* What can change in a running VM, and by which word; the others need it off. */
static bool check_members(struct device_request *r, const char *const *members)
{
	for (void *i = json_object_iter(r->call->body); i != NULL;
	     i = json_object_iter_next(r->call->body, i)) {
		const char *name = json_object_iter_key(i);
		const char *const *m = members;

		while (*m != NULL && strcmp(*m, name) != 0) {
			m++;
		}
		if (*m == NULL && vm_is_active(r->vm)) {
			json_decref(r->op.config);
			call_refuse(r->call, API_WRONG_STATE,
				    json_pack("{s:s}", "state", vm_state_name(r->vm->state)),
				    "%s cannot be changed while %s is %s; expected it to be off",
				    name, vm_name(r->vm), vm_state_name(r->vm->state));
			return false;
		}
	}
	return true;
}

static void patch(struct device_request *r, int index, const char *const *members)
{
	if (!patch_item(r, index) || !check_members(r, members)) {
		return;
	}
	find_patched(r, index);
	if (r->op.item == NULL) {
		device_request_give_up(
			r, API_INVALID,
			"the place or number of it cannot be changed; remove it and add another");
		return;
	}
	op_device(r->call, r->vm, &r->op);
}

/* A new size changes the file, everything else the configuration. */
void device_change_disk(struct call *c)
{
	static const char *const none[] = {NULL};
	const json_t *bytes = json_object_get(c->body, "bytes");
	struct device_request r;
	int index;

	if (!device_request_begin(c, "disks", &r) || (index = device_request_find_drive(&r)) < 0) {
		return;
	}
	if (bytes == NULL) {
		r.op.word = "set";
		patch(&r, index, none);
		return;
	}
	if (!json_is_integer(bytes) || json_integer_value(bytes) <= 0 ||
	    json_object_size(c->body) != 1) {
		call_refuse(c, API_INVALID, NULL,
			    "bytes: expected a size, and nothing else beside it");
		return;
	}
	if (json_string_length(json_object_get(json_object_get(r.vm->configuration, "checkpoints"),
					       "parent")) > 0) {
		call_refuse(c, API_WRONG_STATE, NULL,
			    "%s has checkpoints, whose disks have the size of their time; remove "
			    "them before a disk is resized",
			    vm_name(r.vm));
		return;
	}
	r.op.word = "resize";
	r.op.bytes = (uint64_t)json_integer_value(bytes);
	r.op.item = json_array_get(json_object_get(r.vm->configuration, "disks"), (size_t)index);
	op_device(c, r.vm, &r.op);
}

void device_change_dvd(struct call *c)
{
	static const char *const medium[] = {"path", NULL};
	struct device_request r;

	if (device_request_begin(c, "dvds", &r)) {
		r.op.word = "medium";
		patch(&r, device_request_find_drive(&r), medium);
	}
}

void device_change_adapter(struct call *c)
{
	static const char *const port[] = {
		"switch",    "vlan",	  "trunk",	"native",	"private", "primary",
		"secondary", "spoofing",  "dhcp-guard", "router-guard", "mirror",  "max",
		"weight",    "broadcast", "multicast",	"unknown",	"mtu",	   "link",
		"acl",	     "name",	  NULL};
	struct device_request r;

	if (device_request_begin(c, "adapters", &r)) {
		r.op.word = "net-connect";
		patch(&r, device_request_find_adapter(&r), port);
	}
}
