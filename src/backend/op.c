// SPDX-License-Identifier: Apache-2.0
#include "op.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "lib/bits.h"
#include "lib/check.h"

#define ZEROS_BYTES 65536u
/* The kernel transfers at most this much in one call (MAX_RW_COUNT); staying below keeps results plain. */
#define CALL_BYTES ((uint64_t)1 << 30)

static const uint8_t zeros[ZEROS_BYTES];

void op_init(struct op *op)
{
	op->vec = op->inline_vec;
	op->vec_room = OP_INLINE_VECS;
}

void op_fini(struct op *op)
{
	if (op->vec != op->inline_vec) {
		free(op->vec);
	}
}

/* Room for @want entries if memory allows; with less the request just takes more calls. */
static void grow_vec(struct op *op, unsigned want)
{
	unsigned room = op->vec_room;

	while (room < want && room < IOV_MAX) {
		room *= 2;
	}
	room = room < IOV_MAX ? room : IOV_MAX;
	if (room == op->vec_room) {
		return;
	}
	struct iovec *vec = malloc(room * sizeof(*vec));

	if (vec != NULL) {
		op_fini(op);
		op->vec = vec;
		op->vec_room = room;
	}
}

static void add_vec(struct op_call *call, struct iovec *vec, void *base, uint64_t bytes)
{
	vec[call->vec_count++] = (struct iovec){.iov_base = base, .iov_len = (size_t)bytes};
	call->bytes += bytes;
}

static void touch(const struct op *op)
{
	const struct backend *b = op->file->backend;

	for (unsigned i = 0; b->touch != NULL && i < op->call.vec_count; i++) {
		b->touch(b->touch_ctx, op->vec[i].iov_base, op->vec[i].iov_len);
	}
}

/* What is left of the request's memory, as much as one call takes. */
static void prepare_data(struct op *op)
{
	const struct io_request *r = op->request;
	uint64_t left = min_u64(r->bytes - op->done_bytes, CALL_BYTES);
	uint64_t skip = r->vec_skip + op->done_bytes;
	unsigned i = 0;

	while (i < r->vec_count && skip >= r->vec[i].bytes) {
		skip -= r->vec[i++].bytes;
	}
	grow_vec(op, r->vec_count - i);
	for (; left != 0 && op->call.vec_count < op->vec_room; i++) {
		CHECK(i < r->vec_count); /* the vector holds r->bytes: the submitter's duty */
		uint64_t bytes = min_u64(r->vec[i].bytes - skip, left);

		if (bytes != 0) {
			add_vec(&op->call, op->vec, (char *)r->vec[i].base + skip, bytes);
		}
		left -= bytes;
		skip = 0;
	}
	op->call.vec = op->vec;
	touch(op);
	if (r->op == IO_READ) {
		op->call.kind = OP_CALL_READ;
		return;
	}
	op->call.kind = OP_CALL_WRITE;
	if ((r->flags & IO_FUA) != 0 && !op->sync_after) {
		op->call.flags = RWF_DSYNC;
	}
}

static void prepare_zeros(struct op *op)
{
	uint64_t left = op->request->bytes - op->done_bytes;

	while (left != 0 && op->call.vec_count < op->vec_room) {
		uint64_t bytes = min_u64(left, ZEROS_BYTES);

		add_vec(&op->call, op->vec, (void *)(uintptr_t)zeros, bytes);
		left -= bytes;
	}
	op->call.vec = op->vec;
	op->call.kind = OP_CALL_WRITE;
}

static void prepare(struct op *op)
{
	op->call = (struct op_call){.offset = op->request->offset + op->done_bytes};
	switch (op->stage) {
	case OP_DATA:
		prepare_data(op);
		return;
	case OP_WRITE_ZEROS:
		prepare_zeros(op);
		return;
	case OP_PUNCH:
		op->call.kind = OP_CALL_FALLOCATE;
		op->call.flags = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
		op->call.bytes = op->request->bytes;
		return;
	case OP_ZERO_RANGE:
		op->call.kind = OP_CALL_FALLOCATE;
		op->call.flags = FALLOC_FL_ZERO_RANGE;
		op->call.bytes = op->request->bytes;
		return;
	case OP_EXTEND:
		op->call.offset = op->request->offset + op->request->bytes - 1;
		add_vec(&op->call, op->vec, (void *)(uintptr_t)zeros, 1);
		op->call.vec = op->vec;
		op->call.kind = OP_CALL_WRITE;
		return;
	case OP_SYNC:
		op->call.kind = OP_CALL_SYNC;
		return;
	}
}

/* How zeros get there, best way first. A punched hole does not extend the file: a byte at its end does, and cannot cut off what somebody
 * else writes behind it meanwhile, as ftruncate could. */
static void choose_zero_stage(struct op *op)
{
	struct backend_file *f = op->file;
	const struct io_request *r = op->request;
	uint64_t size;

	op->extend_after =
		storage_file_get_size(&f->base, &size) != 0 || r->offset + r->bytes > size;
	if ((op->request->flags & IO_UNMAP) != 0 && !atomic_load(&f->no_punch)) {
		op->stage = OP_PUNCH;
	} else if (!atomic_load(&f->no_zero_range)) {
		op->stage = OP_ZERO_RANGE;
	} else {
		op->stage = OP_WRITE_ZEROS;
	}
}

void op_begin(struct op *op, struct backend_file *f, struct io_request *r)
{
	op->file = f;
	op->request = r;
	op->done_bytes = 0;
	op->result = 0;
	op->sync_after = (r->flags & IO_FUA) != 0 && r->op != IO_FLUSH;
	op->extend_after = false;
	switch (r->op) {
	case IO_READ:
		op->stage = OP_DATA;
		op->sync_after = false;
		break;
	case IO_WRITE:
		op->stage = OP_DATA;
		op->sync_after = op->sync_after && atomic_load(&f->no_dsync);
		break;
	case IO_FLUSH:
		op->stage = OP_SYNC;
		break;
	case IO_DISCARD:
		op->stage = OP_PUNCH;
		break;
	case IO_ZERO:
		choose_zero_stage(op);
		break;
	}
	prepare(op);
}

static bool finish(struct op *op, int result)
{
	op->result = result;
	return false;
}

static bool go_on(struct op *op)
{
	prepare(op);
	return true;
}

/* The range is as it should be; what else was promised? */
static bool finish_data(struct op *op)
{
	if (op->stage == OP_PUNCH && op->extend_after) {
		op->stage = OP_EXTEND;
		return go_on(op);
	}
	if (op->sync_after) {
		op->sync_after = false;
		op->stage = OP_SYNC;
		return go_on(op);
	}
	return finish(op, 0);
}

static bool step_transfer(struct op *op, int64_t result)
{
	struct io_request *r = op->request;

	if (result == -EOPNOTSUPP && (op->call.flags & RWF_DSYNC) != 0) {
		atomic_store(&op->file->no_dsync, true);
		op->sync_after = true;
		return go_on(op);
	}
	if (result < 0) {
		return finish(op, (int)result);
	}
	if (result == 0) {
		if (r->op != IO_READ) {
			return finish(op, -EIO); /* a device that ends here */
		}
		io_fill_zero(r, op->done_bytes, r->bytes - op->done_bytes);
		return finish(op, 0);
	}
	if (op->stage == OP_EXTEND) {
		return finish_data(op);
	}
	op->done_bytes += min_u64((uint64_t)result, r->bytes - op->done_bytes);
	return op->done_bytes == r->bytes ? finish_data(op) : go_on(op);
}

static bool step_fallocate(struct op *op, int64_t result)
{
	if (result == 0) {
		return finish_data(op);
	}
	/* EINVAL: a range that is not whole sectors of a block device. */
	if (result != -EOPNOTSUPP && result != -EINVAL && result != -ENODEV) {
		return finish(op, (int)result);
	}
	if (result == -EOPNOTSUPP) {
		atomic_store(op->stage == OP_PUNCH ? &op->file->no_punch : &op->file->no_zero_range,
			     true);
	}
	if (op->request->op == IO_DISCARD) {
		return finish(op, 0); /* a hint that cannot be taken */
	}
	op->stage = op->stage == OP_PUNCH && !atomic_load(&op->file->no_zero_range)
			    ? OP_ZERO_RANGE
			    : OP_WRITE_ZEROS;
	return go_on(op);
}

bool op_step(struct op *op, int64_t result)
{
	if (result == -EINTR || result == -EAGAIN) {
		return go_on(op);
	}
	switch (op->call.kind) {
	case OP_CALL_READ:
	case OP_CALL_WRITE:
		return step_transfer(op, result);
	case OP_CALL_FALLOCATE:
		return step_fallocate(op, result);
	case OP_CALL_SYNC:
		return finish(op, (int)result);
	}
	return finish(op, -EIO);
}
