/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of reservations: a disk on which requests take time, and initiators that send them. */
#ifndef STORAGE_SCSI_RESERVE_TEST_H
#define STORAGE_SCSI_RESERVE_TEST_H

#include "scsi_disk.h"

#include <errno.h>

#include "scsi_testing.h"

#define NONE SCSI_DATA_NONE
#define IN SCSI_DATA_IN
#define OUT SCSI_DATA_OUT

#define A 1
#define B 2
#define C 3

enum { REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, REGISTER_AND_IGNORE, MOVE };

struct world {
	struct io_context c;
	struct testing_clock clock;
	struct block_device *b;
	struct scsi_unit *u;
};

/* Requests take 1 ms of a clock that stands still: so commands can be in flight. */
static inline void world_init(struct world *w)
{
	struct block_device *disk;

	io_context_init(&w->c, NULL);
	testing_clock_init(&w->clock, 0);
	disk = testing_disk(&w->c, 1 << 20, 512, false);
	CHECK(block_delay_create(disk, 1000000, &w->clock.clock, &w->b) == 0);
	CHECK(scsi_disk_create(w->b, &(struct scsi_unit_config){0}, &w->u) == 0);
}

static inline void world_fini(struct world *w)
{
	scsi_unit_destroy(w->u);
	block_destroy(w->b);
}

static inline void time_passes(struct world *w)
{
	for (unsigned i = 0; i < 4; i++) {
		rig_turn(&w->c);
		w->clock.now_ns += 1000000;
		block_filter_poll(w->b);
	}
	rig_turn(&w->c);
}

static inline uint32_t send(struct world *w, uint8_t who, const char *cdb,
			    enum scsi_direction direction, size_t bytes)
{
	struct rig_command r;

	rig_prepare(&r, cdb, direction, bytes, who);
	scsi_submit(w->u, &r.scsi);
	time_passes(w);
	CHECK(r.calls == 1);
	uint32_t result = rig_result(&r);

	rig_free(&r);
	return result;
}

static inline uint32_t ready(struct world *w, uint8_t who)
{
	return send(w, who, "00 00 00 00 00 00", NONE, 0);
}

static inline void prepare_out(struct rig_command *r, uint8_t who, unsigned action, unsigned type,
			       uint64_t key, uint64_t action_key)
{
	rig_prepare(r, "5f 00 00 00 00 00 00 00 18 00", OUT, 24, who);
	r->scsi.cdb[1] = (uint8_t)action;
	r->scsi.cdb[2] = (uint8_t)type;
	memset(r->data, 0, 24);
	store_be64(r->data, key);
	store_be64(r->data + 8, action_key);
}

static inline uint32_t out(struct world *w, uint8_t who, unsigned action, unsigned type,
			   uint64_t key, uint64_t action_key)
{
	struct rig_command r;

	prepare_out(&r, who, action, type, key, action_key);
	rig_run(w->u, &w->c, &r);
	uint32_t result = rig_result(&r);

	rig_free(&r);
	return result;
}

static inline void expect_in(struct test *t, struct world *w, unsigned action, const char *want)
{
	struct rig_row row = {"PERSISTENT RESERVE IN", NULL, IN, 4096, NULL, RIG_GOOD, want};
	char cdb[64];

	snprintf(cdb, sizeof(cdb), "5e %02x 00 00 00 00 00 10 00 00", action);
	row.cdb = cdb;
	struct rig_command r;

	rig_prepare(&r, cdb, IN, 4096, A);
	rig_run(w->u, &w->c, &r);
	EXPECT_EQ(t, rig_result(&r), 0);
	rig_check_data(t, &row, &r);
	rig_free(&r);
}

/* How many keys there are. */
static inline unsigned key_count(struct world *w)
{
	struct rig_command r;

	rig_prepare(&r, "5e 00 00 00 00 00 00 10 00 00", IN, 4096, 99);
	rig_run(w->u, &w->c, &r);
	unsigned count = load_be32(r.data + 4) / 8;

	rig_free(&r);
	return count;
}

static inline unsigned reservation_type(struct world *w)
{
	struct rig_command r;

	rig_prepare(&r, "5e 01 00 00 00 00 00 10 00 00", IN, 4096, 99);
	rig_run(w->u, &w->c, &r);
	unsigned type = load_be32(r.data + 4) == 0 ? 0 : r.data[8 + 13];

	rig_free(&r);
	return type;
}

#endif
