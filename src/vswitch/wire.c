// SPDX-License-Identifier: Apache-2.0
/*
 * The order of memory accesses: an index is published with release and read with acquire, which covers the records. Going to sleep
 * needs more: each side writes one word (its index, its sleep flag) and then reads the other's, so a full fence stands between.
 */
#include "vswitch/wire.h"

#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

#define RINGS_AT (2 * WIRE_PAGE_BYTES)
#define RECORD_ALIGN 8u

_Static_assert(sizeof(struct wire_control) <= WIRE_PAGE_BYTES, "wire_control");
_Static_assert(sizeof(struct wire_rss) <= WIRE_PAGE_BYTES, "wire_rss");
_Static_assert(offsetof(struct wire_control, tail) == 64, "one cache line each");
_Static_assert(offsetof(struct wire_control, consumer_sleeps) == 128, "one cache line each");

static uint64_t record_size(uint32_t frame_bytes)
{
	return align_up(sizeof(struct wire_record) + frame_bytes, RECORD_ALIGN);
}

static bool shape_is_sane(uint64_t queues, uint64_t ring_bytes)
{
	return queues >= 1 && queues <= WIRE_QUEUES_MAX && ring_bytes >= WIRE_RING_BYTES_MIN &&
	       ring_bytes <= WIRE_RING_BYTES_MAX && (ring_bytes & (ring_bytes - 1)) == 0;
}

size_t wire_bytes(unsigned queues, uint32_t ring_bytes)
{
	CHECK(shape_is_sane(queues, ring_bytes));
	return RINGS_AT + (size_t)queues * 2 * (WIRE_PAGE_BYTES + (size_t)ring_bytes);
}

void wire_format(void *memory, unsigned queues, uint32_t ring_bytes)
{
	struct wire_header header = {
		.magic = WIRE_MAGIC, .queues = queues, .ring_bytes = ring_bytes};
	struct wire_rss *rss = (void *)((uint8_t *)memory + WIRE_PAGE_BYTES);

	CHECK(shape_is_sane(queues, ring_bytes));
	rss->queues_used = 1;
	memcpy(memory, &header, sizeof(header));
}

void wire_set_link(void *memory, bool up)
{
	struct wire_header *header = memory;

	atomic_store_explicit(&header->down, up ? 0 : 1, memory_order_release);
}

bool wire_link(const void *memory)
{
	const struct wire_header *header = memory;

	return atomic_load_explicit(&header->down, memory_order_acquire) == 0;
}

bool wire_check(const void *memory, size_t bytes, unsigned *ret_queues, uint32_t *ret_ring_bytes)
{
	struct wire_header header;

	if (bytes < RINGS_AT) {
		return false;
	}
	memcpy(&header, memory, sizeof(header));
	atomic_signal_fence(memory_order_seq_cst);
	if (header.magic != WIRE_MAGIC || !shape_is_sane(header.queues, header.ring_bytes) ||
	    wire_bytes(header.queues, header.ring_bytes) > bytes) {
		return false;
	}
	*ret_queues = header.queues;
	*ret_ring_bytes = header.ring_bytes;
	return true;
}

void wire_ring_init(struct wire_ring *r, void *memory, uint32_t ring_bytes, unsigned queue,
		    enum wire_way way, enum wire_side side)
{
	size_t ring = WIRE_PAGE_BYTES + (size_t)ring_bytes;
	uint8_t *at = (uint8_t *)memory + RINGS_AT + ((size_t)queue * 2 + way) * ring;

	CHECK(shape_is_sane(queue + 1, ring_bytes));
	*r = (struct wire_ring){.control = (void *)at,
				.data = at + WIRE_PAGE_BYTES,
				.bytes = ring_bytes,
				.side = side};
}

/* ---- Producer ---- */

/* Reads the consumer's index. False: it is nonsense. */
static bool see_tail(struct wire_ring *r)
{
	uint64_t tail = atomic_load_explicit(&r->control->tail, memory_order_acquire);

	/* what is left to take never grows by itself, and is what was shown at most */
	if (tail % RECORD_ALIGN != 0 || r->shown - tail > r->shown - r->other) {
		r->broken = true;
		return false;
	}
	r->other = tail;
	return true;
}

static void write_record(uint8_t *at, const struct net_frame *f)
{
	struct wire_record record = {.bytes = f->bytes, .tag = f->tag, .offload = f->offload};

	memcpy(at, &record, sizeof(record));
	at += sizeof(record);
	memcpy(at, f->head, f->head_bytes);
	at += f->head_bytes;
	for (unsigned i = 0; i < f->rest_count; i++) {
		memcpy(at, f->rest[i].base, f->rest[i].bytes);
		at += f->rest[i].bytes;
	}
}

/* Where the next frame will lie: many others may go to other rings before. */
static void prefetch_room(const struct wire_ring *r)
{
	const uint8_t *next = r->data + (r->at & (r->bytes - 1));

	__builtin_prefetch(next, 1);
	__builtin_prefetch(next + 64, 1);
}

enum wire_status wire_put(struct wire_ring *r, const struct net_frame *f)
{
	uint64_t offset = r->at & (r->bytes - 1), needed = record_size(f->bytes), skip = 0;

	CHECK(f->bytes >= NET_ETHERNET_BYTES && f->bytes <= NET_FRAME_BYTES_MAX);
	if (offset + needed > r->bytes) {
		skip = r->bytes - offset;
	}
	if (r->broken) {
		return WIRE_BROKEN;
	}
	if (skip + needed > r->bytes - (r->at - r->other)) {
		if (!see_tail(r)) {
			return WIRE_BROKEN;
		}
		if (skip + needed > r->bytes - (r->at - r->other)) {
			return WIRE_FULL;
		}
	}
	if (skip != 0) {
		store_le32(r->data + offset, WIRE_SKIP);
	}
	write_record(r->data + (skip != 0 ? 0 : offset), f);
	r->at += skip + needed;
	prefetch_room(r);
	return WIRE_OK;
}

/* ---- Consumer ---- */

/* Reads the producer's index. False: it is nonsense. */
static bool see_head(struct wire_ring *r)
{
	uint64_t head = atomic_load_explicit(&r->control->head, memory_order_acquire);

	if (head % RECORD_ALIGN != 0 || head - r->at > r->bytes ||
	    head - r->at < r->other - r->at) {
		r->broken = true;
		return false;
	}
	r->other = head;
	return true;
}

static enum wire_status give_up(struct wire_ring *r)
{
	r->broken = true;
	return WIRE_BROKEN;
}

/* The record at r->at, checked against what is there; a skip is gone over. */
static enum wire_status read_record(struct wire_ring *r, struct wire_record *ret)
{
	uint64_t offset = r->at & (r->bytes - 1), there = r->other - r->at;
	uint32_t bytes = atomic_load_explicit((_Atomic uint32_t *)(void *)(r->data + offset),
					      memory_order_relaxed);

	if (bytes == WIRE_SKIP) {
		/* never without a record behind it, so never at the beginning either */
		if (r->bytes - offset >= there) {
			return give_up(r);
		}
		r->at += r->bytes - offset;
		there -= r->bytes - offset;
		offset = 0;
		bytes = atomic_load_explicit((_Atomic uint32_t *)(void *)r->data,
					     memory_order_relaxed);
	}
	if (bytes < NET_ETHERNET_BYTES || bytes > NET_FRAME_BYTES_MAX ||
	    record_size(bytes) > there || offset + record_size(bytes) > r->bytes) {
		return give_up(r);
	}
	memcpy(ret, r->data + offset, sizeof(*ret));
	ret->bytes = bytes;
	return WIRE_OK;
}

/* Small frames are looked for this far ahead, large ones one frame ahead. */
#define AHEAD_BYTES 256u
#define AHEAD_MOST_BYTES 1600u

/*
 * The next records lie in the caches of the other side's processor. Behind the end of the ring it is a wasted hint and nothing else.
 */
static void prefetch_ahead(const uint8_t *data, uint32_t record_bytes)
{
	uint32_t from = (uint32_t)max_u64(record_bytes, AHEAD_BYTES);
	uint32_t to = from + (uint32_t)min_u64(max_u64(record_bytes, 192), AHEAD_MOST_BYTES);

	for (uint32_t at = from; at < to; at += 64) {
		__builtin_prefetch(data + at);
	}
}

#define CHUNK_BYTES 64u
_Static_assert(NET_HEAD_BYTES % CHUNK_BYTES == 0, "a head is whole chunks");

/*
 * Copies the frame's head of @bytes, in chunks of a size that the compiler knows: most frames need one. What comes behind a short frame is
 * copied, too, as far as the other side has shown it, and means nothing.
 */
static void copy_head(struct wire_ring *r, const uint8_t *data, uint32_t bytes)
{
	uint64_t shown = min_u64(r->other - r->at, r->bytes - (r->at & (r->bytes - 1)));

	if (align_up(bytes, CHUNK_BYTES) > shown - sizeof(struct wire_record)) {
		memcpy(r->head, data, bytes);
		return;
	}
	for (uint32_t at = 0; at < bytes; at += CHUNK_BYTES) {
		memcpy(r->head + at, data + at, CHUNK_BYTES);
	}
}

enum wire_status wire_get(struct wire_ring *r, struct net_frame *ret)
{
	struct wire_record record;
	uint8_t *data;

	if (r->broken || (r->other == r->at && !see_head(r))) {
		return WIRE_BROKEN;
	}
	if (r->other == r->at) {
		return WIRE_EMPTY;
	}
	if (read_record(r, &record) != WIRE_OK) {
		return WIRE_BROKEN;
	}
	data = r->data + (r->at & (r->bytes - 1)) + sizeof(record);
	r->taken = (uint32_t)record_size(record.bytes);
	prefetch_ahead(data, r->taken);
	*ret = (struct net_frame){.head = r->head,
				  .head_bytes = (uint32_t)min_u64(record.bytes, NET_HEAD_BYTES),
				  .bytes = record.bytes,
				  .rest = &r->rest,
				  .rest_count = record.bytes > NET_HEAD_BYTES,
				  .tag = record.tag,
				  .offload = record.offload};
	copy_head(r, data, ret->head_bytes);
	r->rest = (struct io_vec){data + ret->head_bytes, record.bytes - ret->head_bytes};
	/* from here on the copies count: the compiler must not look at the other side's memory again */
	atomic_signal_fence(memory_order_seq_cst);
	return WIRE_OK;
}

void wire_take(struct wire_ring *r)
{
	r->at += r->taken;
	r->taken = 0;
}

/* ---- Both ---- */

static bool bell_wanted(_Atomic uint32_t *sleeps)
{
	return atomic_load_explicit(sleeps, memory_order_relaxed) != 0 &&
	       atomic_exchange_explicit(sleeps, 0, memory_order_relaxed) != 0;
}

bool wire_show(struct wire_ring *r)
{
	struct wire_control *c = r->control;

	if (r->at == r->shown || r->broken) {
		return false;
	}
	r->shown = r->at;
	atomic_store_explicit(r->side == WIRE_PRODUCER ? &c->head : &c->tail, r->at,
			      memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	if (r->side == WIRE_PRODUCER) {
		return bell_wanted(&c->consumer_sleeps);
	}
	/* a wrong number only makes a bell too many or too few for who gave it */
	return atomic_load_explicit(&c->head, memory_order_relaxed) - r->at <= r->bytes / 2 &&
	       bell_wanted(&c->producer_sleeps);
}

bool wire_sleep(struct wire_ring *r)
{
	struct wire_control *c = r->control;
	bool produces = r->side == WIRE_PRODUCER;
	_Atomic uint32_t *sleeps = produces ? &c->producer_sleeps : &c->consumer_sleeps;

	CHECK(r->at == r->shown || r->broken);
	atomic_store_explicit(sleeps, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(produces ? &c->tail : &c->head, memory_order_relaxed) !=
	    r->other) {
		wire_wake(r);
		return false;
	}
	return true;
}

void wire_wake(struct wire_ring *r)
{
	struct wire_control *c = r->control;

	atomic_store_explicit(r->side == WIRE_PRODUCER ? &c->producer_sleeps : &c->consumer_sleeps,
			      0, memory_order_relaxed);
}
