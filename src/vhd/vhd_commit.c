// SPDX-License-Identifier: Apache-2.0
/* Making metadata durable, many changes at a time: see vhd_image.h for the order. */
#include <errno.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "vhd_image.h"

static struct vhd_image *image_of(struct io_request *r)
{
	return container_of(r, struct vhd_image, commit.r);
}

void vhd_commit_init(struct vhd_image *v)
{
	v->commit.next_tail = &v->commit.next;
}

bool vhd_commit_needed(const struct vhd_image *v)
{
	return v->dirty != NULL || v->footer_dirty || v->commit.running;
}

void vhd_image_fail(struct vhd_image *v, int err)
{
	if (v->failed == 0) {
		v->failed = err;
		v->layer.block.info.read_only = true;
		block_changed(&v->layer.block);
	}
}

static void complete_flushes(struct vhd_image *v, struct io_request *r, int result)
{
	while (r != NULL) {
		struct io_request *next = r->next;

		io_complete(v->layer.block.context, r, result);
		r = next;
	}
}

static struct io_request *take_next(struct vhd_commit *c)
{
	struct io_request *r = c->next;

	c->next = NULL;
	c->next_tail = &c->next;
	return r;
}

/* Everything that is dirty now belongs to this commit; changes from here on belong to the next. */
static void take_snapshot(struct vhd_image *v)
{
	struct vhd_page *p = v->dirty;

	v->commit.pages = NULL;
	while (p != NULL) {
		struct vhd_page *next = p->dirty_next;

		memcpy(p->shadow, p->data, p->bytes);
		p->writing = p->dirty;
		p->dirty = 0;
		p->commit_next = v->commit.pages;
		v->commit.pages = p;
		p = next;
	}
	v->dirty = NULL;
	v->dirty_pages = 0;
}

/* @keep: they could not be written for lack of space, and stay to be written. */
static void release_pages(struct vhd_image *v, bool keep)
{
	struct vhd_page *p = v->commit.pages;

	while (p != NULL) {
		struct vhd_page *next = p->commit_next;

		for (uint32_t at = 0; keep && at < p->bytes; at += VHD_SECTOR_BYTES) {
			if (p->writing & 1u << at / VHD_SECTOR_BYTES) {
				vhd_page_mark(p, at);
			}
		}
		p->writing = 0;
		p = next;
	}
	v->commit.pages = NULL;
}

static void commit_start(struct vhd_image *v);

/*
 * @at_footer: nothing but the footer was written yet. Then a lack of space is not the end: the flush fails, the next one tries
 * again. After that the file is in a state of which we only know that it is whole.
 */
static void commit_finish(struct vhd_image *v, int result, bool at_footer)
{
	struct vhd_commit *c = &v->commit;
	bool again = result == -ENOSPC && at_footer;
	struct io_request *flushes = c->now;

	release_pages(v, again);
	v->footer_dirty = v->footer_dirty || again;
	c->running = false;
	c->result = result;
	c->now = NULL;
	if (result != 0 && !again) {
		vhd_image_fail(v, result);
	}
	complete_flushes(v, flushes, result);
	vhd_queue_wake(&v->wait_commit, result);
	if (c->next != NULL && !c->running) {
		commit_start(v);
	}
}

static void submit_flush(struct vhd_image *v, void (*done)(struct io_request *r, int result))
{
	v->commit.r = (struct io_request){.op = IO_FLUSH, .done = done};
	storage_file_submit(v->layer.file, &v->commit.r);
}

static void tables_flushed(struct io_request *r, int result)
{
	commit_finish(image_of(r), result, false);
}

static void page_written(struct io_request *r, int result)
{
	struct vhd_image *v = container_of(r, struct vhd_page, r)->v;
	struct vhd_commit *c = &v->commit;

	c->result = c->result == 0 ? result : c->result;
	if (--c->outstanding != 0) {
		return;
	}
	if (c->result != 0) {
		commit_finish(v, c->result, false);
	} else {
		submit_flush(v, tables_flushed);
	}
}

/* From the first to the last sector that changed. */
static void write_page(struct vhd_image *v, struct vhd_page *p)
{
	uint32_t first = (uint32_t)__builtin_ctz(p->writing) * VHD_SECTOR_BYTES;
	uint32_t end = (uint32_t)(32 - __builtin_clz(p->writing)) * VHD_SECTOR_BYTES;

	p->vec = (struct io_vec){.base = p->shadow + first, .bytes = end - first};
	p->r = (struct io_request){
		.op = IO_WRITE,
		.offset = p->offset + first,
		.bytes = end - first,
		.vec = &p->vec,
		.vec_count = 1,
		.done = page_written,
	};
	v->commit.outstanding++;
	storage_file_submit(v->layer.file, &p->r);
}

static void blocks_flushed(struct io_request *r, int result)
{
	struct vhd_image *v = image_of(r);

	if (result != 0 || v->commit.pages == NULL) {
		/* A flush that fails may have lost data whatever it failed of. */
		commit_finish(v, result, false);
		return;
	}
	for (struct vhd_page *p = v->commit.pages; p != NULL; p = p->commit_next) {
		write_page(v, p);
	}
}

static void footer_written(struct io_request *r, int result)
{
	struct vhd_image *v = image_of(r);

	v->commit.footer_in_flight = false;
	if (result != 0) {
		commit_finish(v, result, true);
	} else {
		submit_flush(v, blocks_flushed);
	}
	vhd_queue_wake(&v->wait_footer, 0);
}

static void write_footer(struct vhd_image *v)
{
	struct vhd_commit *c = &v->commit;

	vhd_footer_encode(&v->footer, c->footer);
	c->vec = (struct io_vec){.base = c->footer, .bytes = sizeof(c->footer)};
	c->r = (struct io_request){
		.op = IO_WRITE,
		.offset = v->tail,
		.bytes = sizeof(c->footer),
		.vec = &c->vec,
		.vec_count = 1,
		.done = footer_written,
	};
	v->footer_dirty = false;
	c->footer_in_flight = true;
	storage_file_submit(v->layer.file, &c->r);
}

static void commit_start(struct vhd_image *v)
{
	struct vhd_commit *c = &v->commit;

	if (v->failed != 0) {
		complete_flushes(v, take_next(c), v->failed);
		return;
	}
	c->running = true;
	c->result = 0;
	c->now = take_next(c);
	take_snapshot(v);
	if (v->footer_dirty) {
		write_footer(v);
	} else {
		submit_flush(v, blocks_flushed);
	}
}

void vhd_commit_request(struct vhd_image *v, struct io_request *r)
{
	struct vhd_commit *c = &v->commit;

	if (r != NULL) {
		r->next = NULL;
		*c->next_tail = r;
		c->next_tail = &r->next;
	}
	if (!c->running) {
		commit_start(v);
	}
}
