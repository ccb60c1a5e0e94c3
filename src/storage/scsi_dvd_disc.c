// SPDX-License-Identifier: Apache-2.0
/* What is on the disc: one session with one data track, closed. Spec: MMC-6 6.21 to 6.26. */
#include <string.h>

#include "scsi_dvd.h"

#define LEAD_OUT 0xaa
#define DATA_TRACK 0x14 /* ADR 1, control: data */

void scsi_dvd_read_capacity(struct scsi_unit *u, struct scsi_command *c)
{
	uint32_t blocks = scsi_dvd_blocks(u);
	uint8_t data[8];

	store_be32(data, blocks != 0 ? blocks - 1 : 0);
	store_be32(data + 4, SCSI_DVD_BLOCK_BYTES);
	scsi_reply(c, data, sizeof(data), sizeof(data));
}

static void store_msf(uint8_t msf[3], uint32_t lba)
{
	uint64_t frames = (uint64_t)lba + SCSI_DVD_MSF_OFFSET;

	msf[0] = (uint8_t)min_u64(frames / (75 * 60), 255);
	msf[1] = (uint8_t)(frames / 75 % 60);
	msf[2] = (uint8_t)(frames % 75);
}

static void store_address(uint8_t address[4], uint32_t lba, bool msf)
{
	if (msf) {
		address[0] = 0;
		store_msf(address + 1, lba);
	} else {
		store_be32(address, lba);
	}
}

static unsigned store_track(uint8_t *d, uint8_t track, uint32_t lba, bool msf)
{
	memset(d, 0, 8);
	d[1] = DATA_TRACK;
	d[2] = track;
	store_address(d + 4, lba, msf);
	return 8;
}

/* Format 0: the tracks from @first on, and the lead-out. */
static unsigned toc(const struct scsi_unit *u, uint8_t *data, uint8_t first, bool msf)
{
	unsigned bytes = 4;

	data[2] = data[3] = 1; /* first and last track */
	if (first <= 1) {
		bytes += store_track(data + bytes, 1, 0, msf);
	}
	return bytes + store_track(data + bytes, LEAD_OUT, scsi_dvd_blocks(u), msf);
}

/* Format 1: the first track of the last complete session. */
static unsigned session(uint8_t *data, bool msf)
{
	data[2] = data[3] = 1;
	return 4 + store_track(data + 4, 1, 0, msf);
}

static unsigned store_raw(uint8_t *d, uint8_t point, const uint8_t msf[3])
{
	memset(d, 0, 11);
	d[0] = 1; /* session */
	d[1] = DATA_TRACK;
	d[3] = point;
	memcpy(d + 8, msf, 3);
	return 11;
}

/* Format 2: as in the lead-in: first track, last track, lead-out, track 1. */
static unsigned raw_toc(const struct scsi_unit *u, uint8_t *data)
{
	const uint8_t track1[3] = {1, 0, 0};
	uint8_t msf[3];
	unsigned bytes = 4;

	data[2] = data[3] = 1;
	bytes += store_raw(data + bytes, 0xa0, track1);
	bytes += store_raw(data + bytes, 0xa1, track1);
	store_msf(msf, scsi_dvd_blocks(u));
	bytes += store_raw(data + bytes, 0xa2, msf);
	store_msf(msf, 0);
	bytes += store_raw(data + bytes, 1, msf);
	return bytes;
}

void scsi_dvd_read_toc(struct scsi_unit *u, struct scsi_command *c)
{
	bool msf = (c->cdb[1] & 0x02) != 0;
	uint8_t format = c->cdb[2] & 0x0f, first = c->cdb[6], data[64] = {0};
	unsigned bytes;

	if (format > 2 || (format == 0 && first > 1 && first != LEAD_OUT)) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	if (format == 0) {
		bytes = toc(u, data, first, msf);
	} else if (format == 1) {
		bytes = session(data, msf);
	} else {
		bytes = raw_toc(u, data);
	}
	store_be16(data, (uint16_t)(bytes - 2));
	scsi_reply(c, data, bytes, load_be16(c->cdb + 7));
}

void scsi_dvd_disc_information(struct scsi_unit *u, struct scsi_command *c)
{
	uint8_t data[34] = {
		[1] = sizeof(data) - 2,
		[2] = 0x0e, /* last session complete, disc finalized */
		[3] = 1,    /* first track */
		[4] = 1,    /* sessions */
		[5] = 1,    /* first and last track in the last session */
		[6] = 1,
		[7] = 0x20, /* unrestricted use */
	};

	if ((c->cdb[1] & 0x07) != 0) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	/* no further session can be written: no lead-in, no lead-out */
	memset(data + 16, 0xff, 8);
	scsi_reply(c, data, sizeof(data), load_be16(c->cdb + 7));
}

/* Does the address name our only track? By block, track or session. */
static bool names_track(const struct scsi_unit *u, uint8_t by, uint32_t number)
{
	return by == 0 ? number < scsi_dvd_blocks(u) : number == 1;
}

void scsi_dvd_track_information(struct scsi_unit *u, struct scsi_command *c)
{
	uint8_t by = c->cdb[1] & 0x03;
	uint8_t data[36] = {
		[1] = sizeof(data) - 2,
		[2] = 1,    /* track */
		[3] = 1,    /* session */
		[5] = 0x04, /* data, recorded at once */
		[6] = 0x01, /* mode 1 */
	};

	if (by > 2 || !names_track(u, by, load_be32(c->cdb + 2))) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	store_be32(data + 24, scsi_dvd_blocks(u));
	scsi_reply(c, data, sizeof(data), load_be16(c->cdb + 7));
}

/* ---- READ DVD STRUCTURE ---- */

#define STRUCTURE_BYTES (4u + 2048u)
#define FIRST_DATA_SECTOR 0x030000u /* physical address of block 0 */

static unsigned physical_format(const struct scsi_unit *u, uint8_t *body)
{
	uint32_t blocks = scsi_dvd_blocks(u);

	body[0] = 0x01; /* DVD-ROM, part version 1 */
	body[1] = 0x0f; /* 120 mm, no maximum rate */
	body[2] = 0x01; /* one layer, embossed */
	store_be32(body + 4, FIRST_DATA_SECTOR);
	store_be32(body + 8, FIRST_DATA_SECTOR + (blocks != 0 ? blocks - 1 : 0));
	return 2048;
}

/* Formats that there are, none of them writable. */
static unsigned structure_list(uint8_t *body)
{
	static const struct {
		uint8_t format;
		uint16_t bytes;
	} formats[] = {{0x00, 2048 + 4}, {0x01, 4 + 4}, {0xff, 3 * 4 + 4}};

	for (unsigned i = 0; i < ARRAY_LEN(formats); i++) {
		body[4 * i] = formats[i].format;
		body[4 * i + 1] = 0x40; /* can be read */
		store_be16(body + 4 * i + 2, formats[i].bytes);
	}
	return 4 * ARRAY_LEN(formats);
}

void scsi_dvd_read_structure(struct scsi_unit *u, struct scsi_command *c)
{
	uint8_t media = c->cdb[1] & 0x0f, layer = c->cdb[6], format = c->cdb[7];
	uint8_t data[STRUCTURE_BYTES] = {0};
	unsigned bytes = 0;

	if (media != 0 || layer != 0) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	switch (format) {
	case 0x00:
		bytes = physical_format(u, data + 4);
		break;
	case 0x01:
		bytes = 4; /* copyright: not protected, all regions */
		break;
	case 0xff:
		bytes = structure_list(data + 4);
		break;
	default:
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	store_be16(data, (uint16_t)(bytes + 2));
	scsi_reply(c, data, 4 + bytes, load_be16(c->cdb + 8));
}
