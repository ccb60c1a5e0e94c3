// SPDX-License-Identifier: Apache-2.0
/*
 * A sparse file in memory: 4 KiB chunks in a tree of fixed depth, so that a few bytes at an offset of many terabytes cost a few
 * nodes, and a hole of many terabytes is walked over in a few steps.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "storage/io.h"

#define CHUNK_SHIFT 12
#define CHUNK_BYTES (UINT64_C(1) << CHUNK_SHIFT)
#define NODE_SHIFT 8
#define NODE_SLOTS (1u << NODE_SHIFT)
#define LEVELS 6 /* of nodes; below the last one are chunks */
#define OFFSET_LIMIT (UINT64_C(1) << (CHUNK_SHIFT + LEVELS * NODE_SHIFT))

struct node {
	void *slots[NODE_SLOTS]; /* nodes, on the last level chunks */
};

struct memory_file {
	struct storage_file file;
	struct node root;
	uint64_t size;
	uint64_t limit;
	char name[];
};

static struct memory_file *from_file(struct storage_file *f)
{
	return container_of(f, struct memory_file, file);
}

/* log2 of the bytes that one slot of a node at @level covers. */
static unsigned slot_shift(unsigned level)
{
	return CHUNK_SHIFT + NODE_SHIFT * (LEVELS - 1 - level);
}

static void **slot_of(struct node *n, unsigned level, uint64_t offset)
{
	return &n->slots[bits_get(offset, slot_shift(level), NODE_SHIFT)];
}

/*
 * The slot of the chunk at @offset. NULL: nothing is there; then *@ret_gap is how far that is known, from @offset.
 */
static void **find_chunk(struct memory_file *m, uint64_t offset, uint64_t *ret_gap)
{
	struct node *n = &m->root;
	void **slot = NULL;

	for (unsigned level = 0; level < LEVELS; level++) {
		uint64_t span = BIT64(slot_shift(level));

		slot = slot_of(n, level, offset);
		if (*slot == NULL) {
			*ret_gap = span - (offset & (span - 1));
			return NULL;
		}
		n = *slot;
	}
	return slot;
}

/* The chunk at @offset, made when it is missing. NULL: no memory. */
static uint8_t *make_chunk(struct memory_file *m, uint64_t offset)
{
	struct node *n = &m->root;

	for (unsigned level = 0; level < LEVELS; level++) {
		void **slot = slot_of(n, level, offset);

		if (*slot == NULL) {
			*slot = calloc(1, level == LEVELS - 1 ? CHUNK_BYTES : sizeof(struct node));
		}
		if (*slot == NULL) {
			return NULL;
		}
		n = *slot;
	}
	return (uint8_t *)n;
}

/* Depth is LEVELS. */
static void free_below(struct node *n, unsigned level)
{
	for (unsigned i = 0; i < NODE_SLOTS; i++) {
		if (n->slots[i] != NULL && level < LEVELS - 1) {
			free_below(n->slots[i], level + 1);
		}
		free(n->slots[i]);
	}
}

/* How many of @bytes at @offset lie in one chunk. */
static size_t in_chunk(uint64_t offset, uint64_t bytes)
{
	return (size_t)min_u64(bytes, CHUNK_BYTES - (offset & (CHUNK_BYTES - 1)));
}

static int read_range(struct memory_file *m, const struct io_request *r)
{
	uint64_t end = min_u64(m->size, OFFSET_LIMIT);

	for (uint64_t at = 0; at < r->bytes;) {
		uint64_t offset = r->offset + at, left = r->bytes - at, gap = left;
		void **slot = offset >= end ? NULL : find_chunk(m, offset, &gap);

		if (slot == NULL) {
			size_t n = (size_t)min_u64(left, gap);

			io_fill_zero(r, (size_t)at, n);
			at += n;
			continue;
		}
		size_t n = in_chunk(offset, left);

		io_copy_in(r, (size_t)at, (uint8_t *)*slot + (offset & (CHUNK_BYTES - 1)), n);
		at += n;
	}
	return 0;
}

static int write_range(struct memory_file *m, const struct io_request *r)
{
	for (uint64_t at = 0; at < r->bytes;) {
		uint64_t offset = r->offset + at;
		uint8_t *chunk = make_chunk(m, offset);
		size_t n = in_chunk(offset, r->bytes - at);

		if (chunk == NULL) {
			return -ENOMEM;
		}
		io_copy_out(r, (size_t)at, chunk + (offset & (CHUNK_BYTES - 1)), n);
		at += n;
	}
	return 0;
}

/* Makes [@offset, @end) read as zeros, or with @whole_only only the chunks that lie in it completely. Those are freed with @punch. */
static void zero_range(struct memory_file *m, uint64_t offset, uint64_t end, bool punch,
		       bool whole_only)
{
	while (offset < end) {
		uint64_t gap;
		void **slot = find_chunk(m, offset, &gap);

		if (slot == NULL) {
			offset += gap;
			continue;
		}
		size_t n = in_chunk(offset, end - offset);

		if (n == CHUNK_BYTES && punch) {
			free(*slot);
			*slot = NULL;
		} else if (n == CHUNK_BYTES || !whole_only) {
			memset((uint8_t *)*slot + (offset & (CHUNK_BYTES - 1)), 0, n);
		}
		offset += n;
	}
}

static int carry_out(struct memory_file *m, const struct io_request *r)
{
	bool extends = r->op == IO_WRITE || r->op == IO_ZERO;

	if ((extends || r->op == IO_DISCARD) && !m->file.writable) {
		return -EROFS;
	}
	if (r->op == IO_FLUSH || r->bytes == 0) {
		return 0;
	}
	if (r->bytes > UINT64_MAX - r->offset) {
		return -EINVAL;
	}
	if (extends && !range_within(r->offset, r->bytes, m->limit)) {
		return -ENOSPC;
	}
	uint64_t end = r->offset + r->bytes;
	int rc = 0;

	switch (r->op) {
	case IO_READ:
		return read_range(m, r);
	case IO_WRITE:
		rc = write_range(m, r);
		if (rc != 0) {
			/* beyond the end nothing must wait for the file to grow */
			zero_range(m, max_u64(m->size, r->offset), end, true, false);
		}
		break;
	case IO_ZERO:
		zero_range(m, r->offset, min_u64(end, m->size), (r->flags & IO_UNMAP) != 0, false);
		break;
	case IO_DISCARD:
		zero_range(m, r->offset, min_u64(end, m->size), true, true);
		break;
	case IO_FLUSH:
		break;
	}
	if (rc == 0 && extends) {
		m->size = max_u64(m->size, end);
	}
	return rc;
}

static void submit(struct storage_file *f, struct io_request *r)
{
	io_complete(f->context, r, carry_out(from_file(f), r));
}

static int get_size(struct storage_file *f, uint64_t *ret_bytes)
{
	*ret_bytes = from_file(f)->size;
	return 0;
}

static int set_size(struct storage_file *f, uint64_t bytes)
{
	struct memory_file *m = from_file(f);

	if (!f->writable) {
		return -EROFS;
	}
	if (bytes > m->limit) {
		return -ENOSPC;
	}
	/* What is cut off must not come back when the file grows again. */
	zero_range(m, bytes, m->size, true, false);
	m->size = bytes;
	return 0;
}

static int extent(struct storage_file *f, uint64_t offset, enum storage_extent *ret_what,
		  uint64_t *ret_bytes)
{
	struct memory_file *m = from_file(f);
	uint64_t at = offset, gap = 0;

	if (offset >= m->size) {
		return -ENXIO;
	}
	bool hole = find_chunk(m, at, &gap) == NULL;

	while (at < m->size) {
		bool missing = find_chunk(m, at, &gap) == NULL;

		if (missing != hole) {
			break;
		}
		at += missing ? gap : in_chunk(at, CHUNK_BYTES);
	}
	*ret_what = hole ? STORAGE_HOLE : STORAGE_DATA;
	*ret_bytes = min_u64(at, m->size) - offset;
	return 0;
}

static void close_file(struct storage_file *f)
{
	struct memory_file *m = from_file(f);

	free_below(&m->root, 0);
	free(m);
}

struct storage_file *storage_memory_file(struct io_context *c, const char *name,
					 uint64_t limit_bytes)
{
	static const struct storage_file_ops ops = {
		.submit = submit,
		.get_size = get_size,
		.set_size = set_size,
		.extent = extent,
		.close = close_file,
	};
	size_t name_bytes = strlen(name) + 1;
	struct memory_file *m = calloc(1, sizeof(*m) + name_bytes);

	if (m == NULL) {
		return NULL;
	}
	memcpy(m->name, name, name_bytes);
	m->file = (struct storage_file){.ops = &ops,
					.context = c,
					.name = m->name,
					.writable = true,
					.discard_granule_bytes = CHUNK_BYTES};
	m->limit = min_u64(limit_bytes, OFFSET_LIMIT);
	return &m->file;
}
