// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "manage.h"

#define NAME_MAX_BYTES 64

/* The first name of @path into @name; the rest, or NULL at the end. */
static const char *split(const char *path, char name[NAME_MAX_BYTES])
{
	size_t length = strcspn(path, ".");

	snprintf(name, NAME_MAX_BYTES, "%.*s", (int)length, path);
	return path[length] == '.' ? path + length + 1 : NULL;
}

json_t *member_get(json_t *o, const char *path)
{
	char name[NAME_MAX_BYTES];

	while (path != NULL) {
		path = split(path, name);
		o = json_object_get(o, name);
	}
	return json_is_null(o) ? NULL : o;
}

const char *member_text(json_t *o, const char *path)
{
	const char *text = json_string_value(member_get(o, path));

	return text != NULL ? text : "";
}

void member_set(json_t *o, const char *path, json_t *value)
{
	char name[NAME_MAX_BYTES];

	for (path = split(path, name); path != NULL; path = split(path, name)) {
		json_t *inner = json_object_get(o, name);

		if (inner == NULL) {
			inner = json_object();
			json_add(o, name, inner);
		}
		o = inner;
	}
	json_add(o, name, value);
}
