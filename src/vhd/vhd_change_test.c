// SPDX-License-Identifier: Apache-2.0
/* Changes of VHDs: resize, compact, reconnect; and the map. */
#include "model_test.h"
#include "vhd_layout.h"

static void test_resize(struct test *t)
{
	resize_kind(t, VHD_VHD_FIXED, 0);
	resize_kind(t, VHD_VHD_DYNAMIC, 4096);
	resize_kind(t, VHD_VHD_DYNAMIC, 64 * KIB);
	resize_kind(t, VHD_VHD_DYNAMIC, 2 * MIB);
}

static void test_shrink(struct test *t)
{
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);
	uint8_t buf[512] = {9}, back[512];
	struct vhd_disk *d;

	EXPECT_EQ(t, create(w, "d.vhd", VHD_VHD_DYNAMIC, 64 * MIB, 0, NULL), 0);
	d = open_disk(w, "d.vhd", VHD_OPEN_WRITE);
	EXPECT_EQ(t, block_write(vhd_block(d), 10 * MIB, buf, sizeof(buf)), 0);
	EXPECT_EQ(t, resize(d, 8 * MIB), VHD_WOULD_TRUNCATE);
	EXPECT_EQ(t, resize(d, 12 * MIB), 0);
	vhd_close(d);
	d = open_disk(w, "d.vhd", VHD_OPEN_WRITE);
	EXPECT_EQ(t, vhd_block(d)->info.bytes, 12 * MIB);
	EXPECT_EQ(t, block_read(vhd_block(d), 10 * MIB, back, sizeof(back)), 0);
	EXPECT_MEM(t, back, buf, sizeof(back));
	EXPECT_EQ(t, resize(d, VHD_BYTES_MAX + 512), VHD_INVALID_ARGUMENT);
	vhd_close(d);
	vhd_testing_destroy(w);
}

static void test_compact(struct test *t)
{
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);
	struct vhd_error error = {0};
	struct vhd_job *j = NULL;
	struct model m;
	uint64_t before, after;

	EXPECT_EQ(t, create(w, "d.vhd", VHD_VHD_DYNAMIC, 8 * MIB, 64 * KIB, NULL), 0);
	EXPECT(t, start_model(&m, w, "d.vhd", 8 * MIB));
	exercise(&m, 60);
	send(&m, IO_ZERO, 1024, 4096);
	drain(&m);
	storage_file_get_size(vhd_testing_file(w, "d.vhd"), &before);
	EXPECT_EQ(t, vhd_compact(m.disk, &j, &error), 0);
	EXPECT_EQ(t, finish_job(j), 0);
	check_all(t, &m);
	storage_file_get_size(vhd_testing_file(w, "d.vhd"), &after);
	EXPECT(t, after < before);
	reopen(t, &m, "d.vhd");
	check_all(t, &m);
	exercise(&m, 10);
	check_all(t, &m);
	/* With requests between the steps. */
	send(&m, IO_ZERO, 4096, 2048);
	drain(&m);
	EXPECT_EQ(t, vhd_compact(m.disk, &j, &error), 0);
	for (int rc = 1; rc == 1;) {
		struct vhd_progress p;

		exercise(&m, 1);
		rc = vhd_job_step(j, &p, &error);
		EXPECT(t, rc == 0 || rc == 1);
		EXPECT(t, p.done_bytes <= p.total_bytes);
	}
	vhd_job_destroy(j);
	check_all(t, &m);
	reopen(t, &m, "d.vhd");
	check_all(t, &m);
	EXPECT_EQ(t, m.errors, 0);
	vhd_close(m.disk);
	free(m.bytes);
	vhd_testing_destroy(w);
}

static void test_reconnect(struct test *t)
{
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);
	const struct vhd_host *h = host_of(w);
	struct vhd_error error = {0};
	char name[200];
	struct model m;

	EXPECT_EQ(t, create(w, "base.vhd", VHD_VHD_DYNAMIC, 2 * MIB, 0, NULL), 0);
	EXPECT_EQ(t, create(w, "child.vhd", VHD_VHD_DIFFERENCING, 0, 0, "base.vhd"), 0);
	EXPECT(t, start_model(&m, w, "child.vhd", 2 * MIB));
	exercise(&m, 5);
	vhd_close(m.disk);
	h->rename(h->ctx, "base.vhd", "there/root.vhd");
	EXPECT_EQ(t, open_status(w, "child.vhd", 0, &error), VHD_PARENT_MISSING);
	EXPECT_EQ(t, vhd_reconnect(h, "child.vhd", "there/root.vhd", false, &error), 0);
	m.disk = open_disk(w, "child.vhd", VHD_OPEN_WRITE);
	check_all(t, &m);
	exercise(&m, 5);
	reopen(t, &m, "child.vhd");
	check_all(t, &m);
	vhd_close(m.disk);
	/* Longer than the space that was kept for it. */
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (unsigned i = 0; i < 15; i++) {
		name[i * 12] = '/';
	}
	h->rename(h->ctx, "there/root.vhd", name);
	EXPECT_EQ(t, vhd_reconnect(h, "child.vhd", name, false, &error), 0);
	m.disk = open_disk(w, "child.vhd", VHD_OPEN_WRITE);
	check_all(t, &m);
	vhd_close(m.disk);
	EXPECT_EQ(t, m.errors, 0);
	free(m.bytes);
	vhd_testing_destroy(w);
}

static void test_map(struct test *t)
{
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);
	uint8_t buf[1024] = {1};
	struct vhd_error error;
	struct vhd_extent e;
	struct vhd_disk *d;

	EXPECT_EQ(t, create(w, "base.vhd", VHD_VHD_DYNAMIC, 8 * MIB, 0, NULL), 0);
	d = open_disk(w, "base.vhd", VHD_OPEN_WRITE);
	EXPECT_EQ(t, block_write(vhd_block(d), 2 * MIB, buf, sizeof(buf)), 0);
	vhd_close(d);
	EXPECT_EQ(t, create(w, "child.vhd", VHD_VHD_DIFFERENCING, 0, 0, "base.vhd"), 0);
	d = open_disk(w, "child.vhd", VHD_OPEN_WRITE);
	EXPECT_EQ(t, block_write(vhd_block(d), 3 * MIB, buf, sizeof(buf)), 0);
	EXPECT_EQ(t, vhd_map(d, 0, &e, &error), 0);
	EXPECT(t, e.kind == VHD_EXTENT_ABSENT && e.bytes == 2 * MIB);
	EXPECT_EQ(t, vhd_map(d, 2 * MIB, &e, &error), 0);
	EXPECT(t, e.kind == VHD_EXTENT_DATA && e.depth == 1 && e.bytes == MIB);
	EXPECT_EQ(t, vhd_map(d, 3 * MIB, &e, &error), 0);
	EXPECT(t, e.kind == VHD_EXTENT_DATA && e.depth == 0 && e.bytes == 1024);
	EXPECT_EQ(t, vhd_map(d, 3 * MIB + 1024, &e, &error), 0);
	EXPECT(t, e.depth == 1);
	EXPECT_EQ(t, vhd_map(d, 8 * MIB, &e, &error), VHD_INVALID_ARGUMENT);
	vhd_close(d);
	vhd_testing_destroy(w);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_resize),    TEST(test_shrink), TEST(test_compact),
		TEST(test_reconnect), TEST(test_map),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
