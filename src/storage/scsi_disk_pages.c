// SPDX-License-Identifier: Apache-2.0
/*
 * What a disk tells about itself: vital product data and mode pages. Spec: SPC-4 7.5, 7.8, SBC-3 6.5, 6.6. Interop: Linux decides from
 * pages B0h to B2h and READ CAPACITY(16) how it discards and zeroes; CEh and CFh are Hyper-V's own.
 */
#include <string.h>

#include "scsi_disk.h"

const uint8_t scsi_disk_vpd_pages[] = {0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2, 0xce, 0xcf, 0xff};

static int serial_number(const struct block_info *info, uint8_t *body)
{
	static const char digits[] = "0123456789abcdef";

	if (guid_is_zero(&info->id)) {
		return 0;
	}
	for (unsigned i = 0; i < 16; i++) {
		body[2 * i] = (uint8_t)digits[info->id.bytes[i] >> 4];
		body[2 * i + 1] = (uint8_t)digits[info->id.bytes[i] & 0xf];
	}
	return 32;
}

static int block_limits(const struct scsi_unit *u, uint8_t *body)
{
	const struct block_info *info = &u->block->info;
	uint32_t granule = info->discard_granularity_bytes / info->sector_bytes;

	memset(body, 0, 60);
	body[0] = 0x01; /* WRITE SAME of 0 blocks: no */
	store_be16(body + 2, (uint16_t)(info->physical_sector_bytes / info->sector_bytes));
	store_be32(body + 4, u->config.max_transfer_bytes / info->sector_bytes);
	if (info->discards) {
		store_be32(body + 16, UINT32_MAX);
		store_be32(body + 20, SCSI_UNMAP_DESCRIPTORS_MAX);
		store_be32(body + 24, granule != 0 ? granule : 1);
		store_be32(body + 28, BIT32(31)); /* the granules' alignment is valid: 0 */
	}
	store_be64(body + 32, SCSI_WRITE_SAME_MAX_BYTES / info->sector_bytes);
	return 60;
}

static int characteristics(const struct block_info *info, uint8_t *body)
{
	memset(body, 0, 60);
	store_be16(body, info->rotational ? 0 : 1);
	return 60;
}

static int provisioning(const struct block_info *info, uint8_t *body)
{
	memset(body, 0, 4);
	if (info->discards) {
		body[1] =
			(uint8_t)(0xe0 |
				  (info->discard_zeros ? 0x04 : 0)); /* LBPU LBPWS LBPWS10 LBPRZ */
		body[2] = 0x02;					     /* thin */
	}
	return 4;
}

static int virtual_device_properties(uint8_t *body)
{
	static const struct guid signature =
		GUID(0x89a98f15, 0xc928, 0x4d8b, 0x94, 0xcd, 0xef, 0x51, 0xfa, 0xa9, 0x9d, 0x33);

	memset(body, 0, 20);
	body[0] = 1; /* version */
	memcpy(body + 4, signature.bytes, 16);
	return 20;
}

static int paging_extent_properties(uint8_t *body)
{
	static const uint8_t page[4] = {1 /* version */, 1 /* MODE SELECT extension */};

	memcpy(body, page, sizeof(page));
	return sizeof(page);
}

int scsi_disk_vpd_page(struct scsi_unit *u, uint8_t page, uint8_t *body)
{
	const struct block_info *info = &u->block->info;

	switch (page) {
	case 0x80:
		return serial_number(info, body);
	case 0x83:
		return scsi_vpd_identification(&info->id, body);
	case 0xb0:
		return block_limits(u, body);
	case 0xb1:
		return characteristics(info, body);
	case 0xb2:
		return provisioning(info, body);
	case 0xce:
		return paging_extent_properties(body);
	case 0xcf:
		return virtual_device_properties(body);
	default:
		return -1;
	}
}

/* ---- Mode pages ---- */

#define CACHING 0x08
#define CONTROL 0x0a
#define INFORMATIONAL_EXCEPTIONS 0x1c
#define WCE 0x04

const uint8_t scsi_disk_mode_pages[] = {CACHING, CONTROL, INFORMATIONAL_EXCEPTIONS, 0xff};

static unsigned caching(const struct scsi_disk *d, enum scsi_mode_control control, uint8_t *body)
{
	memset(body, 0, 20);
	body[0] = CACHING;
	body[1] = 18;
	body[2] = control != SCSI_MODE_CURRENT || d->write_cache ? WCE : 0;
	return 20;
}

static unsigned control_page(enum scsi_mode_control control, uint8_t *body)
{
	memset(body, 0, 12);
	body[0] = CONTROL;
	body[1] = 10;
	if (control != SCSI_MODE_CHANGEABLE) {
		body[3] = 0x10; /* unrestricted reordering */
		body[5] = 0x40; /* aborted commands say so */
	}
	return 12;
}

static unsigned informational_exceptions(enum scsi_mode_control control, uint8_t *body)
{
	memset(body, 0, 12);
	body[0] = INFORMATIONAL_EXCEPTIONS;
	body[1] = 10;
	if (control != SCSI_MODE_CHANGEABLE) {
		body[2] = 0x08; /* none are reported */
	}
	return 12;
}

unsigned scsi_disk_mode_page(struct scsi_unit *u, uint8_t page, enum scsi_mode_control control,
			     uint8_t *body)
{
	switch (page) {
	case CACHING:
		return caching(scsi_disk_of(u), control, body);
	case CONTROL:
		return control_page(control, body);
	default:
		return informational_exceptions(control, body);
	}
}

uint8_t scsi_disk_device_specific(struct scsi_unit *u)
{
	return (uint8_t)((u->block->info.read_only ? 0x80 : 0) | 0x10 /* DPO and FUA */);
}

/* Caching is the only page with anything to change, its WCE the only bit. */
void scsi_disk_mode_selected(struct scsi_unit *u, struct scsi_command *c, const uint8_t *list,
			     size_t bytes)
{
	struct scsi_disk *d = scsi_disk_of(u);
	bool write_cache = d->write_cache;

	for (size_t at = 0; at < bytes; at += 2u + list[at + 1]) {
		if ((list[at] & 0x3f) == CACHING) {
			write_cache = (list[at + 2] & WCE) != 0;
		}
	}
	if (write_cache == d->write_cache) {
		scsi_good(c);
		return;
	}
	d->write_cache = write_cache;
	scsi_raise(u, SCSI_ATTENTION_MODE, c->nexus);
	/* Nothing may be left in a cache that is off. */
	c->io.op = IO_FLUSH;
	scsi_submit_io(c, scsi_io_done);
}
