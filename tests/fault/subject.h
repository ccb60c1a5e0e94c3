/* SPDX-License-Identifier: Apache-2.0 */
/* A disk format under test. */
#ifndef FAULT_SUBJECT_H
#define FAULT_SUBJECT_H

#include "vhd/vhd.h"

struct subject_disk {
	struct block_device *block;
	void *handle;
};

/* Results are 0 or not; then @why says it. */
struct subject {
	int (*open)(const struct subject *s, const struct vhd_host *host, const char *path,
		    bool write, struct subject_disk *ret, char *why, size_t size);
	int (*close)(struct subject_disk *d);
	/* Structures of one file; NULL: nothing to check. */
	int (*check)(const struct vhd_host *host, const char *path, char *why, size_t size);
	uint32_t flags; /* the subject's own */
};

extern const struct subject subject_vhd; /* VHD and VHDX */
extern const struct subject subject_raw;

#endif
