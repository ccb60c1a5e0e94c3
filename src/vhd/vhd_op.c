// SPDX-License-Identifier: Apache-2.0
/* Guest requests to a dynamic or differencing VHD: dealt out in pieces, waiting where they must, finished when all pieces are. */
#include <errno.h>
#include <stdlib.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "vhd_image.h"

#define CHILDREN_MAX 64u /* of one op at a time, however small the blocks are */

void vhd_queue_init(struct vhd_queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

void vhd_op_park(struct vhd_op *op, struct vhd_queue *q)
{
	CHECK(!op->waiting);
	op->waiting = true;
	op->next = NULL;
	*q->tail = op;
	q->tail = &op->next;
}

bool vhd_op_fail(struct vhd_op *op, int err)
{
	op->result = err;
	return false;
}

static void op_finish(struct vhd_op *op)
{
	struct vhd_image *v = op->v;
	struct io_request *r = op->guest;
	bool fua = r->op != IO_READ && (r->flags & IO_FUA);

	if (op->result == 0 && fua && vhd_commit_needed(v)) {
		vhd_commit_request(v, r);
	} else {
		io_complete(v->layer.block.context, r, op->result);
	}
	v->active--;
	op->next = v->free_ops;
	v->free_ops = op;
}

static void op_settle(struct vhd_op *op)
{
	if (!op->waiting && op->outstanding == 0) {
		op_finish(op);
	}
}

static bool step(struct vhd_op *op)
{
	return op->guest->op == IO_READ ? vhd_read_step(op) : vhd_write_step(op);
}

static void op_run(struct vhd_op *op)
{
	op->outstanding++; /* not finished before the loop is */
	while (op->result == 0 && op->at < op->guest->bytes) {
		if (op->outstanding > CHILDREN_MAX) {
			op->throttled = true;
			op->waiting = true;
			break;
		}
		if (!step(op)) {
			break;
		}
	}
	op->outstanding--;
	op_settle(op);
}

static void op_wake(struct vhd_op *op, int error)
{
	op->waiting = false;
	op->result = op->result == 0 ? error : op->result;
	op_run(op);
}

void vhd_queue_wake(struct vhd_queue *q, int error)
{
	struct vhd_op *op = q->head;

	vhd_queue_init(q); /* who has to wait again waits for the next time */
	while (op != NULL) {
		struct vhd_op *next = op->next;

		op_wake(op, error);
		op = next;
	}
}

/* ---- Children ---- */

static void child_done(struct io_request *r, int result)
{
	struct vhd_child *c = container_of(r, struct vhd_child, r);

	if (c->bitmap != NULL || c->alloc != NULL) {
		vhd_write_done(c, result);
	} else {
		vhd_child_finish(c, result);
	}
}

struct vhd_child *vhd_child_create(struct vhd_op *op, enum io_op what, uint64_t bytes,
				   uint64_t offset)
{
	struct vhd_image *v = op->v;
	struct vhd_child *c = v->free_children;

	if (c != NULL) {
		v->free_children = c->next_free;
	} else if ((c = malloc(sizeof(*c))) == NULL) {
		op->result = -ENOMEM;
		return NULL;
	}
	*c = (struct vhd_child){.op = op};
	io_slice(op->guest, op->at, bytes, &c->r);
	c->r.op = what;
	c->r.offset = offset;
	c->r.done = child_done;
	return c;
}

static void child_account(struct vhd_child *c)
{
	c->op->outstanding++;
	c->op->at += c->r.bytes;
}

void vhd_child_submit(struct vhd_child *c)
{
	child_account(c);
	storage_file_submit(c->op->v->layer.file, &c->r);
}

void vhd_child_submit_parent(struct vhd_child *c)
{
	child_account(c);
	block_submit(&c->op->v->layer.parent->block, &c->r);
}

void vhd_child_finish(struct vhd_child *c, int result)
{
	struct vhd_op *op = c->op;
	struct vhd_image *v = op->v;

	c->next_free = v->free_children;
	v->free_children = c;
	op->outstanding--;
	op->result = op->result == 0 ? result : op->result;
	if (op->throttled) {
		op->throttled = false;
		op_wake(op, 0);
	} else {
		op_settle(op);
	}
}

void vhd_ops_free(struct vhd_image *v)
{
	while (v->free_ops != NULL) {
		struct vhd_op *op = v->free_ops;

		v->free_ops = op->next;
		free(op);
	}
	while (v->free_children != NULL) {
		struct vhd_child *c = v->free_children;

		v->free_children = c->next_free;
		free(c);
	}
}

/* ---- The block device ---- */

static void flush(struct vhd_image *v, struct io_request *r)
{
	if (v->failed != 0) {
		io_complete(v->layer.block.context, r, v->failed);
	} else if (vhd_commit_needed(v)) {
		vhd_commit_request(v, r);
	} else {
		storage_file_submit(v->layer.file, r);
	}
}

static struct vhd_op *op_create(struct vhd_image *v, struct io_request *r)
{
	struct vhd_op *op = v->free_ops;

	if (op != NULL) {
		v->free_ops = op->next;
	} else if ((op = malloc(sizeof(*op))) == NULL) {
		return NULL;
	}
	*op = (struct vhd_op){.v = v, .guest = r};
	return op;
}

static void image_submit(struct block_device *b, struct io_request *r)
{
	struct vhd_image *v = vhd_image_of(container_of(b, struct vhd_layer, block));
	struct vhd_op *op;

	if (r->op == IO_FLUSH) {
		flush(v, r);
		return;
	}
	op = op_create(v, r);
	if (op == NULL) {
		io_complete(b->context, r, -ENOMEM);
	} else if (v->hold != 0) {
		vhd_op_park(op, &v->held);
	} else {
		v->active++;
		op_run(op);
	}
}

static void image_settle(struct block_device *b)
{
	struct vhd_image *v = vhd_image_of(container_of(b, struct vhd_layer, block));

	if (vhd_commit_needed(v) && !v->commit.running && v->failed == 0) {
		vhd_commit_request(v, NULL);
	}
}

const struct block_ops vhd_image_block_ops = {
	.submit = image_submit,
	.settle = image_settle,
	.destroy = vhd_layer_destroy,
};

/* ---- Holding guests back ---- */

static void poll_once(struct vhd_image *v)
{
	struct io_context *c = v->layer.block.context;
	unsigned delivered = io_poll(c, true, UINT64_MAX);

	/* Without I/O underneath nothing can finish later. */
	CHECK(delivered != 0 || c->ops != NULL);
}

int vhd_hold(struct vhd_image *v)
{
	v->hold++;
	while (v->active != 0 || v->commit.running) {
		poll_once(v);
	}
	if (v->failed == 0 && vhd_commit_needed(v)) {
		vhd_commit_request(v, NULL);
		while (v->commit.running) {
			poll_once(v);
		}
		return v->failed != 0 ? v->failed : v->commit.result;
	}
	return v->failed;
}

void vhd_release(struct vhd_image *v)
{
	struct vhd_op *op = v->held.head;

	CHECK(v->hold > 0);
	if (--v->hold != 0) {
		return;
	}
	vhd_queue_init(&v->held);
	while (op != NULL) {
		struct vhd_op *next = op->next;

		v->active++;
		op_wake(op, 0);
		op = next;
	}
}
