// SPDX-License-Identifier: Apache-2.0
/* What the drive can do and what happened to it. Spec: MMC-6 chapter 5, 6.6, 6.7, 7. */
#include <string.h>

#include "scsi_dvd.h"

#define PROFILE_DVD_ROM 0x0010
#define PROFILE_CD_ROM 0x0008

/* ---- GET CONFIGURATION ---- */

struct feature {
	uint16_t code;
	uint8_t flags;	  /* version << 2 | persistent << 1 */
	bool with_medium; /* current only while a disc is in */
	uint8_t bytes;
	uint8_t body[12];
};

#define PERSISTENT 0x02

/* The profile list is made up below: which profile is current depends on the disc. */
static const struct feature features[] = {
	{0x0000, PERSISTENT, false, 8, {0x00, PROFILE_DVD_ROM, 0, 0, 0x00, PROFILE_CD_ROM, 0, 0}},
	{0x0001, 0x08 | PERSISTENT, false, 8, {0, 0, 0, 0x01 /* SCSI */, 0x01 /* busy events */}},
	{0x0002, 0x04 | PERSISTENT, false, 4, {0x00 /* events are polled */}},
	{0x0003, PERSISTENT, false, 4, {0x29 /* tray, ejects, locks */}},
	{0x0010, 0, true, 8, {0, 0, SCSI_DVD_BLOCK_BYTES >> 8, 0, 0, 0x01 /* blocking */}},
	{0x001e, 0x08, false, 4, {0}},
	{0x001f, 0, true, 0, {0}},
	{0x0100, PERSISTENT, false, 0, {0}},
	{0x0105, PERSISTENT, false, 0, {0}},
};

enum { REQUEST_ALL, REQUEST_CURRENT, REQUEST_ONE };

static bool feature_is_current(const struct scsi_unit *u, const struct feature *f)
{
	return (f->flags & PERSISTENT) != 0 || (f->with_medium && u->block != NULL);
}

static bool feature_is_wanted(const struct feature *f, uint8_t request, uint16_t start,
			      bool current)
{
	switch (request) {
	case REQUEST_ALL:
		return f->code >= start;
	case REQUEST_CURRENT:
		return f->code >= start && current;
	default:
		return f->code == start;
	}
}

static unsigned store_feature(const struct scsi_unit *u, const struct feature *f, uint8_t *d)
{
	store_be16(d, f->code);
	d[2] = (uint8_t)(f->flags | (feature_is_current(u, f) ? 0x01 : 0));
	d[3] = f->bytes;
	memcpy(d + 4, f->body, f->bytes);
	if (f->code == 0x0000) {
		d[4 + 2] = u->block != NULL ? 0x01 : 0; /* the first profile is the current one */
	}
	return 4u + f->bytes;
}

void scsi_dvd_get_configuration(struct scsi_unit *u, struct scsi_command *c)
{
	uint8_t request = c->cdb[1] & 0x03, data[8 + ARRAY_LEN(features) * 16] = {0};
	uint16_t start = load_be16(c->cdb + 2);
	unsigned bytes = 8;

	if (request > REQUEST_ONE) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	for (unsigned i = 0; i < ARRAY_LEN(features); i++) {
		const struct feature *f = &features[i];

		if (feature_is_wanted(f, request, start, feature_is_current(u, f))) {
			bytes += store_feature(u, f, data + bytes);
		}
	}
	store_be32(data, bytes - 4);
	store_be16(data + 6, u->block != NULL ? PROFILE_DVD_ROM : 0);
	scsi_reply(c, data, bytes, load_be16(c->cdb + 7));
}

/* ---- GET EVENT STATUS NOTIFICATION ---- */

#define CLASS_MEDIA 4u
#define NO_EVENT_AVAILABLE 0x80

void scsi_dvd_get_event_status(struct scsi_unit *u, struct scsi_command *c)
{
	bool polled = (c->cdb[1] & 0x01) != 0, media = (c->cdb[4] & BIT32(CLASS_MEDIA)) != 0;
	struct scsi_nexus *n = scsi_nexus_of(u, c);
	size_t allocation = load_be16(c->cdb + 7);
	uint8_t data[8] = {[3] = BIT32(CLASS_MEDIA)};

	if (!polled) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	if (!media) {
		store_be16(data, 2);
		data[2] = NO_EVENT_AVAILABLE;
		scsi_reply(c, data, 4, allocation);
		return;
	}
	store_be16(data, 6);
	data[2] = CLASS_MEDIA;
	/* who asks for the header only has not been told */
	if (n != NULL && min_u64(allocation, scsi_buffer_bytes(c, SCSI_DATA_IN)) > 4) {
		data[4] = n->media_event;
		n->media_event = SCSI_MEDIA_NO_CHANGE;
	}
	data[5] = (uint8_t)((u->block != NULL ? 0x02 : 0) | (scsi_dvd_of(u)->tray_open ? 0x01 : 0));
	scsi_reply(c, data, 8, allocation);
}

void scsi_dvd_mechanism_status(struct scsi_unit *u, struct scsi_command *c)
{
	const uint8_t data[8] = {
		[1] = scsi_dvd_of(u)->tray_open ? 0x10 : 0, /* idle, no changer */
	};

	scsi_reply(c, data, sizeof(data), load_be16(c->cdb + 8));
}

/* ---- Vital product data ---- */

const uint8_t scsi_dvd_vpd_pages[] = {0x00, 0x83, 0xff};

int scsi_dvd_vpd_page(struct scsi_unit *u, uint8_t page, uint8_t *body)
{
	/* the drive, not the disc: T10 vendor identification in ASCII */
	static const uint8_t id[] = {0x02, 0x01, 0, 24};

	memcpy(body, id, sizeof(id));
	scsi_store_text(body + 4, "Msft    Virtual DVD-ROM ", 24);
	return 28;
}

/* ---- Mode pages ---- */

#define ERROR_RECOVERY 0x01
#define POWER_CONDITION 0x1a
#define TIMEOUT_AND_PROTECT 0x1d
#define CAPABILITIES 0x2a

const uint8_t scsi_dvd_mode_pages[] = {ERROR_RECOVERY, POWER_CONDITION, TIMEOUT_AND_PROTECT,
				       CAPABILITIES, 0xff};

/* All of it may be set, nothing of it is kept. */
static unsigned plain_page(uint8_t page, enum scsi_mode_control control, uint8_t *body)
{
	memset(body, control == SCSI_MODE_CHANGEABLE ? 0xff : 0, 12);
	body[0] = page;
	body[1] = 10;
	return 12;
}

static unsigned capabilities(const struct scsi_unit *u, enum scsi_mode_control control,
			     uint8_t *body)
{
	memset(body, 0, 22);
	body[0] = CAPABILITIES;
	body[1] = 20;
	if (control == SCSI_MODE_CHANGEABLE) {
		return 22;
	}
	body[2] = 0x0b; /* reads CD-R, CD-RW, DVD-ROM */
	body[4] = 0x70; /* mode 2 form 1 and 2, multiple sessions */
	body[6] = 0x29; /* tray, ejects, locks */
	if (scsi_medium_is_locked(u)) {
		body[6] |= 0x02;
	}
	store_be16(body + 8, 11080); /* kB/s: DVD 8x */
	store_be16(body + 14, 11080);
	return 22;
}

unsigned scsi_dvd_mode_page(struct scsi_unit *u, uint8_t page, enum scsi_mode_control control,
			    uint8_t *body)
{
	return page == CAPABILITIES ? capabilities(u, control, body)
				    : plain_page(page, control, body);
}
