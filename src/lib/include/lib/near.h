/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody who mistyped a word may have meant. */
#ifndef LIB_NEAR_H
#define LIB_NEAR_H

#include <stddef.h>

struct near_search {
	const char *word; /* need not end */
	size_t length;
	const char *best; /* the nearest choice so far; NULL: none is near */
	unsigned far;
};

struct near_search near_begin(const char *word, size_t length);
/* @choice lives as long as the search. */
void near_try(struct near_search *n, const char *choice);

#endif
