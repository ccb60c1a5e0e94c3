// SPDX-License-Identifier: Apache-2.0
/* UNMAP, WRITE SAME and GET LBA STATUS. */
#include <stdlib.h>
#include <string.h>

#include "scsi_disk.h"

/* ---- UNMAP ---- */

#define LIST_HEADER 8u
#define DESCRIPTOR 16u

static struct scsi_range descriptor_at(const uint8_t *list, uint64_t i)
{
	const uint8_t *d = list + LIST_HEADER + i * DESCRIPTOR;

	return (struct scsi_range){load_be64(d), load_be32(d + 8)};
}

/* Whole descriptors: what is left of a torn one does not count. */
static unsigned descriptor_count(const uint8_t *list)
{
	return load_be16(list + 2) / DESCRIPTOR;
}

static void unmap_next(struct scsi_command *c);

static void unmapped(struct io_request *r, int result)
{
	struct scsi_command *c = r->ctx;

	if (result != 0) {
		scsi_fail_io(c, result);
	} else {
		unmap_next(c);
	}
}

/* c->progress counts descriptors. */
static void unmap_next(struct scsi_command *c)
{
	const uint8_t *list = c->buffer;

	if (c->progress == descriptor_count(list)) {
		scsi_good(c);
		return;
	}
	if (scsi_end_if_cancelled(c)) {
		return;
	}
	scsi_disk_prepare(c, IO_DISCARD, 0, descriptor_at(list, c->progress++));
	scsi_submit_io(c, unmapped);
}

/* All of the list before anything is done. */
static enum scsi_condition check_list(const struct scsi_unit *u, const uint8_t *list, size_t bytes)
{
	if (load_be16(list) + 2u > bytes || load_be16(list + 2) > bytes - LIST_HEADER) {
		return SCSI_PARAMETER_LIST_LENGTH_ERROR;
	}
	for (unsigned i = 0; i < descriptor_count(list); i++) {
		if (!scsi_disk_has(u, descriptor_at(list, i))) {
			return SCSI_LBA_OUT_OF_RANGE;
		}
	}
	return SCSI_NO_SENSE;
}

static enum scsi_condition check_unmap(const struct scsi_unit *u, const struct scsi_command *c,
				       size_t bytes)
{
	if (u->block->info.read_only) {
		return SCSI_WRITE_PROTECTED;
	}
	if (!u->block->info.discards) {
		return SCSI_INVALID_OPCODE;
	}
	if ((c->cdb[1] & 0x01) != 0) {
		return SCSI_INVALID_FIELD_IN_CDB; /* anchored: not ours */
	}
	if (bytes != 0 && (bytes < LIST_HEADER || bytes > scsi_buffer_bytes(c, SCSI_DATA_OUT))) {
		return SCSI_PARAMETER_LIST_LENGTH_ERROR;
	}
	return SCSI_NO_SENSE;
}

void scsi_disk_unmap(struct scsi_unit *u, struct scsi_command *c)
{
	size_t bytes = load_be16(c->cdb + 7);
	enum scsi_condition bad = check_unmap(u, c, bytes);

	if (bad != SCSI_NO_SENSE) {
		scsi_fail(c, bad);
		return;
	}
	if (bytes == 0) {
		scsi_good(c);
		return;
	}
	c->buffer = malloc(bytes);
	if (c->buffer == NULL) {
		scsi_busy(c);
		return;
	}
	scsi_fetch(c, c->buffer, bytes);
	bad = check_list(u, c->buffer, bytes);
	if (bad != SCSI_NO_SENSE) {
		scsi_fail(c, bad);
		return;
	}
	c->transferred = bytes;
	unmap_next(c);
}

/* ---- WRITE SAME ---- */

#define PATTERN_BYTES (64u << 10)
#define BLOCK_MAX 4096u

#define PROTECT 0xe0
#define ANCHOR 0x10
#define UNMAP 0x08
#define OBSOLETE 0x06
#define NO_DATA 0x01

static bool is_zero(const uint8_t *data, size_t bytes)
{
	return data[0] == 0 && memcmp(data, data + 1, bytes - 1) == 0;
}

static bool has_no_data(const struct scsi_command *c)
{
	return c->cdb[0] == 0x93 && (c->cdb[1] & NO_DATA) != 0;
}

static void same_next(struct scsi_command *c);

static void same_written(struct io_request *r, int result)
{
	struct scsi_command *c = r->ctx;

	if (result != 0) {
		scsi_fail_io(c, result);
		return;
	}
	c->progress += r->bytes;
	same_next(c);
}

static void same_next(struct scsi_command *c)
{
	scsi_disk_next_part(c, IO_WRITE, scsi_disk_write_flags(c->unit, false), PATTERN_BYTES,
			    same_written);
}

static void write_pattern(struct scsi_command *c, const uint8_t *block, uint32_t block_bytes)
{
	uint8_t *pattern = malloc(PATTERN_BYTES);

	if (pattern == NULL) {
		scsi_busy(c);
		return;
	}
	for (uint32_t at = 0; at < PATTERN_BYTES; at += block_bytes) {
		memcpy(pattern + at, block, block_bytes);
	}
	c->buffer = pattern;
	same_next(c);
}

static void write_zeros(struct scsi_unit *u, struct scsi_command *c)
{
	uint32_t unmap = (c->cdb[1] & UNMAP) != 0 ? IO_UNMAP : 0;

	scsi_disk_prepare(c, IO_ZERO, unmap | scsi_disk_write_flags(u, false),
			  scsi_range_of(c->cdb));
	scsi_submit_io(c, scsi_io_done);
}

static enum scsi_condition check_same(const struct scsi_unit *u, const struct scsi_command *c)
{
	uint32_t block_bytes = u->block->info.sector_bytes;
	struct scsi_range r = scsi_range_of(c->cdb);
	uint8_t foreign = PROTECT | ANCHOR | OBSOLETE | (c->cdb[0] == 0x41 ? NO_DATA : 0);

	if (u->block->info.read_only) {
		return SCSI_WRITE_PROTECTED;
	}
	if ((c->cdb[1] & foreign) != 0 || r.blocks == 0 ||
	    r.blocks > SCSI_WRITE_SAME_MAX_BYTES / block_bytes) {
		return SCSI_INVALID_FIELD_IN_CDB;
	}
	if (!scsi_disk_has(u, r)) {
		return SCSI_LBA_OUT_OF_RANGE;
	}
	if (!has_no_data(c) && scsi_buffer_bytes(c, SCSI_DATA_OUT) < block_bytes) {
		return SCSI_INVALID_FIELD_IN_CDB;
	}
	return SCSI_NO_SENSE;
}

void scsi_disk_write_same(struct scsi_unit *u, struct scsi_command *c)
{
	enum scsi_condition bad = check_same(u, c);
	uint32_t block_bytes = u->block->info.sector_bytes;
	uint8_t block[BLOCK_MAX] = {0};

	if (bad != SCSI_NO_SENSE) {
		scsi_fail(c, bad);
		return;
	}
	if (!has_no_data(c)) {
		scsi_fetch(c, block, block_bytes);
		c->transferred = block_bytes;
	}
	if (is_zero(block, block_bytes)) {
		write_zeros(u, c);
	} else {
		write_pattern(c, block, block_bytes);
	}
}

/* ---- GET LBA STATUS ---- */

#define STATUS_DESCRIPTORS_MAX 64u
#define EXTENTS_JOINED_MAX 16u /* per descriptor: a command must not take for ever */

/* How many blocks from @lba on look the same. A block that is only partly a hole is mapped, and so is what the device cannot tell. */
static uint64_t status_run(const struct scsi_unit *u, uint64_t lba, bool *ret_mapped)
{
	uint32_t block_bytes = u->block->info.sector_bytes;
	uint64_t left = scsi_disk_blocks(u) - lba, bytes;
	enum storage_extent what;

	if (block_extent(u->block, lba * block_bytes, &what, &bytes) != 0) {
		*ret_mapped = true;
		return left;
	}
	*ret_mapped = what == STORAGE_DATA || bytes < block_bytes;
	uint64_t whole = bytes / block_bytes, torn = bytes % block_bytes != 0 ? 1 : 0;

	return *ret_mapped ? min_u64(whole + torn, left) : whole;
}

/* Fills in one descriptor and returns where the next one begins. */
static uint64_t store_status(const struct scsi_unit *u, uint64_t lba, uint8_t *d)
{
	bool mapped, next_mapped;
	uint64_t end = lba + status_run(u, lba, &mapped), blocks = scsi_disk_blocks(u);

	/* extents that follow each other may be the same to a guest */
	for (unsigned i = 0; i < EXTENTS_JOINED_MAX && end < blocks; i++) {
		uint64_t run = status_run(u, end, &next_mapped);

		if (next_mapped != mapped) {
			break;
		}
		end += run;
	}
	end = min_u64(end, lba + UINT32_MAX);
	memset(d, 0, DESCRIPTOR);
	store_be64(d, lba);
	store_be32(d + 8, (uint32_t)(end - lba));
	d[12] = mapped ? 0x00 : 0x01;
	return end;
}

void scsi_disk_lba_status(struct scsi_unit *u, struct scsi_command *c)
{
	uint64_t lba = load_be64(c->cdb + 2);
	size_t allocation = load_be32(c->cdb + 10);
	size_t room = (size_t)min_u64(allocation, scsi_buffer_bytes(c, SCSI_DATA_IN));
	uint8_t data[8 + DESCRIPTOR * STATUS_DESCRIPTORS_MAX] = {0};
	size_t bytes = 8;

	if (lba >= scsi_disk_blocks(u)) {
		scsi_fail(c, SCSI_LBA_OUT_OF_RANGE);
		return;
	}
	do {
		lba = store_status(u, lba, data + bytes);
		bytes += DESCRIPTOR;
	} while (lba < scsi_disk_blocks(u) && bytes + DESCRIPTOR <= min_u64(room, sizeof(data)));
	store_be32(data, (uint32_t)(bytes - 4));
	scsi_reply(c, data, bytes, allocation);
}
