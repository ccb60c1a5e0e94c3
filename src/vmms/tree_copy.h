/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of a VM's files. Any thread; blocks. Holes stay holes; file systems that can share blocks do. Durable when true is returned. */
#ifndef VMMS_TREE_COPY_H
#define VMMS_TREE_COPY_H

#include <stdbool.h>
#include <stdint.h>

struct job;

struct tree_copy {
	struct job *job;      /* learns how far it is, and may be cancelled; NULL: none */
	uint64_t total_bytes; /* of everything that is going to be copied; 0: unknown */
	uint64_t done_bytes;
	int result; /* when it failed: -errno; -ECANCELED */
	char error[1200];
};

/* A regular file; @to must not be there. */
bool tree_copy_file(struct tree_copy *t, const char *from, const char *to);
/* What a VM's folder holds but state.json and what is half-done: vm.json, saved.vmrs, disks/, checkpoints/. @to must be there, empty. Links are refused. */
bool tree_copy_vm(struct tree_copy *t, const char *from, const char *to);
/* How much tree_copy_vm would copy. */
uint64_t tree_copy_bytes(const char *from);
/* Bytes of one file that take room on the disk. */
uint64_t tree_copy_file_bytes(const char *path);

#endif
