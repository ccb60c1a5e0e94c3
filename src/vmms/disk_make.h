/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of VMs: plain values for disk_work.h. Any thread; blocks. */
#ifndef VMMS_DISK_MAKE_H
#define VMMS_DISK_MAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "call.h"

struct job;

struct disk_make_error {
	enum api_error code;
	bool cancelled;
	char text[1024];
};

/*
 * Makes a new disk; its name says the format (.vhdx, .vhd). @parent: makes a differencing disk of that one; NULL: none. @bytes: 0 with a parent: its
 * size. Durable. @job (may be NULL) may be cancelled. False: @error, and nothing is left.
 */
bool disk_make(const char *path, uint64_t bytes, const char *parent, struct job *job,
	       struct disk_make_error *error);
/* Makes the new disk @path, as its name says, with all that the chain of @from shows; as disk_make. */
bool disk_flatten(const char *path, const char *from, struct job *job,
		  struct disk_make_error *error);
bool disk_resize(const char *path, bool raw, uint64_t bytes, struct job *job,
		 struct disk_make_error *error);

#endif
