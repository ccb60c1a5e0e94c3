// SPDX-License-Identifier: Apache-2.0
/* Units saved and restored. */
#include <errno.h>

#include "scsi_testing.h"
#include "scsi_unit.h"

#define NONE SCSI_DATA_NONE
#define IN SCSI_DATA_IN
#define OUT SCSI_DATA_OUT

#define A 1
#define B 2

struct world {
	struct io_context c;
	struct block_device *b;
	struct scsi_unit *u;
	uint8_t state[8192];
	size_t bytes;
};

static void make_disk(struct world *w)
{
	io_context_init(&w->c, NULL);
	w->b = testing_disk(&w->c, 1 << 20, 512, false);
	CHECK(scsi_disk_create(w->b, &(struct scsi_unit_config){0}, &w->u) == 0);
}

static void destroy(struct world *w)
{
	scsi_unit_destroy(w->u);
	block_destroy(w->b);
}

static void save(struct world *w)
{
	struct state_writer sw;

	state_writer_init(&sw, w->state, sizeof(w->state));
	scsi_unit_save(w->u, &sw);
	CHECK(state_writer_ok(&sw));
	w->bytes = sw.used;
}

static bool restore(struct world *w, size_t bytes)
{
	struct state_reader r;

	state_reader_init(&r, w->state, bytes);
	return scsi_unit_restore(w->u, &r);
}

static uint32_t send(struct world *w, uint8_t who, const char *cdb, enum scsi_direction direction,
		     const void *data, size_t bytes)
{
	return rig_send(w->u, &w->c, cdb, direction, data, bytes, who);
}

static uint32_t ready(struct world *w, uint8_t who)
{
	return send(w, who, "00 00 00 00 00 00", NONE, NULL, 0);
}

static uint32_t reserve_out(struct world *w, uint8_t who, unsigned action, uint8_t type,
			    uint64_t key, uint64_t action_key)
{
	char cdb[64];
	uint8_t list[24] = {0};

	snprintf(cdb, sizeof(cdb), "5f %02x %02x 00 00 00 00 00 18 00", action, type);
	store_be64(list, key);
	store_be64(list + 8, action_key);
	return send(w, who, cdb, OUT, list, 24);
}

static void test_disk(struct test *t)
{
	static const char cache_off[24] = {0, 0, 0, 0, 0x08, 18};
	static struct world w;

	make_disk(&w);
	EXPECT_EQ(t, reserve_out(&w, A, 0, 0, 0, 0xa), 0);
	EXPECT_EQ(t, reserve_out(&w, A, 1, 3, 0xa, 0), 0);
	EXPECT_EQ(t, ready(&w, B), 0);
	EXPECT_EQ(t, send(&w, A, "15 10 00 00 18 00", OUT, cache_off, 24), 0);
	save(&w);
	destroy(&w);

	make_disk(&w);
	EXPECT(t, restore(&w, w.bytes));
	/* saved again at once it is the same */
	struct state_writer sw;
	uint8_t again[sizeof(w.state)];

	state_writer_init(&sw, again, sizeof(again));
	scsi_unit_save(w.u, &sw);
	EXPECT_EQ(t, sw.used, w.bytes);
	EXPECT_MEM(t, again, w.state, w.bytes);
	EXPECT_EQ(t, ready(&w, B), 0x062a01);
	EXPECT_EQ(t, ready(&w, B), 0);
	EXPECT_EQ(t, send(&w, B, "28 00 00 00 00 00 00 00 01 00", IN, NULL, 512), RIG_CONFLICT);
	EXPECT_EQ(t, send(&w, A, "28 00 00 00 00 00 00 00 01 00", IN, NULL, 512), 0);
	static const struct rig_row rows[] = {
		{"keys", "5e 00 00 00 00 00 00 00 ff 00", IN, 255, NULL, RIG_GOOD,
		 "00 00 00 01 00 00 00 08 00 00 00 00 00 00 00 0a"},
	};

	rig_rows(t, w.u, &w.c, rows, ARRAY_LEN(rows));
	EXPECT_EQ(t, reserve_out(&w, A, 2, 3, 0xa, 0), 0);
	EXPECT_EQ(t, reserve_out(&w, A, 0, 0, 0xa, 0), 0);
	static const struct rig_row cache_rows[] = {
		{"cache off", "1a 00 08 00 07 00", IN, 255, NULL, RIG_GOOD, "17 00 10 00 08 12 00"},
	};

	rig_rows(t, w.u, &w.c, cache_rows, ARRAY_LEN(cache_rows));
	destroy(&w);
}

static void test_disk_changed_meanwhile(struct test *t)
{
	static struct world w;

	make_disk(&w);
	EXPECT_EQ(t, ready(&w, A), 0);
	save(&w);
	destroy(&w);
	make_disk(&w);
	w.b->info.bytes = 512 * 100;
	EXPECT(t, restore(&w, w.bytes));
	EXPECT_EQ(t, ready(&w, A), 0x062a09);
	destroy(&w);
}

static void make_dvd(struct world *w)
{
	io_context_init(&w->c, NULL);
	w->b = testing_disk(&w->c, 1 << 20, 2048, true);
	CHECK(scsi_dvd_create(NULL, &w->c, &(struct scsi_unit_config){0}, &w->u) == 0);
}

static void test_dvd(struct test *t)
{
	static const struct rig_row rows[] = {
		{"the event is still to be told", "4a 01 00 00 10 00 00 00 08 00", IN, 8, NULL,
		 RIG_GOOD, "00 06 04 10 03 01 00 00"},
	};
	static struct world w;

	make_dvd(&w);
	scsi_dvd_set_medium(w.u, w.b);
	EXPECT_EQ(t, ready(&w, 0), 0);
	EXPECT_EQ(t, send(&w, 0, "1b 00 00 00 02 00", NONE, NULL, 0), 0);
	EXPECT_EQ(t, send(&w, A, "1e 00 00 00 01 00", NONE, NULL, 0), 0);
	save(&w);
	destroy(&w);
	make_dvd(&w);
	EXPECT(t, restore(&w, w.bytes));
	rig_rows(t, w.u, &w.c, rows, ARRAY_LEN(rows));
	EXPECT_EQ(t, ready(&w, 0), 0x023a02);
	EXPECT_EQ(t, send(&w, 0, "1b 00 00 00 02 00", NONE, NULL, 0), 0x055302);
	/* a disk's state is not a drive's */
	struct world *disk = calloc(1, sizeof(*disk));

	CHECK(disk != NULL);
	make_disk(disk);
	memcpy(disk->state, w.state, w.bytes);
	EXPECT(t, !restore(disk, w.bytes));
	destroy(disk);
	free(disk);
	destroy(&w);
}

/* Torn anywhere: refused, and the unit is as before. */
static void test_torn(struct test *t)
{
	static struct world w;

	make_disk(&w);
	EXPECT_EQ(t, reserve_out(&w, A, 0, 0, 0, 0xa), 0);
	EXPECT_EQ(t, reserve_out(&w, A, 1, 3, 0xa, 0), 0);
	save(&w);
	for (size_t bytes = 0; bytes < w.bytes; bytes++) {
		EXPECT(t, !restore(&w, bytes));
		/* also with lengths that fit */
		uint8_t saved[4];

		memcpy(saved, w.state + 8, 4);
		if (bytes >= 12) {
			store_le32(w.state + 8, (uint32_t)(bytes - 12));
			EXPECT(t, !restore(&w, bytes));
		}
		memcpy(w.state + 8, saved, 4);
	}
	EXPECT_EQ(t, send(&w, B, "28 00 00 00 00 00 00 00 01 00", IN, NULL, 512), RIG_CONFLICT);
	EXPECT(t, restore(&w, w.bytes));
	destroy(&w);
}

/* Offsets in the record: header 12, kind 1, count 4, then 31 bytes for each initiator. */
#define COUNT 13
#define NEXUS 17
#define ATTENTIONS (NEXUS + 16)
#define REGISTERED (NEXUS + 20)
#define KEY (NEXUS + 21)
#define PREVENTS (NEXUS + 29)
#define EVENT (NEXUS + 30)
#define SECOND (NEXUS + 31)
#define GENERATION (NEXUS + 62)
#define TYPE (GENERATION + 4)
#define HOLDER (TYPE + 1)
#define LEGACY (HOLDER + 4)
#define WRITE_CACHE (LEGACY + 4)
#define READ_ONLY (WRITE_CACHE + 9)

static void test_impossible(struct test *t)
{
	static const struct {
		const char *what;
		size_t at;
		uint32_t value;
		unsigned bytes;
	} rows[] = {
		{"tag", 0, 1, 1},
		{"version", 4, 2, 2},
		{"kind", 12, 5, 1},
		{"too many initiators", COUNT, SCSI_NEXUSES + 1, 4},
		{"very many initiators", COUNT, UINT32_MAX, 4},
		{"fewer initiators than there are", COUNT, 1, 4},
		{"unknown attention", ATTENTIONS, 1u << SCSI_ATTENTION_COUNT, 4},
		{"registered is 2", REGISTERED, 2, 1},
		{"registered without key", KEY, 0, 1},
		{"key without registration", REGISTERED, 0, 1},
		{"prevents is 2", PREVENTS, 2, 1},
		{"unknown event", EVENT, 4, 1},
		{"the same initiator twice", SECOND, A, 1},
		{"type", TYPE, 2, 1},
		{"type of nothing, with a holder", TYPE, 0, 1},
		{"holder not there", HOLDER, 2, 4},
		{"holder not registered", HOLDER, 1, 4},
		{"RESERVE(6) and registrations", LEGACY, 1, 4},
		{"cache is 2", WRITE_CACHE, 2, 1},
		{"read-only is 2", READ_ONLY, 2, 1},
	};
	static struct world w;

	make_disk(&w);
	EXPECT_EQ(t, reserve_out(&w, A, 0, 0, 0, 0xa0), 0);
	EXPECT_EQ(t, ready(&w, B), 0);
	EXPECT_EQ(t, reserve_out(&w, A, 1, 3, 0xa0, 0), 0);
	save(&w);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t saved[4];

		memcpy(saved, w.state + rows[i].at, 4);
		memcpy(w.state + rows[i].at, &rows[i].value, rows[i].bytes);
		if (restore(&w, w.bytes)) {
			test_fail(t, __FILE__, __LINE__, "%s: accepted", rows[i].what);
		}
		memcpy(w.state + rows[i].at, saved, 4);
	}
	EXPECT(t, restore(&w, w.bytes));
	destroy(&w);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_disk),       TEST(test_disk_changed_meanwhile),
		TEST(test_dvd),	       TEST(test_torn),
		TEST(test_impossible),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
