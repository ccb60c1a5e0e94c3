/* SPDX-License-Identifier: Apache-2.0 */
/* The target of an HTTP request ("/api/v1/vms/a%20b?subtree=1"), taken apart and decoded. */
#ifndef VMMS_TARGET_H
#define VMMS_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#define TARGET_BYTES_MAX 4096u
#define TARGET_SEGMENTS_MAX 16u
#define TARGET_QUERY_MAX 16u

struct target {
	char *segments
		[TARGET_SEGMENTS_MAX]; /* decoded: never empty, valid UTF-8, no control characters */
	unsigned segment_count;
	struct {
		const char *name, *value; /* "" when there is no '=' */
	} query[TARGET_QUERY_MAX];
	unsigned query_count;
	char text[TARGET_BYTES_MAX]; /* what the above points into */
};

/*
 * @raw as the client sent it, with its escapes. False: @error says where and why. A slash that was escaped belongs to its segment; a slash at the end does
 * not matter; in the query, '+' is a space.
 */
bool target_parse(struct target *t, const char *raw, char *error, size_t size);
/* NULL: not there. */
const char *target_query(const struct target *t, const char *name);
/* Valid UTF-8 without control characters? */
bool target_is_text(const char *s);

#endif
