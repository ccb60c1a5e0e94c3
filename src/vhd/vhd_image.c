// SPDX-License-Identifier: Apache-2.0
/* Dynamic and differencing VHDs as layers: open, close, describe. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "vhd_bits.h"
#include "vhd_image.h"

#define ALLOCATED_SCAN_MAX (256u << 20) /* larger tables are not counted through */

/* ---- For both kinds ---- */

void vhd_init_block(struct vhd_layer *l, struct storage_file *f, const struct vhd_footer *footer,
		    uint32_t flags)
{
	uint64_t bytes = footer->current_bytes;

	if (flags & VHD_OPEN_CHS_SIZE) {
		bytes = min_u64(bytes, vhd_geometry_bytes(footer->geometry));
	}
	l->file = f;
	l->block.context = f->context;
	l->block.name = f->name;
	l->block.info = (struct block_info){
		.bytes = bytes,
		.sector_bytes = VHD_SECTOR_BYTES,
		.physical_sector_bytes = VHD_SECTOR_BYTES,
		.read_only = !(flags & VHD_OPEN_WRITE),
		.id = footer->id,
	};
}

void vhd_describe_footer(const struct vhd_footer *f, struct vhd_info *info)
{
	char app[5] = {0}, os[5] = {0};

	memcpy(app, f->creator, sizeof(f->creator));
	memcpy(os, f->creator_os, sizeof(f->creator_os));
	for (size_t i = 0; i < 4; i++) {
		app[i] = app[i] != 0 && (app[i] < ' ' || app[i] > '~') ? '?' : app[i];
		os[i] = os[i] != 0 && (os[i] < ' ' || os[i] > '~') ? '?' : os[i];
	}
	snprintf(info->creator, sizeof(info->creator), "%s %u.%u %s", app, f->creator_version >> 16,
		 f->creator_version & 0xffff, os);
	info->id = f->id;
	info->linkage = f->id;
	info->saved_state = f->saved_state != 0;
}

void vhd_describe_block(const struct vhd_layer *l, struct vhd_info *info)
{
	info->bytes = l->block.info.bytes;
	info->sector_bytes = VHD_SECTOR_BYTES;
	info->physical_sector_bytes = VHD_SECTOR_BYTES;
}

/* Children of a VHD name its unique id, which writing does not change. */
int vhd_new_linkage(struct vhd_layer *l, const struct guid *linkage, struct vhd_error *error)
{
	(void)l;
	(void)linkage;
	(void)error;
	return 0;
}

/* ---- Open ---- */

static void image_free(struct vhd_image *v)
{
	vhd_compaction_destroy(v);
	if (v->buckets != NULL) {
		vhd_page_drop_all(v);
	}
	while (v->slots != NULL) {
		struct vhd_alloc *a = v->slots;

		v->slots = a->next;
		free(a);
	}
	vhd_ops_free(v);
	free(v->buckets);
	free(v->head);
	free(v);
}

static int read_header(struct vhd_image *v, uint64_t file_bytes, struct vhd_error *error)
{
	struct storage_file *f = v->layer.file;
	uint64_t at = v->footer.data_offset;
	uint8_t raw[VHD_HEADER_BYTES];
	char text[VHD_FAULT_BYTES];
	const char *fault;
	int err;

	if (at % VHD_SECTOR_BYTES != 0 || at < VHD_FOOTER_BYTES ||
	    !range_within(at, VHD_HEADER_BYTES, file_bytes)) {
		return vhd_fail(error, VHD_CORRUPT,
				"%s: footer: dynamic header at %" PRIu64 ", in a file of %" PRIu64
				" bytes; expected 512",
				f->name, at, file_bytes);
	}
	err = storage_file_read(f, at, raw, sizeof(raw));
	if (err != 0) {
		return vhd_fail_errno(error, err, f->name, "cannot read the dynamic header");
	}
	fault = vhd_header_decode(raw, &v->header, text);
	if (fault == NULL) {
		fault = vhd_header_fault(&v->header, &v->footer, file_bytes, text);
	}
	if (fault != NULL) {
		return vhd_fail(error, VHD_CORRUPT, "%s: dynamic header at %" PRIu64 ": %s",
				f->name, at, fault);
	}
	return 0;
}

static void set_block_sizes(struct vhd_image *v)
{
	v->differencing = v->footer.type == VHD_TYPE_DIFFERENCING;
	v->block_bytes = v->header.block_bytes;
	v->block_shift = (uint32_t)__builtin_ctz(v->block_bytes);
	v->bitmap_bytes = vhd_bitmap_bytes(v->block_bytes);
	v->stride = (uint64_t)v->bitmap_bytes + v->block_bytes;
	v->first_block = v->header.table_offset + vhd_bat_bytes(v->header.entries);
}

uint64_t vhd_image_extras_end(const struct vhd_image *v)
{
	uint64_t end = max_u64(v->first_block, v->footer.data_offset + VHD_HEADER_BYTES);

	for (size_t i = 0; i < VHD_LOCATORS; i++) {
		const struct vhd_locator_entry *e = &v->header.locators[i];
		uint64_t space =
			max_u64(vhd_locator_space(e->space), align_up(e->bytes, VHD_SECTOR_BYTES));

		if (e->code != 0 && range_within(e->offset, space, v->tail)) {
			end = max_u64(end, align_up(e->offset + space, VHD_SECTOR_BYTES));
		}
	}
	return end;
}

/*
 * Finds where allocation goes on. Without a footer at the end whatever follows the last block is left from an allocation that was
 * never finished. With one, space for whole blocks that nobody refers to is the same; less than that belongs to somebody (Interop: blktap
 * keeps a map of full blocks behind the BAT).
 */
static int find_tail(struct vhd_image *v, const struct vhd_footers *found, struct vhd_error *error)
{
	uint64_t end = 0;
	int rc;

	v->tail = align_down(found->tail_offset, VHD_SECTOR_BYTES);
	if (vhd_bat_bytes(v->header.entries) > VHD_BAT_CHECK_MAX) {
		v->tail = align_up(found->tail_offset, VHD_SECTOR_BYTES);
		return 0;
	}
	rc = vhd_bat_check(v, &end, error);
	if (rc != 0) {
		return rc;
	}
	end = max_u64(end, vhd_image_extras_end(v));
	if (!found->tail_good || v->tail - end >= v->stride) {
		v->tail = end;
		v->tail_excess = true;
	}
	return 0;
}

/* Makes both footers good and the same, when they are not. */
static int repair_footers(struct vhd_image *v, const struct vhd_footers *found,
			  struct vhd_error *error)
{
	struct storage_file *f = v->layer.file;
	uint8_t raw[VHD_FOOTER_BYTES], copy[VHD_FOOTER_BYTES];
	int err = 0;

	vhd_footer_encode(&v->footer, raw);
	vhd_footer_encode(&found->copy, copy);
	if (!found->copy_good || memcmp(raw, copy, sizeof(raw)) != 0) {
		err = storage_file_write(f, 0, raw, sizeof(raw));
		err = err == 0 ? storage_file_flush(f) : err;
	}
	if (err == 0 && !found->tail_good) {
		err = storage_file_set_size(f, v->tail);
		err = err == 0 ? storage_file_write(f, v->tail, raw, sizeof(raw)) : err;
		err = err == 0 ? storage_file_flush(f) : err;
		v->tail_excess = false;
	}
	return err == 0 ? 0 : vhd_fail_errno(error, err, f->name, "cannot write its footers");
}

static const struct vhd_format_ops image_ops;

static int image_alloc(struct vhd_image *v)
{
	v->buckets = calloc(VHD_PAGE_BUCKETS, sizeof(struct vhd_page *));
	if (v->buckets == NULL) {
		return -ENOMEM;
	}
	if (v->layer.block.info.read_only) {
		return 0;
	}
	v->head = calloc(1, VHD_ALIGN + v->bitmap_bytes);
	if (v->head == NULL) {
		return -ENOMEM;
	}
	/* Whole blocks of a dynamic disk are there from the start: what was not written reads as zeros. */
	memset(v->head + VHD_ALIGN, v->differencing ? 0 : 0xff, v->bitmap_bytes);
	return 0;
}

static void image_init(struct vhd_image *v, struct storage_file *f, const struct vhd_footer *footer,
		       uint32_t flags)
{
	v->footer = *footer;
	v->layer.ops = &image_ops;
	v->layer.block.ops = &vhd_image_block_ops;
	vhd_init_block(&v->layer, f, footer, flags);
	vhd_queue_init(&v->held);
	vhd_queue_init(&v->wait_footer);
	vhd_queue_init(&v->wait_commit);
	vhd_commit_init(v);
}

static int image_load(struct vhd_image *v, const struct vhd_footers *found, uint32_t flags,
		      struct vhd_error *error)
{
	struct block_info *info = &v->layer.block.info;
	int rc = read_header(v, found->file_bytes, error);

	if (rc != 0) {
		return rc;
	}
	set_block_sizes(v);
	info->discards = true;
	info->discard_granularity_bytes = VHD_ALIGN;
	info->discard_zeros = !v->differencing;
	v->layer.parent_absent = v->differencing && (flags & VHD_OPEN_NO_PARENT);
	rc = image_alloc(v);
	if (rc != 0) {
		return vhd_fail_errno(error, rc, v->layer.file->name, "cannot open");
	}
	rc = find_tail(v, found, error);
	if (rc == 0 && !info->read_only) {
		rc = repair_footers(v, found, error);
	}
	return rc;
}

int vhd_image_open(const struct vhd_footers *found, struct storage_file *f, uint32_t flags,
		   struct vhd_layer **ret, struct vhd_error *error)
{
	struct vhd_image *v = calloc(1, sizeof(*v));
	int rc;

	if (v == NULL) {
		return vhd_fail_errno(error, -ENOMEM, f->name, "cannot open");
	}
	image_init(v, f, found->tail_good ? &found->tail : &found->copy, flags);
	rc = image_load(v, found, flags, error);
	if (rc != 0) {
		image_free(v);
		return rc;
	}
	*ret = &v->layer;
	return 0;
}

/* ---- An open one ---- */

/* Counts what the table says. */
struct usage {
	uint64_t blocks, end;
};

static int count_block(void *ctx, uint64_t block, uint32_t entry)
{
	struct usage *u = ctx;

	(void)entry;
	u->blocks++;
	u->end = block + 1;
	return 0;
}

static void image_info(struct vhd_layer *l, struct vhd_info *info)
{
	struct vhd_image *v = vhd_image_of(l);

	info->format = v->differencing ? VHD_VHD_DIFFERENCING : VHD_VHD_DYNAMIC;
	vhd_describe_block(l, info);
	vhd_describe_footer(&v->footer, info);
	info->block_bytes = v->block_bytes;
	info->has_parent = v->differencing;
	info->parent_linkage = v->header.parent_id;
}

static void image_usage(struct vhd_layer *l, struct vhd_info *info)
{
	struct vhd_image *v = vhd_image_of(l);
	struct usage u = {0};

	info->allocated_bytes = v->tail;
	info->minimum_bytes = info->bytes;
	if (vhd_bat_bytes(v->header.entries) <= ALLOCATED_SCAN_MAX &&
	    vhd_bat_scan(v, count_block, &u) == 0) {
		info->allocated_bytes = u.blocks << v->block_shift;
		info->minimum_bytes = min_u64(u.end << v->block_shift, info->bytes);
	}
	/* It is as large as its parent. */
	info->minimum_bytes = v->differencing ? info->bytes : info->minimum_bytes;
}

static int image_freeze(struct vhd_layer *l, struct vhd_error *error)
{
	struct vhd_image *v = vhd_image_of(l);

	if (!l->file->writable) {
		return 0;
	}
	int err = vhd_hold(v);

	if (err == 0) {
		err = storage_file_flush(l->file);
	}
	if (err == 0) {
		l->block.info.read_only = true;
	}
	vhd_release(v);
	return err == 0 ? 0 : vhd_fail_errno(error, err, l->file->name, "cannot write it out");
}

static int image_close(struct vhd_layer *l)
{
	struct vhd_image *v = vhd_image_of(l);
	int err = 0;

	if (l->file->writable) {
		err = vhd_hold(v);
		err = err == 0 ? storage_file_flush(l->file) : err;
	}
	storage_file_close(l->file);
	image_free(v);
	return err;
}

/* ---- What this file has ---- */

static int read_entry(struct vhd_image *v, uint64_t block, uint32_t *ret)
{
	uint32_t page[VHD_PAGE_ENTRIES];
	uint64_t first = align_down(block, VHD_PAGE_ENTRIES);
	size_t count = (size_t)min_u64(VHD_PAGE_ENTRIES, v->header.entries - first);
	int err = vhd_bat_read(v, first, page, count);

	*ret = page[err == 0 ? block - first : 0];
	return err;
}

/* The bytes [@offset, ...) of the block at @position, by its bitmap. */
static int map_bits(struct vhd_image *v, uint64_t position, uint32_t offset,
		    struct vhd_local_extent *ret)
{
	struct vhd_place place = {0};
	uint32_t sector = offset / VHD_SECTOR_BYTES,
		 sectors = v->block_bytes / VHD_SECTOR_BYTES - sector, run;
	struct vhd_page *page, *temporary = NULL;
	uint64_t at;
	int err = 0;

	place.page = sector / VHD_PAGE_BITS;
	place.bit = sector % VHD_PAGE_BITS;
	place.bits = (uint32_t)min_u64(sectors, VHD_PAGE_BITS - place.bit);
	at = vhd_bits_page_offset(position, place);
	page = vhd_page_find(v, at);
	if (page == NULL || !page->ready) {
		page = temporary = calloc(1, sizeof(*page) + vhd_bits_page_bytes(v));
		err = page == NULL ? -ENOMEM
				   : storage_file_read(v->layer.file, at, page->data,
						       vhd_bits_page_bytes(v));
	}
	if (err == 0) {
		ret->kind = vhd_bits_run(page, place.bit, place.bits, &run) ? VHD_LOCAL_DATA
									    : VHD_LOCAL_PARENT;
		ret->bytes = (uint64_t)run * VHD_SECTOR_BYTES;
	}
	free(temporary);
	return err;
}

static int image_map(struct vhd_layer *l, uint64_t offset, struct vhd_local_extent *ret,
		     struct vhd_error *error)
{
	struct vhd_image *v = vhd_image_of(l);
	uint32_t in_block = (uint32_t)(offset & (v->block_bytes - 1)), entry;
	struct vhd_local_extent found = {.kind = VHD_LOCAL_PARENT,
					 .bytes = v->block_bytes - in_block};
	uint64_t position;
	int err = read_entry(v, offset >> v->block_shift, &entry);

	if (err == 0 && entry != VHD_BAT_UNUSED) {
		position = vhd_bat_position(v, entry);
		found.kind = VHD_LOCAL_DATA;
		err = position == 0 ? -ENODATA : 0;
		if (err == 0 && v->differencing) {
			err = map_bits(v, position, in_block, &found);
		}
		found.file_offset =
			found.kind == VHD_LOCAL_DATA ? position + v->bitmap_bytes + in_block : 0;
	}
	if (err != 0) {
		return vhd_fail_errno(error, err, l->file->name, "cannot read the BAT or a bitmap");
	}
	*ret = found;
	return 0;
}

static const struct vhd_format_ops image_ops = {
	.name = "vhd",
	.info = image_info,
	.usage = image_usage,
	.locator = vhd_vhd_locator,
	.set_locator = vhd_vhd_set_locator,
	.map = image_map,
	.resize = vhd_vhd_resize,
	.compact_step = vhd_vhd_compact_step,
	.new_linkage = vhd_new_linkage,
	.freeze = image_freeze,
	.close = image_close,
};
