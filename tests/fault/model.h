/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a disk has promised to its guest. A history is all that the guest asked for; a model is how far that had come at one moment: for every
 * sector the last operation that a completed flush (or FUA) covers, its floor. Reading must give the floor or something
 * later. Written sectors carry the number of their operation, so what is read says where it comes from.
 */
#ifndef FAULT_MODEL_H
#define FAULT_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "storage/io.h"

#define MODEL_SECTOR_BYTES 512u

struct guest_op {
	enum io_op op; /* IO_READ does not occur */
	uint32_t flags;
	uint64_t sector, sectors;
};

/* Operations are known by their number, from 1. */
struct history {
	struct guest_op *ops;
	uint32_t count, room;
};

uint32_t history_add(struct history *h, const struct guest_op *op);
void history_clear(struct history *h);
const struct guest_op *history_op(const struct history *h, uint32_t number);

/* What operation @number writes into @sector. */
void model_pattern(uint32_t number, uint64_t sector, uint8_t *ret);

struct sector_state {
	uint32_t floor;	    /* 0: as the disk began (zeros) */
	uint32_t last_zero; /* the last operation so far that may have zeroed it */
};

struct model {
	const struct history *history;
	struct sector_state *sectors;
	uint8_t *touched;   /* a bit for each chunk; NULL: all */
	uint64_t count;	    /* of sectors, of the largest size there will be */
	uint32_t submitted; /* operations so far */
	/* The disk may be any of these long, bytes; the same when it is not being resized. */
	uint64_t size, next_size;
	/* While it is resized, the sector behind the nearer end may show a footer (fixed VHD: it has one place for each size). */
	bool footer_shows;
	uint32_t *unfinished; /* finished or not, but not below a floor yet */
	uint32_t *cover; /* for each of them: the flush that will make it the floor; 0: none yet */
	bool *finished;
	uint32_t open_count, open_room;
	uint32_t promises; /* changes with every promise */
};

/* Contents are compared in chunks of this size, and where the guest never was only now and then. */
#define MODEL_CHUNK_BYTES 16384u

void model_init(struct model *m, const struct history *history, uint64_t bytes,
		uint64_t largest_bytes);
void model_fini(struct model *m);
void model_submit(struct model *m, uint32_t number);
void model_done(struct model *m, uint32_t number);
/* Does the whole history, past and future, ever touch the chunk? */
bool model_touches(const struct model *m, uint64_t chunk);
/* Finds out, once the history is whole. */
void model_find_touched(struct model *m);
/* Everything that has finished is promised (the disk was closed). */
void model_settle(struct model *m);
/* The power fails: what was not promised by now never will be. */
void model_forget(struct model *m);
/* True when @data may be found in @sector; else says why not. */
bool model_allows(const struct model *m, uint64_t sector, const uint8_t *data, char *ret_why,
		  size_t size);

#endif
