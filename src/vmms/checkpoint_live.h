/* SPDX-License-Identifier: Apache-2.0 */
/* A merge in a chain that a worker has open: the worker does it while the guest goes on. Loop thread. */
#ifndef VMMS_CHECKPOINT_LIVE_H
#define VMMS_CHECKPOINT_LIVE_H

#include "checkpoint_disks.h"
#include "job.h"
#include "vm.h"

struct checkpoint_live {
	bool ide;
	unsigned number, location; /* of the disk */
	/* The chain as the configuration has it, from the file that is written down to the one that all goes into. */
	char **chain;
	size_t chain_count;
	unsigned depth; /* of the uppermost file that is merged, 0: the one that is written */
	unsigned count; /* how many are */
};

/*
 * Carries it out and takes what @l has. @done once: @error NULL when the data is where it belongs and the chain says so, or why not; then, and when it was cancelled, the
 * chain shows what it showed.
 */
void checkpoint_live_merge(struct vm *vm, struct job *j, struct checkpoint_live *l,
			   void (*done)(void *ctx, bool cancelled, const char *error), void *ctx);

#endif
