/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that uses a disk at random, several operations at once, never two on the same sectors. */
#ifndef FAULT_GUEST_H
#define FAULT_GUEST_H

#include "dice.h"
#include "journal.h"
#include "model.h"
#include "storage/block.h"

#define GUEST_DEPTH 8u

/* In percent of operations; what is left of 100 are small writes. */
struct guest_mix {
	unsigned large_writes; /* up to large_bytes, others up to 16 KiB */
	unsigned fua;	       /* of writes and zeroing */
	unsigned flushes, discards, zeros;
	uint64_t large_bytes; /* 0: 1 MiB */
	unsigned settles;     /* block_settle calls in between */
};

struct guest_slot {
	struct io_request request;
	struct guest *guest;
	struct io_vec vec[2];
	uint8_t *data;
	uint32_t number; /* 0: free */
	uint64_t sector, sectors;
};

struct guest {
	struct block_device *block;
	struct io_context *context;
	struct history *history;
	struct journal *journal; /* NULL: what happens goes to @model instead */
	struct model *model;
	struct dice dice;
	uint64_t first_sector, sectors; /* the part of the disk it uses */
	unsigned depth;
	bool may_fail; /* errors are expected: counted, else the program ends */
	unsigned failed;
	struct guest_slot slots[GUEST_DEPTH];
};

/* One operation of the mix, or a turn of the context when it can do none now. */
void guest_step(struct guest *g, const struct guest_mix *mix);
/* Until nothing is under way. */
void guest_drain(struct guest *g);
/* @count operations, then guest_drain. */
void guest_run(struct guest *g, const struct guest_mix *mix, unsigned count);
/* One operation (not a read), waiting. @sectors 0 and IO_FLUSH: a flush. */
void guest_do(struct guest *g, enum io_op op, uint32_t flags, uint64_t sector, uint64_t sectors);

#endif
