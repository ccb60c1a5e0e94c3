/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goes through a journal event by event and knows at each place which files a power cut there may leave: what a completed flush covers
 * is in them; of what was asked for since then, any part may be, sector by sector.
 */
#ifndef FAULT_REPLAY_H
#define FAULT_REPLAY_H

#include "journal.h"
#include "model.h"
#include "record_file.h"

struct replay_pending {
	uint32_t event;
	uint32_t cover; /* the flush that makes it durable when it completes; 0: none yet */
	bool done, durable;
};

struct replay_file {
	char path[64];
	struct image *base; /* all up to the first pending event */
	struct replay_pending *pending;
	uint32_t count, room;
};

struct replay {
	const struct journal *journal;
	uint32_t at; /* events that have happened */
	struct replay_file files[LAB_FILES];
	unsigned file_count;
	struct model *model; /* kept up with the guest's events; NULL: nobody is interested */
	uint32_t mark;	     /* the last EVENT_MARK */
	bool worth_a_cut;    /* the last event changed what may be found, or what must */
	uint32_t advances;   /* of bases */
};

/* What of the pending events has reached the disk. */
enum cut_kind {
	CUT_NONE,
	CUT_ALL,
	CUT_ONLY_LAST,
	CUT_ALL_BUT_FIRST,
	CUT_RANDOM, /* each all, nothing, or torn at sector boundaries */
};
struct cut {
	enum cut_kind kind;
	uint64_t seed;
};

/* @before: the files when the journal began. */
void replay_init(struct replay *r, struct lab *before, const struct journal *journal,
		 struct model *model);
void replay_fini(struct replay *r);
/* False: the journal is at its end. */
bool replay_next(struct replay *r);
/* Equal numbers: equal files and promises. */
uint64_t replay_key(const struct replay *r, struct cut cut);
/* The files after @cut, in a new laboratory. */
void replay_cut(struct replay *r, struct cut cut, uint64_t lab_seed, struct lab *ret);

#endif
