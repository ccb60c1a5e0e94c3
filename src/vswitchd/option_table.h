/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options, for options.c (what they mean) and options_text.c (how they are written). */
#ifndef VSWITCHD_OPTION_TABLE_H
#define VSWITCHD_OPTION_TABLE_H

#include "options.h"

enum option_kind {
	OPTION_FLAG,
	OPTION_NUMBER,
	OPTION_RATE,
	OPTION_MAC,
	OPTION_VLANS,
	OPTION_MACS,
	OPTION_WORD,
	OPTION_ACL
};

struct option_info {
	const char *name;
	enum option_kind kind;
	const char *expected; /* in words */
	bool vlan;	      /* of the group that changes as one */
	uint64_t min, max;
	const char *words[6];
};

extern const struct option_info option_table[];
extern const size_t option_count;

/* NULL: there is none with this name of @bytes. */
const struct option_info *option_find(const char *name, size_t bytes);
/* Is @v a value for it? False: @error. */
bool option_check(const struct option_info *info, json_t *v, char *error, size_t size);

#endif
