/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMMS_DISK_LOOK_H
#define VMMS_DISK_LOOK_H

#include <stdbool.h>
#include <stdint.h>

struct disk_look {
	const char *format; /* "vhdx-dynamic"; NULL: not known now */
	uint64_t bytes;	    /* what the guest sees */
	uint64_t file_bytes;
	uint64_t used_bytes; /* that the file takes on the host's disk */
	bool has_parent;
	char parent[4096]; /* "": none */
};

/*
 * What a disk's file is, also while somebody writes it: no lock is taken, so what is found is of some moment. Any thread; blocks. False: there is no such
 * file, and *ret is all zero; one that is no disk, or cannot be understood just now, has no format.
 */
bool disk_look(const char *path, bool raw, struct disk_look *ret);

#endif
