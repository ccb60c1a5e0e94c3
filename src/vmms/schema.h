/* SPDX-License-Identifier: Apache-2.0 */
/* What a JSON object has to look like, as a table; and whether one does. Members that the table does not know are left alone. */
#ifndef VMMS_SCHEMA_H
#define VMMS_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct schema_error {
	char text[800]; /* "disks[2].path: found 5; expected ..." */
};

enum schema_type {
	SCHEMA_WHOLE, /* number from min to max, a multiple of step (0: 1) */
	SCHEMA_TEXT, /* at most max bytes, without control characters but line ends where lines is set */
	SCHEMA_WORD, /* one of words */
	SCHEMA_FLAG,
	SCHEMA_OBJECT, /* of members */
	SCHEMA_LIST,   /* at most max objects of members */
};

struct schema {
	const char *name;
	enum schema_type type;
	const char *expected; /* in words, for messages */
	json_int_t min, max, step;
	const char *const *words; /* NULL-terminated */
	bool (*check)(const char *text);
	const struct schema *members; /* ended by one without a name */
	bool optional;
	bool nullable;
	bool lines;
};

/* @at: what names begin with; "" for the object that is a whole file. */
bool schema_check(const json_t *object, const struct schema *members, const char *at,
		  struct schema_error *error);

/* "AT: found VALUE; expected EXPECTED", and false. @value may be NULL: missing. */
bool schema_refuse(struct schema_error *error, const char *at, const json_t *value,
		   const char *expected);

#endif
