// SPDX-License-Identifier: Apache-2.0
#include "gmem/gmem.h"

#include "lib/bits.h"
#include "lib/err.h"
#include "test/test.h"

struct pages {
	size_t taken;
	size_t limit;
};

static void *page_alloc(void *ctx)
{
	struct pages *p = ctx;
	void *page;

	if (p->taken == p->limit) {
		return NULL;
	}
	p->taken++;
	page = aligned_alloc(GMEM_PAGE_BYTES, GMEM_PAGE_BYTES);
	memset(page, 0, GMEM_PAGE_BYTES);
	return page;
}

static void page_free(void *ctx, void *page)
{
	struct pages *p = ctx;

	p->taken--;
	free(page);
}

struct fixture {
	struct gmem gm;
	struct pages pages;
	uint8_t *ram; /* 8 pages */
	uint64_t written_gpa;
	size_t written_bytes;
	unsigned written;
};

static void code_written(void *ctx, uint64_t gpa, size_t bytes)
{
	struct fixture *f = ctx;

	f->written_gpa = gpa;
	f->written_bytes = bytes;
	f->written++;
}

static void setup(struct fixture *f, unsigned pa_bits)
{
	struct gmem_pages pages = {page_alloc, page_free, &f->pages};
	struct gmem_watch watch = {code_written, f};

	*f = (struct fixture){.pages.limit = 100};
	gmem_init(&f->gm, pa_bits, &pages);
	gmem_set_watch(&f->gm, &watch);
	f->ram = aligned_alloc(GMEM_PAGE_BYTES, 8 * GMEM_PAGE_BYTES);
	memset(f->ram, 0x11, 8 * GMEM_PAGE_BYTES);
}

static void teardown(struct test *t, struct fixture *f)
{
	gmem_fini(&f->gm);
	EXPECT_EQ(t, f->pages.taken, 0);
	free(f->ram);
}

static void test_limits(struct test *t)
{
	static const struct {
		unsigned pa_bits;
		uint64_t gpn;
		int result;
	} rows[] = {
		{32, 0xFFFFF, 0},
		{32, 0x100000, -ERR_INVAL},
		{36, 0xFFFFFF, 0},
		{36, 0x1000000, -ERR_INVAL},
		{39, 0x7FFFFFF, 0},
		{39, 0x8000000, -ERR_INVAL},
		{52, 0xFFFFFFFFFF, 0},
		{52, 0x10000000000, -ERR_INVAL},
		{52, UINT64_MAX, -ERR_INVAL},
	};
	struct gmem gm;
	struct pages p = {0, 10};
	struct gmem_pages pages = {page_alloc, page_free, &p};

	EXPECT_EQ(t, gmem_init(&gm, 31, &pages), -ERR_INVAL);
	EXPECT_EQ(t, gmem_init(&gm, 53, &pages), -ERR_INVAL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture f;

		setup(&f, rows[i].pa_bits);
		EXPECT_EQ(t, gmem_map(&f.gm, rows[i].gpn, f.ram, GMEM_R), rows[i].result);
		EXPECT_EQ(t, gmem_entry(&f.gm, rows[i].gpn) != 0, rows[i].result == 0);
		teardown(t, &f);
	}
}

static void test_out_of_pages(struct test *t)
{
	struct fixture f;

	/* Every allocation of a map in turn fails; the space stays usable. */
	for (size_t limit = 1; limit < 5; limit++) {
		setup(&f, 52);
		f.pages.limit = limit;
		EXPECT_EQ(t, gmem_map(&f.gm, 0x123456789, f.ram, GMEM_R), -ERR_NOMEM);
		EXPECT_EQ(t, gmem_entry(&f.gm, 0x123456789), 0);
		f.pages.limit = 10;
		EXPECT_EQ(t, gmem_map(&f.gm, 0x123456789, f.ram, GMEM_R), 0);
		teardown(t, &f);
	}
}

static void test_copy_and_rights(struct test *t)
{
	struct fixture f;
	uint8_t buf[16];

	setup(&f, 40);
	gmem_map(&f.gm, 5, f.ram, GMEM_R | GMEM_W);
	gmem_map(&f.gm, 6, f.ram + GMEM_PAGE_BYTES, GMEM_R);
	memset(buf, 0xEE, sizeof(buf));
	EXPECT(t, gmem_write(&f.gm, 0x5000, buf, 16));
	EXPECT_EQ(t, f.ram[15], 0xEE);
	EXPECT(t, gmem_read(&f.gm, 0x5FF8, buf, 16));
	EXPECT_EQ(t, buf[15], 0x11);
	EXPECT(t, !gmem_write(&f.gm, 0x5FF8, buf, 16)); /* second page is read-only */
	EXPECT(t, gmem_write_any(&f.gm, 0x5FF8, buf, 16));
	EXPECT(t, !gmem_read(&f.gm, 0x6FF8, buf, 16)); /* runs off the map */
	EXPECT(t, !gmem_read(&f.gm, UINT64_MAX - 3, buf, 16));
	EXPECT(t, gmem_ptr(&f.gm, 0x5FF0, 16, GMEM_W) == f.ram + 0xFF0);
	EXPECT(t, gmem_ptr(&f.gm, 0x5FF1, 16, GMEM_W) == NULL);
	EXPECT(t, gmem_ptr(&f.gm, 0x6000, 1, GMEM_W) == NULL);
	EXPECT_EQ(t, gmem_protect(&f.gm, 6, 0), 0);
	EXPECT(t, !gmem_read(&f.gm, 0x6000, buf, 1));
	EXPECT(t, gmem_read_any(&f.gm, 0x6000, buf, 1));
	EXPECT_EQ(t, gmem_protect(&f.gm, 7, GMEM_R), -ERR_NOENT);
	EXPECT_EQ(t, gmem_unmap(&f.gm, 6), 0);
	EXPECT_EQ(t, gmem_unmap(&f.gm, 6), -ERR_NOENT);
	EXPECT(t, !gmem_read_any(&f.gm, 0x6000, buf, 1));
	teardown(t, &f);
}

static void test_dirty_log(struct test *t)
{
	struct fixture f;
	uint64_t bitmap[2];
	uint8_t b = 1;

	setup(&f, 40);
	for (unsigned i = 0; i < 8; i++) {
		gmem_map(&f.gm, 64 + i, f.ram + i * GMEM_PAGE_BYTES, GMEM_R | GMEM_W);
	}
	gmem_dirty_take(&f.gm, 0, 128, bitmap);
	gmem_write(&f.gm, 65 * 4096, &b, 1);
	gmem_touch(&f.gm, 66 * 4096 + 4095, 2);
	gmem_dirty_take(&f.gm, 0, 128, bitmap);
	EXPECT_EQ(t, bitmap[0], 0);
	EXPECT_EQ(t, bitmap[1], 0xE);
	gmem_dirty_take(&f.gm, 0, 128, bitmap);
	EXPECT_EQ(t, bitmap[1], 0);
	teardown(t, &f);
}

static void test_code_watch(struct test *t)
{
	struct fixture f;
	uint8_t b[4] = {0};

	setup(&f, 40);
	gmem_map(&f.gm, 1, f.ram, GMEM_RIGHTS);
	gmem_write(&f.gm, 0x1000, b, 4);
	EXPECT_EQ(t, f.written, 0);
	EXPECT_EQ(t, gmem_entry_set(&f.gm, 1, GMEM_CODE) & GMEM_CODE, 0);
	gmem_write(&f.gm, 0x1010, b, 4);
	EXPECT_EQ(t, f.written, 1);
	EXPECT_EQ(t, f.written_gpa, 0x1010);
	EXPECT_EQ(t, f.written_bytes, 4);
	gmem_entry_clear(&f.gm, 1, GMEM_CODE);
	gmem_write(&f.gm, 0x1010, b, 4);
	EXPECT_EQ(t, f.written, 1);
	/* Rights are not flags: they change through gmem_protect alone. */
	gmem_entry_clear(&f.gm, 1, GMEM_W);
	EXPECT(t, gmem_write(&f.gm, 0x1010, b, 4));
	EXPECT_EQ(t, gmem_entry_set(&f.gm, 9, GMEM_CODE), 0);
	EXPECT_EQ(t, gmem_entry(&f.gm, 9), 0);
	teardown(t, &f);
}

static void test_overlays_stack(struct test *t)
{
	struct fixture f;
	struct gmem_overlay a, b, lone;
	uint8_t *pa, *pb, v;

	setup(&f, 40);
	pa = f.ram + GMEM_PAGE_BYTES;
	pb = f.ram + 2 * GMEM_PAGE_BYTES;
	f.ram[0] = 1;
	pa[0] = 2;
	pb[0] = 3;
	gmem_map(&f.gm, 1, f.ram, GMEM_RIGHTS);
	EXPECT_EQ(t, gmem_overlay_add(&f.gm, &a, 1, pa, GMEM_R | GMEM_X), 0);
	gmem_read(&f.gm, 0x1000, &v, 1);
	EXPECT_EQ(t, v, 2);
	EXPECT(t, !gmem_write(&f.gm, 0x1000, &v, 1));
	EXPECT_EQ(t, gmem_overlay_add(&f.gm, &b, 1, pb, GMEM_R), 0);
	gmem_read(&f.gm, 0x1000, &v, 1);
	EXPECT_EQ(t, v, 3);
	/* The lower one goes first: nothing changes to see. */
	gmem_overlay_remove(&f.gm, &a);
	gmem_read(&f.gm, 0x1000, &v, 1);
	EXPECT_EQ(t, v, 3);
	/* The parent remaps beneath. */
	f.ram[3 * GMEM_PAGE_BYTES] = 9;
	EXPECT_EQ(t, gmem_map(&f.gm, 1, f.ram + 3 * GMEM_PAGE_BYTES, GMEM_R), 0);
	gmem_read(&f.gm, 0x1000, &v, 1);
	EXPECT_EQ(t, v, 3);
	gmem_overlay_remove(&f.gm, &b);
	gmem_read(&f.gm, 0x1000, &v, 1);
	EXPECT_EQ(t, v, 9);
	/* The upper one goes first. */
	gmem_overlay_add(&f.gm, &a, 1, pa, GMEM_R);
	gmem_overlay_add(&f.gm, &b, 1, pb, GMEM_R);
	gmem_overlay_remove(&f.gm, &b);
	gmem_read(&f.gm, 0x1000, &v, 1);
	EXPECT_EQ(t, v, 2);
	EXPECT_EQ(t, gmem_unmap(&f.gm, 1), 0);
	gmem_read(&f.gm, 0x1000, &v, 1);
	EXPECT_EQ(t, v, 2);
	gmem_overlay_remove(&f.gm, &a);
	EXPECT(t, !gmem_read(&f.gm, 0x1000, &v, 1));
	/* Where nothing is mapped. */
	EXPECT_EQ(t, gmem_overlay_add(&f.gm, &lone, 0x777, pa, GMEM_R), 0);
	EXPECT(t, gmem_read(&f.gm, 0x777000, &v, 1));
	gmem_overlay_remove(&f.gm, &lone);
	gmem_overlay_remove(&f.gm, &lone);
	EXPECT(t, !gmem_read(&f.gm, 0x777000, &v, 1));
	EXPECT_EQ(t, gmem_overlay_add(&f.gm, &lone, UINT64_C(1) << 28, pa, GMEM_R), -ERR_INVAL);
	teardown(t, &f);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_limits),    TEST(test_out_of_pages), TEST(test_copy_and_rights),
		TEST(test_dirty_log), TEST(test_code_watch),   TEST(test_overlays_stack),
	};
	return test_main(cases, ARRAY_LEN(cases));
}
