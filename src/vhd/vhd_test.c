// SPDX-License-Identifier: Apache-2.0
/* VHDs through the public interface, against a flat model in memory. */
#include "lib/be.h"
#include "model_test.h"
#include "vhd_layout.h"

/* ---- Layout ---- */

static void test_geometry(struct test *t)
{
	static const struct {
		uint64_t bytes;
		uint32_t field, addressed;
	} rows[] = {
		{3145728, 0x005a0411, 6120},
		{10485760, 0x012d0411, 20468},
		{104857600, 0x03eb0c11, 204612},
		{536870912, 0x0410103f, 1048320},
		{1073741824, 0x0820103f, 2096640},
		{2147483648, 0x1041103f, 4194288},
		{10737418240, 0x5145103f, 20971440},
		{42949672960, 0x505010ff, 83884800},
		{136365211648, 0xfefe10ff, 266334240},
		{128 * GIB, 0xffff10ff, 267382800},
		{VHD_BYTES_MAX, 0xffff10ff, 267382800},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		EXPECT_EQ(t, vhd_geometry(rows[i].bytes), rows[i].field);
		EXPECT_EQ(t, vhd_geometry_bytes(rows[i].field), (uint64_t)rows[i].addressed * 512);
	}
}

static void test_footer(struct test *t)
{
	struct vhd_footer f = {.features = 2, .version = VHD_VERSION, .type = VHD_TYPE_DYNAMIC},
			  back;
	uint8_t raw[VHD_FOOTER_BYTES];
	char text[VHD_FAULT_BYTES];

	f.current_bytes = f.original_bytes = 3 * MIB;
	f.geometry = vhd_geometry(f.current_bytes);
	memset(f.reserved, 0x5a, sizeof(f.reserved));
	f.id = (struct guid)GUID(0x01020304, 0x0506, 0x0708, 9, 10, 11, 12, 13, 14, 15, 16);
	vhd_footer_encode(&f, raw);
	/* The identifier is stored most significant byte first. */
	EXPECT_EQ(t, raw[VHD_FOOTER_AT_ID], 1);
	EXPECT_EQ(t, raw[VHD_FOOTER_AT_ID + 15], 16);
	EXPECT_EQ(t, load_be32(raw + 64), vhd_checksum(raw, sizeof(raw), 64));
	EXPECT(t, vhd_footer_decode(raw, &back, text) == NULL);
	EXPECT_MEM(t, &back.reserved, &f.reserved, sizeof(f.reserved));
	EXPECT(t, guid_equal(&back.id, &f.id) && back.current_bytes == f.current_bytes);
	EXPECT(t, vhd_footer_fault(&back, text) == NULL);
	raw[200] ^= 1;
	EXPECT(t, vhd_footer_decode(raw, &back, text) != NULL && strstr(text, "checksum") != NULL);
	back.type = 5;
	EXPECT(t, vhd_footer_fault(&back, text) != NULL);
	EXPECT_EQ(t, vhd_locator_space(0), 0);
	EXPECT_EQ(t, vhd_locator_space(1), 512);
	EXPECT_EQ(t, vhd_locator_space(512), 512);
	EXPECT_EQ(t, vhd_locator_space(0x1000), 4096);
	EXPECT_EQ(t, vhd_locator_space(513), 0);
	EXPECT_EQ(t, vhd_bitmap_bytes(0x200000), 512);
	EXPECT_EQ(t, vhd_bitmap_bytes(512), 512);
	EXPECT_EQ(t, vhd_bitmap_bytes(256u << 20), 65536);
	EXPECT_EQ(t, vhd_bat_bytes(129), 1024);
}

/* ---- Against a model ---- */

static void test_fixed(struct test *t)
{
	run_kind(t, VHD_VHD_FIXED, 3 * MIB, 0);
}

static void test_dynamic(struct test *t)
{
	static const uint64_t blocks[] = {512, 4096, 64 * KIB, 512 * KIB, 2 * MIB, 32 * MIB};

	for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
		run_kind(t, VHD_VHD_DYNAMIC, 5 * MIB + 512, blocks[i]);
	}
}

/* Three deep, every file with data of its own, block sizes mixed. */
static void test_chain(struct test *t)
{
	static const char *const paths[] = {"a/base.vhd", "a/b/middle.avhd", "a/top.avhd",
					    "leaf.vhd"};
	static const uint64_t blocks[] = {2 * MIB, 4096, 256 * KIB, 32 * MIB};
	uint64_t bytes = 4 * MIB;
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);
	struct model m = {.bytes = NULL};
	struct vhd_disk *d;
	uint8_t *kept = NULL;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		EXPECT_EQ(t,
			  create(w, paths[i], i == 0 ? VHD_VHD_DYNAMIC : VHD_VHD_DIFFERENCING,
				 i == 0 ? bytes : 0, blocks[i], i == 0 ? NULL : paths[i - 1]),
			  0);
		kept = m.bytes;
		if (!start_model(&m, w, paths[i], bytes)) {
			EXPECT(t, false);
			break;
		}
		if (kept != NULL) {
			memcpy(m.bytes, kept, bytes);
			free(kept);
		}
		m.random += i;
		check_all(t, &m);
		exercise(&m, 20);
		check_all(t, &m);
		reopen(t, &m, paths[i]);
		check_all(t, &m);
		EXPECT(t, vhd_ancestor(m.disk, (unsigned)i) != NULL);
		EXPECT(t, vhd_ancestor(m.disk, (unsigned)i + 1) == NULL);
		EXPECT_EQ(t, vhd_close(m.disk), 0);
	}
	EXPECT_EQ(t, m.errors, 0);
	free(m.bytes);
	/* Alone it has only its own. */
	d = open_disk(w, "leaf.vhd", VHD_OPEN_NO_PARENT);
	EXPECT(t, d != NULL && vhd_ancestor(d, 1) == NULL);
	vhd_close(d);
	vhd_testing_destroy(w);
}

/* ---- Identity ---- */

static void test_parents(struct test *t)
{
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);
	const struct vhd_host *h = host_of(w);
	struct vhd_error error = {0};
	struct vhd_info *info = malloc(sizeof(*info));
	struct vhd_disk *d;

	EXPECT_EQ(t, create(w, "vm/disks/base.vhd", VHD_VHD_DYNAMIC, MIB, 0, NULL), 0);
	EXPECT_EQ(t,
		  create(w, "vm/snap/child.vhd", VHD_VHD_DIFFERENCING, 0, 0, "vm/disks/base.vhd"),
		  0);
	d = open_disk(w, "vm/snap/child.vhd", 0);
	EXPECT(t, d != NULL);
	vhd_get_info(d, info);
	EXPECT(t, strcmp(info->parent_path, "/vm/disks/base.vhd") == 0);
	EXPECT(t, info->has_parent && info->format == VHD_VHD_DIFFERENCING);
	vhd_close(d);
	/* Moved together: the relative path still holds. */
	h->rename(h->ctx, "vm/disks/base.vhd", "new/disks/base.vhd");
	h->rename(h->ctx, "vm/snap/child.vhd", "new/snap/child.vhd");
	EXPECT_EQ(t, open_status(w, "new/snap/child.vhd", 0, &error), 0);
	/* Beside the child. */
	h->rename(h->ctx, "new/disks/base.vhd", "new/snap/base.vhd");
	EXPECT_EQ(t, open_status(w, "new/snap/child.vhd", 0, &error), 0);
	/* Gone. */
	h->rename(h->ctx, "new/snap/base.vhd", "elsewhere.vhd");
	EXPECT_EQ(t, open_status(w, "new/snap/child.vhd", 0, &error), VHD_PARENT_MISSING);
	EXPECT(t, strstr(error.text, "base.vhd") != NULL);
	EXPECT_EQ(t, open_status(w, "new/snap/child.vhd", VHD_OPEN_NO_PARENT, &error), 0);
	/* Another one of that name. */
	EXPECT_EQ(t, create(w, "new/disks/base.vhd", VHD_VHD_DYNAMIC, MIB, 0, NULL), 0);
	EXPECT_EQ(t, open_status(w, "new/snap/child.vhd", 0, &error), VHD_PARENT_MISMATCH);
	EXPECT(t, strstr(error.text, "identity") != NULL);
	/* A better one beside the child is still found. */
	h->rename(h->ctx, "elsewhere.vhd", "new/snap/base.vhd");
	EXPECT_EQ(t, open_status(w, "new/snap/child.vhd", 0, &error), 0);
	free(info);
	vhd_testing_destroy(w);
}

static void test_cycle(struct test *t)
{
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);
	const struct vhd_host *h = host_of(w);
	struct vhd_error error = {0};

	EXPECT_EQ(t, create(w, "a.vhd", VHD_VHD_DYNAMIC, MIB, 0, NULL), 0);
	EXPECT_EQ(t, create(w, "b.vhd", VHD_VHD_DIFFERENCING, 0, 0, "a.vhd"), 0);
	/* b names a; now b is a. */
	h->remove(h->ctx, "a.vhd");
	h->rename(h->ctx, "b.vhd", "a.vhd");
	EXPECT_EQ(t, open_status(w, "a.vhd", 0, &error), VHD_CHAIN_CYCLE);
	vhd_testing_destroy(w);
}

static void test_create_refused(struct test *t)
{
	static const struct {
		struct vhd_create c;
		const char *text;
	} rows[] = {
		{{.format = VHD_VHD_DYNAMIC}, "needs a size"},
		{{.format = VHD_VHD_DYNAMIC, .bytes = 1000}, "next size is 1024"},
		{{.format = VHD_VHD_FIXED, .bytes = VHD_BYTES_MAX + 512}, "make a VHDX"},
		{{.format = VHD_VHD_DYNAMIC, .bytes = MIB, .block_bytes = 3 * KIB}, "power of two"},
		{{.format = VHD_VHD_DYNAMIC, .bytes = 2000 * GIB, .block_bytes = 512},
		 "larger block size"},
		{{.format = VHD_VHD_FIXED, .bytes = MIB, .block_bytes = MIB}, "no blocks"},
		{{.format = VHD_VHD_DYNAMIC, .bytes = MIB, .sector_bytes = 4096}, "sector size"},
		{{.format = VHD_VHD_DYNAMIC, .bytes = MIB, .parent = "base.vhd"},
		 "only a differencing"},
		{{.format = VHD_VHD_DIFFERENCING}, "needs a parent"},
		{{.format = VHD_VHD_DIFFERENCING, .bytes = MIB, .parent = "base.vhd"},
		 "leave the size out"},
		{{.format = VHD_VHD_DIFFERENCING, .parent = "none.vhd"}, "none.vhd"},
	};
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);

	EXPECT_EQ(t, create(w, "base.vhd", VHD_VHD_DYNAMIC, 2 * MIB, 0, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct vhd_error error = {0};

		EXPECT(t, vhd_create(host_of(w), "x.vhd", &rows[i].c, &error) != 0);
		EXPECT(t, strstr(error.text, rows[i].text) != NULL);
		if (strstr(error.text, rows[i].text) == NULL) {
			printf("# row %zu: %s\n", i, error.text);
		}
		EXPECT_EQ(t, vhd_testing_count(w), 1);
	}
	EXPECT_EQ(t, create(w, "base.vhd", VHD_VHD_DYNAMIC, 2 * MIB, 0, NULL), (uint64_t)-EEXIST);
	vhd_testing_destroy(w);
}

/* ---- Flushes ---- */

struct counter {
	unsigned flushes, writes;
};

static int count_ops(void *ctx, const char *path, const struct io_request *r)
{
	struct counter *c = ctx;

	(void)path;
	c->flushes += r->op == IO_FLUSH;
	c->writes += r->op == IO_WRITE;
	return 0;
}

static void test_group_commit(struct test *t)
{
	struct vhd_testing *w = vhd_testing_create(UINT64_MAX);
	struct counter c = {0};
	struct vhd_testing_hook hook = {.before = count_ops, .ctx = &c};
	uint8_t buf[4096] = {1};
	struct vhd_disk *d;

	EXPECT_EQ(t, create(w, "d.vhd", VHD_VHD_DYNAMIC, 256 * MIB, 0, NULL), 0);
	d = open_disk(w, "d.vhd", VHD_OPEN_WRITE);
	vhd_testing_set_hook(w, &hook);
	for (unsigned i = 0; i < 100; i++) {
		EXPECT_EQ(t, block_write(vhd_block(d), i * 2 * MIB, buf, sizeof(buf)), 0);
	}
	EXPECT_EQ(t, c.flushes, 0);
	EXPECT_EQ(t, c.writes, 200); /* head and data of each block */
	EXPECT_EQ(t, block_flush(vhd_block(d)), 0);
	EXPECT_EQ(t, c.flushes, 2);
	EXPECT_EQ(t, c.writes, 202); /* footer and table */
	EXPECT_EQ(t, block_flush(vhd_block(d)), 0);
	EXPECT_EQ(t, c.flushes, 3);
	/* In place there is nothing but the data. */
	EXPECT_EQ(t, block_write(vhd_block(d), 0, buf, sizeof(buf)), 0);
	EXPECT_EQ(t, c.writes, 203);
	EXPECT_EQ(t, vhd_close(d), 0);
	vhd_testing_destroy(w);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_geometry), TEST(test_footer),		TEST(test_fixed),
		TEST(test_dynamic),  TEST(test_chain),		TEST(test_parents),
		TEST(test_cycle),    TEST(test_create_refused), TEST(test_group_commit),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
