// SPDX-License-Identifier: Apache-2.0
/* VHDs that are damaged or whose files fail, as their guests see it. */
#include "lib/be.h"
#include "model_test.h"
#include "vhd_layout.h"

static void damage(struct vhd_testing *w, const char *path, uint64_t at)
{
	uint8_t byte;

	storage_file_read(vhd_testing_file(w, path), at, &byte, 1);
	byte ^= 0xff;
	storage_file_write(vhd_testing_file(w, path), at, &byte, 1);
}

static void test_footer_copy(struct test *t)
{
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);
	struct storage_file *f;
	struct model m;
	uint64_t bytes, again;

	EXPECT_EQ(t, create(w, "d.vhd", VHD_VHD_DYNAMIC, 4 * MIB, 0, NULL), 0);
	EXPECT(t, start_model(&m, w, "d.vhd", 4 * MIB));
	exercise(&m, 3);
	vhd_close(m.disk);
	f = vhd_testing_file(w, "d.vhd");
	storage_file_get_size(f, &bytes);
	damage(w, "d.vhd", bytes - 1); /* the end: repaired when it is opened for writing */
	m.disk = open_disk(w, "d.vhd", 0);
	check_all(t, &m);
	reopen(t, &m, "d.vhd");
	check_all(t, &m);
	vhd_close(m.disk);
	storage_file_get_size(f, &again);
	EXPECT_EQ(t, again, bytes);
	damage(w, "d.vhd", 100); /* the copy */
	m.disk = open_disk(w, "d.vhd", VHD_OPEN_WRITE);
	check_all(t, &m);
	vhd_close(m.disk);
	damage(w, "d.vhd", bytes - 1);
	m.disk = open_disk(w, "d.vhd", 0);
	EXPECT(t, m.disk != NULL);
	check_all(t, &m);
	vhd_close(m.disk);
	/* Cut off in the middle of an allocation. */
	storage_file_set_size(f, bytes - 512 + 100000);
	m.disk = open_disk(w, "d.vhd", VHD_OPEN_WRITE);
	check_all(t, &m);
	vhd_close(m.disk);
	storage_file_get_size(f, &again);
	EXPECT_EQ(t, again, bytes);
	EXPECT_EQ(t, m.errors, 0);
	free(m.bytes);
	vhd_testing_destroy(w);
}

/* Writers before Virtual PC 2004 left the last byte out. */
static void test_short_footer(struct test *t)
{
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);
	struct model m;
	uint64_t bytes;

	EXPECT_EQ(t, create(w, "f.vhd", VHD_VHD_FIXED, 2 * MIB, 0, NULL), 0);
	EXPECT_EQ(t, create(w, "d.vhd", VHD_VHD_DYNAMIC, 2 * MIB, 0, NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		const char *path = i == 0 ? "f.vhd" : "d.vhd";

		storage_file_get_size(vhd_testing_file(w, path), &bytes);
		storage_file_set_size(vhd_testing_file(w, path), bytes - 1);
		EXPECT(t, start_model(&m, w, path, 2 * MIB));
		exercise(&m, 5);
		reopen(t, &m, path);
		check_all(t, &m);
		vhd_close(m.disk);
		EXPECT_EQ(t, m.errors, 0);
		free(m.bytes);
	}
	vhd_testing_destroy(w);
}

static void set_bat(struct vhd_testing *w, const char *path, uint64_t block, uint32_t entry)
{
	uint8_t raw[4];

	store_be32(raw, entry);
	storage_file_write(vhd_testing_file(w, path), 1536 + block * 4, raw, 4);
}

static void test_bad_bat(struct test *t)
{
	static const struct {
		uint32_t first, second;
		int status;
	} rows[] = {
		{0, VHD_BAT_UNUSED, VHD_CORRUPT},
		{3, VHD_BAT_UNUSED, VHD_CORRUPT},
		{4, VHD_BAT_UNUSED, 0},
		{5000, VHD_BAT_UNUSED, VHD_TRUNCATED},
		{4, 4, VHD_CORRUPT},
		{4, 4 + 4096, VHD_CORRUPT},
		{4, 4 + 4097, 0},
		{4 + 4096, 4, VHD_CORRUPT},
		{0xfffffffe, 4, VHD_TRUNCATED},
	};
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);
	struct vhd_footer footer;
	uint8_t raw[VHD_FOOTER_BYTES];
	char text[VHD_FAULT_BYTES];

	EXPECT_EQ(t, create(w, "d.vhd", VHD_VHD_DYNAMIC, 8 * MIB, 0, NULL), 0);
	storage_file_read(vhd_testing_file(w, "d.vhd"), 0, raw, sizeof(raw));
	EXPECT(t, vhd_footer_decode(raw, &footer, text) == NULL);
	storage_file_set_size(vhd_testing_file(w, "d.vhd"), (4 + 2 * 4097 - 2) * 512);
	storage_file_set_size(vhd_testing_file(w, "d.vhd"), (4 + 2 * 4097) * 512);
	storage_file_write(vhd_testing_file(w, "d.vhd"), (4 + 2 * 4097) * 512, raw, sizeof(raw));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct vhd_error error = {0};

		set_bat(w, "d.vhd", 0, rows[i].first);
		set_bat(w, "d.vhd", 2, rows[i].second);
		EXPECT_EQ(t, open_status(w, "d.vhd", 0, &error), rows[i].status);
		EXPECT(t, rows[i].status == 0 || strstr(error.text, "BAT") != NULL);
	}
	vhd_testing_destroy(w);
}

static void test_not_a_disk(struct test *t)
{
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);
	struct vhd_error error = {0};
	uint8_t junk[2048] = {1};
	struct vhd_disk *d;

	vhd_testing_add(w, "junk", junk, sizeof(junk));
	vhd_testing_add(w, "empty", junk, 0);
	EXPECT_EQ(t, open_status(w, "junk", 0, &error), VHD_NOT_A_DISK);
	EXPECT_EQ(t, open_status(w, "empty", 0, &error), VHD_NOT_A_DISK);
	EXPECT_EQ(t, open_status(w, "missing", 0, &error), (uint64_t)-ENOENT);
	d = open_disk(w, "junk", VHD_OPEN_RAW);
	EXPECT(t, d != NULL && vhd_block(d)->info.bytes == 2048);
	vhd_close(d);
	memcpy(junk, VHD_FOOTER_COOKIE, 8);
	vhd_testing_add(w, "junk", junk, sizeof(junk));
	EXPECT_EQ(t, open_status(w, "junk", 0, &error), VHD_CORRUPT);
	EXPECT(t, strstr(error.text, "checksum") != NULL);
	vhd_testing_destroy(w);
}

/* What a guest writes at the start of a fixed disk must not make it another format. */
static void test_claims(struct test *t)
{
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);
	const struct vhd_host *h = host_of(w);
	struct vhd_error error = {0};

	EXPECT_EQ(t, create(w, "f.vhd", VHD_VHD_FIXED, 2 * MIB, 0, NULL), 0);
	storage_file_write(vhd_testing_file(w, "f.vhd"), 0, "vhdxfile", 8);
	EXPECT_EQ(t, open_status(w, "f.vhd", 0, &error), 0);
	h->rename(h->ctx, "f.vhd", "f.img");
	EXPECT_EQ(t, open_status(w, "f.img", 0, &error), VHD_NOT_A_DISK);
	vhd_testing_destroy(w);
}

/* ---- Failing files ---- */

struct trouble {
	uint64_t first, bytes; /* of the file */
	uint32_t ops;
	int error;
	unsigned hits;
};

static int make_trouble(void *ctx, const char *path, const struct io_request *r)
{
	struct trouble *x = ctx;

	(void)path;
	if (!(x->ops & 1u << r->op) || r->offset >= x->first + x->bytes ||
	    r->offset + r->bytes <= x->first) {
		return 0;
	}
	x->hits++;
	return x->error;
}

static void test_no_space(struct test *t)
{
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);
	struct trouble x = {
		.first = 2048, .bytes = UINT64_MAX / 2, .ops = 1u << IO_WRITE, .error = -ENOSPC};
	struct vhd_testing_hook hook = {.before = make_trouble, .ctx = &x}, none = {0};
	uint8_t buf[4096], back[4096];
	struct vhd_disk *d;

	memset(buf, 0x77, sizeof(buf));
	EXPECT_EQ(t, create(w, "d.vhd", VHD_VHD_DYNAMIC, 16 * MIB, 0, NULL), 0);
	d = open_disk(w, "d.vhd", VHD_OPEN_WRITE);
	vhd_testing_set_hook(w, &hook);
	for (unsigned i = 0; i < 3; i++) {
		EXPECT_EQ(t, block_write(vhd_block(d), i * 4 * MIB, buf, sizeof(buf)),
			  (uint64_t)-ENOSPC);
	}
	EXPECT(t, x.hits >= 3 && !vhd_block(d)->info.read_only);
	EXPECT_EQ(t, block_flush(vhd_block(d)), (uint64_t)-ENOSPC);
	EXPECT_EQ(t, block_read(vhd_block(d), 0, back, sizeof(back)), 0);
	EXPECT_EQ(t, back[0], 0);
	/* With space again everything goes on. */
	vhd_testing_set_hook(w, &none);
	EXPECT_EQ(t, block_write(vhd_block(d), 8 * MIB + 8192, buf, sizeof(buf)), 0);
	EXPECT_EQ(t, block_flush(vhd_block(d)), 0);
	EXPECT_EQ(t, vhd_close(d), 0);
	d = open_disk(w, "d.vhd", VHD_OPEN_WRITE);
	EXPECT_EQ(t, block_read(vhd_block(d), 8 * MIB, back, sizeof(back)), 0);
	EXPECT_EQ(t, back[0], 0);
	EXPECT_EQ(t, block_read(vhd_block(d), 8 * MIB + 8192, back, sizeof(back)), 0);
	EXPECT_MEM(t, back, buf, sizeof(back));
	EXPECT_EQ(t, vhd_close(d), 0);
	vhd_testing_destroy(w);
}

static void test_metadata_error(struct test *t)
{
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);
	struct trouble x = {.first = 1536, .bytes = 512, .ops = 1u << IO_WRITE, .error = -EIO};
	struct vhd_testing_hook hook = {.before = make_trouble, .ctx = &x}, none = {0};
	uint8_t buf[512] = {1}, back[512];
	struct vhd_disk *d;

	EXPECT_EQ(t, create(w, "d.vhd", VHD_VHD_DYNAMIC, 16 * MIB, 0, NULL), 0);
	d = open_disk(w, "d.vhd", VHD_OPEN_WRITE);
	vhd_testing_set_hook(w, &hook);
	EXPECT_EQ(t, block_write(vhd_block(d), 0, buf, sizeof(buf)), 0);
	EXPECT_EQ(t, block_flush(vhd_block(d)), (uint64_t)-EIO);
	vhd_testing_set_hook(w, &none);
	/* It stays so. */
	EXPECT(t, vhd_block(d)->info.read_only);
	EXPECT_EQ(t, block_write(vhd_block(d), 0, buf, sizeof(buf)), (uint64_t)-EROFS);
	EXPECT_EQ(t, block_flush(vhd_block(d)), (uint64_t)-EIO);
	EXPECT_EQ(t, block_read(vhd_block(d), 0, back, sizeof(back)), 0);
	EXPECT_MEM(t, back, buf, sizeof(back));
	EXPECT_EQ(t, vhd_close(d), (uint64_t)-EIO);
	vhd_testing_destroy(w);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_footer_copy),   TEST(test_short_footer),
						 TEST(test_bad_bat),	   TEST(test_not_a_disk),
						 TEST(test_claims),	   TEST(test_no_space),
						 TEST(test_metadata_error)};

	return test_main(cases, ARRAY_LEN(cases));
}
