// SPDX-License-Identifier: Apache-2.0
#include "scsi_disk.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/check.h"

/* Also bounds what is told of a capacity that READ CAPACITY(10) cannot express: ask (16). */
#define LBA10_MAX UINT32_MAX

static void read_capacity10(struct scsi_unit *u, struct scsi_command *c)
{
	uint64_t blocks = scsi_disk_blocks(u);
	uint8_t data[8];

	if (blocks == 0) {
		scsi_fail(c, SCSI_MEDIUM_NOT_PRESENT); /* there is no last block */
		return;
	}
	store_be32(data, (uint32_t)min_u64(blocks - 1, LBA10_MAX));
	store_be32(data + 4, u->block->info.sector_bytes);
	scsi_reply(c, data, sizeof(data), sizeof(data));
}

static void read_capacity16(struct scsi_unit *u, struct scsi_command *c)
{
	const struct block_info *info = &u->block->info;
	uint64_t blocks = scsi_disk_blocks(u);
	uint8_t data[32] = {0};

	if (blocks == 0) {
		scsi_fail(c, SCSI_MEDIUM_NOT_PRESENT);
		return;
	}
	store_be64(data, blocks - 1);
	store_be32(data + 8, info->sector_bytes);
	if (info->physical_sector_bytes > info->sector_bytes) {
		data[13] = (uint8_t)__builtin_ctz(info->physical_sector_bytes / info->sector_bytes);
	}
	data[14] = (uint8_t)((info->discards ? 0x80 : 0) |
			     (info->discards && info->discard_zeros ? 0x40 : 0));
	scsi_reply(c, data, sizeof(data), load_be32(c->cdb + 10));
}

static void start_stop(struct scsi_unit *u, struct scsi_command *c)
{
	bool load_eject = (c->cdb[4] & 0x02) != 0, start = (c->cdb[4] & 0x01) != 0;
	bool no_flush = (c->cdb[4] & 0x04) != 0;

	if (load_eject) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
	} else if (start || no_flush) {
		scsi_good(c);
	} else {
		/* Whoever stops a disk believes its data to be on it. */
		c->io.op = IO_FLUSH;
		scsi_submit_io(c, scsi_io_done);
	}
}

static void send_diagnostic(struct scsi_unit *u, struct scsi_command *c)
{
	bool self_test_code = (c->cdb[1] & 0xe0) != 0, page_format = (c->cdb[1] & 0x10) != 0;

	/* the default self-test, of which there is nothing to test, or none */
	if (self_test_code || page_format || load_be16(c->cdb + 3) != 0) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
	} else {
		scsi_good(c);
	}
}

#define ANY SCSI_ANY_ACTION
#define NONE SCSI_DATA_NONE
#define IN SCSI_DATA_IN
#define OUT SCSI_DATA_OUT
#define FF4 0xff, 0xff, 0xff, 0xff
#define FF8 FF4, FF4

/* clang-format off */
static const struct scsi_opcode opcodes[] = {
	{0x00, ANY, 6, NONE, SCSI_LEGACY_CONFLICT, scsi_test_unit_ready, {0}},
	{0x03, ANY, 6, IN, SCSI_QUIET, scsi_request_sense, {0, 0x01, 0, 0, 0xff}},
	{0x08, ANY, 6, IN, SCSI_READS, scsi_disk_read, {0, 0x1f, 0xff, 0xff, 0xff}},
	{0x0a, ANY, 6, OUT, SCSI_WRITES, scsi_disk_write, {0, 0x1f, 0xff, 0xff, 0xff}},
	{0x12, ANY, 6, IN, SCSI_QUIET, scsi_inquiry, {0, 0x01, 0xff, 0xff, 0xff}},
	{0x15, ANY, 6, OUT, SCSI_WRITES, scsi_mode_select, {0, 0x11, 0, 0, 0xff}},
	{0x16, ANY, 6, NONE, 0, scsi_reserve, {0}},
	{0x17, ANY, 6, NONE, 0, scsi_release, {0}},
	{0x1a, ANY, 6, IN, SCSI_READS, scsi_mode_sense, {0, 0x08, 0xff, 0xff, 0xff}},
	{0x1b, ANY, 6, NONE, SCSI_LEGACY_CONFLICT, start_stop, {0, 0, 0, 0, 0x07}},
	{0x1d, ANY, 6, NONE, SCSI_WRITES, send_diagnostic, {0, 0x04}},
	{0x1e, ANY, 6, NONE, SCSI_LEGACY_CONFLICT, scsi_prevent_allow, {0, 0, 0, 0, 0x01}},
	{0x25, ANY, 10, IN, SCSI_LEGACY_CONFLICT, read_capacity10, {0}},
	{0x28, ANY, 10, IN, SCSI_READS, scsi_disk_read, {0, 0x18, FF4, 0, 0xff, 0xff}},
	{0x2a, ANY, 10, OUT, SCSI_WRITES, scsi_disk_write, {0, 0x18, FF4, 0, 0xff, 0xff}},
	{0x2e, ANY, 10, OUT, SCSI_WRITES, scsi_disk_write_verify, {0, 0x12, FF4, 0, 0xff, 0xff}},
	{0x2f, ANY, 10, OUT, SCSI_READS, scsi_disk_verify, {0, 0x12, FF4, 0, 0xff, 0xff}},
	{0x35, ANY, 10, NONE, SCSI_WRITES, scsi_disk_synchronize, {0, 0x02, FF4, 0, 0xff, 0xff}},
	{0x41, ANY, 10, OUT, SCSI_WRITES, scsi_disk_write_same, {0, 0x08, FF4, 0, 0xff, 0xff}},
	{0x42, ANY, 10, OUT, SCSI_WRITES, scsi_disk_unmap, {0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}},
	{0x55, ANY, 10, OUT, SCSI_WRITES, scsi_mode_select, {0, 0x11, 0, 0, 0, 0, 0, 0xff, 0xff}},
	{0x56, ANY, 10, NONE, 0, scsi_reserve, {0}},
	{0x57, ANY, 10, NONE, 0, scsi_release, {0}},
	{0x5a, ANY, 10, IN, SCSI_READS, scsi_mode_sense, {0, 0x08, 0xff, 0xff, 0, 0, 0, 0xff, 0xff}},
	{0x5e, 0x00, 10, IN, 0, scsi_persistent_in, {0, 0x1f, 0, 0, 0, 0, 0, 0xff, 0xff}},
	{0x5e, 0x01, 10, IN, 0, scsi_persistent_in, {0, 0x1f, 0, 0, 0, 0, 0, 0xff, 0xff}},
	{0x5e, 0x02, 10, IN, 0, scsi_persistent_in, {0, 0x1f, 0, 0, 0, 0, 0, 0xff, 0xff}},
	{0x5e, 0x03, 10, IN, 0, scsi_persistent_in, {0, 0x1f, 0, 0, 0, 0, 0, 0xff, 0xff}},
	{0x5f, 0x00, 10, OUT, 0, scsi_persistent_out, {0, 0x1f, 0, 0, 0, FF4}},
	{0x5f, 0x01, 10, OUT, 0, scsi_persistent_out, {0, 0x1f, 0xff, 0, 0, FF4}},
	{0x5f, 0x02, 10, OUT, 0, scsi_persistent_out, {0, 0x1f, 0xff, 0, 0, FF4}},
	{0x5f, 0x03, 10, OUT, 0, scsi_persistent_out, {0, 0x1f, 0, 0, 0, FF4}},
	{0x5f, 0x04, 10, OUT, 0, scsi_persistent_out, {0, 0x1f, 0xff, 0, 0, FF4}},
	{0x5f, 0x05, 10, OUT, 0, scsi_persistent_out, {0, 0x1f, 0xff, 0, 0, FF4}},
	{0x5f, 0x06, 10, OUT, 0, scsi_persistent_out, {0, 0x1f, 0, 0, 0, FF4}},
	{0x88, ANY, 16, IN, SCSI_READS, scsi_disk_read, {0, 0x18, FF8, FF4, 0, 0}},
	{0x8a, ANY, 16, OUT, SCSI_WRITES, scsi_disk_write, {0, 0x18, FF8, FF4, 0, 0}},
	{0x8e, ANY, 16, OUT, SCSI_WRITES, scsi_disk_write_verify, {0, 0x12, FF8, FF4, 0, 0}},
	{0x8f, ANY, 16, OUT, SCSI_READS, scsi_disk_verify, {0, 0x12, FF8, FF4, 0, 0}},
	{0x91, ANY, 16, NONE, SCSI_WRITES, scsi_disk_synchronize, {0, 0x02, FF8, FF4, 0, 0}},
	{0x93, ANY, 16, OUT, SCSI_WRITES, scsi_disk_write_same, {0, 0x09, FF8, FF4, 0, 0}},
	{0x9e, 0x10, 16, IN, SCSI_LEGACY_CONFLICT, read_capacity16, {0, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, FF4, 0, 0}},
	{0x9e, 0x12, 16, IN, SCSI_READS, scsi_disk_lba_status, {0, 0x1f, FF8, FF4, 0, 0}},
	{0xa0, ANY, 12, IN, SCSI_QUIET, scsi_report_luns, {0, 0, 0xff, 0, 0, 0, FF4}},
	{0xa3, 0x0c, 12, IN, 0, scsi_report_opcodes, {0, 0x1f, 0x87, 0xff, 0xff, 0xff, FF4}},
	{0xa8, ANY, 12, IN, SCSI_READS, scsi_disk_read, {0, 0x18, FF8, 0, 0}},
	{0xaa, ANY, 12, OUT, SCSI_WRITES, scsi_disk_write, {0, 0x18, FF8, 0, 0}},
	{0xae, ANY, 12, OUT, SCSI_WRITES, scsi_disk_write_verify, {0, 0x12, FF8, 0, 0}},
	{0xaf, ANY, 12, OUT, SCSI_READS, scsi_disk_verify, {0, 0x12, FF8, 0, 0}},
};
/* clang-format on */

static enum scsi_condition no_medium(struct scsi_unit *u)
{
	return SCSI_MEDIUM_NOT_PRESENT;
}

static void reset(struct scsi_unit *u)
{
	scsi_disk_of(u)->write_cache = true;
}

static void changed(struct block_listener *l, struct block_device *b)
{
	struct scsi_unit *u = container_of(l, struct scsi_unit, listener);
	struct scsi_disk *d = scsi_disk_of(u);

	if (d->known_bytes != b->info.bytes) {
		d->known_bytes = b->info.bytes;
		scsi_raise(u, SCSI_ATTENTION_CAPACITY, SCSI_NO_NEXUS);
	}
	if (d->known_read_only != b->info.read_only) {
		/* write protection is part of the mode header */
		d->known_read_only = b->info.read_only;
		scsi_raise(u, SCSI_ATTENTION_MODE, SCSI_NO_NEXUS);
	}
}

static void save(struct scsi_unit *u, struct state_writer *w)
{
	const struct scsi_disk *d = scsi_disk_of(u);

	state_put_u8(w, d->write_cache);
	state_put_u64(w, d->known_bytes);
	state_put_u8(w, d->known_read_only);
}

static bool restore(struct scsi_unit *u, struct state_reader *r, bool apply)
{
	struct scsi_disk *d = scsi_disk_of(u);
	uint8_t write_cache = state_get_u8(r);
	uint64_t known_bytes = state_get_u64(r);
	uint8_t known_read_only = state_get_u8(r);

	if (r->bad || write_cache > 1 || known_read_only > 1) {
		return false;
	}
	if (apply) {
		d->write_cache = write_cache != 0;
		d->known_bytes = known_bytes;
		d->known_read_only = known_read_only != 0;
		changed(&u->listener, u->block); /* the disk may have changed meanwhile */
	}
	return true;
}

static const struct scsi_kind kind = {
	.type = 0x00,
	.version = SCSI_VERSION_SPC3,
	.product = "Virtual Disk    ",
	.opcodes = opcodes,
	.opcode_count = ARRAY_LEN(opcodes),
	.vpd_pages = scsi_disk_vpd_pages,
	.vpd_page = scsi_disk_vpd_page,
	.mode_pages = scsi_disk_mode_pages,
	.mode_page = scsi_disk_mode_page,
	.mode_device_specific = scsi_disk_device_specific,
	.mode_selected = scsi_disk_mode_selected,
	.no_medium = no_medium,
	.reset = reset,
	.save = save,
	.restore = restore,
};

int scsi_disk_create(struct block_device *b, const struct scsi_unit_config *config,
		     struct scsi_unit **ret)
{
	struct scsi_disk *d = calloc(1, sizeof(*d));

	if (d == NULL) {
		return -ENOMEM;
	}
	CHECK(b->info.sector_bytes >= 512 && b->info.sector_bytes <= 4096);
	scsi_unit_init(&d->unit, &kind, b->context, config);
	d->unit.block = b;
	d->unit.listener.changed = changed;
	b->listener = &d->unit.listener;
	d->write_cache = true;
	d->known_bytes = b->info.bytes;
	d->known_read_only = b->info.read_only;
	*ret = &d->unit;
	return 0;
}
