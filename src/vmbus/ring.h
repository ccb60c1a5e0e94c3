/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of a channel: control page and data pages in guest memory, and our own copy of everything that we decide by. The other
 * side's index is read once per look and checked; ours is never read back.
 */
#ifndef VMBUS_RING_H
#define VMBUS_RING_H

#include "gmem/gmem.h"
#include "vmbus/protocol.h"

#include <stdbool.h>

#define RING_UNIT 8u

struct ring_page {
	uint8_t *host;
	uint64_t gpn;
	uint32_t
		run; /* pages from here on, to the end of the ring, that are neighbours in host memory */
};

struct ring_half {
	struct vmbus_ring_control *control;
	uint64_t control_gpa;
	struct ring_page *pages;
	uint32_t size; /* of the data */
};

struct ring {
	struct gmem *gm;
	struct ring_page *pages; /* owns both halves' */
	bool broken;
	struct ring_half in;  /* guest to host */
	struct ring_half out; /* host to guest */

	uint32_t in_read;      /* consumed up to here */
	uint32_t in_published; /* as the guest knows */
	uint32_t in_write;     /* the guest's index when last seen */
	bool in_masked;
	bool sealed; /* what the guest knows as our read index leaves it no room */
	bool stale;  /* and does so still, though it shall have room again: after a restore */

	uint32_t out_write;	/* filled up to here */
	uint32_t out_published; /* as the guest knows */
	uint32_t out_read;	/* the guest's index when last seen */
	bool out_pending;	/* pending send size is set */
};

/*
 * Maps pages @pfns[0..count) with the second ring at @downstream. False: a ring of less than two pages, a page that is not plain memory
 * to read and write, no memory of our own. Indices are read by ring_start.
 */
bool ring_map(struct ring *r, struct gmem *gm, const uint64_t *pfns, uint32_t count,
	      uint32_t downstream);
/* Takes the indices as the guest left them and announces our features. False: impossible ones. */
bool ring_start(struct ring *r);
void ring_unmap(struct ring *r);

/* Copies between ring data at @offset (below size, wraps) and memory. */
void ring_copy_out(const struct ring_half *h, uint32_t offset, void *buf, uint32_t bytes);
void ring_copy_in(const struct ring_half *h, uint32_t offset, const void *buf, uint32_t bytes);
/* Ring data was written: dirty log and code watch. */
void ring_touch(struct gmem *gm, const struct ring_half *h, uint32_t offset, uint32_t bytes);
/*
 * Control words. Each side stores its own and then looks at the other's, and one of the two must see the other's store: all stores and
 * loads are sequentially consistent (a full barrier after each store). The store also marks the page written.
 */
void ring_control_store(struct gmem *gm, const struct ring_half *h, uint32_t *word, uint32_t value);

static inline uint32_t ring_control_load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static inline bool ring_index_valid(const struct ring_half *h, uint32_t index)
{
	return index < h->size && index % RING_UNIT == 0;
}

static inline uint32_t ring_advance(const struct ring_half *h, uint32_t index, uint32_t bytes)
{
	uint32_t next = index + bytes;

	return next >= h->size ? next - h->size : next;
}

/* Bytes between a read and a write index. */
static inline uint32_t ring_used(const struct ring_half *h, uint32_t read, uint32_t write)
{
	return write >= read ? write - read : h->size - read + write;
}

#endif
