// SPDX-License-Identifier: Apache-2.0
#include "scsi_dvd.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/check.h"

/* ---- Reading ---- */

static void read_done(struct io_request *r, int result)
{
	struct scsi_command *c = r->ctx;

	scsi_dvd_of(c->unit)->reads--;
	scsi_io_done(r, result);
}

static void read_blocks(struct scsi_unit *u, struct scsi_command *c, struct scsi_range r)
{
	uint64_t fits = scsi_buffer_bytes(c, SCSI_DATA_IN) / SCSI_DVD_BLOCK_BYTES;

	if (!range_within(r.lba, r.blocks, scsi_dvd_blocks(u)) || r.blocks > fits) {
		scsi_fail(c, SCSI_LBA_OUT_OF_RANGE);
		return;
	}
	c->io.op = IO_READ;
	c->io.offset = r.lba * SCSI_DVD_BLOCK_BYTES;
	c->io.bytes = r.blocks * SCSI_DVD_BLOCK_BYTES;
	c->io.vec = c->vec;
	c->io.vec_count = c->vec_count;
	c->transferred = (size_t)c->io.bytes;
	scsi_dvd_of(u)->reads++;
	scsi_submit_io(c, read_done);
}

static void read_data(struct scsi_unit *u, struct scsi_command *c)
{
	read_blocks(u, c, scsi_range_of(c->cdb));
}

/* READ CD: user data of data sectors only. Headers, checksums and sub-channels of a DVD would have to be made up. */
static void read_cd(struct scsi_unit *u, struct scsi_command *c)
{
	uint8_t sector_type = c->cdb[1] >> 2 & 0x07, main_channel = c->cdb[9] & 0xf8;
	struct scsi_range r = {load_be32(c->cdb + 2), load_be24(c->cdb + 6)};

	if ((sector_type != 0 && sector_type != 2) || (c->cdb[10] & 0x07) != 0 ||
	    (main_channel != 0x10 && main_channel != 0)) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
	} else if (main_channel == 0) {
		scsi_good(c); /* nothing of the sectors is wanted */
	} else {
		read_blocks(u, c, r);
	}
}

/* ---- The medium ---- */

static enum scsi_condition no_medium(struct scsi_unit *u)
{
	return scsi_dvd_of(u)->tray_open ? SCSI_MEDIUM_NOT_PRESENT_TRAY_OPEN
					 : SCSI_MEDIUM_NOT_PRESENT_TRAY_CLOSED;
}

static void tell_event(struct scsi_unit *u, enum scsi_media_event event)
{
	for (uint32_t i = 0; i < u->nexus_count; i++) {
		u->nexuses[i].media_event = (uint8_t)event;
	}
}

static void attach(struct scsi_unit *u, struct block_device *medium)
{
	if (u->block != NULL) {
		u->block->listener = NULL;
	}
	u->block = medium;
	if (medium != NULL) {
		CHECK(medium->info.sector_bytes <= SCSI_DVD_BLOCK_BYTES);
		medium->listener = &u->listener;
	}
}

void scsi_dvd_set_medium(struct scsi_unit *u, struct block_device *medium)
{
	bool had = u->block != NULL;

	attach(u, medium);
	if (medium != NULL) {
		scsi_dvd_of(u)->tray_open = false;
		scsi_raise(u, SCSI_ATTENTION_MEDIUM, SCSI_NO_NEXUS);
		tell_event(u, SCSI_MEDIA_NEW);
	} else if (had) {
		tell_event(u, SCSI_MEDIA_REMOVAL);
	}
}

bool scsi_dvd_reading(struct scsi_unit *u)
{
	return scsi_dvd_of(u)->reads != 0;
}

void scsi_dvd_set_eject(struct scsi_unit *u, void (*eject)(void *ctx), void *ctx)
{
	scsi_dvd_of(u)->eject = eject;
	scsi_dvd_of(u)->eject_ctx = ctx;
}

/* A medium that changes under our feet is another one. */
static void changed(struct block_listener *l, struct block_device *b)
{
	struct scsi_unit *u = container_of(l, struct scsi_unit, listener);

	scsi_raise(u, SCSI_ATTENTION_MEDIUM, SCSI_NO_NEXUS);
	tell_event(u, SCSI_MEDIA_NEW);
}

static void eject(struct scsi_unit *u)
{
	struct scsi_dvd *d = scsi_dvd_of(u);

	if (u->block == NULL) {
		d->tray_open = true;
	} else if (d->eject != NULL) {
		d->tray_open = true;
		d->eject(d->eject_ctx);
	} else {
		d->tray_open = true;
		scsi_dvd_set_medium(u, NULL);
	}
}

static void start_stop(struct scsi_unit *u, struct scsi_command *c)
{
	bool load_eject = (c->cdb[4] & 0x02) != 0, start = (c->cdb[4] & 0x01) != 0;
	bool power_condition = (c->cdb[4] & 0xf0) != 0;

	if (!load_eject || power_condition) {
		scsi_good(c); /* nothing turns here */
	} else if (start) {
		scsi_dvd_of(u)->tray_open = false;
		scsi_good(c);
	} else if (scsi_medium_is_locked(u)) {
		scsi_fail(c, SCSI_MEDIUM_REMOVAL_PREVENTED);
	} else {
		eject(u);
		scsi_good(c);
	}
}

/* SEEK, SET CD SPEED and the like: nothing to do, nothing to say. */
static void accept_silently(struct scsi_unit *u, struct scsi_command *c)
{
	scsi_good(c);
}

/* Retries, timeouts and power conditions mean nothing here; Hyper-V takes them, too. */
static void mode_selected(struct scsi_unit *u, struct scsi_command *c, const uint8_t *list,
			  size_t bytes)
{
	scsi_good(c);
}

/* ---- The unit ---- */

#define ANY SCSI_ANY_ACTION
#define NONE SCSI_DATA_NONE
#define IN SCSI_DATA_IN
#define OUT SCSI_DATA_OUT
#define MEDIUM SCSI_NEEDS_MEDIUM
#define FF4 0xff, 0xff, 0xff, 0xff

/* clang-format off */
static const struct scsi_opcode opcodes[] = {
	{0x00, ANY, 6, NONE, MEDIUM, scsi_test_unit_ready, {0}},
	{0x03, ANY, 6, IN, SCSI_QUIET, scsi_request_sense, {0, 0x01, 0, 0, 0xff}},
	{0x12, ANY, 6, IN, SCSI_QUIET, scsi_inquiry, {0, 0x01, 0xff, 0xff, 0xff}},
	{0x15, ANY, 6, OUT, 0, scsi_mode_select, {0, 0x11, 0, 0, 0xff}},
	{0x1a, ANY, 6, IN, 0, scsi_mode_sense, {0, 0x08, 0xff, 0xff, 0xff}},
	{0x1b, ANY, 6, NONE, 0, start_stop, {0, 0, 0, 0, 0xf3}},
	{0x1e, ANY, 6, NONE, 0, scsi_prevent_allow, {0, 0, 0, 0, 0x03}},
	{0x25, ANY, 10, IN, MEDIUM, scsi_dvd_read_capacity, {0}},
	{0x28, ANY, 10, IN, MEDIUM, read_data, {0, 0x18, FF4, 0, 0xff, 0xff}},
	{0x2b, ANY, 10, NONE, MEDIUM, accept_silently, {0, 0, FF4}},
	{0x35, ANY, 10, NONE, 0, accept_silently, {0, 0x02}},
	{0x43, ANY, 10, IN, MEDIUM, scsi_dvd_read_toc, {0, 0x02, 0x0f, 0, 0, 0, 0xff, 0xff, 0xff}},
	{0x46, ANY, 10, IN, SCSI_QUIET, scsi_dvd_get_configuration, {0, 0x03, 0xff, 0xff, 0, 0, 0, 0xff, 0xff}},
	{0x4a, ANY, 10, IN, SCSI_QUIET, scsi_dvd_get_event_status, {0, 0x01, 0, 0, 0xff, 0, 0, 0xff, 0xff}},
	{0x51, ANY, 10, IN, MEDIUM, scsi_dvd_disc_information, {0, 0x07, 0, 0, 0, 0, 0, 0xff, 0xff}},
	{0x52, ANY, 10, IN, MEDIUM, scsi_dvd_track_information, {0, 0x03, FF4, 0, 0xff, 0xff}},
	{0x55, ANY, 10, OUT, 0, scsi_mode_select, {0, 0x11, 0, 0, 0, 0, 0, 0xff, 0xff}},
	{0x5a, ANY, 10, IN, 0, scsi_mode_sense, {0, 0x08, 0xff, 0xff, 0, 0, 0, 0xff, 0xff}},
	{0xa0, ANY, 12, IN, SCSI_QUIET, scsi_report_luns, {0, 0, 0xff, 0, 0, 0, FF4}},
	{0xa8, ANY, 12, IN, MEDIUM, read_data, {0, 0x18, FF4, FF4}},
	{0xad, ANY, 12, IN, MEDIUM, scsi_dvd_read_structure, {0, 0x0f, FF4, 0xff, 0xff, 0xff, 0xff}},
	{0xbb, ANY, 12, NONE, 0, accept_silently, {0, 0x03, FF4}},
	{0xbd, ANY, 12, IN, 0, scsi_dvd_mechanism_status, {0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}},
	{0xbe, ANY, 12, IN, MEDIUM, read_cd, {0, 0x1c, FF4, 0xff, 0xff, 0xff, 0xf8, 0x07}},
};
/* clang-format on */

static uint8_t device_specific(struct scsi_unit *u)
{
	return 0;
}

static void reset(struct scsi_unit *u)
{
	/* locks are gone already; the tray stays as it is */
}

static void save(struct scsi_unit *u, struct state_writer *w)
{
	state_put_u8(w, scsi_dvd_of(u)->tray_open);
}

static bool restore(struct scsi_unit *u, struct state_reader *r, bool apply)
{
	uint8_t tray_open = state_get_u8(r);

	if (r->bad || tray_open > 1) {
		return false;
	}
	if (apply) {
		scsi_dvd_of(u)->tray_open = tray_open != 0;
	}
	return true;
}

static const struct scsi_kind kind = {
	.type = 0x05,
	.removable = true,
	.product = "Virtual DVD-ROM ",
	.opcodes = opcodes,
	.opcode_count = ARRAY_LEN(opcodes),
	.vpd_pages = scsi_dvd_vpd_pages,
	.vpd_page = scsi_dvd_vpd_page,
	.mode_pages = scsi_dvd_mode_pages,
	.mode_page = scsi_dvd_mode_page,
	.mode_device_specific = device_specific,
	.mode_selected = mode_selected,
	.no_medium = no_medium,
	.reset = reset,
	.save = save,
	.restore = restore,
};

int scsi_dvd_create(struct block_device *medium, struct io_context *context,
		    const struct scsi_unit_config *config, struct scsi_unit **ret)
{
	struct scsi_dvd *d = calloc(1, sizeof(*d));

	if (d == NULL) {
		return -ENOMEM;
	}
	scsi_unit_init(&d->unit, &kind, context, config);
	d->unit.listener.changed = changed;
	attach(&d->unit, medium);
	*ret = &d->unit;
	return 0;
}
