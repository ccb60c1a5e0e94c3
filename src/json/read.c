// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "json/json.h"

/* The parser recurses: what it gets is not deep. Brackets in strings do not count. */
static bool check_depth(const char *what, const char *text, size_t bytes, unsigned depth_max,
			char *error, size_t size)
{
	unsigned depth = 0, line = 1;
	size_t line_start = 0;
	bool in_string = false;

	for (size_t i = 0; i < bytes; i++) {
		char c = text[i];

		if (c == '\n') {
			line++;
			line_start = i + 1;
		} else if (in_string) {
			i += c == '\\';
			in_string = c != '"';
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			depth++;
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
		if (depth > depth_max) {
			snprintf(error, size,
				 "%s: line %u, column %zu: nested deeper than %u levels", what,
				 line, i - line_start + 1, depth_max);
			return false;
		}
	}
	return true;
}

json_t *json_parse(const char *what, const char *text, size_t bytes, unsigned depth_max,
		   char *error, size_t size)
{
	json_error_t e;

	if (!check_depth(what, text, bytes, depth_max, error, size)) {
		return NULL;
	}
	json_t *j = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &e);

	if (j == NULL) {
		snprintf(error, size, "%s: line %d, column %d: not JSON: %s", what, e.line,
			 e.column, e.text);
		return NULL;
	}
	if (!json_is_object(j)) {
		snprintf(error, size,
			 "%s: line 1, column 1: expected an object, such as {\"name\": \"a\"}",
			 what);
		json_decref(j);
		return NULL;
	}
	return j;
}

bool json_text(const json_t *o, const char *key, const char **ret)
{
	const char *text = json_string_value(json_object_get(o, key));

	*ret = text != NULL ? text : *ret;
	return text != NULL;
}

bool json_number(const json_t *o, const char *key, uint64_t *ret)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0) {
		return false;
	}
	*ret = (uint64_t)json_integer_value(v);
	return true;
}

bool json_flag(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}
