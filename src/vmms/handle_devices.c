// SPDX-License-Identifier: Apache-2.0
/* Disks, DVD drives and network adapters of one VM: changing them. Showing is in handle_device_lists.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_error.h"
#include "config.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "new_id.h"
#include "op_device.h"
#include "path_check.h"
#include "routes.h"
#include "vm.h"
#include "vmms.h"

/* A request about one VM's hardware, as far as it came. */
struct request {
	struct call *call;
	struct vm *vm;
	struct op_device op;
	char place[32];
};

static bool begin(struct call *c, const char *kind, struct request *r)
{
	*r = (struct request){.call = c, .vm = vm_of_call(c), .op = {.kind = kind}};
	r->op.place = r->place;
	return r->vm != NULL && vm_op_allowed(c, r->vm, VM_OP_HARDWARE);
}

static bool has_body(struct request *r)
{
	if (r->call->body != NULL) {
		return true;
	}
	call_refuse(r->call, API_INVALID, NULL,
		    "the request needs a body; expected what is to be added or changed");
	return false;
}

static void give_up(struct request *r, enum api_error error, const char *text)
{
	json_decref(r->op.config);
	call_refuse(r->call, error, NULL, "%s", text);
}

/* ---- Adding ---- */

/* What is to be made of a disk's file first; it is no part of the configuration. */
static bool take_making(struct request *r, json_t *item)
{
	const json_t *bytes = json_object_get(item, "create_bytes"),
		     *parent = json_object_get(item, "parent");
	const char *path = json_string_value(json_object_get(item, "path"));

	if ((bytes != NULL && (!json_is_integer(bytes) || json_integer_value(bytes) <= 0)) ||
	    (parent != NULL && (!json_is_string(parent) || json_string_value(parent)[0] != '/'))) {
		give_up(r, API_INVALID,
			"expected create_bytes to be the size of a new disk, or parent an absolute "
			"path");
		return false;
	}
	if (bytes == NULL && parent == NULL) {
		return true;
	}
	r->op.make_bytes = (uint64_t)json_integer_value(bytes);
	r->op.make_parent = json_string_value(json_object_get(r->call->body, "parent"));
	if (path == NULL || path[0] == '\0') {
		char id[GUID_TEXT_BYTES];

		new_id(id); /* so that it is no other's */
		json_object_set_new(
			item, "path",
			json_sprintf("disks/disk-%s.%s", id, parent != NULL ? "avhdx" : "vhdx"));
	} else if (path[0] != '/' && strncmp(path, "disks/", 6) != 0) {
		json_object_set_new(item, "path", json_sprintf("disks/%s", path));
	}
	json_object_del(item, "create_bytes");
	json_object_del(item, "parent");
	return path_check(r->call, r->op.make_parent);
}

/* The file exists, or it is said how to make it; whoever may change the VM may not name every file. */
static bool check_paths(struct request *r)
{
	if (path_check_all(r->call, r->vm->configuration, r->op.config)) {
		return true;
	}
	json_decref(r->op.config);
	return false;
}

static bool add_item(struct request *r, json_t *item)
{
	struct schema_error error;

	r->op.config = json_deep_copy(r->vm->configuration);
	CHECK(r->op.config != NULL);
	r->op.item = vm_config_add(r->op.config, r->op.kind, item, &error);
	if (r->op.item == NULL) {
		give_up(r, API_INVALID, error.text);
		return false;
	}
	return check_paths(r);
}

static void add_drive(struct call *c, const char *kind)
{
	struct request r;

	if (!begin(c, kind, &r) || !has_body(&r)) {
		return;
	}
	json_t *item = json_deep_copy(c->body);

	CHECK(item != NULL);
	if (take_making(&r, item) && add_item(&r, item)) {
		vm_config_place_text(r.op.item, r.place);
		r.op.word = "attach";
		r.op.created = true;
		op_device(c, r.vm, &r.op);
	}
	json_decref(item);
}

static void add_disk(struct call *c)
{
	add_drive(c, "disks");
}

static void add_dvd(struct call *c)
{
	add_drive(c, "dvds");
}

static void add_adapter(struct call *c)
{
	struct request r;

	if (begin(c, "adapters", &r) && has_body(&r) && add_item(&r, c->body)) {
		snprintf(r.place, sizeof(r.place), "%" PRId64,
			 (int64_t)json_integer_value(json_object_get(r.op.item, "number")));
		r.op.word = "net-attach";
		r.op.created = true;
		op_device(c, r.vm, &r.op);
	}
}

/* ---- One that is there ---- */

/* Where in the list it is; -1 after the call was refused. */
static int find_drive(struct request *r)
{
	const char *text = r->call->parameters[1];
	struct vm_config_place place;
	char joined[64];

	/* The router cuts it at the colon. */
	snprintf(joined, sizeof(joined), "%.20s:%.20s", text, r->call->parameters[2]);
	if (!vm_config_place_parse(joined, &place)) {
		call_refuse(r->call, API_INVALID, NULL,
			    "'%s' is not a place; expected such as scsi0:1 or ide0:1", joined);
		return -1;
	}
	int index = vm_config_place_find(r->vm->configuration, r->op.kind, &place);

	if (index < 0) {
		call_refuse(r->call, API_NOT_FOUND, NULL, "%s has no %s at %s", vm_name(r->vm),
			    strcmp(r->op.kind, "dvds") == 0 ? "DVD drive" : "disk", joined);
	}
	return index;
}

static int find_adapter(struct request *r)
{
	const char *text = r->call->parameters[1];
	char *end;
	long number = strtol(text, &end, 10);
	int index = end == text || *end != '\0'
			    ? -1
			    : vm_config_adapter_find(r->vm->configuration, number);

	if (index < 0) {
		call_refuse(r->call, API_NOT_FOUND, NULL, "%s has no network adapter %s",
			    vm_name(r->vm), text);
	}
	return index;
}

static void remove_item(struct request *r, int index)
{
	json_t *list;

	if (index < 0) {
		return;
	}
	r->op.config = json_deep_copy(r->vm->configuration);
	list = json_object_get(r->op.config, r->op.kind);
	r->op.item =
		json_array_get(json_object_get(r->vm->configuration, r->op.kind), (size_t)index);
	json_array_remove(list, (size_t)index);
	r->op.worker_first = true;
	op_device(r->call, r->vm, &r->op);
}

static void remove_drive(struct call *c, const char *kind)
{
	struct request r;

	if (begin(c, kind, &r)) {
		r.op.word = "detach";
		remove_item(&r, find_drive(&r));
	}
}

static void remove_disk(struct call *c)
{
	remove_drive(c, "disks");
}

static void remove_dvd(struct call *c)
{
	remove_drive(c, "dvds");
}

static void remove_adapter(struct call *c)
{
	struct request r;

	if (begin(c, "adapters", &r)) {
		r.op.word = "net-detach";
		remove_item(&r, find_adapter(&r));
	}
}

/* The configuration with the body merged into the item; false after the call was refused. */
static bool patch_item(struct request *r, int index)
{
	struct schema_error error;

	if (index < 0 || !has_body(r)) {
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
		give_up(r, API_INVALID, error.text);
		return false;
	}
	return check_paths(r);
}

static void find_patched(struct request *r, int index)
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
static bool check_members(struct request *r, const char *const *members)
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

static void patch(struct request *r, int index, const char *const *members)
{
	if (!patch_item(r, index) || !check_members(r, members)) {
		return;
	}
	find_patched(r, index);
	if (r->op.item == NULL) {
		give_up(r, API_INVALID,
			"the place or number of it cannot be changed; remove it and add another");
		return;
	}
	op_device(r->call, r->vm, &r->op);
}

/* A new size changes the file, everything else the configuration. */
static void change_disk(struct call *c)
{
	static const char *const none[] = {NULL};
	const json_t *bytes = json_object_get(c->body, "bytes");
	struct request r;
	int index;

	if (!begin(c, "disks", &r) || (index = find_drive(&r)) < 0) {
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

static void change_dvd(struct call *c)
{
	static const char *const medium[] = {"path", NULL};
	struct request r;

	if (begin(c, "dvds", &r)) {
		r.op.word = "medium";
		patch(&r, find_drive(&r), medium);
	}
}

static void change_adapter(struct call *c)
{
	static const char *const port[] = {
		"switch",    "vlan",	  "trunk",	"native",	"private", "primary",
		"secondary", "spoofing",  "dhcp-guard", "router-guard", "mirror",  "max",
		"weight",    "broadcast", "multicast",	"unknown",	"mtu",	   "link",
		"acl",	     "name",	  NULL};
	struct request r;

	if (begin(c, "adapters", &r)) {
		r.op.word = "net-connect";
		patch(&r, find_adapter(&r), port);
	}
}

static const struct route routes[] = {
	{"POST", "/vms/{vm}/disks", RIGHT_CHANGE, true, add_disk,
	 "Adds a disk; create_bytes or parent make its file first", "Disk", "Disk"},
	{"PATCH", "/vms/{vm}/disks/{controller}:{location}", RIGHT_CHANGE, true, change_disk,
	 "Changes a disk; bytes resizes it", "DiskChange", "Disk"},
	{"DELETE", "/vms/{vm}/disks/{controller}:{location}", RIGHT_CHANGE, true, remove_disk,
	 "Takes a disk away; its file stays", NULL, "Disk"},
	{"POST", "/vms/{vm}/dvds", RIGHT_CHANGE, true, add_dvd, "Adds a DVD drive", "Dvd", "Dvd"},
	{"PATCH", "/vms/{vm}/dvds/{controller}:{location}", RIGHT_OPERATE, true, change_dvd,
	 "Puts an image into a drive, or takes it out", "Dvd", "Dvd"},
	{"DELETE", "/vms/{vm}/dvds/{controller}:{location}", RIGHT_CHANGE, true, remove_dvd,
	 "Takes a DVD drive away", NULL, "Dvd"},
	{"POST", "/vms/{vm}/adapters", RIGHT_CHANGE, true, add_adapter, "Adds a network adapter",
	 "Adapter", "Adapter"},
	{"PATCH", "/vms/{vm}/adapters/{number}", RIGHT_CHANGE, true, change_adapter,
	 "Changes an adapter, or moves it to another switch", "Adapter", "Adapter"},
	{"DELETE", "/vms/{vm}/adapters/{number}", RIGHT_CHANGE, true, remove_adapter,
	 "Takes a network adapter away", NULL, "Adapter"},
};

const struct route_table device_routes = {routes, ARRAY_LEN(routes)};
