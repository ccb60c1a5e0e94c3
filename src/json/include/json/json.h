/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as all programs here read and write it: jansson, strictly. Members stay in the order in which they were added. What is made is the caller's
 * (json_decref); where there is no memory for a few bytes the program ends. Any thread, as jansson.
 */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Reading ---- */

/*
 * One object from @bytes of foreign text: nested no deeper than @depth_max, no name twice in an object, no NUL in text, all of it UTF-8, whole numbers from INT64_MIN to
 * INT64_MAX, and nothing but white space behind it. NULL: @error says line and column, what was found and what was expected; @what begins the sentence ("the request",
 * a file's name).
 */
json_t *json_parse(const char *what, const char *text, size_t bytes, unsigned depth_max,
		   char *error, size_t size);

/* Members of an object. False: absent or of another kind (*ret untouched). Text ends with its only NUL; numbers are whole and not negative. */
bool json_text(const json_t *o, const char *key, const char **ret);
bool json_number(const json_t *o, const char *key, uint64_t *ret);
bool json_flag(const json_t *o, const char *key);

/* ---- Making ---- */

/* JSON can hold @text as it is. */
bool json_is_utf8(const char *text);
/* What is no UTF-8 in @text becomes U+FFFD: names of files may hold any bytes, and a sentence may have been cut, but JSON holds UTF-8 only. */
json_t *json_new_text(const char *text);
/* JSON's numbers end at INT64_MAX for most who read them, jansson among them: what is more becomes that. */
json_t *json_new_number(uint64_t n);
/* @value is taken over. */
void json_add(json_t *o, const char *key, json_t *value);
void json_add_text(json_t *o, const char *key, const char *text);
void json_add_number(json_t *o, const char *key, uint64_t n);
void json_add_flag(json_t *o, const char *key, bool flag);
void json_append(json_t *list, json_t *value);

/* ---- Writing ---- */

/* In one line without blanks, for programs; malloced. */
char *json_line(const json_t *v);
/* For people and scripts on standard output, and in files: each member on a line of its own. */
void json_print(const json_t *v);
#define JSON_LOOK JSON_INDENT(2)
/* Text as it is, anything else as JSON in one line, null and NULL as @none. Cut when @size is too small. Returns @ret. */
const char *json_show(const json_t *v, const char *none, char *ret, size_t size);

/* Seeds the tables of members, for a program that is about to give up opening files. */
void json_start(void);

#endif
