// SPDX-License-Identifier: Apache-2.0
/* MODE SENSE and MODE SELECT, 6 and 10, on the pages of the unit's kind. Spec: SPC-4 6.10 to 6.13, 7.5. */
#include <string.h>

#include "scsi_unit.h"

#define ALL_PAGES 0x3f
#define ALL_SUBPAGES 0xff
#define SAVED 3
#define HEADER6 4u
#define HEADER10 8u
#define SENSE_MAX 256u
#define SELECT_MAX 256u

static bool is_10(const struct scsi_command *c)
{
	return c->cdb[0] >= 0x20;
}

static bool page_is_known(const struct scsi_unit *u, uint8_t page)
{
	for (const uint8_t *p = u->kind->mode_pages; *p != 0xff; p++) {
		if (*p == page) {
			return true;
		}
	}
	return false;
}

static unsigned collect(struct scsi_unit *u, uint8_t page, enum scsi_mode_control control,
			uint8_t *body)
{
	unsigned bytes = 0;

	for (const uint8_t *p = u->kind->mode_pages; *p != 0xff; p++) {
		if (page == ALL_PAGES || page == *p) {
			bytes += u->kind->mode_page(u, *p, control, body + bytes);
		}
	}
	return bytes;
}

void scsi_mode_sense(struct scsi_unit *u, struct scsi_command *c)
{
	uint8_t page = c->cdb[2] & 0x3f, control = c->cdb[2] >> 6, subpage = c->cdb[3];
	unsigned header = is_10(c) ? HEADER10 : HEADER6;
	size_t allocation = is_10(c) ? load_be16(c->cdb + 7) : c->cdb[4];
	bool all = page == ALL_PAGES && (subpage == 0 || subpage == ALL_SUBPAGES);
	uint8_t data[SENSE_MAX] = {0};

	if (!all && (subpage != 0 || !page_is_known(u, page))) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	if (control == SAVED) {
		scsi_fail(c, SCSI_SAVING_NOT_SUPPORTED);
		return;
	}
	/* No block descriptors, as Hyper-V's disks. */
	unsigned bytes = header + collect(u, page, (enum scsi_mode_control)control, data + header);

	if (is_10(c)) {
		store_be16(data, (uint16_t)(bytes - 2));
		data[3] = u->kind->mode_device_specific(u);
	} else {
		data[0] = (uint8_t)(bytes - 1);
		data[2] = u->kind->mode_device_specific(u);
	}
	scsi_reply(c, data, bytes, allocation);
}

/* Every bit as it is, or changeable. */
static bool page_is_acceptable(struct scsi_unit *u, const uint8_t *page, unsigned bytes)
{
	uint8_t current[SCSI_MODE_PAGE_MAX] = {0}, changeable[SCSI_MODE_PAGE_MAX] = {0};

	if (!page_is_known(u, page[0] & 0x3f) ||
	    u->kind->mode_page(u, page[0] & 0x3f, SCSI_MODE_CURRENT, current) != bytes) {
		return false;
	}
	u->kind->mode_page(u, page[0] & 0x3f, SCSI_MODE_CHANGEABLE, changeable);
	for (unsigned i = 2; i < bytes; i++) {
		if (((page[i] ^ current[i]) & ~changeable[i]) != 0) {
			return false;
		}
	}
	return true;
}

/* SCSI_NO_SENSE: a sound list of whole pages. */
static enum scsi_condition check_pages(struct scsi_unit *u, const uint8_t *list, size_t left)
{
	while (left != 0) {
		unsigned bytes = left < 2 ? 2 : 2u + list[1];

		if (bytes > left) {
			return SCSI_PARAMETER_LIST_LENGTH_ERROR;
		}
		/* the format with subpages (bit 6) is used by none of ours */
		if ((list[0] & 0x40) != 0 || !page_is_acceptable(u, list, bytes)) {
			return SCSI_INVALID_FIELD_IN_PARAMETER_LIST;
		}
		list += bytes;
		left -= bytes;
	}
	return SCSI_NO_SENSE;
}

void scsi_mode_select(struct scsi_unit *u, struct scsi_command *c)
{
	size_t bytes = is_10(c) ? load_be16(c->cdb + 7) : c->cdb[4];
	size_t header = is_10(c) ? HEADER10 : HEADER6;
	bool page_format = (c->cdb[1] & 0x10) != 0, save = (c->cdb[1] & 0x01) != 0;
	uint8_t list[SELECT_MAX];

	if (!page_format || save) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	if (bytes == 0) {
		scsi_good(c);
		return;
	}
	if (bytes < header || bytes > sizeof(list) || bytes > scsi_buffer_bytes(c, SCSI_DATA_OUT)) {
		scsi_fail(c, SCSI_PARAMETER_LIST_LENGTH_ERROR);
		return;
	}
	scsi_fetch(c, list, bytes);

	size_t descriptors = is_10(c) ? load_be16(list + 6) : list[3];

	if (descriptors > bytes - header) {
		scsi_fail(c, SCSI_PARAMETER_LIST_LENGTH_ERROR);
		return;
	}
	enum scsi_condition bad = descriptors != 0 ? SCSI_INVALID_FIELD_IN_PARAMETER_LIST
						   : check_pages(u, list + header, bytes - header);

	if (bad != SCSI_NO_SENSE) {
		scsi_fail(c, bad);
		return;
	}
	c->transferred = bytes;
	u->kind->mode_selected(u, c, list + header, bytes - header);
}
