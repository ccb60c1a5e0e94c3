/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside src/backend: a backend is an io_context, a fixed set of operations (op.h), and an engine that carries them out: io_uring
 * (uring.c) or helper threads (threads.c). Requests wait at their file until an operation is free.
 */
#ifndef BACKEND_ENGINE_H
#define BACKEND_ENGINE_H

#include <stdatomic.h>

#include "backend/backend.h"
#include "op.h"

#define BACKEND_MAX_DEPTH 4096u

struct engine {
	/* Makes all it will ever need; b->ops is there. -errno: this engine is not to be had here. */
	int (*create)(struct backend *b);
	/* Nothing is in flight. */
	void (*destroy)(struct backend *b);
	/* As io_context_ops.poll, with operations from backend_next_op, which it ends with backend_end_op. */
	void (*poll)(struct backend *b, bool block, uint64_t timeout_ns);
	/* Any thread. */
	void (*wake)(struct backend *b);
};

extern const struct engine engine_uring;
extern const struct engine engine_threads;

/* What lives as long as its backend. */
struct backend_owned {
	void (*free)(struct backend_owned *o);
	struct backend_owned *next;
};

struct backend_file {
	struct storage_file base;
	struct backend *backend;
	int fd;
	bool block_device;
	/* What this file's kernel driver has turned out not to know. Helper threads set them. */
	atomic_bool no_punch, no_zero_range, no_dsync;
	struct io_request *waiting, **waiting_tail; /* submitted, not started */
	struct backend_file *next;		    /* among the files that have some */
	unsigned unfinished;			    /* requests, waiting ones included */
	/* Where there was data when it was last asked, if nobody writes the file: telling how far it goes costs the kernel a walk over it. */
	uint64_t data_start, data_end;
};

struct backend {
	struct io_context context;
	void (*touch)(void *ctx, const void *start, size_t bytes); /* NULL: memory is there */
	void *touch_ctx;
	const struct engine *engine;
	void *engine_state;
	unsigned depth;
	struct op *ops;	     /* depth of them */
	struct op *free_ops; /* by op->next */
	struct backend_file *waiting, **waiting_tail;
	unsigned files; /* open */
	struct backend_owned *owned;
};

/* As backend_create with this engine or nothing. */
int backend_create_with(const struct engine *engine, unsigned depth, struct backend **ret);
/* Starts the next waiting request, files in turn; NULL: none is waiting, or no operation is free. */
struct op *backend_next_op(struct backend *b);
/* Queues the completion of @op, which has finished, and frees it. */
void backend_end_op(struct backend *b, struct op *op);
/* Has @o freed with @b. */
void backend_own(struct backend *b, struct backend_owned *o);

#endif
