/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of the host's processors, or of its NUMA nodes, and the lists that people and Linux write them as: "0-3,8". No state; any thread. */
#ifndef HOSTCPU_SET_H
#define HOSTCPU_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOSTCPU_MAX 4096u	  /* members are 0 to 4095 */
#define HOSTCPU_LIST_BYTES 12288u /* the longest list: every other one */

struct hostcpu_set {
	uint64_t words[HOSTCPU_MAX / 64];
};

/*
 * @text, foreign: numbers and ranges with commas between them, without blanks, perhaps with a line's end; "" is the empty set. False: it is no such list, or a
 * number is too large, or a range goes backwards.
 */
bool hostcpu_set_parse(const char *text, size_t bytes, struct hostcpu_set *ret);
/* The shortest such list. */
void hostcpu_set_format(const struct hostcpu_set *s, char ret[HOSTCPU_LIST_BYTES]);

bool hostcpu_set_has(const struct hostcpu_set *s, unsigned n);
void hostcpu_set_add(struct hostcpu_set *s, unsigned n);
unsigned hostcpu_set_count(const struct hostcpu_set *s);
bool hostcpu_set_is_empty(const struct hostcpu_set *s);
bool hostcpu_set_equals(const struct hostcpu_set *a, const struct hostcpu_set *b);
/* Every member of @s is one of @of. */
bool hostcpu_set_is_within(const struct hostcpu_set *s, const struct hostcpu_set *of);
/* @s keeps what is in @other too, or gets what is in @other. */
void hostcpu_set_intersect(struct hostcpu_set *s, const struct hostcpu_set *other);
void hostcpu_set_unite(struct hostcpu_set *s, const struct hostcpu_set *other);
/* The first member from @from on; HOSTCPU_MAX: none. */
unsigned hostcpu_set_next(const struct hostcpu_set *s, unsigned from);

#endif
