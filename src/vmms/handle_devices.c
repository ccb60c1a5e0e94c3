// SPDX-License-Identifier: Apache-2.0
/* Disks, DVD drives and network adapters of one VM: adding and removing. Changing is in handle_device_change.c, showing in handle_device_lists.c. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "device_request.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "new_id.h"
#include "path_check.h"
#include "routes.h"
#include "vm.h"
#include "vmms.h"

/* ---- Adding ---- */

/* What is to be made of a disk's file first; it is no part of the configuration. */
static bool take_making(struct device_request *r, json_t *item)
{
	const json_t *bytes = json_object_get(item, "create_bytes"),
		     *parent = json_object_get(item, "parent");
	const char *path = json_string_value(json_object_get(item, "path"));

	if ((bytes != NULL && (!json_is_integer(bytes) || json_integer_value(bytes) <= 0)) ||
	    (parent != NULL && (!json_is_string(parent) || json_string_value(parent)[0] != '/'))) {
		device_request_give_up(
			r, API_INVALID,
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

static bool add_item(struct device_request *r, json_t *item)
{
	struct schema_error error;

	r->op.config = json_deep_copy(r->vm->configuration);
	CHECK(r->op.config != NULL);
	r->op.item = vm_config_add(r->op.config, r->op.kind, item, &error);
	if (r->op.item == NULL) {
		device_request_give_up(r, API_INVALID, error.text);
		return false;
	}
	return device_request_check_paths(r);
}

static void add_drive(struct call *c, const char *kind)
{
	struct device_request r;

	if (!device_request_begin(c, kind, &r) || !device_request_has_body(&r)) {
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
	struct device_request r;

	if (device_request_begin(c, "adapters", &r) && device_request_has_body(&r) &&
	    add_item(&r, c->body)) {
		snprintf(r.place, sizeof(r.place), "%" PRId64,
			 (int64_t)json_integer_value(json_object_get(r.op.item, "number")));
		r.op.word = "net-attach";
		r.op.created = true;
		op_device(c, r.vm, &r.op);
	}
}

/* ---- Removing ---- */

static void remove_item(struct device_request *r, int index)
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
	struct device_request r;

	if (device_request_begin(c, kind, &r)) {
		r.op.word = "detach";
		remove_item(&r, device_request_find_drive(&r));
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
	struct device_request r;

	if (device_request_begin(c, "adapters", &r)) {
		r.op.word = "net-detach";
		remove_item(&r, device_request_find_adapter(&r));
	}
}

static const struct route routes[] = {
	{"POST", "/vms/{vm}/disks", RIGHT_CHANGE, true, add_disk,
	 "Adds a disk; create_bytes or parent make its file first", "Disk", "Disk"},
	{"PATCH", "/vms/{vm}/disks/{controller}:{location}", RIGHT_CHANGE, true, device_change_disk,
	 "Changes a disk; bytes resizes it", "DiskChange", "Disk"},
	{"DELETE", "/vms/{vm}/disks/{controller}:{location}", RIGHT_CHANGE, true, remove_disk,
	 "Takes a disk away; its file stays", NULL, "Disk"},
	{"POST", "/vms/{vm}/dvds", RIGHT_CHANGE, true, add_dvd, "Adds a DVD drive", "Dvd", "Dvd"},
	{"PATCH", "/vms/{vm}/dvds/{controller}:{location}", RIGHT_OPERATE, true, device_change_dvd,
	 "Puts an image into a drive, or takes it out", "Dvd", "Dvd"},
	{"DELETE", "/vms/{vm}/dvds/{controller}:{location}", RIGHT_CHANGE, true, remove_dvd,
	 "Takes a DVD drive away", NULL, "Dvd"},
	{"POST", "/vms/{vm}/adapters", RIGHT_CHANGE, true, add_adapter, "Adds a network adapter",
	 "Adapter", "Adapter"},
	{"PATCH", "/vms/{vm}/adapters/{number}", RIGHT_CHANGE, true, device_change_adapter,
	 "Changes an adapter, or moves it to another switch", "Adapter", "Adapter"},
	{"DELETE", "/vms/{vm}/adapters/{number}", RIGHT_CHANGE, true, remove_adapter,
	 "Takes a network adapter away", NULL, "Adapter"},
};

const struct route_table device_routes = {routes, ARRAY_LEN(routes)};
