/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMMS_DISK_CHAIN_H
#define VMMS_DISK_CHAIN_H

#include <stdbool.h>
#include <stddef.h>

/* The files of a disk, its own first, then parent by parent; paths are malloced. */
struct disk_chain {
	char **paths;
	size_t count;
};

/* Any thread; blocks. Nobody may write the disk meanwhile. False: @error. */
bool disk_chain_find(const char *path, bool raw, struct disk_chain *ret, char *error, size_t size);
void disk_chain_fini(struct disk_chain *c);
/* Tells the differencing disk @child that its parent, the same as before, is at @parent now. False: @error. */
bool disk_chain_reconnect(const char *child, const char *parent, char *error, size_t size);

#endif
