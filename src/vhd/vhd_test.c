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

/* ---- Damage ---- */

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
		TEST(test_geometry),	 TEST(test_footer),	    TEST(test_fixed),
		TEST(test_dynamic),	 TEST(test_chain),	    TEST(test_parents),
		TEST(test_cycle),	 TEST(test_create_refused), TEST(test_footer_copy),
		TEST(test_short_footer), TEST(test_bad_bat),	    TEST(test_not_a_disk),
		TEST(test_claims),	 TEST(test_no_space),	    TEST(test_metadata_error),
		TEST(test_group_commit),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
