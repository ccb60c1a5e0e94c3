/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies between block devices with several requests in flight: the engine under convert and merge. What is to be copied comes
 * piece by piece from the job; zeros are found in the data and not written as such.
 */
#ifndef VHD_JOB_COPY_H
#define VHD_JOB_COPY_H

#include "job.h"

#define VHD_COPY_SLOTS 8
/* Largest piece of data. All slots together stay in a processor's cache between reading and writing. */
#define VHD_COPY_BYTES (UINT64_C(256) << 10)
#define VHD_COPY_ALIGN                                                                             \
	UINT64_C(                                                                                  \
		4096) /* pieces begin and end there (or at the end of the disk): good for either sector size */

struct vhd_copy_piece {
	enum {
		VHD_COPY_SKIP, /* the target already has what it should */
		VHD_COPY_ZERO, /* the target is to read as zeros */
		VHD_COPY_DATA,
	} kind;
	uint64_t bytes;		   /* DATA: does not cross a multiple of VHD_COPY_BYTES */
	struct block_device *from; /* DATA */
};

struct vhd_copy_source {
	/* What the target is to get at @offset. 0, or the error that ends the copy. May wait. */
	int (*next)(void *ctx, uint64_t offset, struct vhd_copy_piece *ret,
		    struct vhd_error *error);
	void *ctx;
	uint64_t bytes; /* of the disk */
};

struct vhd_copy_slot {
	struct vhd_copy *copy;
	bool busy;
	struct block_device *from;
	uint64_t offset, bytes; /* the piece */
	size_t scanned;		/* of the piece: written, or zero */
	size_t run_end;		/* end of the run that is being written */
	uint8_t *buf;
	struct io_vec vec;
	struct io_request request;
};

struct vhd_copy {
	struct vhd_copy_source source;
	struct block_device *to;
	bool zeroed; /* the target reads as zeros everywhere: zeros need not be written */
	enum { VHD_COPY_SCANNING, VHD_COPY_COPYING } phase;
	uint64_t offset;		  /* next to ask the source for */
	uint64_t done_bytes, total_bytes; /* of data */
	unsigned in_flight;
	unsigned slot_count,
		step_pieces; /* how much may be done at once; less beside a guest's requests */
	struct storage_file *drain; /* the target's file */
	bool draining;
	uint64_t undrained_bytes;
	struct io_request drain_request;
	int failure; /* first -errno of a request */
	enum io_op failed_op;
	uint64_t failed_offset;
	const char *failed_name;
	struct vhd_copy_slot slots[VHD_COPY_SLOTS];
};

/* -ENOMEM: nothing to fini. @source and @target stay the caller's. */
int vhd_copy_init(struct vhd_copy *c, const struct vhd_copy_source *source, struct vhd_disk *target,
		  bool zeroed);
/* Waits for what is in flight. */
void vhd_copy_fini(struct vhd_copy *c);
/* Beside a guest who works on the same disk: small steps, few requests at once. */
void vhd_copy_be_gentle(struct vhd_copy *c);
/* After a step has answered 0: the source is to be asked for everything once more. */
void vhd_copy_again(struct vhd_copy *c);
/* One step, as vhd_job_step: 0 when all is written (not flushed). */
int vhd_copy_step(struct vhd_copy *c, struct vhd_progress *ret_progress, struct vhd_error *error);

/* All @bytes are 0. @p: aligned to 64 bytes; @bytes: a multiple of 64. */
bool vhd_all_zero(const void *p, size_t bytes);

#endif
