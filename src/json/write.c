// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/check.h"
#include "json/json.h"

/* ---- Text ---- */

/* Bytes of the character at @p (Unicode 15, table 3-7); 0: none begins there. */
static size_t sequence_bytes(const unsigned char *p)
{
	if (p[0] < 0x80) {
		return 1;
	}
	size_t n = p[0] >= 0xc2 && p[0] < 0xe0	 ? 2
		   : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
		   : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
						 : 0;

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90)) {
		return 0;
	}
	return n;
}

bool json_is_utf8(const char *text)
{
	while (*text != '\0') {
		size_t n = sequence_bytes((const unsigned char *)text);

		if (n == 0) {
			return false;
		}
		text += n;
	}
	return true;
}

static json_t *replace(const char *text)
{
	static const char replacement[] = "\xef\xbf\xbd";
	char *clean = malloc(3 * strlen(text) + 1);
	size_t used = 0;

	CHECK(clean != NULL);
	while (*text != '\0') {
		size_t n = sequence_bytes((const unsigned char *)text);

		memcpy(clean + used, n != 0 ? text : replacement, n != 0 ? n : 3);
		used += n != 0 ? n : 3;
		text += n != 0 ? n : 1;
	}
	json_t *v = json_stringn(clean, used);

	free(clean);
	return v;
}

json_t *json_new_text(const char *text)
{
	json_t *v = json_string(text);

	v = v != NULL ? v : replace(text);
	CHECK(v != NULL);
	return v;
}

/* ---- Making ---- */

json_t *json_new_number(uint64_t n)
{
	json_t *v = json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);

	CHECK(v != NULL);
	return v;
}

void json_add(json_t *o, const char *key, json_t *value)
{
	CHECK(json_object_set_new(o, key, value) == 0);
}

void json_add_text(json_t *o, const char *key, const char *text)
{
	json_add(o, key, json_new_text(text));
}

void json_add_number(json_t *o, const char *key, uint64_t n)
{
	json_add(o, key, json_new_number(n));
}

void json_add_flag(json_t *o, const char *key, bool flag)
{
	json_add(o, key, json_boolean(flag));
}

void json_append(json_t *list, json_t *value)
{
	CHECK(json_array_append_new(list, value) == 0);
}

/* ---- Writing ---- */

static char *dump(const json_t *v, size_t flags)
{
	char *text = json_dumps(v, flags | JSON_ENCODE_ANY);

	CHECK(text != NULL);
	return text;
}

char *json_line(const json_t *v)
{
	return dump(v, JSON_COMPACT);
}

void json_print(const json_t *v)
{
	char *text = dump(v, JSON_LOOK);

	puts(text);
	free(text);
}

const char *json_show(const json_t *v, const char *none, char *ret, size_t size)
{
	if (v == NULL || json_is_null(v) || json_is_string(v)) {
		snprintf(ret, size, "%s", json_is_string(v) ? json_string_value(v) : none);
		return ret;
	}
	char *text = dump(v, 0);

	snprintf(ret, size, "%s", text);
	free(text);
	return ret;
}

void json_start(void)
{
	size_t seed;

	CHECK(getrandom(&seed, sizeof(seed), 0) == sizeof(seed));
	json_object_seed(seed); /* 0: jansson finds one itself */
}
