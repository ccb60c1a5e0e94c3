// SPDX-License-Identifier: Apache-2.0
/* Waiting, and our own requests to the file. */
#include <errno.h>
#include <stdlib.h>

#include "vhdx.h"

/* ---- Waiting ---- */

void vhdx_wait_on(struct vhdx_waiters *q, struct vhdx_waiter *w)
{
	struct vhdx_waiter **p = &q->first;

	/* Queues are short: requests in flight at most, and few of them wait for the same thing. */
	while (*p != NULL) {
		p = &(*p)->next;
	}
	w->next = NULL;
	*p = w;
}

void vhdx_wake_all(struct vhdx_waiters *q, int result)
{
	struct vhdx_waiter *w = q->first;

	q->first = NULL;
	while (w != NULL) {
		struct vhdx_waiter *next = w->next; /* it may queue again at once */

		w->wake(w, result);
		w = next;
	}
}

void vhdx_turn(struct vhdx *v)
{
	struct io_context *c = v->layer.file->context;
	unsigned delivered = io_poll(c, true, UINT64_MAX);

	/* Without I/O underneath nothing can finish later. */
	CHECK(delivered != 0 || c->ops != NULL);
}

static void sync_wake(struct vhdx_waiter *w, int result)
{
	struct vhdx_sync *s = container_of(w, struct vhdx_sync, w);

	s->woken = true;
	s->result = result;
}

struct vhdx_waiter *vhdx_sync_begin(struct vhdx_sync *s)
{
	*s = (struct vhdx_sync){.w.wake = sync_wake};
	return &s->w;
}

bool vhdx_sync_again(struct vhdx *v, struct vhdx_sync *s, int *rc)
{
	if (*rc != VHDX_WAIT) {
		return false;
	}
	while (!s->woken) {
		vhdx_turn(v);
	}
	*rc = s->result;
	return s->result == 0;
}

/* ---- Requests ---- */

static void io_done(struct io_request *r, int result)
{
	struct vhdx_io *io = container_of(r, struct vhdx_io, r);

	io->then(io, result);
}

static void io_send(struct vhdx *v, struct vhdx_io *io,
		    void (*then)(struct vhdx_io *io, int result))
{
	io->v = v;
	io->then = then;
	io->r.done = io_done;
	storage_file_submit(v->layer.file, &io->r);
}

static void io_transfer(struct vhdx *v, struct vhdx_io *io, enum io_op op, uint64_t offset,
			const struct io_vec *vec, void (*then)(struct vhdx_io *io, int result))
{
	io->vec = *vec;
	io->r = (struct io_request){
		.op = op,
		.offset = offset,
		.bytes = vec->bytes,
		.vec = &io->vec,
		.vec_count = 1,
	};
	io_send(v, io, then);
}

void vhdx_io_write(struct vhdx *v, struct vhdx_io *io, uint64_t offset, void *buf, size_t bytes,
		   void (*then)(struct vhdx_io *io, int result))
{
	io_transfer(v, io, IO_WRITE, offset, &(struct io_vec){buf, bytes}, then);
}

void vhdx_io_read(struct vhdx *v, struct vhdx_io *io, uint64_t offset, void *buf, size_t bytes,
		  void (*then)(struct vhdx_io *io, int result))
{
	io_transfer(v, io, IO_READ, offset, &(struct io_vec){buf, bytes}, then);
}

void vhdx_io_zero(struct vhdx *v, struct vhdx_io *io, uint64_t offset, uint64_t bytes,
		  void (*then)(struct vhdx_io *io, int result))
{
	io->r = (struct io_request){
		.op = IO_ZERO, .flags = IO_UNMAP, .offset = offset, .bytes = bytes};
	io_send(v, io, then);
}

static void flush_done(struct io_request *r, int result)
{
	struct vhdx_io *io = container_of(r, struct vhdx_io, r);
	struct vhdx *v = io->v;

	if (result == 0 && io->flush > v->flush_completed) {
		v->flush_completed = io->flush;
		v->space.durable_bytes = min_u64(io->size_bytes, v->space.file_bytes);
	}
	if (result != 0) {
		/* What was to become stable is unknown now: nothing can be built on it. */
		vhdx_broken(v, result);
	}
	io->then(io, result);
	vhdx_space_progress(v);
}

void vhdx_io_flush(struct vhdx *v, struct vhdx_io *io, void (*then)(struct vhdx_io *io, int result))
{
	io->r = (struct io_request){.op = IO_FLUSH, .done = flush_done};
	io->v = v;
	io->then = then;
	io->flush = ++v->flush_started;
	io->size_bytes = v->space.file_bytes;
	storage_file_submit(v->layer.file, &io->r);
}
