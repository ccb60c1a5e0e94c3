// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "job_copy.h"
#include "lib/bits.h"
#include "lib/check.h"

#define PIECES_PER_STEP 4096u
#define GENTLE_PIECES_PER_STEP 256u
#define GENTLE_SLOTS 3u
/* So much data is left to the host's cache before it is told to write it out while the copy goes on. */
#define DRAIN_BYTES (UINT64_C(64) << 20)
#define ZERO_BYTES_MAX (UINT64_C(64) << 20) /* one request of zeros */
/* Shorter runs of zeros are written: a request costs more than they do. */
#define ZERO_RUN_MIN (UINT64_C(32) << 10)

typedef uint64_t lanes __attribute__((vector_size(32)));

bool vhd_all_zero(const void *p, size_t bytes)
{
	const lanes *v = p;

	for (size_t i = 0; i < bytes / sizeof(lanes); i += 2) {
		lanes both = v[i] | v[i + 1];

		if ((both[0] | both[1] | both[2] | both[3]) != 0) {
			return false;
		}
	}
	return true;
}

int vhd_copy_init(struct vhd_copy *c, const struct vhd_copy_source *source, struct vhd_disk *target,
		  bool zeroed)
{
	*c = (struct vhd_copy){
		.source = *source,
		.to = vhd_block(target),
		.drain = target->layer->file,
		.zeroed = zeroed,
		.slot_count = VHD_COPY_SLOTS,
		.step_pieces = PIECES_PER_STEP,
	};
	for (unsigned i = 0; i < VHD_COPY_SLOTS; i++) {
		struct vhd_copy_slot *s = &c->slots[i];

		s->copy = c;
		s->buf = aligned_alloc(VHD_COPY_ALIGN, VHD_COPY_BYTES);
		if (s->buf == NULL) {
			vhd_copy_fini(c);
			return -ENOMEM;
		}
		s->vec = (struct io_vec){.base = s->buf, .bytes = VHD_COPY_BYTES};
	}
	return 0;
}

void vhd_copy_be_gentle(struct vhd_copy *c)
{
	c->slot_count = GENTLE_SLOTS;
	c->step_pieces = GENTLE_PIECES_PER_STEP;
}

void vhd_copy_again(struct vhd_copy *c)
{
	CHECK(c->in_flight == 0 && c->failure == 0);
	c->offset = 0;
}

void vhd_copy_fini(struct vhd_copy *c)
{
	while (c->in_flight != 0) {
		io_poll(c->to->context, true, UINT64_MAX);
	}
	for (unsigned i = 0; i < VHD_COPY_SLOTS; i++) {
		free(c->slots[i].buf);
		c->slots[i].buf = NULL;
	}
}

static void note_failure(struct vhd_copy *c, const struct io_request *r, const char *name,
			 int result)
{
	if (c->failure == 0) {
		c->failure = result;
		c->failed_op = r->op;
		c->failed_offset = r->offset;
		c->failed_name = name;
	}
}

static void fail(struct vhd_copy_slot *s, int result)
{
	note_failure(s->copy, &s->request,
		     s->request.op == IO_READ ? s->from->name : s->copy->to->name, result);
}

static void finish(struct vhd_copy_slot *s)
{
	s->busy = false;
	s->copy->in_flight--;
}

/*
 * The next run of the piece that has to be written, from s->scanned on: between zeros of at least ZERO_RUN_MIN, in units of
 * VHD_COPY_ALIGN. False: only zeros are left. Behind the piece the buffer is zero up to the next unit.
 */
static bool next_run(struct vhd_copy_slot *s, size_t *ret_start, size_t *ret_end)
{
	size_t start = s->scanned, zeros = 0, at;

	while (start < s->bytes && vhd_all_zero(s->buf + start, VHD_COPY_ALIGN)) {
		start += VHD_COPY_ALIGN;
	}
	if (start >= s->bytes) {
		return false;
	}
	for (at = start + VHD_COPY_ALIGN; at < s->bytes && zeros < ZERO_RUN_MIN;
	     at += VHD_COPY_ALIGN) {
		zeros = vhd_all_zero(s->buf + at, VHD_COPY_ALIGN) ? zeros + VHD_COPY_ALIGN : 0;
	}
	*ret_start = start;
	*ret_end = at - zeros;
	return true;
}

static void write_more(struct vhd_copy_slot *s);

static void on_written(struct io_request *r, int result)
{
	struct vhd_copy_slot *s = r->ctx;

	if (result < 0) {
		fail(s, result);
		finish(s);
		return;
	}
	s->copy->undrained_bytes += r->op == IO_WRITE ? r->bytes : 0;
	s->scanned = s->run_end;
	write_more(s);
}

/* Whole sectors of the target, which may be larger than the source's: behind the end of the disk the buffer is zero. */
static void submit_to(struct vhd_copy_slot *s, enum io_op op, size_t start, size_t end)
{
	struct block_device *to = s->copy->to;
	uint64_t piece_end = align_up(s->bytes, to->info.sector_bytes);
	uint64_t up = min_u64(align_up(end, to->info.sector_bytes), piece_end);

	s->run_end = end;
	s->request = (struct io_request){
		.op = op,
		.flags = op == IO_ZERO ? IO_UNMAP : 0,
		.offset = s->offset + start,
		.bytes = up - start,
		.vec = &s->vec,
		.vec_count = 1,
		.vec_skip = start,
		.done = on_written,
		.ctx = s,
	};
	block_submit(to, &s->request);
}

/* Writes the next part of what was read; zeros in between only where the target may hold something else. */
static void write_more(struct vhd_copy_slot *s)
{
	size_t start = s->bytes, end = start;
	bool data = s->scanned < s->bytes && next_run(s, &start, &end);

	if (!s->copy->zeroed && start > s->scanned) {
		submit_to(s, IO_ZERO, s->scanned, start);
	} else if (data) {
		submit_to(s, IO_WRITE, start, end);
	} else {
		s->copy->done_bytes += s->bytes;
		finish(s);
	}
}

static void on_read(struct io_request *r, int result)
{
	struct vhd_copy_slot *s = r->ctx;

	if (result < 0) {
		fail(s, result);
		finish(s);
		return;
	}
	s->scanned = 0;
	write_more(s);
}

static void start_read(struct vhd_copy_slot *s, uint64_t offset, const struct vhd_copy_piece *piece)
{
	CHECK(piece->bytes <= VHD_COPY_BYTES);
	s->from = piece->from;
	s->offset = offset;
	s->bytes = piece->bytes;
	memset(s->buf + s->bytes, 0, align_up(s->bytes, VHD_COPY_ALIGN) - s->bytes);
	s->request = (struct io_request){
		.op = IO_READ,
		.offset = offset,
		.bytes = piece->bytes,
		.vec = &s->vec,
		.vec_count = 1,
		.done = on_read,
		.ctx = s,
	};
	block_submit(piece->from, &s->request);
}

static void start_zero(struct vhd_copy_slot *s, uint64_t offset, uint64_t bytes)
{
	s->offset = offset;
	s->bytes = 0; /* it is not data */
	s->run_end = 0;
	s->scanned = 0;
	s->request = (struct io_request){
		.op = IO_ZERO,
		.flags = IO_UNMAP,
		.offset = offset,
		.bytes = bytes,
		.done = on_written,
		.ctx = s,
	};
	block_submit(s->copy->to, &s->request);
}

/* Puts the next piece that needs work into @s, if it comes soon. */
static int feed(struct vhd_copy *c, struct vhd_copy_slot *s, struct vhd_error *error)
{
	for (unsigned i = 0; i < c->step_pieces && c->offset < c->source.bytes; i++) {
		struct vhd_copy_piece piece;
		uint64_t offset = c->offset;
		int r = c->source.next(c->source.ctx, offset, &piece, error);

		if (r != 0) {
			return r;
		}
		CHECK(piece.bytes != 0 && piece.bytes <= c->source.bytes - offset);
		if (piece.kind == VHD_COPY_ZERO && !c->zeroed) {
			piece.bytes = min_u64(piece.bytes, ZERO_BYTES_MAX);
		}
		c->offset += piece.bytes;
		if (piece.kind == VHD_COPY_SKIP || (piece.kind == VHD_COPY_ZERO && c->zeroed)) {
			continue;
		}
		s->busy = true;
		c->in_flight++;
		if (piece.kind == VHD_COPY_DATA) {
			start_read(s, offset, &piece);
		} else {
			start_zero(s, offset, piece.bytes);
		}
		return 0;
	}
	return 0;
}

/* How much data there is, so that progress can be told. 1: more to look at, 0: done. */
static int scan(struct vhd_copy *c, struct vhd_error *error)
{
	for (unsigned i = 0; i < c->step_pieces; i++) {
		struct vhd_copy_piece piece;

		if (c->offset >= c->source.bytes) {
			c->phase = VHD_COPY_COPYING;
			c->offset = 0;
			return 1;
		}
		int r = c->source.next(c->source.ctx, c->offset, &piece, error);

		if (r != 0) {
			return r;
		}
		c->offset += piece.bytes;
		c->total_bytes += piece.kind == VHD_COPY_DATA ? piece.bytes : 0;
	}
	return 1;
}

static int report_failure(struct vhd_copy *c, struct vhd_error *error)
{
	return vhd_fail(error, c->failure, "%s: cannot %s at offset 0x%" PRIx64 " of the disk: %s",
			c->failed_name, c->failed_op == IO_READ ? "read" : "write",
			c->failed_offset, strerror(-c->failure));
}

static void on_drained(struct io_request *r, int result)
{
	struct vhd_copy *c = r->ctx;

	if (result < 0) {
		/* It would not be told again. */
		note_failure(c, r, c->drain->name, result);
	}
	c->draining = false;
	c->in_flight--;
}

/* A flush beside the copy: at its end little is left to wait for. */
static void drain(struct vhd_copy *c)
{
	if (c->drain == NULL || c->draining || c->undrained_bytes < DRAIN_BYTES) {
		return;
	}
	c->undrained_bytes = 0;
	c->draining = true;
	c->in_flight++;
	c->drain_request = (struct io_request){.op = IO_FLUSH, .done = on_drained, .ctx = c};
	storage_file_submit(c->drain, &c->drain_request);
}

static int copy(struct vhd_copy *c, struct vhd_error *error)
{
	for (unsigned i = 0; i < c->slot_count && c->failure == 0; i++) {
		int r = c->slots[i].busy ? 0 : feed(c, &c->slots[i], error);

		if (r != 0) {
			return r;
		}
	}
	if (c->failure != 0) {
		return report_failure(c, error);
	}
	if (c->in_flight == 0) {
		return c->offset < c->source.bytes;
	}
	drain(c);
	io_poll(c->to->context, true, UINT64_MAX);
	return 1;
}

int vhd_copy_step(struct vhd_copy *c, struct vhd_progress *ret_progress, struct vhd_error *error)
{
	bool scanning = c->phase == VHD_COPY_SCANNING;
	int r = scanning ? scan(c, error) : copy(c, error);

	*ret_progress = (struct vhd_progress){
		.done_bytes = scanning ? 0 : min_u64(c->done_bytes, c->total_bytes),
		.total_bytes = c->total_bytes,
		.phase = scanning ? "looking for data" : "copying",
	};
	return r;
}
