/* SPDX-License-Identifier: Apache-2.0 */
/* Merges in a chain that a worker has open: the worker does them while the guest goes on. Loop thread. */
#ifndef VMMS_CHECKPOINT_LIVE_H
#define VMMS_CHECKPOINT_LIVE_H

#include "disk_tree.h"
#include "job.h"
#include "vm.h"

/*
 * Carries out @step of the tree @files (checkpoint_files_tree) in the worker, then gives what else lies on the merged files their new parent. @done once: @error
 * NULL when it is done, or why it is not; then, and when it was cancelled, all chains show what they showed.
 */
void checkpoint_live_merge(struct vm *vm, struct job *j, const struct disk_tree_file *files,
			   size_t count, const struct disk_tree_step *step,
			   void (*done)(void *ctx, bool cancelled, const char *error), void *ctx);

#endif
