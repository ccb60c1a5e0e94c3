// SPDX-License-Identifier: Apache-2.0
#include "backend/backend.h"

#include <errno.h>
#include <stdlib.h>

#include "engine.h"
#include "lib/bits.h"
#include "lib/check.h"

static struct backend *backend_of(struct io_context *c)
{
	return container_of(c, struct backend, context);
}

static void context_poll(struct io_context *c, bool block, uint64_t timeout_ns)
{
	struct backend *b = backend_of(c);

	b->engine->poll(b, block, timeout_ns);
}

static const struct io_context_ops context_ops = {.poll = context_poll};

static void free_backend(struct backend *b)
{
	for (unsigned i = 0; b->ops != NULL && i < b->depth; i++) {
		op_fini(&b->ops[i]);
	}
	free(b->ops);
	free(b);
}

int backend_create_with(const struct engine *engine, unsigned depth, struct backend **ret)
{
	struct backend *b = calloc(1, sizeof(*b));

	CHECK(depth >= 1 && depth <= BACKEND_MAX_DEPTH);
	if (b == NULL) {
		return -ENOMEM;
	}
	io_context_init(&b->context, &context_ops);
	b->engine = engine;
	b->depth = depth;
	b->waiting_tail = &b->waiting;
	b->ops = calloc(depth, sizeof(*b->ops));
	if (b->ops == NULL) {
		free_backend(b);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < depth; i++) {
		op_init(&b->ops[i]);
		b->ops[i].next = b->free_ops;
		b->free_ops = &b->ops[i];
	}
	int r = engine->create(b);

	if (r < 0) {
		free_backend(b);
		return r;
	}
	*ret = b;
	return 0;
}

int backend_create(unsigned depth, struct backend **ret)
{
	int r = backend_create_with(&engine_uring, depth, ret);

	/* No io_uring: an old kernel, switched off, filtered, or out of locked memory. */
	return r < 0 ? backend_create_with(&engine_threads, depth, ret) : 0;
}

void backend_destroy(struct backend *b)
{
	if (b == NULL) {
		return;
	}
	CHECK(b->files == 0);
	b->engine->destroy(b);
	while (b->owned != NULL) {
		struct backend_owned *o = b->owned;

		b->owned = o->next;
		o->free(o);
	}
	free_backend(b);
}

struct io_context *backend_context(struct backend *b)
{
	return &b->context;
}

void backend_set_touch(struct backend *b, void (*touch)(void *ctx, const void *start, size_t bytes),
		       void *ctx)
{
	b->touch = touch;
	b->touch_ctx = ctx;
}

bool backend_has_uring(const struct backend *b)
{
	return b->engine == &engine_uring;
}

void backend_wake(struct backend *b)
{
	b->engine->wake(b);
}

void backend_own(struct backend *b, struct backend_owned *o)
{
	o->next = b->owned;
	b->owned = o;
}

static void requeue_file(struct backend *b, struct backend_file *f)
{
	f->next = NULL;
	*b->waiting_tail = f;
	b->waiting_tail = &f->next;
}

/* The next waiting request of the file whose turn it is; the file goes behind the others. */
static struct io_request *take_request(struct backend *b, struct backend_file **ret_file)
{
	struct backend_file *f = b->waiting;
	struct io_request *r = f->waiting;

	b->waiting = f->next;
	if (b->waiting == NULL) {
		b->waiting_tail = &b->waiting;
	}
	f->waiting = r->next;
	if (f->waiting == NULL) {
		f->waiting_tail = &f->waiting;
	} else {
		requeue_file(b, f);
	}
	*ret_file = f;
	return r;
}

struct op *backend_next_op(struct backend *b)
{
	struct op *op = b->free_ops;
	struct backend_file *f;

	if (op == NULL || b->waiting == NULL) {
		return NULL;
	}
	b->free_ops = op->next;
	struct io_request *r = take_request(b, &f);

	op_begin(op, f, r);
	return op;
}

void backend_end_op(struct backend *b, struct op *op)
{
	op->file->unfinished--;
	io_complete(&b->context, op->request, op->result);
	op->next = b->free_ops;
	b->free_ops = op;
}
