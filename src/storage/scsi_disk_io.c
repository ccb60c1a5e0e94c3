// SPDX-License-Identifier: Apache-2.0
/* READ, WRITE, VERIFY, WRITE AND VERIFY, SYNCHRONIZE CACHE. Data of READ and WRITE goes between device and guest without a copy. */
#include <stdlib.h>
#include <string.h>

#include "scsi_disk.h"

#define VERIFY_CHUNK_BYTES (128u << 10)

/* Bits of the second byte of a CDB of 10 or more bytes. */
#define PROTECT 0xe0
#define FUA 0x08
#define BYTE_CHECK 0x06
#define BYTE_CHECK_COMPARE 0x02

static bool is_6(const struct scsi_command *c)
{
	return c->cdb[0] < 0x20;
}

static uint8_t flags_of(const struct scsi_command *c)
{
	return is_6(c) ? 0 : c->cdb[1];
}

uint32_t scsi_disk_write_flags(struct scsi_unit *u, bool fua)
{
	return fua || !scsi_disk_of(u)->write_cache ? IO_FUA : 0;
}

void scsi_disk_prepare(struct scsi_command *c, enum io_op op, uint32_t flags, struct scsi_range r)
{
	uint32_t block_bytes = c->unit->block->info.sector_bytes;

	c->io.op = op;
	c->io.flags = flags;
	c->io.offset = r.lba * block_bytes;
	c->io.bytes = r.blocks * block_bytes;
	c->io.vec = c->vec;
	c->io.vec_count = c->vec_count;
	c->io.vec_skip = 0;
}

bool scsi_disk_may_move(struct scsi_unit *u, struct scsi_command *c, struct scsi_range r,
			enum scsi_direction direction)
{
	uint64_t fits = scsi_buffer_bytes(c, direction) / u->block->info.sector_bytes;

	if ((flags_of(c) & PROTECT) != 0) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
		return false;
	}
	/* Interop: Hyper-V answers a transfer that is longer than its buffer like one beyond the end; nothing moves. */
	if (!scsi_disk_has(u, r) || r.blocks > fits) {
		scsi_fail(c, SCSI_LBA_OUT_OF_RANGE);
		return false;
	}
	return true;
}

void scsi_disk_read(struct scsi_unit *u, struct scsi_command *c)
{
	struct scsi_range r = scsi_range_of(c->cdb);

	if (scsi_disk_may_move(u, c, r, SCSI_DATA_IN)) {
		scsi_disk_prepare(c, IO_READ, 0, r);
		c->transferred = (size_t)c->io.bytes;
		scsi_submit_io(c, scsi_io_done);
	}
}

static void start_write(struct scsi_unit *u, struct scsi_command *c, bool fua,
			void (*done)(struct io_request *r, int result))
{
	struct scsi_range r = scsi_range_of(c->cdb);

	if (u->block->info.read_only) {
		scsi_fail(c, SCSI_WRITE_PROTECTED);
	} else if (scsi_disk_may_move(u, c, r, SCSI_DATA_OUT)) {
		scsi_disk_prepare(c, IO_WRITE, scsi_disk_write_flags(u, fua), r);
		c->transferred = (size_t)c->io.bytes;
		scsi_submit_io(c, done);
	}
}

void scsi_disk_write(struct scsi_unit *u, struct scsi_command *c)
{
	start_write(u, c, (flags_of(c) & FUA) != 0, scsi_io_done);
}

void scsi_disk_synchronize(struct scsi_unit *u, struct scsi_command *c)
{
	if (!scsi_disk_has(u, scsi_range_of(c->cdb))) {
		scsi_fail(c, SCSI_LBA_OUT_OF_RANGE);
		return;
	}
	c->io.op = IO_FLUSH;
	scsi_submit_io(c, scsi_io_done);
}

/* ---- Commands of many parts ---- */

void scsi_disk_next_part(struct scsi_command *c, enum io_op op, uint32_t flags, uint32_t part_bytes,
			 void (*done)(struct io_request *r, int result))
{
	uint32_t block_bytes = c->unit->block->info.sector_bytes;
	struct scsi_range r = scsi_range_of(c->cdb);
	uint64_t left = r.blocks * block_bytes - c->progress;

	if (left == 0) {
		scsi_good(c);
		return;
	}
	if (scsi_end_if_cancelled(c)) {
		return;
	}
	c->own_vec = (struct io_vec){.base = c->buffer, .bytes = part_bytes};
	c->io = (struct io_request){
		.op = op,
		.flags = flags,
		.offset = r.lba * block_bytes + c->progress,
		.bytes = min_u64(left, part_bytes),
		.vec = &c->own_vec,
		.vec_count = 1,
	};
	scsi_submit_io(c, done);
}

/* ---- Verification ---- */

static bool compares(const struct scsi_command *c)
{
	return (c->cdb[1] & BYTE_CHECK) == BYTE_CHECK_COMPARE;
}

/* Reads the range in chunks, comparing them when asked to; c->progress is how many bytes are behind. */
static void verify_on(struct scsi_command *c);

static size_t first_difference(const uint8_t *a, const uint8_t *b, size_t bytes)
{
	size_t i = 0;

	while (i < bytes && a[i] == b[i]) {
		i++;
	}
	return i;
}

static void verify_chunk_read(struct io_request *r, int result)
{
	struct scsi_command *c = r->ctx;
	size_t bytes = (size_t)r->bytes;
	const struct io_request data = {
		.bytes = c->data_bytes, .vec = c->vec, .vec_count = c->vec_count};

	if (result != 0) {
		scsi_fail_io(c, result);
		return;
	}
	if (compares(c)) {
		uint8_t *read = c->buffer, *sent = read + VERIFY_CHUNK_BYTES;

		/* a copy: the guest can change its memory while we look */
		io_copy_out(&data, (size_t)c->progress, sent, bytes);
		size_t at = first_difference(read, sent, bytes);

		if (at != bytes) {
			scsi_fail_at(c, SCSI_MISCOMPARE, (uint32_t)(c->progress + at));
			return;
		}
	}
	c->progress += bytes;
	verify_on(c);
}

static void verify_on(struct scsi_command *c)
{
	scsi_disk_next_part(c, IO_READ, 0, VERIFY_CHUNK_BYTES, verify_chunk_read);
}

static void verify_start(struct scsi_command *c)
{
	c->buffer = malloc(VERIFY_CHUNK_BYTES * (compares(c) ? 2 : 1));
	if (c->buffer == NULL) {
		scsi_busy(c);
	} else {
		verify_on(c);
	}
}

void scsi_disk_verify(struct scsi_unit *u, struct scsi_command *c)
{
	struct scsi_range r = scsi_range_of(c->cdb);
	uint8_t check = c->cdb[1] & BYTE_CHECK;

	if ((c->cdb[1] & PROTECT) != 0 || (check != 0 && check != BYTE_CHECK_COMPARE)) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	if (!compares(c)) {
		if (!scsi_disk_has(u, r)) {
			scsi_fail(c, SCSI_LBA_OUT_OF_RANGE);
			return;
		}
	} else if (!scsi_disk_may_move(u, c, r, SCSI_DATA_OUT)) {
		return;
	} else {
		c->transferred = (size_t)(r.blocks * u->block->info.sector_bytes);
	}
	verify_start(c);
}

static void written_now_verify(struct io_request *r, int result)
{
	struct scsi_command *c = r->ctx;

	if (result != 0) {
		scsi_fail_io(c, result);
	} else {
		verify_start(c);
	}
}

void scsi_disk_write_verify(struct scsi_unit *u, struct scsi_command *c)
{
	uint8_t check = c->cdb[1] & BYTE_CHECK;

	if (check != 0 && check != BYTE_CHECK_COMPARE) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
	} else {
		/* what is verified is the medium: the data has to be there */
		start_write(u, c, true, written_now_verify);
	}
}
