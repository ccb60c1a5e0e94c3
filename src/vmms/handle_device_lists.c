// SPDX-License-Identifier: Apache-2.0
/* Disks, DVD drives and network adapters of one VM: showing them. Files are looked at off the loop. */
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "disk_look.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "plan.h"
#include "routes.h"
#include "task.h"
#include "vm.h"
#include "vmms.h"

struct file {
	char *path; /* absolute; "": none */
	bool raw;
	bool is_there;
	struct disk_look found;
};

struct looking {
	struct call *call; /* NULL: the client went */
	const char *kind;
	json_t *list; /* the loop's */
	struct file *files;
	size_t count;
};

static void forget(struct looking *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->files[i].path);
	}
	free(l->files);
	json_decref(l->list);
	free(l);
}

static void work(void *ctx)
{
	struct looking *l = ctx;

	for (size_t i = 0; i < l->count; i++) {
		struct file *f = &l->files[i];

		f->is_there = f->path[0] != '\0' && disk_look(f->path, f->raw, &f->found);
	}
}

static json_t *number_or_null(bool known, uint64_t n)
{
	return known ? json_integer((json_int_t)n) : json_null();
}

static void add_found(json_t *o, const struct file *f)
{
	const struct disk_look *d = &f->found;

	/* The path that the service opens: what is in the configuration may be relative. */
	json_object_set_new(o, "file", f->path[0] == '\0' ? json_null() : json_string(f->path));
	json_object_set_new(o, "exists", json_boolean(f->is_there));
	json_object_set_new(o, "format", d->format == NULL ? json_null() : json_string(d->format));
	json_object_set_new(o, "bytes", number_or_null(d->format != NULL, d->bytes));
	json_object_set_new(o, "file_bytes", number_or_null(f->is_there, d->file_bytes));
	json_object_set_new(o, "used_bytes", number_or_null(f->is_there, d->used_bytes));
	json_object_set_new(o, "parent",
			    d->parent[0] == '\0' ? json_null() : json_string(d->parent));
}

static void done(void *ctx)
{
	struct looking *l = ctx;

	for (size_t i = 0; i < l->count; i++) {
		add_found(json_array_get(l->list, i), &l->files[i]);
	}
	if (l->call != NULL) {
		call_ok(l->call, json_pack("{s:O}", l->kind, l->list));
	}
	forget(l);
}

static void on_gone(void *ctx, struct call *c)
{
	(void)c;
	((struct looking *)ctx)->call = NULL;
}

static void list_drives(struct call *c, const char *kind)
{
	struct vm *vm = vm_of_call(c);

	if (vm == NULL) {
		return;
	}
	struct looking *l = calloc(1, sizeof(*l));

	CHECK(l != NULL);
	*l = (struct looking){.call = c, .kind = kind};
	l->list = json_deep_copy(json_object_get(vm->configuration, kind));
	if (l->list == NULL) { /* of a VM that cannot be used nothing is known */
		l->list = json_array();
	}
	l->count = json_array_size(l->list);
	l->files = calloc(l->count + 1, sizeof(*l->files));
	CHECK(l->files != NULL);
	for (size_t i = 0; i < l->count; i++) {
		json_t *item = json_array_get(l->list, i);
		char place[32];

		vm_config_place_text(item, place);
		json_object_set_new(item, "place", json_string(place));
		l->files[i].path = plan_path(vm, json_string_value(json_object_get(item, "path")));
		l->files[i].raw =
			strcmp(kind, "dvds") == 0 || json_is_true(json_object_get(item, "raw"));
	}
	call_hold(c, on_gone, l);
	task_run(c->vmms->tasks, work, done, l);
}

static void list_disks(struct call *c)
{
	list_drives(c, "disks");
}

static void list_dvds(struct call *c)
{
	list_drives(c, "dvds");
}

static void list_adapters(struct call *c)
{
	struct vm *vm = vm_of_call(c);

	if (vm == NULL) {
		return;
	}
	json_t *list = json_deep_copy(json_object_get(vm->configuration, "adapters"));

	if (list == NULL) {
		list = json_array();
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *a = json_array_get(list, i);
		bool connected = json_string_length(json_object_get(a, "switch")) > 0;

		json_object_set_new(a, "connected", json_boolean(connected && vm_is_active(vm)));
	}
	call_ok(c, json_pack("{s:o}", "adapters", list));
}

static const struct route routes[] = {
	{"GET", "/vms/{vm}/disks", RIGHT_READ, false, list_disks,
	 "Lists the disks of a VM with their files", NULL, "DiskList"},
	{"GET", "/vms/{vm}/dvds", RIGHT_READ, false, list_dvds, "Lists the DVD drives of a VM",
	 NULL, "DvdList"},
	{"GET", "/vms/{vm}/adapters", RIGHT_READ, false, list_adapters,
	 "Lists the network adapters of a VM", NULL, "AdapterList"},
};

const struct route_table device_list_routes = {routes, ARRAY_LEN(routes)};
