// SPDX-License-Identifier: Apache-2.0
/* Requests of the guest: cut into pieces, handed on, put together again. */
#include <errno.h>
#include <stdlib.h>

#include "vhdx.h"

/* Free ones kept for the next requests. */
#define KEEP_MAX 512u

void vhdx_flow_init(struct vhdx *v)
{
	v->flow = (struct vhdx_flow){.frozen = UINT64_MAX};
}

void vhdx_flow_fini(struct vhdx *v)
{
	CHECK(v->flow.in_epoch[0] == 0 && v->flow.in_epoch[1] == 0);
	while (v->flow.free_ops != NULL) {
		struct vhdx_op *op = v->flow.free_ops;

		v->flow.free_ops = op->next;
		free(op);
	}
	while (v->flow.free_parts != NULL) {
		struct vhdx_part *part = v->flow.free_parts;

		v->flow.free_parts = part->next;
		free(part);
	}
}

/* ---- Epochs ---- */

bool vhdx_epoch_passed(struct vhdx *v, uint64_t epoch)
{
	struct vhdx_flow *f = &v->flow;

	/* Transfers begin in the current epoch; those of the one before may still be running. */
	while (f->epoch < epoch + 2 && f->in_epoch[(f->epoch + 1) % 2] == 0) {
		f->epoch++;
	}
	return f->epoch >= epoch + 2;
}

void vhdx_epoch_wait(struct vhdx *v, uint64_t epoch)
{
	while (!vhdx_epoch_passed(v, epoch)) {
		vhdx_turn(v);
	}
}

static void epoch_leave(struct vhdx *v, uint64_t epoch)
{
	if (--v->flow.in_epoch[epoch % 2] == 0 && unlikely(v->space.freed != NULL)) {
		vhdx_space_progress(v);
	}
}

/* ---- Holding requests back ---- */

void vhdx_gate_close(struct vhdx *v)
{
	CHECK(!v->flow.gate);
	v->flow.gate = true;
	while (v->flow.in_epoch[0] != 0 || v->flow.in_epoch[1] != 0) {
		vhdx_turn(v);
	}
}

void vhdx_gate_open(struct vhdx *v)
{
	v->flow.gate = false;
	vhdx_wake_all(&v->flow.gated, 0);
}

void vhdx_freeze(struct vhdx *v, uint64_t block)
{
	CHECK(v->flow.frozen == UINT64_MAX);
	v->flow.frozen = block;
	vhdx_epoch_wait(v, v->flow.epoch);
}

void vhdx_thaw(struct vhdx *v)
{
	v->flow.frozen = UINT64_MAX;
	vhdx_wake_all(&v->flow.frozen_waiters, 0);
}

/* ---- Operations ---- */

static void op_wake(struct vhdx_waiter *w, int result);

static struct vhdx_op *op_create(struct vhdx *v, struct io_request *guest)
{
	struct vhdx_op *op = v->flow.free_ops;

	if (op != NULL) {
		v->flow.free_ops = op->next;
		v->flow.free_count--;
	} else {
		op = malloc(sizeof(*op));
	}
	if (op == NULL) {
		return NULL;
	}
	op->v = v;
	op->guest = guest;
	op->at = 0;
	op->pending = 1;
	op->result = 0;
	op->unsafe = false;
	op->limit = v->shape.disk_bytes;
	op->own_part_used = false;
	op->wait.wake = op_wake;
	return op;
}

static void op_free(struct vhdx_op *op)
{
	struct vhdx_flow *f = &op->v->flow;

	if (f->free_count >= KEEP_MAX) {
		free(op);
		return;
	}
	op->next = f->free_ops;
	f->free_ops = op;
	f->free_count++;
}

/* One thing less to wait for. @delivering: in the done function of a transfer, where the guest's may be called. */
static void op_put(struct vhdx_op *op, bool delivering)
{
	struct io_request *guest = op->guest;
	struct vhdx *v = op->v;
	int result = op->result;

	if (--op->pending != 0) {
		return;
	}
	bool unsafe = op->unsafe && result == 0;

	op_free(op);
	if (unsafe) {
		vhdx_commit_flush(v, guest);
	} else if (delivering) {
		guest->done(guest, result);
	} else {
		io_complete(v->layer.block.context, guest, result);
	}
}

static void op_fail(struct vhdx_op *op, int result)
{
	if (op->result == 0) {
		op->result = result;
	}
}

/* What must be so before any piece is begun. */
static int op_admit(struct vhdx_op *op)
{
	struct vhdx *v = op->v;

	if (unlikely(v->flow.gate)) {
		vhdx_wait_on(&v->flow.gated, &op->wait);
		return VHDX_WAIT;
	}
	if (unlikely(op->limit != v->shape.disk_bytes) &&
	    !range_within(op->guest->offset, op->guest->bytes, v->shape.disk_bytes)) {
		return -EINVAL; /* the disk has shrunk while it waited */
	}
	if (op->guest->op == IO_READ) {
		return 0;
	}
	return v->error != 0 ? -EROFS : vhdx_session_start(v, VHDX_CHANGE_DATA, &op->wait);
}

static int op_piece(struct vhdx_op *op, uint64_t *ret_bytes)
{
	switch (op->guest->op) {
	case IO_READ:
		return vhdx_read_piece(op, ret_bytes);
	case IO_WRITE:
		return vhdx_write_piece(op, ret_bytes);
	case IO_DISCARD:
	case IO_ZERO:
	case IO_FLUSH:
		break;
	}
	return vhdx_trim_piece(op, ret_bytes);
}

static void op_run(struct vhdx_op *op)
{
	int rc = op_admit(op);

	while (rc == 0 && op->at < op->guest->bytes) {
		uint64_t bytes = 0;

		rc = op_piece(op, &bytes);
		if (rc == 0) {
			CHECK(bytes != 0);
			op->at += bytes;
		}
	}
	if (rc == VHDX_WAIT) {
		return;
	}
	if (rc != 0) {
		op_fail(op, rc);
	}
	op_put(op, false);
}

static void op_wake(struct vhdx_waiter *w, int result)
{
	struct vhdx_op *op = container_of(w, struct vhdx_op, wait);

	if (result != 0) {
		op_fail(op, result);
		op_put(op, false);
		return;
	}
	op_run(op);
}

void vhdx_submit(struct block_device *b, struct io_request *r)
{
	struct vhdx *v = vhdx_from_block(b);

	if (r->op == IO_FLUSH) {
		vhdx_commit_flush(v, r);
		return;
	}
	struct vhdx_op *op = op_create(v, r);

	if (op == NULL) {
		io_complete(b->context, r, -ENOMEM);
		return;
	}
	op_run(op);
}

/* ---- Parts ---- */

static void part_finish(struct vhdx_part *part, int result, bool delivering)
{
	struct vhdx_op *op = part->op;
	struct vhdx *v = op->v;
	uint64_t epoch = part->epoch;

	if (result != 0) {
		op_fail(op, result);
	}
	if (part != &op->own_part) {
		part->next = v->flow.free_parts;
		v->flow.free_parts = part;
	}
	epoch_leave(v, epoch);
	op_put(op, delivering);
}

static void part_mark(struct vhdx_part *part, bool delivering)
{
	int rc = vhdx_bitmap_mark(part->op->v, &part->sectors, part->place, part->data_flush,
				  &part->wait);

	if (rc != VHDX_WAIT) {
		part_finish(part, rc, delivering);
	}
}

static void part_wake(struct vhdx_waiter *w, int result)
{
	struct vhdx_part *part = container_of(w, struct vhdx_part, wait);

	if (result != 0) {
		part_finish(part, result, false);
	} else {
		part_mark(part, false);
	}
}

static void part_done(struct io_request *r, int result)
{
	struct vhdx_part *part = container_of(r, struct vhdx_part, io);

	if (result == 0 && part->marks) {
		/* What has been written will be stable with the next flush to begin. */
		part->data_flush = part->op->v->flush_started + 1;
		part_mark(part, true);
	} else {
		part_finish(part, result, true);
	}
}

struct vhdx_part *vhdx_part_create(struct vhdx_op *op, uint64_t bytes)
{
	struct vhdx_flow *f = &op->v->flow;
	struct vhdx_part *part = &op->own_part;

	if (op->own_part_used) {
		part = f->free_parts;
		if (part != NULL) {
			f->free_parts = part->next;
		} else {
			part = malloc(sizeof(*part));
		}
	}
	if (part == NULL) {
		return NULL;
	}
	op->own_part_used = true;
	part->op = op;
	part->marks = false;
	part->wait.wake = part_wake;
	part->io.done = part_done;
	part->io.ctx = NULL;
	io_slice(op->guest, op->at, bytes, &part->io);
	return part;
}

static void part_start(struct vhdx_part *part)
{
	struct vhdx *v = part->op->v;

	part->op->pending++;
	part->epoch = v->flow.epoch;
	v->flow.in_epoch[part->epoch % 2]++;
}

void vhdx_part_submit(struct vhdx_part *part, uint64_t offset)
{
	part_start(part);
	part->io.offset = offset;
	storage_file_submit(part->op->v->layer.file, &part->io);
}

void vhdx_part_submit_parent(struct vhdx_part *part)
{
	part_start(part);
	block_submit(&part->op->v->layer.parent->block, &part->io);
}
