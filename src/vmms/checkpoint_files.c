// SPDX-License-Identifier: Apache-2.0
#include "checkpoint_files.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "checkpoint.h"
#include "lib/check.h"
#include "new_id.h"
#include "vmms.h"

static json_t *list_of(const json_t *configuration)
{
	return json_object_get(json_object_get(configuration, "checkpoints"), "files");
}

json_t *checkpoint_files(json_t *configuration)
{
	json_t *checkpoints = json_object_get(configuration, "checkpoints"), *list;

	if (!json_is_object(checkpoints)) {
		checkpoints = json_object();
		json_object_set_new(configuration, "checkpoints", checkpoints);
	}
	list = json_object_get(checkpoints, "files");
	if (!json_is_array(list)) {
		list = json_array();
		json_object_set_new(checkpoints, "files", list);
	}
	CHECK(list != NULL);
	return list;
}

static const char *text(const json_t *o, const char *member)
{
	const char *s = json_string_value(json_object_get(o, member));

	return s == NULL ? "" : s;
}

static size_t find(const json_t *list, const char *path)
{
	size_t i = 0;

	while (i < json_array_size(list) &&
	       strcmp(text(json_array_get(list, i), "path"), path) != 0) {
		i++;
	}
	return i;
}

static json_t *text_or_null(const char *s)
{
	return s == NULL ? json_null() : json_string(s);
}

void checkpoint_files_add(json_t *configuration, const char *path, const char *parent, bool made)
{
	json_t *list = checkpoint_files(configuration);

	if (find(list, path) == json_array_size(list)) {
		json_array_append_new(list, json_pack("{s:s, s:o, s:b}", "path", path, "parent",
						      text_or_null(parent), "made", made));
	}
}

void checkpoint_files_pin(json_t *configuration, const char *path)
{
	json_t *list = checkpoint_files(configuration);

	/* A loop ends. */
	for (size_t i = 0; path != NULL && i <= json_array_size(list); i++) {
		json_t *o = json_array_get(list, find(list, path));

		json_object_set_new(o, "cloned", json_true());
		path = json_string_value(json_object_get(o, "parent"));
	}
}

void checkpoint_files_drop(json_t *configuration, const char *path)
{
	json_t *list = checkpoint_files(configuration);

	json_array_remove(list, find(list, path));
}

void checkpoint_files_reparent(json_t *configuration, const char *path, const char *parent)
{
	json_t *list = checkpoint_files(configuration);

	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *o = json_array_get(list, i);

		if (strcmp(text(o, "parent"), path) == 0) {
			json_object_set_new(o, "parent", text_or_null(parent));
		}
	}
}

const char *checkpoint_files_parent(const json_t *configuration, const char *path)
{
	const json_t *list = list_of(configuration);

	return json_string_value(json_object_get(json_array_get(list, find(list, path)), "parent"));
}

const char *checkpoint_files_path(const struct vm *vm, size_t index)
{
	return text(json_array_get(list_of(vm->configuration), index), "path");
}

/* ---- Disks ---- */

bool checkpoint_disk_takes_part(const json_t *disk)
{
	return !json_is_true(json_object_get(disk, "read_only")) &&
	       !json_is_true(json_object_get(disk, "temporary")) && text(disk, "path")[0] != '\0';
}

bool checkpoint_disks_rename(json_t *configuration, const char *from, const char *to)
{
	const json_t *disks = json_object_get(configuration, "disks");
	bool any = false;

	for (size_t i = 0; i < json_array_size(disks); i++) {
		json_t *disk = json_array_get(disks, i);

		if (strcmp(text(disk, "path"), from) == 0) {
			json_object_set_new(disk, "path", json_string(to));
			any = true;
		}
	}
	return any;
}

bool checkpoint_disks_use(const json_t *configuration, const char *path)
{
	const json_t *disks = json_object_get(configuration, "disks");

	for (size_t i = 0; i < json_array_size(disks); i++) {
		if (strcmp(text(json_array_get(disks, i), "path"), path) == 0) {
			return true;
		}
	}
	return false;
}

/* ---- The tree ---- */

static bool is_used(struct vm *vm, const char *path)
{
	json_t *all = checkpoints_of(vm);

	for (void *i = json_object_iter(all); i != NULL; i = json_object_iter_next(all, i)) {
		const json_t *record = json_object_iter_value(i);

		if (checkpoint_disks_use(json_object_get(record, "configuration"), path)) {
			return true;
		}
	}
	return checkpoint_disks_use(vm->configuration, path);
}

/*
 * People may edit the list: a parent that comes to itself again would make no tree. Then no file has one, so that nothing is merged, and nothing that is used is
 * removed.
 */
static bool is_tree(const struct disk_tree_file *files, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t steps = 0;

		for (size_t at = i; at != DISK_TREE_NONE; at = files[at].parent) {
			if (steps++ > count) {
				return false;
			}
		}
	}
	return true;
}

/* One that cannot be read may be one. */
static bool may_have_clones(const struct vm *vm)
{
	const struct vmms *v = vm->vmms;
	bool unknown = false;

	for (size_t i = 0; i < v->vm_count; i++) {
		unknown |= v->vms[i]->unusable;
	}
	return unknown || vm_clone_of(vm) != NULL;
}

struct disk_tree_file *checkpoint_files_tree(struct vm *vm, size_t *ret_count)
{
	const json_t *list = list_of(vm->configuration);
	size_t count = json_array_size(list);
	struct disk_tree_file *files = calloc(count + 1, sizeof(*files));

	CHECK(files != NULL);
	bool clones = may_have_clones(vm);

	for (size_t i = 0; i < count; i++) {
		const json_t *o = json_array_get(list, i);
		const char *parent = json_string_value(json_object_get(o, "parent"));
		size_t at = parent == NULL ? count : find(list, parent);

		files[i] = (struct disk_tree_file){
			.parent = at < count ? at : DISK_TREE_NONE,
			.used = is_used(vm, text(o, "path")) ||
				(clones && json_is_true(json_object_get(o, "cloned"))),
			.made = json_is_true(json_object_get(o, "made")),
		};
	}
	if (!is_tree(files, count)) {
		count = 0;
	}
	*ret_count = count;
	return files;
}

/* ---- Names ---- */

/* How much of @name is left without "_" and the GUID of a file that a checkpoint made. */
static size_t stem_length(const char *name, size_t length)
{
	const size_t guid = GUID_TEXT_BYTES - 1;
	char id[GUID_TEXT_BYTES], part[GUID_TEXT_BYTES];

	if (length <= guid + 1 || name[length - guid - 1] != '_') {
		return length;
	}
	snprintf(part, sizeof(part), "%.*s", (int)guid, name + length - guid);
	return normal_id(part, id) ? length - guid - 1 : length;
}

static bool is_vhdx(const char *dot)
{
	return dot != NULL && (strcasecmp(dot, ".vhdx") == 0 || strcasecmp(dot, ".avhdx") == 0);
}

char *checkpoint_plain_name(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
	const char *dot = strrchr(name, '.');
	size_t length = dot == NULL ? strlen(name) : (size_t)(dot - name);
	char *s;

	CHECK(asprintf(&s, "%.*s%s", (int)stem_length(name, length), name,
		       is_vhdx(dot) ? ".vhdx" : ".vhd") > 0);
	return s;
}

char *checkpoint_new_path(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
	const char *dot = strrchr(name, '.');
	size_t length = dot == NULL ? strlen(name) : (size_t)(dot - name);
	char id[GUID_TEXT_BYTES];
	char *s;

	new_id(id);
	CHECK(asprintf(&s, "%.*s%.*s_%s%s", (int)(name - path), path,
		       (int)stem_length(name, length), name, id,
		       is_vhdx(dot) ? ".avhdx" : ".avhd") > 0);
	return s;
}
