// SPDX-License-Identifier: Apache-2.0
/* The block allocation table: single entries for guest requests, the whole of it for management. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "vhd_image.h"

#define CHUNK_ENTRIES 16384u	/* of the table, read at once */
#define PRELOAD_MAX (4u << 20)	/* tables up to this are kept in memory from the start */
#define BUCKETS_MAX (16u << 20) /* more are not looked through for overlaps */

static uint64_t page_offset(const struct vhd_image *v, uint64_t block)
{
	return v->header.table_offset + block / VHD_PAGE_ENTRIES * VHD_PAGE_BYTES;
}

static uint32_t page_bytes(const struct vhd_image *v, uint64_t offset)
{
	uint64_t end = v->header.table_offset + vhd_bat_bytes(v->header.entries);

	return (uint32_t)min_u64(VHD_PAGE_BYTES, end - offset);
}

static uint32_t byte_in_page(uint64_t block)
{
	return (uint32_t)(block % VHD_PAGE_ENTRIES * 4);
}

bool vhd_bat_get(struct vhd_op *op, uint64_t block, uint32_t *ret_entry, struct vhd_page **ret_page)
{
	struct vhd_image *v = op->v;
	uint64_t offset = page_offset(v, block);

	if (!vhd_page_get(op, VHD_PAGE_BAT, offset, page_bytes(v, offset), ret_page)) {
		return false;
	}
	*ret_entry = load_be32((*ret_page)->data + byte_in_page(block));
	return true;
}

uint64_t vhd_bat_unused_run(const struct vhd_image *v, const struct vhd_page *page, uint64_t block)
{
	uint64_t run = 0;

	for (uint32_t at = byte_in_page(block); at < page->bytes; at += 4) {
		if (block + run >= v->header.entries ||
		    load_be32(page->data + at) != VHD_BAT_UNUSED) {
			break;
		}
		run++;
	}
	return run;
}

uint64_t vhd_bat_position(const struct vhd_image *v, uint32_t entry)
{
	uint64_t position = (uint64_t)entry * VHD_SECTOR_BYTES;

	return position >= v->first_block && range_within(position, v->stride, v->tail) ? position
											: 0;
}

void vhd_bat_set(struct vhd_page *page, uint64_t block, uint32_t entry)
{
	store_be32(page->data + byte_in_page(block), entry);
	vhd_page_mark(page, byte_in_page(block));
}

/* ---- The whole table ---- */

/* Copies what memory knows over @count entries from @first (the first of a page) on; false: some of them it does not. */
static bool overlay(struct vhd_image *v, uint64_t first, uint32_t *ret, size_t count)
{
	bool complete = true;

	for (size_t at = 0; at < count; at += VHD_PAGE_ENTRIES) {
		const struct vhd_page *p = vhd_page_find(v, page_offset(v, first + at));
		size_t n = (size_t)min_u64(count - at, VHD_PAGE_ENTRIES);

		if (p == NULL || !p->ready) {
			complete = false;
			continue;
		}
		memcpy(ret + at, p->data, n * 4);
	}
	return complete;
}

int vhd_bat_read(struct vhd_image *v, uint64_t first, uint32_t *ret, size_t count)
{
	CHECK(first % VHD_PAGE_ENTRIES == 0);
	if (!overlay(v, first, ret, count)) {
		int err = storage_file_read(v->layer.file, page_offset(v, first), ret, count * 4);

		if (err != 0) {
			return err;
		}
		overlay(v, first, ret, count);
	}
	for (size_t i = 0; i < count; i++) {
		ret[i] = load_be32(&ret[i]);
	}
	return 0;
}

static int scan_chunk(struct vhd_image *v, uint64_t first, uint32_t *chunk, size_t count,
		      int (*fn)(void *ctx, uint64_t block, uint32_t entry), void *ctx)
{
	int rc = vhd_bat_read(v, first, chunk, count);

	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (chunk[i] != VHD_BAT_UNUSED) {
			rc = fn(ctx, first + i, chunk[i]);
		}
	}
	return rc;
}

int vhd_bat_scan(struct vhd_image *v, int (*fn)(void *ctx, uint64_t block, uint32_t entry),
		 void *ctx)
{
	uint32_t *chunk = malloc(CHUNK_ENTRIES * sizeof(*chunk));
	int rc = chunk == NULL ? -ENOMEM : 0;

	for (uint64_t first = 0; rc == 0 && first < v->header.entries; first += CHUNK_ENTRIES) {
		rc = scan_chunk(v, first, chunk,
				(size_t)min_u64(CHUNK_ENTRIES, v->header.entries - first), fn, ctx);
	}
	free(chunk);
	return rc;
}

/* ---- Checks when a disk is opened ---- */

struct bat_check {
	struct vhd_image *v;
	struct vhd_error *error;
	uint64_t end; /* of the last block */
	uint32_t lowest;
	uint32_t *buckets; /* one per stride from @lowest on: the entry that begins in it */
	uint64_t bucket_count;
	uint32_t stride_sectors;
};

static int check_range(void *ctx, uint64_t block, uint32_t entry)
{
	struct bat_check *k = ctx;
	struct vhd_image *v = k->v;
	uint64_t position = (uint64_t)entry * VHD_SECTOR_BYTES;

	if (position < v->first_block) {
		return vhd_fail(k->error, VHD_CORRUPT,
				"%s: BAT entry %" PRIu64 " at %" PRIu64 ": sector %" PRIu32
				", but blocks begin at %" PRIu64 " or later; see virid disk check",
				v->layer.file->name, block, v->header.table_offset + block * 4,
				entry, v->first_block / VHD_SECTOR_BYTES);
	}
	if (!range_within(position, v->stride, v->tail)) {
		return vhd_fail(k->error, VHD_TRUNCATED,
				"%s: BAT entry %" PRIu64 " at %" PRIu64 ": block of %" PRIu64
				" bytes at %" PRIu64 ", but data ends at %" PRIu64
				": the file is not complete",
				v->layer.file->name, block, v->header.table_offset + block * 4,
				v->stride, position, v->tail);
	}
	k->end = max_u64(k->end, position + v->stride);
	k->lowest = entry < k->lowest ? entry : k->lowest;
	return 0;
}

static int overlap(struct bat_check *k, uint32_t a, uint32_t b)
{
	return vhd_fail(k->error, VHD_CORRUPT,
			"%s: BAT: two blocks overlap, at sectors %" PRIu32 " and %" PRIu32
			" (a block takes %" PRIu32 "); see virid disk check",
			k->v->layer.file->name, a, b, k->stride_sectors);
}

/* Two blocks overlap if they begin less than a stride apart: in the same bucket, or too close in two that are side by side. */
static int check_overlap(void *ctx, uint64_t block, uint32_t entry)
{
	struct bat_check *k = ctx;
	uint64_t at = (uint64_t)(entry - k->lowest) / k->stride_sectors;
	uint32_t before, after;

	if (at >= k->bucket_count) {
		return vhd_fail(k->error, VHD_CORRUPT,
				"%s: BAT entry %" PRIu64 " changed while it was read",
				k->v->layer.file->name, block);
	}
	before = at > 0 ? k->buckets[at - 1] : 0;
	after = at + 1 < k->bucket_count ? k->buckets[at + 1] : 0;
	if (k->buckets[at] != 0) {
		return overlap(k, k->buckets[at], entry);
	}
	if (before != 0 && entry - before < k->stride_sectors) {
		return overlap(k, before, entry);
	}
	if (after != 0 && after - entry < k->stride_sectors) {
		return overlap(k, entry, after);
	}
	k->buckets[at] = entry;
	return 0;
}

static int check_overlaps(struct bat_check *k)
{
	uint64_t sectors = k->end / VHD_SECTOR_BYTES - k->lowest;
	int rc;

	k->stride_sectors = (uint32_t)(k->v->stride / VHD_SECTOR_BYTES);
	k->bucket_count = sectors / k->stride_sectors + 1;
	if (k->bucket_count > BUCKETS_MAX) {
		return 0;
	}
	k->buckets = calloc((size_t)k->bucket_count, sizeof(*k->buckets));
	rc = k->buckets == NULL ? -ENOMEM : vhd_bat_scan(k->v, check_overlap, k);
	free(k->buckets);
	return rc;
}

/* Puts a part of the table into the cache. */
static int preload_chunk(struct vhd_image *v, uint64_t offset, uint8_t *chunk, size_t bytes)
{
	int err = storage_file_read(v->layer.file, offset, chunk, bytes);

	for (size_t at = 0; err == 0 && at < bytes; at += VHD_PAGE_BYTES) {
		uint32_t n = page_bytes(v, offset + at);

		if (vhd_page_insert(v, VHD_PAGE_BAT, offset + at, n, chunk + at, 0) == NULL) {
			err = -ENOMEM;
		}
	}
	return err;
}

static int preload(struct vhd_image *v)
{
	uint64_t offset = v->header.table_offset, end = offset + vhd_bat_bytes(v->header.entries);
	size_t chunk_bytes = CHUNK_ENTRIES * 4;
	uint8_t *chunk = malloc(chunk_bytes);
	int err = chunk == NULL ? -ENOMEM : 0;

	while (err == 0 && offset < end) {
		size_t n = (size_t)min_u64(chunk_bytes, end - offset);

		err = preload_chunk(v, offset, chunk, n);
		offset += n;
	}
	free(chunk);
	return err;
}

int vhd_bat_check(struct vhd_image *v, uint64_t *ret_end, struct vhd_error *error)
{
	struct bat_check k = {.v = v, .error = error, .end = v->first_block, .lowest = UINT32_MAX};
	int rc = vhd_bat_bytes(v->header.entries) <= PRELOAD_MAX ? preload(v) : 0;

	rc = rc == 0 ? vhd_bat_scan(v, check_range, &k) : rc;
	if (rc == 0 && k.lowest != UINT32_MAX) {
		rc = check_overlaps(&k);
	}
	if (rc < 0) {
		return vhd_fail_errno(error, rc, v->layer.file->name, "cannot read the BAT");
	}
	*ret_end = rc == 0 ? k.end : *ret_end;
	return rc;
}

int vhd_bat_write(struct vhd_image *v, uint64_t block, uint32_t entry)
{
	uint64_t offset = v->header.table_offset + block * 4;
	struct vhd_page *p = vhd_page_find(v, page_offset(v, block));
	uint8_t raw[4];
	int err;

	CHECK(v->hold != 0);
	store_be32(raw, entry);
	err = storage_file_write(v->layer.file, offset, raw, sizeof(raw));
	if (err != 0) {
		vhd_image_fail(v, err); /* it may be there or not */
	} else if (p != NULL) {
		memcpy(p->data + byte_in_page(block), raw, sizeof(raw));
	}
	return err;
}
