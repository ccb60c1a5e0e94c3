// SPDX-License-Identifier: Apache-2.0
/* Sector bitmaps of differencing disks. Spec: MS-VHDX 2.5.2: one bit for each sector of a chunk, least significant bit first. */
#include <errno.h>

#include "vhdx.h"

#define PAGE_BITS (VHDX_PAGE * 8u)

/* A run of bits within one page. */
struct bits {
	uint64_t page_offset; /* in the file */
	unsigned first, count;
};

/* The first bits of @s, as many as lie in one page of the bitmap block at @bitmap. */
static struct bits bits_of(const struct vhdx *v, const struct vhdx_sectors *s, uint64_t bitmap)
{
	uint64_t in_chunk = s->block & (BIT64(v->shape.ratio_shift) - 1);
	uint64_t bit = (in_chunk << (v->shape.block_shift - v->shape.sector_shift)) + s->first;
	struct bits b = {.page_offset = bitmap + bit / PAGE_BITS * VHDX_PAGE,
			 .first = (unsigned)(bit % PAGE_BITS)};

	b.count = (unsigned)min_u64(s->count, PAGE_BITS - b.first);
	return b;
}

static struct vhdx_sectors whole_block(const struct vhdx *v, uint64_t block)
{
	return (struct vhdx_sectors){.block = block,
				     .count = v->shape.block_bytes >> v->shape.sector_shift};
}

static void skip(struct vhdx_sectors *s, uint64_t count)
{
	s->first += count;
	s->count -= count;
}

/* How many of the @count bits from @first are all 1 (@ones) or all 0. */
static unsigned run_length(const uint8_t *page, unsigned first, unsigned count, bool ones)
{
	unsigned at = first;

	while (at < first + count) {
		uint64_t word = load_le64(page + at / 64 * 8);

		word = (ones ? ~word : word) >> (at % 64);
		if (word != 0) {
			at += (unsigned)__builtin_ctzll(word);
			break;
		}
		at = (at / 64 + 1) * 64;
	}
	return (unsigned)min_u64(at - first, count);
}

static void fill(uint8_t *page, unsigned first, unsigned count, bool ones)
{
	for (unsigned at = first, n; at < first + count; at += n) {
		uint8_t *p = page + at / 64 * 8;
		uint64_t mask, word = load_le64(p);

		n = (unsigned)min_u64(64 - at % 64, first + count - at);
		mask = bits_get(~UINT64_C(0), 0, n) << (at % 64);
		store_le64(p, ones ? word | mask : word & ~mask);
	}
}

/* The bitmap of a block that is PARTIALLY_PRESENT, so it must be there. */
static int get_bitmap(struct vhdx *v, uint64_t block, struct vhdx_waiter *w, struct vhdx_place *ret)
{
	int rc = vhdx_bat_get_bitmap(v, block >> v->shape.ratio_shift, w, ret, NULL);

	return rc == 0 && ret->state != VHDX_FULLY_PRESENT ? -ENODATA : rc;
}

int vhdx_bitmap_run(struct vhdx *v, const struct vhdx_sectors *s, struct vhdx_waiter *w,
		    bool *ret_here, uint64_t *ret_count)
{
	struct vhdx_sectors left = *s;
	struct vhdx_place bitmap;
	struct vhdx_page *p;
	bool here = false;
	int rc = get_bitmap(v, s->block, w, &bitmap);

	while (rc == 0 && left.count != 0) {
		struct bits b = bits_of(v, &left, bitmap.offset);

		rc = vhdx_page_get(v, b.page_offset, w, &p);
		if (rc != 0) {
			break;
		}
		if (left.first == s->first) {
			here = (p->data[b.first / 8] >> (b.first % 8) & 1) != 0;
		}
		unsigned run = run_length(p->data, b.first, b.count, here);

		skip(&left, run);
		if (run != b.count) {
			break;
		}
	}
	*ret_here = here;
	*ret_count = s->count - left.count;
	return rc;
}

int vhdx_bitmap_load(struct vhdx *v, uint64_t block, uint64_t bitmap, struct vhdx_waiter *w,
		     unsigned *ret_dirty)
{
	struct vhdx_sectors left = whole_block(v, block);
	struct vhdx_page *p;
	unsigned dirty = 0;

	while (left.count != 0) {
		struct bits b = bits_of(v, &left, bitmap);
		int rc = vhdx_page_get(v, b.page_offset, w, &p);

		if (rc != 0) {
			return rc;
		}
		dirty += run_length(p->data, b.first, b.count, false) != b.count;
		skip(&left, b.count);
	}
	*ret_dirty = dirty;
	return 0;
}

void vhdx_bitmap_clear(struct vhdx *v, uint64_t block, uint64_t bitmap)
{
	struct vhdx_sectors left = whole_block(v, block);

	while (left.count != 0) {
		struct bits b = bits_of(v, &left, bitmap);
		struct vhdx_page *p = vhdx_page_peek(v, b.page_offset);

		CHECK(p != NULL);
		if (run_length(p->data, b.first, b.count, false) != b.count) {
			vhdx_page_dirty(v, p, 0);
			fill(p->data, b.first, b.count, false);
		}
		skip(&left, b.count);
	}
}

/* All bits of the block are set, as far as memory knows. From the end, since blocks are mostly filled from their beginning. */
static bool all_here(struct vhdx *v, uint64_t block, uint64_t bitmap)
{
	struct vhdx_sectors last = whole_block(v, block), left = last;

	skip(&last, last.count - 1);
	while (left.count != 0) {
		struct bits b = bits_of(v, last.count != 0 ? &last : &left, bitmap);
		const struct vhdx_page *p = vhdx_page_peek(v, b.page_offset);

		if (p == NULL || run_length(p->data, b.first, b.count, true) != b.count) {
			return false;
		}
		skip(last.count != 0 ? &last : &left, b.count);
	}
	return true;
}

static int load_range(struct vhdx *v, const struct vhdx_sectors *s, uint64_t bitmap,
		      struct vhdx_waiter *w, unsigned *ret_pages)
{
	struct vhdx_sectors left = *s;
	struct vhdx_page *p;

	for (*ret_pages = 0; left.count != 0; ++*ret_pages) {
		struct bits b = bits_of(v, &left, bitmap);
		int rc = vhdx_page_get(v, b.page_offset, w, &p);

		if (rc != 0) {
			return rc;
		}
		skip(&left, b.count);
	}
	return 0;
}

static void set_range(struct vhdx *v, const struct vhdx_sectors *s, uint64_t bitmap,
		      uint64_t data_flush)
{
	struct vhdx_sectors left = *s;

	while (left.count != 0) {
		struct bits b = bits_of(v, &left, bitmap);
		struct vhdx_page *p = vhdx_page_peek(v, b.page_offset);

		CHECK(p != NULL);
		vhdx_page_dirty(v, p, data_flush);
		fill(p->data, b.first, b.count, true);
		skip(&left, b.count);
	}
}

int vhdx_bitmap_mark(struct vhdx *v, const struct vhdx_sectors *s, uint64_t place,
		     uint64_t data_flush, struct vhdx_waiter *w)
{
	struct vhdx_place now, bitmap;
	struct vhdx_page *bat_page;
	unsigned pages = 0;
	bool whole = s->count == whole_block(v, s->block).count;
	int rc = vhdx_bat_get(v, s->block, w, &now, &bat_page);

	if (rc != 0) {
		return rc;
	}
	if (now.state != VHDX_PARTIALLY_PRESENT || now.offset != place) {
		return 0;
	}
	if (!whole) {
		rc = get_bitmap(v, s->block, w, &bitmap);
		rc = rc != 0 ? rc : load_range(v, s, bitmap.offset, w, &pages);
	}
	if (rc != 0) {
		return rc;
	}
	if (!vhdx_commit_room(v, pages + 1, w)) {
		return VHDX_WAIT;
	}
	if (!whole) {
		set_range(v, s, bitmap.offset, data_flush);
	}
	if (whole || all_here(v, s->block, bitmap.offset)) {
		vhdx_bat_set(v, s->block, bat_page, VHDX_FULLY_PRESENT, place, data_flush);
	}
	return 0;
}
