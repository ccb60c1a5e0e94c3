// SPDX-License-Identifier: Apache-2.0
#include "target.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* ---- Text ---- */

/* Bytes of the UTF-8 sequence at @s, 0 when it is none (overlong, surrogate, cut short). */
static unsigned sequence_bytes(const unsigned char *s)
{
	static const struct {
		unsigned char first, last, low, high; /* of the first byte, of the second */
		unsigned bytes;
	} forms[] = {
		{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	if (s[0] < 0x80) {
		return 1;
	}
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (s[0] < forms[i].first || s[0] > forms[i].last || s[1] < forms[i].low ||
		    s[1] > forms[i].high) {
			continue;
		}
		/* a NUL is no continuation, so nothing behind the end is read */
		for (unsigned k = 2; k < forms[i].bytes; k++) {
			if ((s[k] & 0xc0) != 0x80) {
				return 0;
			}
		}
		return forms[i].bytes;
	}
	return 0;
}

bool target_is_text(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s != '\0') {
		unsigned n = sequence_bytes(s);

		if (n == 0 || *s < 0x20 || *s == 0x7f) {
			return false;
		}
		s += n;
	}
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In place. What is decoded never grows. */
static bool decode(char *s, bool plus, const char *what, char *error, size_t size)
{
	char *out = s;

	for (const char *in = s; *in != '\0'; in++) {
		if (*in == '%') {
			int high = hex_digit(in[1]), low = high < 0 ? -1 : hex_digit(in[2]);

			if (low < 0 || (high == 0 && low == 0)) {
				snprintf(error, size,
					 "%s: '%.3s' is not an escape; expected %% and two "
					 "hexadecimal digits, "
					 "not %%00",
					 what, in);
				return false;
			}
			*out++ = (char)(high << 4 | low);
			in += 2;
		} else {
			*out++ = plus && *in == '+' ? ' ' : *in;
		}
	}
	*out = '\0';
	if (!target_is_text(s)) {
		snprintf(error, size, "%s is not UTF-8 text, or has control characters in it",
			 what);
		return false;
	}
	return true;
}

/* ---- Parts ---- */

static bool split_path(struct target *t, char *path, char *error, size_t size)
{
	char *at = path + 1;

	while (*at != '\0') {
		char *end = strchrnul(at, '/');
		bool last = *end == '\0';

		*end = '\0';
		if (end == at || t->segment_count == TARGET_SEGMENTS_MAX) {
			snprintf(error, size, "the path %s; expected such as /api/v1/vms/NAME",
				 end == at ? "has an empty part" : "has too many parts");
			return false;
		}
		if (!decode(at, false, "the path", error, size)) {
			return false;
		}
		t->segments[t->segment_count++] = at;
		at = last ? end : end + 1;
	}
	return true;
}

static bool split_query(struct target *t, char *query, char *error, size_t size)
{
	for (char *save = NULL, *at = strtok_r(query, "&", &save); at != NULL;
	     at = strtok_r(NULL, "&", &save)) {
		char *value = strchrnul(at, '=');

		if (t->query_count == TARGET_QUERY_MAX) {
			snprintf(error, size, "the query has more than %u parameters",
				 TARGET_QUERY_MAX);
			return false;
		}
		if (*value == '=') {
			*value++ = '\0';
		}
		if (!decode(at, true, "the query", error, size) ||
		    !decode(value, true, "the query", error, size)) {
			return false;
		}
		t->query[t->query_count].name = at;
		t->query[t->query_count].value = value;
		t->query_count++;
	}
	return true;
}

bool target_parse(struct target *t, const char *raw, char *error, size_t size)
{
	size_t n = strlen(raw);

	t->segment_count = t->query_count = 0;
	if (n >= sizeof(t->text)) {
		snprintf(error, size, "the request's target is %zu bytes long; at most %zu go", n,
			 sizeof(t->text) - 1);
		return false;
	}
	memcpy(t->text, raw, n + 1);
	if (t->text[0] != '/' || strchr(t->text, '#') != NULL) {
		snprintf(error, size, "the request's target is not a path that begins with '/'");
		return false;
	}
	char *query = strchr(t->text, '?');

	if (query != NULL) {
		*query++ = '\0';
	}
	return split_path(t, t->text, error, size) &&
	       (query == NULL || split_query(t, query, error, size));
}

const char *target_query(const struct target *t, const char *name)
{
	for (unsigned i = 0; i < t->query_count; i++) {
		if (strcmp(t->query[i].name, name) == 0) {
			return t->query[i].value;
		}
	}
	return NULL;
}
