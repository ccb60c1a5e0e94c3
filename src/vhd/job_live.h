/* SPDX-License-Identifier: Apache-2.0 */
/* Inside job_live*.c: a merge in a chain in use. */
#ifndef VHD_JOB_LIVE_H
#define VHD_JOB_LIVE_H

#include "job_copy.h"
#include "job_stack.h"
#include "locator.h"
#include "watch.h"

/* A file that the chain has open for reading and the merge has to write. */
struct vhd_live_file {
	struct vhd_disk *old;	/* in the chain until the swap; NULL: no such file */
	struct vhd_disk *fresh; /* the same, open for writing; in the chain from the swap on */
	bool swapped;
};

enum vhd_live_phase {
	VHD_LIVE_SWAP,	   /* quiet: files for writing into the chain */
	VHD_LIVE_ANNOUNCE, /* identities, size */
	VHD_LIVE_COPY,
	VHD_LIVE_FLUSH,
	VHD_LIVE_RELINK, /* the file above names the base */
	VHD_LIVE_JOIN,	 /* quiet: and stands on it */
	VHD_LIVE_PIVOT,	 /* quiet: or there is none above, and the base becomes the top */
	VHD_LIVE_CLOSE,
};

struct vhd_live {
	struct vhd_job job;
	struct vhd_host host;
	struct vhd_disk *top;
	unsigned depth, count;
	enum vhd_live_phase phase;
	struct vhd_live_file base, lowest, above;
	struct vhd_stack stack;
	struct vhd_watch watch;
	uint64_t region_end; /* what was taken from the watch is being copied up to here */
	struct vhd_copy copy;
	bool copying;
	unsigned round;		  /* of copying what has changed */
	struct vhd_disk *new_top; /* the base, when it is that */
	struct vhd_disk *gone;	  /* the files that went, not closed yet */
	/* Scratch: too large for the stack. */
	struct vhd_locator locator;
	struct vhd_info info;
	char child_dir[VHD_PATH_BYTES];
	char parent_path[VHD_PATH_BYTES];
};

/* ---- The files (job_live_files.c) ---- */

/* Opens for writing what has to be written. On failure vhd_live_release follows. */
int vhd_live_claim(struct vhd_live *j, struct vhd_error *error);
/* Puts it into the chain. No request is in flight. */
void vhd_live_swap(struct vhd_live *j);
/* Makes what stays in the chain for reading only again. Forgets what cannot be written. */
void vhd_live_release(struct vhd_live *j);
/* The lowest of the files that go, and the one above them, as they are now. */
struct vhd_disk *vhd_live_lowest(const struct vhd_live *j);
struct vhd_disk *vhd_live_above(const struct vhd_live *j);
/* The child of the base names both its identity of now and the one it gets, and the base gets that; all durable. */
int vhd_live_announce(struct vhd_live *j, struct vhd_error *error);
/* The file above names the base, durably. */
int vhd_live_relink(struct vhd_live *j, struct vhd_error *error);
/* The same in memory: what is between them is j->gone. No request is in flight. */
int vhd_live_join(struct vhd_live *j, struct vhd_error *error);
/* Durably: the lowest of the files that go has no parent any more. */
int vhd_live_disown(struct vhd_live *j, struct vhd_error *error);

#endif
