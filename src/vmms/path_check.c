// SPDX-License-Identifier: Apache-2.0
#include "path_check.h"

#include <string.h>

#include "call.h"
#include "disk_paths.h"

bool path_check(struct call *c, const char *path)
{
	char error[700];

	if (path == NULL || path[0] != '/' ||
	    disk_path_allowed(c->vmms, c->caller, path, error, sizeof(error))) {
		return true;
	}
	call_refuse(c, API_DENIED, NULL, "%s", error);
	return false;
}

static const char *text_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

/* What was allowed to somebody once stays allowed: a change elsewhere does not ask again. */
static bool was_there(const json_t *old, const char *kind, const char *path)
{
	const json_t *list = json_object_get(old, kind);

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *other = text_of(json_array_get(list, i), "path");

		if (other != NULL && path != NULL && strcmp(other, path) == 0) {
			return true;
		}
	}
	return false;
}

static bool check_list(struct call *c, const json_t *old, const json_t *config, const char *kind)
{
	const json_t *list = json_object_get(config, kind);

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *path = text_of(json_array_get(list, i), "path");

		if (!was_there(old, kind, path) && !path_check(c, path)) {
			return false;
		}
	}
	return true;
}

bool path_check_all(struct call *c, const json_t *old, const json_t *config)
{
	static const char *const images[] = {"kernel", "initrd"};
	const json_t *boot = json_object_get(config, "boot"),
		     *old_boot = json_object_get(old, "boot");

	for (size_t i = 0; i < 2; i++) {
		const char *path = text_of(boot, images[i]), *before = text_of(old_boot, images[i]);

		if ((before == NULL || path == NULL || strcmp(before, path) != 0) &&
		    !path_check(c, path)) {
			return false;
		}
	}
	return check_list(c, old, config, "disks") && check_list(c, old, config, "dvds");
}
