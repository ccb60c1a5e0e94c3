// SPDX-License-Identifier: Apache-2.0
#include "schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT_BYTES 200
#define FOUND_BYTES 80u

/* The beginning of a value as it was written. */
static void show(const json_t *value, char ret[FOUND_BYTES])
{
	char *text = value == NULL ? NULL
				   : json_dumps(value,
						JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);

	if (text == NULL) {
		snprintf(ret, FOUND_BYTES, "nothing");
	} else if (strlen(text) >= FOUND_BYTES) {
		snprintf(ret, FOUND_BYTES, "%.*s...", (int)FOUND_BYTES - 4, text);
	} else {
		snprintf(ret, FOUND_BYTES, "%s", text);
	}
	free(text);
}

bool schema_refuse(struct schema_error *error, const char *at, const json_t *value,
		   const char *expected)
{
	char found[FOUND_BYTES];

	show(value, found);
	snprintf(error->text, sizeof(error->text), "%s: found %s; expected %s", at, found,
		 expected);
	return false;
}

static bool is_clean(const char *text, bool lines)
{
	for (const unsigned char *s = (const unsigned char *)text; *s != '\0'; s++) {
		if ((*s < 0x20 && !(lines && (*s == '\n' || *s == '\t' || *s == '\r'))) ||
		    *s == 0x7f) {
			return false;
		}
	}
	return true;
}

static bool is_word(const char *text, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (strcmp(text, *words) == 0) {
			return true;
		}
	}
	return false;
}

static bool is_whole(const struct schema *s, const json_t *value)
{
	json_int_t n = json_integer_value(value), step = s->step == 0 ? 1 : s->step;

	return json_is_integer(value) && n >= s->min && n <= s->max && n % step == 0;
}

static bool is_text(const struct schema *s, const json_t *value)
{
	const char *text = json_string_value(value);

	/* A NUL in it would end it for everybody else. */
	return text != NULL && json_string_length(value) == strlen(text) &&
	       json_string_length(value) <= (size_t)s->max && is_clean(text, s->lines) &&
	       (s->check == NULL || s->check(text));
}

static bool check_list(const struct schema *s, const json_t *list, const char *at,
		       struct schema_error *error)
{
	char element[AT_BYTES];

	if (!json_is_array(list) || json_array_size(list) > (size_t)s->max) {
		return schema_refuse(error, at, list, s->expected);
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *value = json_array_get(list, i);

		snprintf(element, sizeof(element), "%.150s[%zu]", at, i);
		if (!json_is_object(value)) {
			return schema_refuse(error, element, value, "an object");
		}
		if (!schema_check(value, s->members, element, error)) {
			return false;
		}
	}
	return true;
}

static bool check_value(const struct schema *s, const json_t *value, const char *at,
			struct schema_error *error)
{
	bool ok = false;

	switch (s->type) {
	case SCHEMA_WHOLE:
		ok = is_whole(s, value);
		break;
	case SCHEMA_TEXT:
		ok = is_text(s, value);
		break;
	case SCHEMA_WORD:
		ok = json_is_string(value) && is_word(json_string_value(value), s->words);
		break;
	case SCHEMA_FLAG:
		ok = json_is_boolean(value);
		break;
	case SCHEMA_OBJECT:
		if (json_is_object(value)) {
			return schema_check(value, s->members, at, error);
		}
		break;
	case SCHEMA_LIST:
		return check_list(s, value, at, error);
	}
	return ok || schema_refuse(error, at, value, s->expected);
}

bool schema_check(const json_t *object, const struct schema *members, const char *at,
		  struct schema_error *error)
{
	for (const struct schema *s = members; s->name != NULL; s++) {
		const json_t *value = json_object_get(object, s->name);
		char name[AT_BYTES];

		snprintf(name, sizeof(name), "%s%s%s", at, at[0] == '\0' ? "" : ".", s->name);
		if ((value == NULL && s->optional) || (json_is_null(value) && s->nullable)) {
			continue;
		}
		if (!check_value(s, value, name, error)) {
			return false;
		}
	}
	return true;
}
