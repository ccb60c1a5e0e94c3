// SPDX-License-Identifier: Apache-2.0
/* Waiting for commit cycles, holding them back, and the log taken back when there is nothing in it. */
#include <errno.h>

#include "vhdx.h"

bool vhdx_commit_room(struct vhdx *v, unsigned pages, struct vhdx_waiter *w)
{
	struct vhdx_commit *c = &v->commit;
	size_t dirty = v->cache.dirty.count;

	CHECK(pages <= c->page_max);
	if (dirty + pages <= c->page_max) {
		if (dirty > c->page_max / 2 && !c->running) {
			vhdx_commit_start(v);
		}
		return true;
	}
	vhdx_wait_on(&c->room, w);
	vhdx_commit_start(v);
	return false;
}

struct sync_flush {
	struct io_request r;
	bool finished;
	int result;
};

static void sync_done(struct io_request *r, int result)
{
	struct sync_flush *s = container_of(r, struct sync_flush, r);

	s->finished = true;
	s->result = result;
}

int vhdx_commit_sync(struct vhdx *v)
{
	struct sync_flush s = {.r = {.op = IO_FLUSH, .done = sync_done}};

	vhdx_commit_flush(v, &s.r);
	while (!s.finished) {
		vhdx_turn(v);
	}
	return s.result;
}

void vhdx_commit_hold(struct vhdx *v)
{
	v->commit.hold = true;
	while (v->commit.running) {
		vhdx_turn(v);
	}
}

void vhdx_commit_release(struct vhdx *v)
{
	v->commit.hold = false;
	vhdx_commit_start(v);
}

void vhdx_broken(struct vhdx *v, int error)
{
	if (v->error == 0) {
		v->error = error;
		v->layer.block.info.read_only = true;
		block_changed(&v->layer.block);
	}
}

/* ---- The log is taken back ---- */

struct sync_io {
	struct vhdx_io io;
	bool finished;
	int result;
};

static void sync_io_then(struct vhdx_io *io, int result)
{
	struct sync_io *s = container_of(io, struct sync_io, io);

	s->finished = true;
	s->result = result;
}

int vhdx_flush_sync(struct vhdx *v)
{
	struct sync_io s = {0};

	vhdx_io_flush(v, &s.io, sync_io_then);
	while (!s.finished) {
		vhdx_turn(v);
	}
	return s.result;
}

int vhdx_log_close(struct vhdx *v)
{
	int rc = v->error;

	CHECK(v->commit.hold && !v->commit.running);
	if (rc != 0 || !v->log.published) {
		return rc;
	}
	rc = vhdx_flush_sync(v); /* what was written in place */
	if (rc == 0) {
		rc = vhdx_header_change_sync(v, VHDX_CHANGE_LOG, NULL, NULL);
	}
	if (rc == 0) {
		v->log.published = false;
	}
	return rc;
}
