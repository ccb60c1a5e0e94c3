/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of one virtual disk under checkpoints: a tree of differencing files, some of them used (by a checkpoint, or as the file that the VM writes), and what is to
 * be done with those that are not. Pure: looks at nothing but its arguments.
 *
 * Rules, as the original has them: a file that nobody uses and nobody is above goes; one that nobody uses with a single file above it takes that file's data and its
 * place (a merge); one with several above it stays, because all of them are read through it.
 */
#ifndef VMMS_DISK_TREE_H
#define VMMS_DISK_TREE_H

#include <stdbool.h>
#include <stddef.h>

#define DISK_TREE_NONE ((size_t)-1)

struct disk_tree_file {
	size_t parent; /* place in the array; DISK_TREE_NONE: its parent, if any, is not the VM's own */
	bool used;     /* what it shows now is needed */
	bool made; /* by a checkpoint, so that it may be removed; else it is the disk that somebody attached */
	bool gone; /* no longer there: not looked at */
};

enum disk_tree_step_kind {
	DISK_TREE_REMOVE, /* file: nothing needs it */
	DISK_TREE_MERGE, /* the files above `file` up to `last` are written into it, files above `last` get it as parent, and it takes last's place */
};

struct disk_tree_step {
	enum disk_tree_step_kind kind;
	size_t file;
	size_t last;  /* DISK_TREE_MERGE */
	size_t count; /* DISK_TREE_MERGE: how many files are merged into it, 1 and more */
};

/* What is to be done next; false: nothing. Removals come before merges. Parents must form a tree. */
bool disk_tree_next(const struct disk_tree_file *files, size_t count, struct disk_tree_step *ret);
/* The tree as it is when @step has been done. */
void disk_tree_done(struct disk_tree_file *files, size_t count, const struct disk_tree_step *step);

#endif
