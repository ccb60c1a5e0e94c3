/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMMS_DISK_MAKE_H
#define VMMS_DISK_MAKE_H

#include <stdint.h>

struct disk_make_error {
	char text[512];
};

/*
 * Makes a new disk; its name says the format (.vhdx, .vhd). @parent: makes a differencing disk of that one; NULL: none. @bytes: 0 with a parent: its
 * size. Durable. 0, -errno, or a positive number when what is asked for is wrong; @error. Any thread; blocks.
 */
int disk_make(const char *path, uint64_t bytes, const char *parent, struct disk_make_error *error);

#endif
