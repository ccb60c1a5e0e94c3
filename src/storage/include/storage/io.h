/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asynchronous I/O between memory and something with offsets: files under virtual disks, and the disks themselves.
 *
 * Everything that belongs to one io_context (files, disks, filters, SCSI units) belongs to one thread, takes no locks, and never
 * blocks in a submit. A request's done is never called from within a submit: completions are queued on the context
 * (io_complete) and delivered by io_poll, at the top of the thread's loop. That keeps stacks flat and makes every layer re-entrant
 * at one place only.
 *
 * Errors: negative errno of the host. -ENOSPC: no space; -EROFS: not writable; -EIO; -EINVAL: outside the device; -ENODATA: the medium is
 * broken there (checksums, impossible metadata).
 */
#ifndef STORAGE_IO_H
#define STORAGE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/iovec.h"

enum io_op {
	IO_READ,
	IO_WRITE,
	IO_FLUSH, /* all writes completed before it was submitted are on stable storage when it completes */
	IO_DISCARD, /* contents of the range are not needed: they read as before or as zeros, space may be freed */
	IO_ZERO, /* the range reads as zeros; space may be freed when IO_UNMAP is set */
};

#define IO_FUA                                                                                     \
	0x1u /* IO_WRITE, IO_ZERO: on stable storage when it completes, with all metadata it needs */
#define IO_UNMAP 0x2u /* IO_ZERO: free the space if that is possible */

/*
 * One operation. The submitter owns it and keeps it, and what it points to, until done is called. Submitted as
 * {op, flags, offset, bytes, vec, vec_count, vec_skip, done}; the rest belongs to whoever currently holds it.
 */
struct io_request {
	enum io_op op;
	uint32_t flags;
	uint64_t offset; /* bytes; alignment: of the device (io_info.sector_bytes), of a file 1 */
	uint64_t bytes;
	/*
	 * IO_READ, IO_WRITE: the data, starting vec_skip bytes into vec[0]. The vector may hold more than @bytes: a part of a request
	 * is made by moving offset, bytes and vec_skip, without copying it. Never changed by who carries the request out.
	 */
	const struct io_vec *vec;
	unsigned vec_count;
	size_t vec_skip;
	/* @result: 0 or -errno. Short transfers do not exist: reading beyond the end of a file gives zeros. */
	void (*done)(struct io_request *r, int result);
	void *ctx; /* the submitter's */

	struct io_request *next; /* the holder's */
	int result;		 /* queued for delivery */
};

struct io_context;

/* What makes I/O happen under a context: an io_uring, a thread pool, or nothing in tests. */
struct io_context_ops {
	/* Hands what was submitted to the kernel, and queues (io_complete) what has finished. @block: waits until at least one
	 * request finished or somebody woke the context; at most @timeout_ns (UINT64_MAX: no limit). */
	void (*poll)(struct io_context *c, bool block, uint64_t timeout_ns);
};

struct io_context {
	const struct io_context_ops *ops;
	struct io_request *ready; /* finished, done not called yet */
	struct io_request **ready_tail;
};

/* A context where everything finishes by itself (memory files): no I/O underneath. Also the base part of any other. */
void io_context_init(struct io_context *c, const struct io_context_ops *ops);
/* Queues @r's completion. */
void io_complete(struct io_context *c, struct io_request *r, int result);
/* Calls done of what was ready at the time of the call, and returns how many. */
unsigned io_deliver(struct io_context *c);
/*
 * One turn: submits, collects, delivers. @block: sleeps first when nothing is ready, at most @timeout_ns. Returns how many were
 * delivered. Not to be called from a done function.
 */
unsigned io_poll(struct io_context *c, bool block, uint64_t timeout_ns);

/* Copies between a request's vector and flat memory, starting @skip bytes into the request's data. */
void io_copy_out(const struct io_request *r, size_t skip, void *to, size_t bytes);
void io_copy_in(const struct io_request *r, size_t skip, const void *from, size_t bytes);
void io_fill_zero(const struct io_request *r, size_t skip, size_t bytes);
/* Makes @part the piece [skip, skip + bytes) of @whole: op, flags, offset + skip, vector. done and ctx stay as they are. */
void io_slice(const struct io_request *whole, uint64_t skip, uint64_t bytes,
	      struct io_request *part);

/* ---- Files ---- */

/*
 * A file as the disk formats see it: bytes at offsets, a length, and space that may be missing (holes read as zeros).
 * Reads beyond the end give zeros; IO_WRITE and IO_ZERO beyond it extend the file, IO_DISCARD never does.
 */
struct storage_file;

enum storage_extent {
	STORAGE_DATA,
	STORAGE_HOLE, /* reads as zeros */
};

struct storage_file_ops {
	/* IO_READ, IO_WRITE, IO_FLUSH, IO_DISCARD, IO_ZERO. Never blocks. */
	void (*submit)(struct storage_file *f, struct io_request *r);
	/* These three are quick metadata calls and may block briefly. 0 or -errno. */
	int (*get_size)(struct storage_file *f, uint64_t *ret_bytes);
	/* Extending leaves a hole. Durable with the next flush. */
	int (*set_size)(struct storage_file *f, uint64_t bytes);
	/* What lies at @offset and how far it goes (at least 1 byte, up to the end of the file). -ENXIO: beyond the end. */
	int (*extent)(struct storage_file *f, uint64_t offset, enum storage_extent *ret_what,
		      uint64_t *ret_bytes);
	void (*close)(struct storage_file *f);
};

struct storage_file {
	const struct storage_file_ops *ops;
	struct io_context *context;
	const char *name; /* for messages; owned by the file */
	bool writable;
	/*
	 * IO_DISCARD frees the whole aligned granules of this size that it covers, and they read as zeros from then on. 0: a discard is a
	 * hint that may do nothing.
	 */
	uint32_t discard_granule_bytes;
};

static inline void storage_file_submit(struct storage_file *f, struct io_request *r)
{
	f->ops->submit(f, r);
}
static inline int storage_file_get_size(struct storage_file *f, uint64_t *ret_bytes)
{
	return f->ops->get_size(f, ret_bytes);
}
static inline int storage_file_set_size(struct storage_file *f, uint64_t bytes)
{
	return f->ops->set_size(f, bytes);
}
static inline void storage_file_close(struct storage_file *f)
{
	if (f != NULL) {
		f->ops->close(f);
	}
}

/*
 * The same, waiting: for opening, creating and offline work, and for metadata steps of a job at the top of a thread's loop. They
 * turn the file's context (io_poll) until done, so other completions may be delivered meanwhile.
 */
int storage_file_read(struct storage_file *f, uint64_t offset, void *buf, size_t bytes);
int storage_file_write(struct storage_file *f, uint64_t offset, const void *buf, size_t bytes);
int storage_file_flush(struct storage_file *f);
int storage_file_zero(struct storage_file *f, uint64_t offset, uint64_t bytes, bool unmap);

/* A sparse file in memory (tests, fuzzing, scratch); its length is at most @limit_bytes, beyond: -ENOSPC. NULL: no memory. @name is copied. */
struct storage_file *storage_memory_file(struct io_context *c, const char *name,
					 uint64_t limit_bytes);

#endif
