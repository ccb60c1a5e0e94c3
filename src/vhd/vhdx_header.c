// SPDX-License-Identifier: Apache-2.0
/*
 * Changes of the header, one after the other. Spec: MS-VHDX 2.2.2.1: the new header goes to the slot that is not current and counts once it is
 * stable; a torn one leaves the old one valid. What names or forgets a log goes to both slots, one after the other: if one of them is damaged
 * later, the other must not bring back a log that is over, or hide one that has to be replayed.
 */
#include <errno.h>

#include "vhdx.h"

static struct guid random_guid(const struct vhdx *v)
{
	const struct vhd_host *host = v->layer.host;
	uint8_t random[16];

	host->random(host->ctx, random, sizeof(random));
	return guid_from_random(random);
}

static void start_first(struct vhdx *v);

static void finish_first(struct vhdx *v, int result)
{
	struct vhdx_header_change *c = v->changes;

	v->changes = c->next;
	if (v->changes != NULL) {
		start_first(v);
	}
	c->then(c, result);
}

static void write_other_slot(struct vhdx *v);

static void header_flushed(struct vhdx_io *io, int result)
{
	struct vhdx *v = io->v;

	if (result == 0) {
		CHECK(vhdx_header_decode(v->header_page, &v->header));
		v->header_slot ^= 1;
		if ((v->changes->what & VHDX_CHANGE_LOG) != 0 && !v->header_again) {
			v->header_again = true;
			v->header.sequence++;
			vhdx_header_encode(&v->header, v->header_page);
			write_other_slot(v);
			return;
		}
	}
	finish_first(v, result);
}

static void header_written(struct vhdx_io *io, int result)
{
	if (result != 0) {
		finish_first(io->v, result);
		return;
	}
	vhdx_io_flush(io->v, io, header_flushed);
}

static void write_other_slot(struct vhdx *v)
{
	vhdx_io_write(v, &v->header_io, VHDX_HEADER_OFFSET(v->header_slot ^ 1), v->header_page,
		      VHDX_PAGE, header_written);
}

static void start_first(struct vhdx *v)
{
	const struct vhdx_header_change *c = v->changes;
	struct vhdx_header h = v->header;

	h.sequence++;
	if (c->what & (VHDX_CHANGE_FILE | VHDX_CHANGE_DATA)) {
		h.file_write = random_guid(v);
	}
	if (c->what & VHDX_CHANGE_DATA) {
		h.data_write = guid_is_zero(&c->data) ? random_guid(v) : c->data;
	}
	if (c->what & VHDX_CHANGE_LOG) {
		h.log = c->log;
		h.log_version = 0;
	}
	vhdx_header_encode(&h, v->header_page);
	v->header_again = false;
	write_other_slot(v);
}

void vhdx_header_change(struct vhdx *v, struct vhdx_header_change *c)
{
	struct vhdx_header_change **p = &v->changes;

	while (*p != NULL) {
		p = &(*p)->next;
	}
	c->v = v;
	c->next = NULL;
	*p = c;
	if (v->changes == c) {
		start_first(v);
	}
}

struct sync_change {
	struct vhdx_header_change c;
	bool finished;
	int result;
};

static void sync_then(struct vhdx_header_change *c, int result)
{
	struct sync_change *s = container_of(c, struct sync_change, c);

	s->finished = true;
	s->result = result;
}

int vhdx_header_change_sync(struct vhdx *v, unsigned what, const struct guid *data,
			    const struct guid *log)
{
	struct sync_change s = {.c = {.what = what, .then = sync_then}};

	if (data != NULL) {
		s.c.data = *data;
	}
	if (log != NULL) {
		s.c.log = *log;
	}
	vhdx_header_change(v, &s.c);
	while (!s.finished) {
		vhdx_turn(v);
	}
	if (s.result == 0) {
		v->session |= what & (VHDX_CHANGE_FILE | VHDX_CHANGE_DATA);
	}
	return s.result;
}

/* ---- Sessions ---- */

static void session_changed(struct vhdx_header_change *c, int result)
{
	struct vhdx *v = c->v;

	if (result == 0) {
		v->session |= c->what;
	}
	v->session_busy = false;
	vhdx_wake_all(&v->session_waiters, result);
}

int vhdx_session_start(struct vhdx *v, unsigned what, struct vhdx_waiter *w)
{
	if ((v->session & what) == what) {
		return 0;
	}
	if (v->error != 0) {
		return v->error;
	}
	vhdx_wait_on(&v->session_waiters, w);
	if (!v->session_busy) {
		v->session_busy = true;
		v->session_change = (struct vhdx_header_change){.what = what | VHDX_CHANGE_FILE,
								.then = session_changed};
		vhdx_header_change(v, &v->session_change);
	}
	return VHDX_WAIT;
}

int vhdx_session_start_sync(struct vhdx *v, unsigned what)
{
	if ((v->session & what) == what) {
		return 0;
	}
	return v->error != 0 ? v->error
			     : vhdx_header_change_sync(v, what | VHDX_CHANGE_FILE, NULL, NULL);
}
