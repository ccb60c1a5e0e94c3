/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vhd_host without an operating system, for unit tests, fault tests and fuzzing: files in memory by name, which stay when they are closed,
 * randomness that repeats, and a place to make requests fail.
 */
#ifndef VHD_TESTING_H
#define VHD_TESTING_H

#include "vhd/vhd.h"

struct vhd_testing;

struct vhd_testing_hook {
	/* Called before each request on a file is carried out; a negative errno is its result instead. May be NULL. */
	int (*before)(void *ctx, const char *path, const struct io_request *r);
	void *ctx;
};

/* Each file holds at most @limit_bytes. NULL: no memory. */
struct vhd_testing *vhd_testing_create(uint64_t limit_bytes);
/* All handles must be closed. */
void vhd_testing_destroy(struct vhd_testing *t);
const struct vhd_host *vhd_testing_host(struct vhd_testing *t);
struct io_context *vhd_testing_context(struct vhd_testing *t);
void vhd_testing_set_hook(struct vhd_testing *t, const struct vhd_testing_hook *hook);
/* The file itself, past hook and locks; owned by @t. NULL: there is none. */
struct storage_file *vhd_testing_file(struct vhd_testing *t, const char *path);
/* Makes a file with these contents, instead of one that is there. 0 or -ENOMEM. */
int vhd_testing_add(struct vhd_testing *t, const char *path, const void *data, size_t bytes);
/* How many files there are. */
unsigned vhd_testing_count(struct vhd_testing *t);

#endif
