// SPDX-License-Identifier: Apache-2.0
/* What a disk says when it is not well, or not what it was: read-only, errors of the host, cache, size. */
#include "scsi_disk_test.h"

static void test_read_only(struct test *t)
{
	static const struct rig_row rows[] = {
		{"WRITE(10)", "2a 00 00 00 00 00 00 00 01 00", OUT, 512, NULL, 0x072700, ""},
		{"WRITE(10) of nothing", "2a 00 00 00 00 00 00 00 00 00", OUT, 0, NULL, 0x072700,
		 ""},
		{"WRITE AND VERIFY", "2e 02 00 00 00 00 00 00 01 00", OUT, 512, NULL, 0x072700, ""},
		{"WRITE SAME", "41 00 00 00 00 00 00 00 01 00", OUT, 512, NULL, 0x072700, ""},
		{"UNMAP", "42 00 00 00 00 00 00 00 18 00", OUT, 24, NULL, 0x072700, ""},
		{"READ(10)", "28 00 00 00 00 00 00 00 01 00", IN, 512, NULL, RIG_GOOD, NULL},
		{"SYNCHRONIZE CACHE", "35 00 00 00 00 00 00 00 00 00", NONE, 0, NULL, RIG_GOOD, ""},
		{"MODE SENSE says so", "1a 00 08 00 04 00", IN, 4, NULL, RIG_GOOD, "17 00 90 00"},
	};
	struct world w;

	world_init(&w, 512, true);
	rig_rows(t, w.u, &w.c, rows, ARRAY_LEN(rows));
	world_fini(&w);
}

/* Each of the host's errors becomes its sense, for each operation. */
static void test_host_errors(struct test *t)
{
	static const struct {
		int error;
		uint32_t read, write, flush, discard, same;
	} rows[] = {
		{-EIO, 0x031100, 0x030c00, 0x030c00, 0x030c00, 0x030c00},
		{-ENODATA, 0x031100, 0x030c00, 0x030c00, 0x030c00, 0x030c00},
		{-ENOSPC, 0x072707, 0x072707, 0x072707, 0x072707, 0x072707},
		{-EROFS, 0x072700, 0x072700, 0x072700, 0x072700, 0x072700},
		{-EINVAL, 0x052100, 0x052100, 0x052100, 0x052100, 0x052100},
		{-ENOMEM, RIG_BUSY, RIG_BUSY, RIG_BUSY, RIG_BUSY, RIG_BUSY},
		{-ECANCELED, 0x0b0000, 0x0b0000, 0x0b0000, 0x0b0000, 0x0b0000},
		{-EPERM, 0x044400, 0x044400, 0x044400, 0x044400, 0x044400},
	};
	static const uint8_t zeros[512], unmap[24] = {0, 22, 0, 16, [16 + 3] = 8};
	const struct scsi_unit_config config = {0};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		const struct block_error_rule rule = {~0u, 0, 0, 0, UINT64_MAX, rows[i].error};
		struct io_context c;
		struct block_device *b;
		struct scsi_unit *u;

		io_context_init(&c, NULL);
		EXPECT_EQ(t,
			  block_error_create(testing_disk(&c, 1 << 20, 512, false), &rule, 1, &b),
			  0);
		EXPECT_EQ(t, scsi_disk_create(b, &config, &u), 0);
		EXPECT_EQ(t, rig_send(u, &c, "28 00 00 00 00 00 00 00 01 00", IN, NULL, 512, 0),
			  rows[i].read);
		EXPECT_EQ(t, rig_send(u, &c, "2f 00 00 00 00 00 00 00 01 00", NONE, NULL, 0, 0),
			  rows[i].read);
		EXPECT_EQ(t, rig_send(u, &c, "2a 00 00 00 00 00 00 00 01 00", OUT, NULL, 512, 0),
			  rows[i].write);
		EXPECT_EQ(t, rig_send(u, &c, "2e 02 00 00 00 00 00 00 01 00", OUT, NULL, 512, 0),
			  rows[i].write);
		EXPECT_EQ(t, rig_send(u, &c, "35 00 00 00 00 00 00 00 00 00", NONE, NULL, 0, 0),
			  rows[i].flush);
		EXPECT_EQ(t, rig_send(u, &c, "42 00 00 00 00 00 00 00 18 00", OUT, unmap, 24, 0),
			  rows[i].discard);
		EXPECT_EQ(t, rig_send(u, &c, "41 00 00 00 00 00 00 00 01 00", OUT, zeros, 512, 0),
			  rows[i].same);
		EXPECT_EQ(t, rig_send(u, &c, "41 00 00 00 00 00 00 00 01 00", OUT, NULL, 512, 0),
			  rows[i].same);
		scsi_unit_destroy(u);
		block_destroy(b);
	}
}

/* The one who looks at flags: FUA from the command, or because the cache is off. */
struct flags_seen {
	uint32_t write, zero;
	unsigned flushes;
};

static void flags_line(void *ctx, const char *text)
{
	struct flags_seen *s = ctx;
	uint32_t fua = strstr(text, "fua") != NULL ? IO_FUA : 0;
	uint32_t unmap = strstr(text, "unmap") != NULL ? IO_UNMAP : 0;

	if (strncmp(text, "write", 5) == 0) {
		s->write = fua;
	} else if (strncmp(text, "zero", 4) == 0) {
		s->zero = fua | unmap;
	} else if (strncmp(text, "flush", 5) == 0) {
		s->flushes++;
	}
}

static void test_write_cache(struct test *t)
{
	static const char cache_off[] = {0, 0, 0, 0, 0x08, 18, [24] = 0};
	static const uint8_t zeros[512];
	const struct scsi_unit_config config = {0};
	struct flags_seen seen = {0};
	const struct block_log log = {.line = flags_line, .ctx = &seen};
	struct io_context c;
	struct block_device *b;
	struct scsi_unit *u;

	io_context_init(&c, NULL);
	EXPECT_EQ(t, block_log_create(testing_disk(&c, 1 << 20, 512, false), &log, &b), 0);
	EXPECT_EQ(t, scsi_disk_create(b, &config, &u), 0);
	EXPECT_EQ(t, rig_send(u, &c, "2a 00 00 00 00 00 00 00 01 00", OUT, NULL, 512, 0), 0);
	EXPECT_EQ(t, seen.write, 0);
	EXPECT_EQ(t, rig_send(u, &c, "2a 08 00 00 00 00 00 00 01 00", OUT, NULL, 512, 0), 0);
	EXPECT_EQ(t, seen.write, IO_FUA);
	EXPECT_EQ(t, rig_send(u, &c, "00 00 00 00 00 00", NONE, NULL, 0, 1), 0);
	EXPECT_EQ(t, rig_send(u, &c, "15 10 00 00 18 00", OUT, cache_off, 24, 0), 0);
	EXPECT_EQ(t, seen.flushes, 1);
	EXPECT_EQ(t, rig_send(u, &c, "2a 00 00 00 00 00 00 00 01 00", OUT, NULL, 512, 0), 0);
	EXPECT_EQ(t, seen.write, IO_FUA);
	EXPECT_EQ(t, rig_send(u, &c, "41 08 00 00 00 00 00 00 01 00", OUT, zeros, 512, 0), 0);
	EXPECT_EQ(t, seen.zero, IO_FUA | IO_UNMAP);
	/* others are told, who did it is not */
	EXPECT_EQ(t, rig_send(u, &c, "00 00 00 00 00 00", NONE, NULL, 0, 0), 0);
	EXPECT_EQ(t, rig_send(u, &c, "00 00 00 00 00 00", NONE, NULL, 0, 1), 0x062a01);
	EXPECT_EQ(t, rig_send(u, &c, "00 00 00 00 00 00", NONE, NULL, 0, 1), 0);
	/* a reset turns it on again */
	scsi_unit_reset(u);
	EXPECT_EQ(t, rig_send(u, &c, "2a 00 00 00 00 00 00 00 01 00", OUT, NULL, 512, 0), 0x062900);
	EXPECT_EQ(t, rig_send(u, &c, "2a 00 00 00 00 00 00 00 01 00", OUT, NULL, 512, 0), 0);
	EXPECT_EQ(t, seen.write, 0);
	scsi_unit_destroy(u);
	block_destroy(b);
}

static void test_capacity_changes(struct test *t)
{
	static const char inquiry[] = "12 00 00 00 24 00";
	struct world w;
	uint8_t sense[18];
	struct rig_command r;

	world_init(&w, 512, false);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "00 00 00 00 00 00", NONE, NULL, 0, 1), 0);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "00 00 00 00 00 00", NONE, NULL, 0, 2), 0);
	w.b->info.bytes = 100 * 512;
	block_changed(w.b);
	/* INQUIRY and REPORT LUNS answer, and leave it pending */
	EXPECT_EQ(t, rig_send(w.u, &w.c, inquiry, IN, NULL, 36, 1), 0);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "28 00 00 00 00 00 00 00 01 00", IN, NULL, 512, 1),
		  0x062a09);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "28 00 00 00 00 00 00 00 01 00", IN, NULL, 512, 1), 0);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "28 00 00 00 00 64 00 00 01 00", IN, NULL, 512, 1),
		  0x052100);
	/* REQUEST SENSE takes it as data */
	rig_prepare(&r, "03 00 00 00 12 00", IN, 18, 2);
	rig_run(w.u, &w.c, &r);
	memcpy(sense, r.data, 18);
	EXPECT_EQ(t, rig_result(&r), 0);
	EXPECT_EQ(t, (uint32_t)sense[2] << 16 | (uint32_t)sense[12] << 8 | sense[13], 0x062a09);
	rig_free(&r);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "00 00 00 00 00 00", NONE, NULL, 0, 2), 0);
	/* nothing changed: nothing to tell; write protection: mode parameters */
	block_changed(w.b);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "00 00 00 00 00 00", NONE, NULL, 0, 2), 0);
	w.b->info.read_only = true;
	block_changed(w.b);
	EXPECT_EQ(t, rig_send(w.u, &w.c, "00 00 00 00 00 00", NONE, NULL, 0, 2), 0x062a01);
	/* a disk without blocks has no last one */
	w.b->info.bytes = 0;
	EXPECT_EQ(t, rig_send(w.u, &w.c, "25 00 00 00 00 00 00 00 00 00", IN, NULL, 8, 3),
		  0x023a00);
	EXPECT_EQ(t,
		  rig_send(w.u, &w.c, "9e 10 00 00 00 00 00 00 00 00 00 00 00 20 00 00", IN, NULL,
			   32, 3),
		  0x023a00);
	world_fini(&w);
}

static void test_large_disk(struct test *t)
{
	static const struct rig_row rows[] = {
		{"READ CAPACITY(10) cannot say", "25 00 00 00 00 00 00 00 00 00", IN, 8, NULL,
		 RIG_GOOD, "ff ff ff ff 00 00 02 00"},
		{"READ CAPACITY(16) can", "9e 10 00 00 00 00 00 00 00 00 00 00 00 0c 00 00", IN, 12,
		 NULL, RIG_GOOD, "00 00 00 1f ff ff ff ff 00 00 02 00"},
		{"WRITE(16) far out", "8a 00 00 00 00 1f ff ff ff ff 00 00 00 01 00 00", OUT, 512,
		 NULL, RIG_GOOD, NULL},
		{"READ(16) far out", "88 00 00 00 00 1f ff ff ff ff 00 00 00 01 00 00", IN, 512,
		 NULL, RIG_GOOD, NULL},
	};
	const struct scsi_unit_config config = {0};
	struct io_context c;
	struct scsi_unit *u;

	io_context_init(&c, NULL);
	struct block_device *b = testing_disk(&c, UINT64_C(64) << 40, 512, false);

	EXPECT_EQ(t, scsi_disk_create(b, &config, &u), 0);
	rig_rows(t, u, &c, rows, ARRAY_LEN(rows));
	scsi_unit_destroy(u);
	block_destroy(b);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_read_only),	     TEST(test_host_errors), TEST(test_write_cache),
		TEST(test_capacity_changes), TEST(test_large_disk),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
