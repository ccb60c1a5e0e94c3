/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of op_tidy.c: what has to be written down of a step, and which open chain it is in. Loop thread. */
#ifndef VMMS_TIDY_CHAIN_H
#define VMMS_TIDY_CHAIN_H

#include "checkpoint_live.h"
#include "disk_tree.h"
#include "json_file.h"
#include "vm.h"

/* The data is where it belongs: everybody says so, and what was merged has nothing above it any more. 0 or -errno with @error. */
int tidy_record_merge(struct vm *vm, const struct disk_tree_file *files,
		      const struct disk_tree_step *step, struct json_file_error *error);
/* Removes a file that nobody uses, and its record. 0 or -errno with @error. */
int tidy_drop_file(struct vm *vm, const char *path, struct json_file_error *error);

/* All files, and the step that is to be done with them. */
struct tidy_tree {
	struct vm *vm;
	const struct disk_tree_file *files;
	size_t count;
	const struct disk_tree_step *step;
};

/*
 * The disk of the VM that has the step's last file in its chain; false: none. *ret_above: the file on that one, DISK_TREE_NONE when it is the top. tidy_forget_chain
 * when it is done with.
 */
bool tidy_find_live(const struct tidy_tree *t, struct checkpoint_live *l, size_t *ret_above);
void tidy_forget_chain(struct checkpoint_live *l);

#endif
