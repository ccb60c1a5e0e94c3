// SPDX-License-Identifier: Apache-2.0
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapter_text.h"
#include "config.h"
#include "lib/check.h"
#include "vmms.h"

static char *copy(const char *text)
{
	char *s = strdup(text == NULL ? "" : text);

	CHECK(s != NULL);
	return s;
}

static const char *text_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

static json_int_t number_of(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

char *plan_path(const struct vm *vm, const char *path)
{
	char folder[VM_PATH_BYTES], *s;

	if (path[0] == '/' || path[0] == '\0') {
		return copy(path);
	}
	vm_path(vm, "", folder);
	CHECK(asprintf(&s, "%s/%s", folder, path) > 0);
	return s;
}

void plan_disk(const struct vm *vm, const char *kind, const json_t *item, struct machine_disk *ret)
{
	*ret = (struct machine_disk){
		.kind = strcmp(kind, "dvds") == 0			  ? MACHINE_DVD
			: strcmp(text_of(item, "controller"), "ide") == 0 ? MACHINE_IDE
									  : MACHINE_SCSI,
		.number = (unsigned)number_of(item, "number"),
		.location = (unsigned)number_of(item, "location"),
		.path = plan_path(vm, text_of(item, "path")),
		.read_only = json_is_true(json_object_get(item, "read_only")),
		.raw = json_is_true(json_object_get(item, "raw")),
		.temporary = json_is_true(json_object_get(item, "temporary")),
		.iops = (uint64_t)number_of(item, "iops"),
	};
}

void plan_adapter(const json_t *item, struct machine_adapter *ret)
{
	char text[ADAPTER_TEXT_BYTES], error[200];

	CHECK(adapter_text(item, text, error, sizeof(error))); /* the configuration was checked */
	*ret = (struct machine_adapter){.number = (unsigned)number_of(item, "number"),
					.text = copy(text)};
}

static void plan_disks(const struct vm *vm, struct machine_plan *p, const char *kind)
{
	const json_t *list = json_object_get(vm->configuration, kind);

	for (size_t i = 0; i < json_array_size(list); i++) {
		plan_disk(vm, kind, json_array_get(list, i), &p->disks[p->disk_count++]);
	}
}

static void plan_adapters(const struct vm *vm, struct machine_plan *p)
{
	const json_t *list = json_object_get(vm->configuration, "adapters");

	for (size_t i = 0; i < json_array_size(list); i++) {
		plan_adapter(json_array_get(list, i), &p->adapters[p->adapter_count++]);
	}
}

/* Configurations that were made before there was a choice have none. */
static enum machine_engine engine_of(const char *text)
{
	return text == NULL || strcmp(text, "auto") == 0 ? MACHINE_ENGINE_AUTO
	       : strcmp(text, "kvm") == 0		 ? MACHINE_ENGINE_KVM
							 : MACHINE_ENGINE_EMU;
}

struct machine_plan *plan_vm(const struct vm *vm, const char *state_file)
{
	const json_t *c = vm->configuration, *boot = json_object_get(c, "boot");
	size_t disks = json_array_size(json_object_get(c, "disks")) +
		       json_array_size(json_object_get(c, "dvds"));
	struct machine_plan *p = calloc(1, sizeof(*p));
	char run[VM_PATH_BYTES];

	CHECK(p != NULL);
	vm_run_path(vm, "", run);
	*p = (struct machine_plan){
		.name = copy(vm_name(vm)),
		.engine = engine_of(text_of(c, "engine")),
		.engines = vm->vmms->engines,
		.memory_bytes = (uint64_t)number_of(json_object_get(c, "memory"), "startup_bytes"),
		.processors = (uint64_t)number_of(json_object_get(c, "processors"), "count"),
		.model = copy(text_of(json_object_get(c, "processors"), "model")),
		.group = -1,
		.kernel = copy(text_of(boot, "kernel")),
		.initrd = copy(text_of(boot, "initrd")),
		.cmdline = copy(text_of(boot, "cmdline")),
		.disks = calloc(disks + 1, sizeof(struct machine_disk)),
		.adapters = calloc(CONFIG_ADAPTERS_MAX, sizeof(struct machine_adapter)),
		.run_folder = copy(run),
		.state_file = state_file == NULL ? NULL : copy(state_file),
	};
	CHECK(p->disks != NULL && p->adapters != NULL);
	plan_disks(vm, p, "disks");
	plan_disks(vm, p, "dvds");
	plan_adapters(vm, p);
	return p;
}
