// SPDX-License-Identifier: Apache-2.0
/* Resizing disks of every format while a guest uses them, and down to exactly what is used. */
#include "check_test.h"

#undef KIB
#undef MIB
#include "model_test.h"

static const struct vhd_create kinds[] = {
	{.format = VHD_VHD_FIXED, .bytes = 6 * MIB},
	{.format = VHD_VHD_DYNAMIC, .bytes = 6 * MIB},
	{.format = VHD_VHDX_FIXED, .bytes = 6 * MIB, .block_bytes = MIB},
	{.format = VHD_VHDX_DYNAMIC, .bytes = 6 * MIB, .block_bytes = MIB},
	{.format = VHD_VHDX_DYNAMIC, .bytes = 6 * MIB, .block_bytes = MIB, .sector_bytes = 4096},
	{.format = VHD_VHDX_DIFFERENCING, .block_bytes = MIB, .parent = "base.vhdx"},
};
#define RAW ARRAY_LEN(kinds) /* one more: a raw file */

/* A disk of that kind. Its path. */
static const char *make(struct lab *l, size_t kind)
{
	const struct vhd_create base = {.format = VHD_VHDX_DYNAMIC, .bytes = 6 * MIB};

	if (kind == RAW) {
		EXPECT_EQ(l->test, vhd_testing_add(l->files, "d.raw", "", 0), 0);
		EXPECT_EQ(l->test,
			  storage_file_set_size(vhd_testing_file(l->files, "d.raw"), 6 * MIB), 0);
		return "d.raw";
	}
	lab_create(l, "base.vhdx", &base);
	lab_create(l, "d.vhd", &kinds[kind]);
	return "d.vhd";
}

struct listener {
	struct block_listener l;
	unsigned calls;
	uint64_t bytes;
};

static void changed(struct block_listener *l, struct block_device *b)
{
	struct listener *own = container_of(l, struct listener, l);

	own->calls++;
	own->bytes = b->info.bytes;
}

static int resize_to(struct lab *l, struct vhd_disk *d, uint64_t bytes)
{
	struct vhd_job *j;
	int r = vhd_resize(d, bytes, &j, &l->error);

	return r == 0 ? lab_run(l, j, 1000) : r;
}

/* With requests on their way the disk grows: they finish, the listener hears of it, the new part is zeros and can be used at once. */
static void grow_live(struct test *t, size_t kind)
{
	struct listener listener = {.l = {.changed = changed}};
	struct model m;
	struct lab l;

	lab_init(&l, t);
	const char *path = make(&l, kind);

	memset(&m, 0, sizeof(m));
	m.world = l.files;
	m.size = 6 * MIB;
	m.bytes = calloc(1, 40 * MIB);
	m.disk = lab_open(&l, path, VHD_OPEN_WRITE);
	m.unit = vhd_block(m.disk)->info.sector_bytes / 512;
	vhd_block(m.disk)->listener = &listener.l;
	exercise(&m, 20);
	for (uint64_t bytes = 9 * MIB; bytes <= 36 * MIB; bytes *= 2) {
		unsigned calls = listener.calls;

		for (uint64_t i = 0; i < 8; i++) {
			send(&m, i % 4 == 3 ? IO_READ : IO_WRITE, i * 1024, 512);
		}
		LAB_EXPECT(&l, resize_to(&l, m.disk, bytes), 0);
		drain(&m);
		EXPECT_EQ(t, vhd_block(m.disk)->info.bytes, bytes);
		EXPECT(t, listener.calls > calls && listener.bytes == bytes);
		m.size = bytes;
		check_all(t, &m);
		exercise(&m, 5);
		check_all(t, &m);
	}
	EXPECT_EQ(t, block_flush(vhd_block(m.disk)), 0);
	EXPECT_EQ(t, block_read(vhd_block(m.disk), m.size, l.buf, 4096), -EINVAL);
	lab_close(&l, m.disk);
	m.disk = lab_open(&l, path, VHD_OPEN_WRITE);
	EXPECT_EQ(t, vhd_block(m.disk)->info.bytes, m.size);
	check_all(t, &m);
	lab_close(&l, m.disk);
	if (kind != RAW) {
		lab_check_clean(&l, path);
	}
	EXPECT_EQ(t, m.errors, 0);
	free(m.bytes);
	lab_fini(&l);
}

static void test_grow_live(struct test *t)
{
	for (size_t i = 0; i <= RAW; i++) {
		grow_live(t, i);
	}
}

/* To exactly what vhd_info says is the least it shrinks; that is within a block of what is used; and data is never cut off. */
static void shrink_to_minimum(struct test *t, size_t kind, uint64_t used)
{
	const struct lab_write data = {used - 8192, 8192, 7};
	struct vhd_info *info = malloc(sizeof(*info));
	struct vhd_disk *d;
	struct lab l;

	lab_init(&l, t);
	const char *path = make(&l, kind);

	lab_write(&l, path, data.offset, data.bytes, data.seed);
	d = lab_open(&l, path, VHD_OPEN_WRITE);
	vhd_get_info(d, info);
	uint64_t least = info->minimum_bytes;

	EXPECT(t,
	       least >= used && least <= 6 * MIB && least - used < max_u64(info->block_bytes, MIB));
	LAB_EXPECT(&l, resize_to(&l, d, used - info->sector_bytes), VHD_WOULD_TRUNCATE);
	EXPECT(t, strstr(l.error.text, path) != NULL && strstr(l.error.text, "offset 0x") != NULL);
	LAB_EXPECT(&l, resize_to(&l, d, least), 0);
	EXPECT_EQ(t, vhd_block(d)->info.bytes, least);
	lab_close(&l, d);
	lab_verify(&l, path, &data, 1);
	if (kind != RAW) {
		lab_check_clean(&l, path);
	}
	free(info);
	lab_fini(&l);
}

static void test_shrink_to_minimum(struct test *t)
{
	for (size_t i = 0; i <= RAW; i++) {
		shrink_to_minimum(t, i, 8192);
		shrink_to_minimum(t, i, 2 * MIB);
		shrink_to_minimum(t, i, 3 * MIB + 4096);
		shrink_to_minimum(t, i, 6 * MIB);
	}
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_grow_live),
						 TEST(test_shrink_to_minimum)};

	return test_main(cases, ARRAY_LEN(cases));
}
