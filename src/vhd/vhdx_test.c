// SPDX-License-Identifier: Apache-2.0
/* VHDXs through the public interface: against a flat model in memory, with crashes, and with files that fail. */
#include "check_test.h"
#include "vhdx_format.h"

#undef KIB
#undef MIB
#include "model_test.h"

#define DISK (8 * MIB)

static const struct vhd_create dynamic = {
	.format = VHD_VHDX_DYNAMIC, .bytes = DISK, .block_bytes = MIB};

/* ---- Against a model ---- */

static void test_fixed(struct test *t)
{
	run_kind(t, VHD_VHDX_FIXED, 5 * MIB + 512, MIB);
}

static void test_dynamic(struct test *t)
{
	static const uint64_t blocks[] = {MIB, 2 * MIB, 32 * MIB, 256 * MIB};

	for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
		run_kind(t, VHD_VHDX_DYNAMIC, 5 * MIB + 512, blocks[i]);
	}
}

static void test_large_sectors(struct test *t)
{
	const struct vhd_create c = {.format = VHD_VHDX_DYNAMIC,
				     .bytes = 6 * MIB,
				     .block_bytes = MIB,
				     .sector_bytes = 4096};

	run_create(t, &c);
}

/* Three deep, every file with data of its own, block sizes mixed. */
static void chain(struct test *t, uint32_t sector_bytes)
{
	static const char *const paths[] = {"a/base.vhdx", "a/b/middle.avhdx", "a/top.avhdx",
					    "leaf.vhdx"};
	static const uint64_t blocks[] = {2 * MIB, MIB, 4 * MIB, MIB};
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);
	struct model m = {.bytes = NULL};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		const struct vhd_create c = {.format = i == 0 ? VHD_VHDX_DYNAMIC
							      : VHD_VHDX_DIFFERENCING,
					     .bytes = i == 0 ? 6 * MIB : 0,
					     .block_bytes = blocks[i],
					     .sector_bytes = i == 0 ? sector_bytes : 0,
					     .parent = i == 0 ? NULL : paths[i - 1]};
		struct vhd_error error;
		uint8_t *kept = m.bytes;

		EXPECT_EQ(t, vhd_create(host_of(w), paths[i], &c, &error), 0);
		if (!start_model(&m, w, paths[i], 6 * MIB)) {
			EXPECT(t, false);
			break;
		}
		if (kept != NULL) {
			memcpy(m.bytes, kept, m.size);
			free(kept);
		}
		m.random += i;
		check_all(t, &m);
		exercise(&m, 25);
		check_all(t, &m);
		reopen(t, &m, paths[i]);
		check_all(t, &m);
		EXPECT(t, vhd_ancestor(m.disk, (unsigned)i) != NULL);
		EXPECT(t, vhd_ancestor(m.disk, (unsigned)i + 1) == NULL);
		EXPECT_EQ(t, vhd_close(m.disk), 0);
	}
	EXPECT_EQ(t, m.errors, 0);
	free(m.bytes);
	vhd_testing_destroy(w);
}

static void test_chain(struct test *t)
{
	chain(t, 512);
	chain(t, 4096);
}

/* ---- Crashes ---- */

static void write_now(struct lab *l, struct vhd_disk *d, uint64_t offset, size_t bytes,
		      uint32_t seed)
{
	lab_fill(l->buf, offset, seed, bytes);
	LAB_EXPECT(l, block_write(vhd_block(d), offset, l->buf, bytes), 0);
}

struct waiting {
	struct io_request r;
	bool done;
	int result;
};

static void waited(struct io_request *r, int result)
{
	struct waiting *w = r->ctx;

	w->done = true;
	w->result = result;
}

static int zero_fua(struct lab *l, struct vhd_disk *d, uint64_t offset, uint64_t bytes)
{
	struct waiting w = {.r = {.op = IO_ZERO,
				  .flags = IO_FUA,
				  .offset = offset,
				  .bytes = bytes,
				  .done = waited}};

	w.r.ctx = &w;
	block_submit(vhd_block(d), &w.r);
	while (!w.done) {
		io_poll(vhd_testing_context(l->files), true, UINT64_MAX);
	}
	return w.result;
}

/* Zeros that are promised stay, also where the block had been freed but nothing was flushed since. */
static void test_zero_fua_in_freed_block(struct test *t)
{
	const struct lab_write kept = {0, MIB, 1};
	struct vhd_disk *d;
	struct lab l;

	lab_init(&l, t);
	lab_create(&l, "a.vhdx", &dynamic);
	lab_write(&l, "a.vhdx", 0, 2 * MIB, 1);
	d = lab_open(&l, "a.vhdx", VHD_OPEN_WRITE);
	EXPECT_EQ(t, block_zero(vhd_block(d), MIB, MIB, true), 0);
	EXPECT_EQ(t, zero_fua(&l, d, MIB + 4096, 8192), 0);
	copy_file(&l, "a.vhdx", "crashed.vhdx");
	lab_close(&l, d);
	lab_verify(&l, "crashed.vhdx", &kept, 1);
	lab_fini(&l);
}

static void headers_of(struct lab *l, const char *path, struct vhdx_header ret[2])
{
	uint8_t page[VHDX_PAGE];

	for (unsigned i = 0; i < 2; i++) {
		peek(l, path, VHDX_HEADER_OFFSET(i), page, sizeof(page));
		EXPECT(l->test, vhdx_header_decode(page, &ret[i]));
	}
}

/* Either header alone tells whether there is a log to replay. */
static void test_lost_header(struct test *t)
{
	const struct lab_write writes[] = {{0, 3 * MIB, 1}, {5 * MIB, 4096, 2}};

	for (unsigned slot = 0; slot < 2; slot++) {
		struct vhdx_header h[2];
		struct vhd_disk *d;
		struct lab l;

		lab_init(&l, t);
		lab_create(&l, "a.vhdx", &dynamic);
		lab_write(&l, "a.vhdx", 0, 3 * MIB, 1);
		d = lab_open(&l, "a.vhdx", VHD_OPEN_WRITE);
		write_now(&l, d, 5 * MIB, 4096, 2);
		EXPECT_EQ(t, block_flush(vhd_block(d)), 0);
		copy_file(&l, "a.vhdx", "crashed.vhdx");
		lab_close(&l, d);
		headers_of(&l, "crashed.vhdx", h);
		EXPECT(t, !guid_is_zero(&h[0].log) && guid_equal(&h[0].log, &h[1].log));
		headers_of(&l, "a.vhdx", h);
		EXPECT(t, guid_is_zero(&h[0].log) && guid_is_zero(&h[1].log));
		wipe(&l, "a.vhdx", VHDX_HEADER_OFFSET(slot), VHDX_PAGE);
		wipe(&l, "crashed.vhdx", VHDX_HEADER_OFFSET(slot), VHDX_PAGE);
		lab_verify(&l, "a.vhdx", writes, 2);
		lab_verify(&l, "crashed.vhdx", writes, 2);
		lab_fini(&l);
	}
}

/* ---- Flushes ---- */

struct counter {
	unsigned flushes;
};

static int count_flushes(void *ctx, const char *path, const struct io_request *r)
{
	struct counter *c = ctx;

	c->flushes += r->op == IO_FLUSH;
	return 0;
}

static void test_group_commit(struct test *t)
{
	const struct vhd_create create = {
		.format = VHD_VHDX_DYNAMIC, .bytes = 512 * MIB, .block_bytes = MIB};
	struct counter c = {0};
	struct vhd_testing_hook hook = {.before = count_flushes, .ctx = &c}, none = {0};
	struct vhd_disk *d;
	struct lab l;

	lab_init(&l, t);
	lab_create(&l, "a.vhdx", &create);
	d = lab_open(&l, "a.vhdx", VHD_OPEN_WRITE);
	write_now(&l, d, 0, 4096, 1);
	EXPECT_EQ(t, block_flush(vhd_block(d)), 0);
	vhd_testing_set_hook(l.files, &hook);
	for (unsigned round = 0; round < 3; round++) {
		c.flushes = 0;
		for (unsigned i = 1; i <= 100; i++) {
			write_now(&l, d, (round * 100 + i) * MIB, 4096, i);
		}
		EXPECT_EQ(t, c.flushes, 0);
		EXPECT_EQ(t, block_flush(vhd_block(d)), 0);
		EXPECT(t, c.flushes >= 1 && c.flushes <= 2); /* the data, perhaps; the log */
	}
	vhd_testing_set_hook(l.files, &none);
	lab_close(&l, d);
	lab_fini(&l);
}

/* ---- Files that fail ---- */

/* Without space a write that needs some fails, and everything else goes on. */
static void test_no_space(struct test *t)
{
	uint8_t buf[4096], back[4096];
	struct vhd_disk *d;
	unsigned room = 0;
	struct lab l;

	lab_init(&l, t);
	vhd_testing_destroy(l.files);
	l.files = vhd_testing_create(9 * MIB); /* 4 are metadata */
	l.host = vhd_testing_host(l.files);
	lab_create(&l, "a.vhdx", &dynamic);
	d = lab_open(&l, "a.vhdx", VHD_OPEN_WRITE);
	memset(buf, 0x55, sizeof(buf));
	while (room < 8 && block_write(vhd_block(d), room * MIB, buf, sizeof(buf)) == 0) {
		room++;
	}
	EXPECT(t, room >= 4 && room < 8);
	EXPECT_EQ(t, block_write(vhd_block(d), 7 * MIB, buf, sizeof(buf)), -ENOSPC);
	EXPECT(t, !vhd_block(d)->info.read_only);
	EXPECT_EQ(t, block_flush(vhd_block(d)), 0);
	EXPECT_EQ(t, block_read(vhd_block(d), 7 * MIB, back, sizeof(back)), 0);
	EXPECT_EQ(t, back[0], 0);
	EXPECT_EQ(t, block_write(vhd_block(d), 8192, buf, sizeof(buf)), 0);
	/* What the guest gives back can be used again. */
	EXPECT_EQ(t, block_zero(vhd_block(d), MIB, MIB, true), 0);
	for (unsigned i = 0; i < 3; i++) {
		EXPECT_EQ(t, block_flush(vhd_block(d)), 0);
	}
	EXPECT_EQ(t, block_write(vhd_block(d), 7 * MIB, buf, sizeof(buf)), 0);
	lab_close(&l, d);
	d = lab_open(&l, "a.vhdx", 0);
	EXPECT_EQ(t, block_read(vhd_block(d), 7 * MIB, back, sizeof(back)), 0);
	EXPECT_MEM(t, back, buf, sizeof(back));
	EXPECT_EQ(t, block_read(vhd_block(d), MIB, back, sizeof(back)), 0);
	EXPECT_EQ(t, back[0], 0);
	lab_close(&l, d);
	EXPECT_EQ(t, lab_check_clean(&l, "a.vhdx"), 0);
	lab_fini(&l);
}

static int fail_log_writes(void *ctx, const char *path, const struct io_request *r)
{
	/* The log is the first thing behind the headers. */
	return r->op == IO_WRITE && r->offset >= MIB && r->offset < 2 * MIB ? -EIO : 0;
}

/* Metadata that cannot be written: the disk becomes read-only, says so, and keeps what was promised before. */
static void test_log_error(struct test *t)
{
	const struct lab_write promised = {0, 2 * MIB, 1};
	struct vhd_testing_hook hook = {.before = fail_log_writes}, none = {0};
	struct vhd_disk *d;
	struct lab l;

	lab_init(&l, t);
	lab_create(&l, "a.vhdx", &dynamic);
	lab_write(&l, "a.vhdx", 0, 2 * MIB, 1);
	d = lab_open(&l, "a.vhdx", VHD_OPEN_WRITE);
	vhd_testing_set_hook(l.files, &hook);
	write_now(&l, d, 5 * MIB, 4096, 2);
	EXPECT_EQ(t, block_flush(vhd_block(d)), -EIO);
	vhd_testing_set_hook(l.files, &none);
	EXPECT(t, vhd_block(d)->info.read_only);
	EXPECT_EQ(t, block_write(vhd_block(d), 6 * MIB, l.buf, 4096), -EROFS);
	EXPECT(t, block_flush(vhd_block(d)) != 0);
	EXPECT_EQ(t, block_read(vhd_block(d), 0, l.buf, 4096), 0);
	EXPECT(t, vhd_close(d) != 0);
	lab_verify(&l, "a.vhdx", &promised, 1);
	EXPECT(t, lab_check_clean(&l, "a.vhdx") <= 1); /* at most space that nobody uses */
	lab_fini(&l);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_fixed),
		TEST(test_dynamic),
		TEST(test_large_sectors),
		TEST(test_chain),
		TEST(test_zero_fua_in_freed_block),
		TEST(test_lost_header),
		TEST(test_group_commit),
		TEST(test_no_space),
		TEST(test_log_error),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
