// SPDX-License-Identifier: Apache-2.0
#include "storage/io.h"

#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "wait.h"

void io_context_init(struct io_context *c, const struct io_context_ops *ops)
{
	c->ops = ops;
	c->ready = NULL;
	c->ready_tail = &c->ready;
}

void io_complete(struct io_context *c, struct io_request *r, int result)
{
	CHECK(result <= 0);
	r->result = result;
	r->next = NULL;
	*c->ready_tail = r;
	c->ready_tail = &r->next;
}

unsigned io_deliver(struct io_context *c)
{
	struct io_request *r = c->ready;
	unsigned delivered = 0;

	/* What the done functions complete anew waits for the next call: a chain of requests cannot hold the loop. */
	c->ready = NULL;
	c->ready_tail = &c->ready;
	while (r != NULL) {
		struct io_request *next = r->next; /* done may free or submit r */

		r->done(r, r->result);
		r = next;
		delivered++;
	}
	return delivered;
}

unsigned io_poll(struct io_context *c, bool block, uint64_t timeout_ns)
{
	if (c->ops != NULL) {
		c->ops->poll(c, block && c->ready == NULL, timeout_ns);
	}
	return io_deliver(c);
}

/* The place @skip bytes into the data of a request: a vector element and an offset in it. */
struct place {
	const struct io_vec *vec;
	unsigned left; /* elements, with this one */
	size_t skip;
};

static struct place find_place(const struct io_request *r, uint64_t skip)
{
	struct place p = {.vec = r->vec, .left = r->vec_count};
	uint64_t bytes = r->vec_skip + skip;

	while (p.left != 0 && bytes >= p.vec->bytes) {
		bytes -= p.vec->bytes;
		p.vec++;
		p.left--;
	}
	p.skip = (size_t)bytes;
	return p;
}

/* The piece of memory at @p, at most @want bytes, and moves @p behind it. */
static uint8_t *take(struct place *p, size_t want, size_t *ret_bytes)
{
	while (p->left != 0 && p->skip == p->vec->bytes) {
		p->vec++;
		p->left--;
		p->skip = 0;
	}
	CHECK(p->left != 0);

	uint8_t *piece = (uint8_t *)p->vec->base + p->skip;

	*ret_bytes = (size_t)min_u64(want, p->vec->bytes - p->skip);
	p->skip += *ret_bytes;
	return piece;
}

void io_copy_out(const struct io_request *r, size_t skip, void *to, size_t bytes)
{
	struct place p = find_place(r, skip);
	uint8_t *out = to;

	while (bytes != 0) {
		size_t n;
		const uint8_t *piece = take(&p, bytes, &n);

		memcpy(out, piece, n);
		out += n;
		bytes -= n;
	}
}

void io_copy_in(const struct io_request *r, size_t skip, const void *from, size_t bytes)
{
	struct place p = find_place(r, skip);
	const uint8_t *in = from;

	while (bytes != 0) {
		size_t n;
		uint8_t *piece = take(&p, bytes, &n);

		memcpy(piece, in, n);
		in += n;
		bytes -= n;
	}
}

void io_fill_zero(const struct io_request *r, size_t skip, size_t bytes)
{
	struct place p = find_place(r, skip);

	while (bytes != 0) {
		size_t n;
		uint8_t *piece = take(&p, bytes, &n);

		memset(piece, 0, n);
		bytes -= n;
	}
}

void io_slice(const struct io_request *whole, uint64_t skip, uint64_t bytes,
	      struct io_request *part)
{
	struct place p = {0};

	CHECK(range_within(skip, bytes, whole->bytes));
	if (whole->op == IO_READ || whole->op == IO_WRITE) {
		p = find_place(whole, skip);
	}
	part->op = whole->op;
	part->flags = whole->flags;
	part->offset = whole->offset + skip;
	part->bytes = bytes;
	part->vec = p.vec;
	part->vec_count = p.left;
	part->vec_skip = p.skip;
}

/* ---- Files, waiting ---- */

static void wait_done(struct io_request *r, int result)
{
	struct io_wait *w = r->ctx;

	w->finished = true;
	w->result = result;
}

void io_wait_prepare(struct io_wait *w, struct io_request *r)
{
	*w = (struct io_wait){0};
	r->done = wait_done;
	r->ctx = w;
}

void io_wait_turn(struct io_context *c, uint64_t timeout_ns)
{
	unsigned delivered = io_poll(c, true, timeout_ns);

	/* Without I/O underneath nothing can finish later: this would be for ever. */
	CHECK(delivered != 0 || c->ops != NULL || timeout_ns != UINT64_MAX);
}

static int submit_and_wait(struct storage_file *f, struct io_request *r)
{
	struct io_wait w;

	io_wait_prepare(&w, r);
	storage_file_submit(f, r);
	while (!w.finished) {
		io_wait_turn(f->context, UINT64_MAX);
	}
	return w.result;
}

int storage_file_read(struct storage_file *f, uint64_t offset, void *buf, size_t bytes)
{
	struct io_vec vec = {.base = buf, .bytes = bytes};
	struct io_request r = {
		.op = IO_READ, .offset = offset, .bytes = bytes, .vec = &vec, .vec_count = 1};

	return submit_and_wait(f, &r);
}

int storage_file_write(struct storage_file *f, uint64_t offset, const void *buf, size_t bytes)
{
	struct io_vec vec = io_vec_of_const(buf, bytes);
	struct io_request r = {
		.op = IO_WRITE, .offset = offset, .bytes = bytes, .vec = &vec, .vec_count = 1};

	return submit_and_wait(f, &r);
}

int storage_file_flush(struct storage_file *f)
{
	struct io_request r = {.op = IO_FLUSH};

	return submit_and_wait(f, &r);
}

int storage_file_zero(struct storage_file *f, uint64_t offset, uint64_t bytes, bool unmap)
{
	struct io_request r = {
		.op = IO_ZERO, .flags = unmap ? IO_UNMAP : 0, .offset = offset, .bytes = bytes};

	return submit_and_wait(f, &r);
}
