/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cable between a worker and the switch process: shared memory with a pair of rings for each queue, and an eventfd each way. Frames
 * cost no system call while both sides are busy; a side that ran dry says so (sleeping) and the other one then rings the bell.
 *
 * Memory (little-endian, offsets in bytes):
 *
 *	0	struct wire_header, written by the switch before the worker sees the memory; 'down' at any time, with a ring of queue 0's bell
 *	4096	struct wire_rss, written by the worker
 *	8192	for each queue: to-switch ring, to-worker ring; each a page of struct wire_control and then ring_bytes of data
 *
 * A ring holds records in order, 8-byte aligned, never wrapped: a record that would not fit before the end is preceded by a skip record. The
 * producer owns 'head' and the consumer owns 'tail', both free-running byte counts. Neither side trusts the other: indices and lengths
 * are read once, checked, and a cable that shows nonsense is dead (WIRE_BROKEN for ever), which ends that port alone.
 *
 * One thread at a time per ring and side.
 */
#ifndef VSWITCH_WIRE_H
#define VSWITCH_WIRE_H

#include <stdatomic.h>
#include <stddef.h>

#include "vswitch/frame.h"

#define WIRE_MAGIC 0x3145524957445256ull /* "VRDWIRE1" */
#define WIRE_QUEUES_MAX 64u
#define WIRE_RING_BYTES_MIN (256u << 10) /* a power of two: room for three large segments */
#define WIRE_RING_BYTES_MAX (16u << 20)
#define WIRE_PAGE_BYTES 4096u

struct wire_header {
	uint64_t magic;
	uint32_t queues;
	uint32_t ring_bytes;
	_Atomic uint32_t down; /* else than 0: the network behind the cable has no link */
};

/* The worker raises the generation to an odd number, writes, and raises it to the next even one. */
struct wire_rss {
	_Atomic uint32_t generation;
	uint32_t queues_used; /* at least 1 */
	struct net_rss rss;
};

struct wire_control {
	_Atomic uint64_t head; /* producer */
	uint8_t pad0[56];
	_Atomic uint64_t tail; /* consumer */
	uint8_t pad1[56];
	_Atomic uint32_t consumer_sleeps; /* ring the bell when there is something */
	_Atomic uint32_t producer_sleeps; /* ring the bell when half of the ring is free */
};

struct wire_record {
	uint32_t bytes; /* of the frame; WIRE_SKIP: go on at the beginning */
	uint32_t tag;
	struct net_offload offload;
	uint8_t reserved[6];
};
#define WIRE_SKIP 0xffffffffu
_Static_assert(sizeof(struct wire_record) == 24, "wire_record");

/*
 * Queues of each adapter of a machine: one for each processor, up to the number of threads that a worker has for them.
 */
#define WIRE_QUEUES_WORKER 8u
static inline unsigned wire_queues(uint64_t processors)
{
	return processors < WIRE_QUEUES_WORKER ? (unsigned)processors : WIRE_QUEUES_WORKER;
}

/* Size of the memory. */
size_t wire_bytes(unsigned queues, uint32_t ring_bytes);
/* Switch: prepares @memory (zeroed, of wire_bytes). */
void wire_format(void *memory, unsigned queues, uint32_t ring_bytes);
/* Switch: the network behind the cable has a link, or lost it; the bell is the caller's to ring. Cables begin with one. */
void wire_set_link(void *memory, bool up);
/* Worker: has it? */
bool wire_link(const void *memory);
/* Worker: is @memory of @bytes such a cable? False: no. */
bool wire_check(const void *memory, size_t bytes, unsigned *ret_queues, uint32_t *ret_ring_bytes);

enum wire_way { WIRE_TO_SWITCH, WIRE_TO_WORKER };
enum wire_side { WIRE_PRODUCER, WIRE_CONSUMER };

/* One side of one ring; private memory of that side. */
struct wire_ring {
	struct wire_control *control;
	uint8_t *data;
	uint32_t bytes;
	enum wire_side side;
	bool broken;
	uint64_t at;		      /* own index, as far as written or read */
	uint64_t shown;		      /* own index, as the other side knows it */
	uint64_t other;		      /* the other's index as last seen */
	uint32_t taken;		      /* consumer: of the record that wire_get shows */
	uint8_t head[NET_HEAD_BYTES]; /* consumer: its frame's head */
	struct io_vec rest;
};

/* @ring_bytes and @queue (below the number of queues) as wire_format or wire_check had them, never read from the memory again. */
void wire_ring_init(struct wire_ring *r, void *memory, uint32_t ring_bytes, unsigned queue,
		    enum wire_way way, enum wire_side side);

enum wire_status { WIRE_OK, WIRE_EMPTY, WIRE_FULL, WIRE_BROKEN };

/* Producer: copies @f (14 to NET_FRAME_BYTES_MAX bytes) in; seen by the other side at wire_show. FULL: it was not taken. */
enum wire_status wire_put(struct wire_ring *r, const struct net_frame *f);
/* Producer and consumer: publishes what was put or taken. True: the other side sleeps and wants the bell (once). */
bool wire_show(struct wire_ring *r);
/*
 * Consumer: the next frame, in place (its head copied), until wire_take or the next wire_get, which shows the same one again. Its
 * size is checked, its other fields are as the other side gave them: net_frame_check.
 */
enum wire_status wire_get(struct wire_ring *r, struct net_frame *ret);
void wire_take(struct wire_ring *r);
/*
 * Says that this side goes to sleep: consumer when the ring is empty, producer when it is full, everything shown. False: something
 * changed in the meantime, look again. wire_wake takes it back; a bell may still be on its way.
 */
bool wire_sleep(struct wire_ring *r);
void wire_wake(struct wire_ring *r);

/* Worker: @rss for the queues in use. */
void wire_set_rss(void *memory, const struct net_rss *rss, unsigned queues_used);
/*
 * Switch: copies it if it changed since @generation (0 at the beginning; then updated), is whole at this moment, and sane: 1 to @queues
 * queues in use, and the table names no other.
 */
bool wire_get_rss(const void *memory, unsigned queues, uint32_t *generation, struct net_rss *ret,
		  unsigned *ret_queues_used);

#endif
