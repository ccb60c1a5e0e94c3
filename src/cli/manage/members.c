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

struct json_object *member_get(struct json_object *o, const char *path)
{
	char name[NAME_MAX_BYTES];

	while (path != NULL) {
		path = split(path, name);
		if (!json_object_is_type(o, json_type_object) ||
		    !json_object_object_get_ex(o, name, &o)) {
			return NULL;
		}
	}
	return o;
}

const char *member_text(struct json_object *o, const char *path)
{
	struct json_object *v = member_get(o, path);

	return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}

void member_set(struct json_object *o, const char *path, struct json_object *value)
{
	char name[NAME_MAX_BYTES];

	for (path = split(path, name); path != NULL; path = split(path, name)) {
		struct json_object *inner = NULL;

		if (!json_object_object_get_ex(o, name, &inner)) {
			inner = json_object_new_object();
			json_object_object_add(o, name, inner);
		}
		o = inner;
	}
	json_object_object_add(o, name, value);
}
