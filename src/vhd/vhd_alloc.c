// SPDX-License-Identifier: Apache-2.0
/*
 * A block that does not exist is allocated by the first write to it: its head (the bitmap) and the data go out together, the BAT entry
 * is made in memory when both are done. Others that want the same block wait for that.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "vhd_bits.h"
#include "vhd_image.h"

bool vhd_too_many_dirty(struct vhd_op *op)
{
	struct vhd_image *v = op->v;

	if (v->dirty_pages >= VHD_DIRTY_SOFT && !v->commit.running) {
		vhd_commit_request(v, NULL);
	}
	if (v->dirty_pages < VHD_DIRTY_HARD || !v->commit.running) {
		return false;
	}
	vhd_op_park(op, &v->wait_commit);
	return true;
}

static struct vhd_alloc *find_alloc(struct vhd_image *v, uint64_t block)
{
	struct vhd_alloc *a = v->allocs;

	while (a != NULL && a->block != block) {
		a = a->next;
	}
	return a;
}

uint64_t vhd_align_block(const struct vhd_image *v, uint64_t slot)
{
	if (v->block_bytes < VHD_ALIGN_FROM) {
		return slot;
	}
	return align_up(slot + v->bitmap_bytes, VHD_ALIGN) - v->bitmap_bytes;
}

/* Takes the space behind the last block. */
static int take_tail(struct vhd_image *v, struct vhd_alloc *a)
{
	uint64_t position = vhd_align_block(v, v->tail);
	int err = 0;

	if ((position + v->stride) / VHD_SECTOR_BYTES >= VHD_BAT_UNUSED) {
		return -ENOSPC; /* beyond what entries can say */
	}
	if (v->tail_excess) {
		err = storage_file_set_size(v->layer.file, v->tail);
	}
	if (err != 0) {
		return err;
	}
	v->tail_excess = false;
	v->footer_dirty = true;
	a->slot = v->tail;
	a->position = position;
	v->tail = position + v->stride;
	return 0;
}

/* An allocation with its space, which nobody sees yet. NULL: *ret_error says why. */
static struct vhd_alloc *take_space(struct vhd_image *v, int *ret_error)
{
	struct vhd_alloc *a = v->slots;

	if (a != NULL) {
		v->slots = a->next;
		a->reused = true;
		return a;
	}
	a = calloc(1, sizeof(*a));
	*ret_error = a == NULL ? -ENOMEM : take_tail(v, a);
	if (*ret_error != 0) {
		free(a);
		return NULL;
	}
	a->v = v;
	vhd_queue_init(&a->waiting);
	return a;
}

static void give_up_space(struct vhd_image *v, struct vhd_alloc *a)
{
	a->next = v->slots;
	v->slots = a;
}

void vhd_set_bits(struct vhd_child *c)
{
	vhd_bits_set(c->bitmap, c->bit, c->bits);
}

/* The block exists from now on. */
static void alloc_publish(struct vhd_alloc *a)
{
	vhd_bat_set(a->bat, a->block, (uint32_t)(a->position / VHD_SECTOR_BYTES));
	if (a->data_result == 0 && a->data->bitmap != NULL) {
		vhd_set_bits(a->data);
	}
}

static void alloc_finish(struct vhd_alloc *a)
{
	struct vhd_image *v = a->v;
	struct vhd_child *data = a->data;
	struct vhd_queue waiting = a->waiting;
	int result = a->head_result != 0 ? a->head_result : a->data_result;
	struct vhd_alloc **link = &v->allocs;

	while (*link != a) {
		link = &(*link)->next;
	}
	*link = a->next;
	if (a->head_result == 0) {
		alloc_publish(a);
	}
	vhd_page_unpin(a->bat);
	vhd_page_unpin(a->bitmap);
	if (waiting.head == NULL) {
		vhd_queue_init(&waiting);
	}
	vhd_queue_init(&a->waiting);
	if (a->head_result == 0) {
		free(a);
	} else {
		vhd_page_drop(v, a->bitmap->offset, 1);
		give_up_space(v, a);
	}
	vhd_queue_wake(&waiting, 0);
	vhd_child_finish(data, result);
}

void vhd_alloc_part_done(struct vhd_alloc *a)
{
	if (--a->outstanding == 0) {
		alloc_finish(a);
	}
}

static void head_done(struct io_request *r, int result)
{
	struct vhd_alloc *a = container_of(r, struct vhd_alloc, r);

	a->head_result = result;
	vhd_alloc_part_done(a);
}

/* Fresh bitmap, and zeros up to it where the footer may have been. */
static void write_head(struct vhd_alloc *a)
{
	struct vhd_image *v = a->v;
	size_t gap = (size_t)(a->position - a->slot);

	a->vec = (struct io_vec){.base = v->head + VHD_ALIGN - gap, .bytes = gap + v->bitmap_bytes};
	a->r = (struct io_request){
		.op = IO_WRITE,
		.offset = a->slot,
		.bytes = a->vec.bytes,
		.vec = &a->vec,
		.vec_count = 1,
		.done = head_done,
	};
	storage_file_submit(v->layer.file, &a->r);
}

static void clear_done(struct io_request *r, int result)
{
	struct vhd_alloc *a = container_of(r, struct vhd_alloc, r);

	if (result == 0) {
		write_head(a);
		storage_file_submit(a->v->layer.file, &a->data->r);
		return;
	}
	a->head_result = result;
	a->data_result = result;
	a->outstanding = 1;
	vhd_alloc_part_done(a);
}

/* Space that was given up may hold parts of what was written then: it must be zeros again first. */
static void clear_space(struct vhd_alloc *a)
{
	a->r = (struct io_request){
		.op = IO_ZERO,
		.flags = IO_UNMAP,
		.offset = a->slot,
		.bytes = a->position + a->v->stride - a->slot,
		.done = clear_done,
	};
	storage_file_submit(a->v->layer.file, &a->r);
}

static void alloc_start(struct vhd_alloc *a, struct vhd_child *data)
{
	struct vhd_op *op = data->op;

	a->data = data;
	a->head_result = a->data_result = 0;
	a->outstanding = 2;
	a->next = a->v->allocs;
	a->v->allocs = a;
	data->alloc = a;
	if (!a->reused) {
		write_head(a);
		vhd_child_submit(data);
		return;
	}
	op->outstanding++; /* as vhd_child_submit, but the file gets it later */
	op->at += data->r.bytes;
	clear_space(a);
}

/* The pages that the allocation will change, pinned and ready for it. */
static bool alloc_pages(struct vhd_alloc *a, struct vhd_page *bat, struct vhd_place place)
{
	struct vhd_image *v = a->v;
	uint64_t offset = vhd_bits_page_offset(a->position, place);

	vhd_page_pin(bat);
	a->bat = bat;
	a->bitmap = vhd_page_insert(v, VHD_PAGE_BITMAP, offset, vhd_bits_page_bytes(v), NULL,
				    v->differencing ? 0 : 0xff);
	if (a->bitmap != NULL) {
		vhd_page_pin(a->bitmap);
		if (vhd_page_prepare(bat) && vhd_page_prepare(a->bitmap)) {
			return true;
		}
		vhd_page_unpin(a->bitmap);
		vhd_page_drop(v, offset, 1);
	}
	vhd_page_unpin(bat);
	return false;
}

static struct vhd_child *alloc_data(struct vhd_op *op, struct vhd_alloc *a, struct vhd_place place)
{
	struct vhd_image *v = op->v;
	struct vhd_child *c =
		vhd_child_create(op, op->guest->op, (uint64_t)place.bits * VHD_SECTOR_BYTES,
				 a->position + v->bitmap_bytes + place.offset);

	if (c != NULL && v->differencing) {
		c->bitmap = a->bitmap;
		c->bit = place.bit;
		c->bits = place.bits;
	}
	return c;
}

bool vhd_allocate(struct vhd_op *op, struct vhd_page *bat, struct vhd_place place)
{
	struct vhd_image *v = op->v;
	struct vhd_alloc *a = find_alloc(v, place.block);
	struct vhd_child *data;
	int err;

	if (a != NULL) {
		vhd_op_park(op, &a->waiting);
		return false;
	}
	if (v->commit.footer_in_flight) {
		vhd_op_park(op, &v->wait_footer);
		return false;
	}
	if (vhd_too_many_dirty(op)) {
		return false;
	}
	a = take_space(v, &err);
	if (a == NULL) {
		return vhd_op_fail(op, err);
	}
	if (!alloc_pages(a, bat, place)) {
		give_up_space(v, a);
		return vhd_op_fail(op, -ENOMEM);
	}
	a->block = place.block;
	data = alloc_data(op, a, place);
	if (data == NULL) {
		vhd_page_unpin(a->bat);
		vhd_page_unpin(a->bitmap);
		vhd_page_drop(v, a->bitmap->offset, 1);
		give_up_space(v, a);
		return false;
	}
	alloc_start(a, data);
	return true;
}
