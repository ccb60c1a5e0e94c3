// SPDX-License-Identifier: Apache-2.0
/*
 * Commit cycles: see vhdx.h. A cycle is
 *
 *	snapshot -> [file flush, when data must be stable first] -> log entry -> file flush -> [header names the log, once]
 *	-> answer flushes -> pages to their places
 *
 * The file flush of one cycle also makes the in-place writes of the one before stable; from then on the log does not need that one's entry. So
 * a log holds two entries at any time, and one may be nearly half of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhdx.h"

/* More would only make cycles long. */
#define PAGE_MAX 1022u

static unsigned log_page_max(uint32_t log_bytes)
{
	/* One page of the log stays free, so that full and empty are different. */
	uint64_t room = (log_bytes - VHDX_PAGE) / 2;
	unsigned n = (unsigned)min_u64(room / VHDX_PAGE - 1, PAGE_MAX);

	while (vhdx_log_head_bytes(n) + (uint64_t)n * VHDX_PAGE > room) {
		n--;
	}
	return n;
}

int vhdx_commit_init(struct vhdx *v)
{
	struct vhdx_commit *c = &v->commit;

	c->next_tail = &c->next;
	if (!v->writable) {
		return 0;
	}
	c->page_max = log_page_max(v->header.log_bytes);
	c->pages = calloc(c->page_max, sizeof(struct vhdx_page *));
	c->ios = calloc(c->page_max, sizeof(struct vhdx_io));
	c->buffer = aligned_alloc(VHDX_PAGE, vhdx_log_head_bytes(c->page_max) +
						     (size_t)c->page_max * VHDX_PAGE);
	return c->pages != NULL && c->ios != NULL && c->buffer != NULL ? 0 : -ENOMEM;
}

void vhdx_commit_fini(struct vhdx *v)
{
	free(v->commit.pages);
	free(v->commit.ios);
	free(v->commit.buffer);
}

/* ---- The cycle, from its end to its beginning ---- */

static void begin(struct vhdx *v);

static void answer(struct vhdx *v, struct io_request *r, int result)
{
	while (r != NULL) {
		struct io_request *next = r->next;

		io_complete(v->layer.block.context, r, result);
		r = next;
	}
}

static void end(struct vhdx *v, int result)
{
	struct vhdx_commit *c = &v->commit;
	struct io_request *now = c->now;

	for (unsigned i = 0; i < c->page_count; i++) {
		vhdx_page_written(v, c->pages[i], result == 0);
	}
	c->page_count = 0;
	c->now = NULL;
	c->running = false;
	if (result != 0) {
		vhdx_broken(v, result);
		answer(v, now, result);
	}
	if (c->next != NULL || c->again) {
		vhdx_commit_start(v);
	}
	if (v->error != 0) {
		vhdx_wake_all(&c->room, v->error);
	}
}

/* One of several transfers of a step is done. True: it was the last one. */
static bool step_done(struct vhdx_commit *c, int result)
{
	if (result != 0 && c->result == 0) {
		c->result = result;
	}
	return --c->pending == 0;
}

static void page_run_written(struct vhdx_io *io, int result)
{
	if (step_done(&io->v->commit, result)) {
		end(io->v, io->v->commit.result);
	}
}

static void write_in_place(struct vhdx *v)
{
	struct vhdx_commit *c = &v->commit;
	uint8_t *data = c->buffer + vhdx_log_head_bytes(c->page_count);

	c->pending = 1;
	c->result = 0;
	for (unsigned i = 0, n; i < c->page_count; i += n) {
		/* Pages are sorted: neighbours go together. */
		for (n = 1; i + n < c->page_count &&
			    c->pages[i + n]->offset == c->pages[i]->offset + n * VHDX_PAGE;
		     n++) {
		}
		c->pending++;
		vhdx_io_write(v, &c->ios[i], c->pages[i]->offset, data + (size_t)i * VHDX_PAGE,
			      (size_t)n * VHDX_PAGE, page_run_written);
	}
	if (step_done(c, 0)) {
		end(v, c->result);
	}
}

/* The log entry is stable, and will be found. */
static void promised(struct vhdx *v)
{
	struct vhdx_commit *c = &v->commit;
	struct io_request *now = c->now;

	c->durable = c->cycle;
	c->now = NULL;
	answer(v, now, 0);
	vhdx_space_progress(v);
	write_in_place(v);
}

static void published(struct vhdx_header_change *change, int result)
{
	struct vhdx *v = change->v;

	if (result != 0) {
		end(v, result);
		return;
	}
	v->log.published = true;
	promised(v);
}

static void entry_flushed(struct vhdx_io *io, int result)
{
	struct vhdx *v = io->v;
	struct vhdx_log *l = &v->log;

	if (result != 0) {
		end(v, result);
		return;
	}
	/* All that was written in place before is stable now. */
	l->tail = v->commit.page_count != 0 ? l->entry : l->head;
	if (v->commit.page_count != 0 && !l->published) {
		v->commit.publish = (struct vhdx_header_change){
			.what = VHDX_CHANGE_LOG, .log = l->guid, .then = published};
		vhdx_header_change(v, &v->commit.publish);
		return;
	}
	promised(v);
}

static void entry_written(struct vhdx_io *io, int result)
{
	struct vhdx *v = io->v;

	if (!step_done(&v->commit, result)) {
		return;
	}
	vhdx_log_restore(v);
	if (v->commit.result != 0) {
		end(v, v->commit.result);
		return;
	}
	vhdx_io_flush(v, &v->commit.io, entry_flushed);
	/* Only now, not when the cycle began: that may have been in the middle of somebody's change. */
	vhdx_wake_all(&v->commit.room, 0);
}

/* A log that the header does not name yet begins anew. */
static void open_log(struct vhdx *v)
{
	struct vhdx_log *l = &v->log;
	const struct vhd_host *host = v->layer.host;
	uint8_t random[16];

	if (l->published) {
		return;
	}
	host->random(host->ctx, random, sizeof(random));
	*l = (struct vhdx_log){.guid = guid_from_random(random), .sequence = 1};
}

static void write_entry(struct vhdx *v)
{
	struct vhdx_commit *c = &v->commit;
	struct vhdx_log *l = &v->log;

	if (c->page_count == 0) {
		vhdx_io_flush(v, &c->io, entry_flushed);
		return;
	}
	open_log(v);
	vhdx_log_build(v);

	/* It may wrap around the end of the log. */
	uint64_t at = v->header.log_offset + l->entry;
	size_t first = (size_t)min_u64(l->entry_bytes, v->header.log_bytes - l->entry);

	c->result = 0;
	c->pending = first == l->entry_bytes ? 1 : 2;
	vhdx_io_write(v, &c->io, at, c->buffer, first, entry_written);
	if (first != l->entry_bytes) {
		vhdx_io_write(v, &c->ios[0], v->header.log_offset, c->buffer + first,
			      l->entry_bytes - first, entry_written);
	}
}

static void data_flushed(struct vhdx_io *io, int result)
{
	struct vhdx *v = io->v;

	if (result != 0) {
		end(v, result);
		return;
	}
	write_entry(v);
	vhdx_wake_all(&v->commit.room, 0);
}

static int by_offset(const void *a, const void *b)
{
	const struct vhdx_page *const *pa = a, *const *pb = b;

	return (*pa)->offset < (*pb)->offset ? -1 : (*pa)->offset > (*pb)->offset;
}

/* Copies the dirty pages behind the room for the entry's head. Returns which file flush their data needs. */
static uint64_t snapshot(struct vhdx *v)
{
	struct vhdx_commit *c = &v->commit;
	uint64_t data_flush = 0;

	CHECK(v->cache.dirty.count <= c->page_max);
	while (v->cache.dirty.oldest != NULL) {
		struct vhdx_page *p = v->cache.dirty.oldest;

		data_flush = max_u64(data_flush, p->data_flush);
		vhdx_page_snapshot(v, p);
		c->pages[c->page_count++] = p;
	}
	qsort(c->pages, c->page_count, sizeof(struct vhdx_page *), by_offset);
	for (unsigned i = 0; i < c->page_count; i++) {
		memcpy(c->buffer + vhdx_log_head_bytes(c->page_count) + (size_t)i * VHDX_PAGE,
		       c->pages[i]->data, VHDX_PAGE);
	}
	return data_flush;
}

static void begin(struct vhdx *v)
{
	struct vhdx_commit *c = &v->commit;

	c->running = true;
	c->again = false;
	c->cycle++;
	c->now = c->next;
	c->next = NULL;
	c->next_tail = &c->next;
	if (snapshot(v) > v->flush_completed) {
		vhdx_io_flush(v, &c->io, data_flushed);
	} else {
		write_entry(v);
	}
}

/* ---- From outside ---- */

void vhdx_commit_start(struct vhdx *v)
{
	struct vhdx_commit *c = &v->commit;

	if (v->error != 0) {
		struct io_request *next = c->next;

		c->next = NULL;
		c->next_tail = &c->next;
		answer(v, next, v->error);
		return;
	}
	if (c->running || c->hold) {
		c->again = true;
		return;
	}
	if (c->next != NULL || v->cache.dirty.count != 0) {
		begin(v);
	}
}

void vhdx_commit_flush(struct vhdx *v, struct io_request *r)
{
	struct vhdx_commit *c = &v->commit;

	if (!v->writable) {
		io_complete(v->layer.block.context, r, 0);
		return;
	}
	r->next = NULL;
	*c->next_tail = r;
	c->next_tail = &r->next;
	vhdx_commit_start(v);
}
