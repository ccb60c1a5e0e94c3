/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that may fail at any place, of the disk or of memory, and then say why and leave everything whole. */
#ifndef FAULT_FAILING_H
#define FAULT_FAILING_H

#include "scenarios.h"

struct failing_op {
	struct scenario
		scenario; /* its name, create, copy, mix, ops; prepare, which does not fail */
	/* 0, or the first failure of the library, with its message. */
	int (*act)(struct scene *s, struct vhd_error *error);
	/* Afterwards nothing fails any more: is all as it must be? @r: what act said. */
	int (*verify)(struct scene *s, int r, char *ret_why, size_t size);
};

/* DISK, with a guest who lives with failures (failing_ops.c). */
int failing_open(struct scene *s, bool write, struct vhd_error *error);
/* @r: what failed before; closing may have failed because of that, and has no text. */
int failing_close(struct scene *s, int r);

/* Chains that change while they are in use (failing_live.c). */
void failing_prepare_branch(struct scene *s);
int failing_branch(struct scene *s, struct vhd_error *error);
int failing_verify_branch(struct scene *s, int r, char *ret_why, size_t size);
int failing_merge_middle(struct scene *s, struct vhd_error *error);
int failing_merge_top(struct scene *s, struct vhd_error *error);
int failing_verify_live(struct scene *s, int r, char *ret_why, size_t size);

extern const struct failing_op failing_ops[];
extern const size_t failing_op_count;

/* Allocations of the library (malloc, calloc, realloc, aligned_alloc, strdup) from now on. */
struct failing_memory {
	uint64_t calls;
	uint64_t fail_at; /* this one fails, from 1; 0: none */
	bool fail_on;	  /* and all after it */
	bool armed;	  /* they are counted at all */
};
struct failing_memory *failing_memory(void);

#endif
