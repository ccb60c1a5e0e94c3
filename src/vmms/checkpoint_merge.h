/* SPDX-License-Identifier: Apache-2.0 */
/* A merge of files that no worker has open; for a thread that may block. */
#ifndef VMMS_CHECKPOINT_MERGE_H
#define VMMS_CHECKPOINT_MERGE_H

#include "checkpoint_disks.h"

struct checkpoint_merge {
	char *base, *last; /* absolute; everything above base up to last goes into it */
	unsigned count;	   /* 0: it is done, only the children are left */
	char **children;   /* absolute: whatever lies on last, gets base as parent */
	size_t child_count;
	struct job *job; /* may be cancelled */
	/* Out. */
	bool cancelled, failed;
	struct checkpoint_failure failure;
};

/* Interrupted anywhere, all chains show what they showed, and it can be done again. */
void checkpoint_merge_run(struct checkpoint_merge *m);
void checkpoint_merge_fini(struct checkpoint_merge *m);

#endif
