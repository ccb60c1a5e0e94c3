/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One io_request as a sequence of system calls: what to call next, and what its result means (short transfers, end of file, calls that
 * the file system does not have). Does no I/O itself, so both engines share it.
 */
#ifndef BACKEND_OP_H
#define BACKEND_OP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "storage/io.h"

struct backend_file;

enum op_call_kind {
	OP_CALL_READ,	   /* preadv2 */
	OP_CALL_WRITE,	   /* pwritev2 */
	OP_CALL_SYNC,	   /* fdatasync */
	OP_CALL_FALLOCATE, /* fallocate */
};

struct op_call {
	enum op_call_kind kind;
	int flags; /* RWF_* or the mode of fallocate */
	uint64_t offset;
	uint64_t bytes; /* fallocate */
	const struct iovec *vec;
	unsigned vec_count;
};

#define OP_INLINE_VECS 32u

struct op {
	struct backend_file *file;
	struct io_request *request;
	struct op *next; /* of whoever holds it */
	enum {
		OP_DATA,	/* reading or writing the request's memory */
		OP_PUNCH,	/* freeing the range */
		OP_ZERO_RANGE,	/* zeroing it, space stays */
		OP_WRITE_ZEROS, /* the same by hand */
		OP_EXTEND,	/* the file reaches the end of the range */
		OP_SYNC,
	} stage;
	bool extend_after; /* what was punched reaches beyond the end of the file */
	bool sync_after;   /* FUA that the data call does not provide */
	int result;	   /* when finished */
	uint64_t done_bytes;
	struct op_call call; /* the next one */

	/* The part of the request's vector that is left. Grows once in an op's life at most a few times. */
	struct iovec *vec;
	unsigned vec_room;
	struct iovec inline_vec[OP_INLINE_VECS];
};

/* Of zeroed memory. */
void op_init(struct op *op);
void op_fini(struct op *op);
/* Begins @r on @f: op->call is to be made. */
void op_begin(struct op *op, struct backend_file *f, struct io_request *r);
/* Takes what op->call returned (bytes or -errno). True: op->call is to be made next; false: finished, op->result. */
bool op_step(struct op *op, int64_t result);

#endif
