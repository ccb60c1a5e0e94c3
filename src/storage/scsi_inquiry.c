// SPDX-License-Identifier: Apache-2.0
/* INQUIRY: identity as Hyper-V's; drivers look for the vendor. Spec: SPC-4 6.4, 7.8. */
#include <string.h>

#include "scsi_unit.h"

#define STANDARD_BYTES 96u

static void standard(struct scsi_unit *u, struct scsi_command *c, size_t allocation)
{
	uint8_t data[STANDARD_BYTES] = {
		[0] = u->kind->type,	  [1] = u->kind->removable ? 0x80 : 0,
		[2] = u->kind->version,	  [3] = 0x02, /* response data format */
		[4] = STANDARD_BYTES - 5, [7] = 0x02, /* command queuing */
	};

	scsi_store_text(data + 8, "Msft    ", 8);
	scsi_store_text(data + 16, u->kind->product, 16);
	scsi_store_text(data + 32, "1.0 ", 4);
	scsi_reply(c, data, sizeof(data), allocation);
}

static int supported_pages(const struct scsi_unit *u, uint8_t *body)
{
	int bytes = 0;

	while (u->kind->vpd_pages[bytes] != 0xff) {
		body[bytes] = u->kind->vpd_pages[bytes];
		bytes++;
	}
	return bytes;
}

static bool page_is_known(const struct scsi_unit *u, uint8_t page)
{
	for (const uint8_t *p = u->kind->vpd_pages; *p != 0xff; p++) {
		if (*p == page) {
			return true;
		}
	}
	return false;
}

static void vital(struct scsi_unit *u, struct scsi_command *c, uint8_t page, size_t allocation)
{
	uint8_t data[4 + SCSI_VPD_BODY_MAX] = {[0] = u->kind->type, [1] = page};
	int bytes = -1;

	if (page == 0x00) {
		bytes = supported_pages(u, data + 4);
	} else if (page_is_known(u, page)) {
		bytes = u->kind->vpd_page(u, page, data + 4);
	}
	if (bytes < 0) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	store_be16(data + 2, (uint16_t)bytes);
	scsi_reply(c, data, 4 + (size_t)bytes, allocation);
}

void scsi_inquiry(struct scsi_unit *u, struct scsi_command *c)
{
	size_t allocation = load_be16(c->cdb + 3);
	bool evpd = (c->cdb[1] & 0x01) != 0, obsolete = (c->cdb[1] & 0x02) != 0;

	if (obsolete || (!evpd && c->cdb[2] != 0)) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
	} else if (evpd) {
		vital(u, c, c->cdb[2], allocation);
	} else {
		standard(u, c, allocation);
	}
}

int scsi_vpd_identification(const struct guid *id, uint8_t *body)
{
	/* binary, T10 vendor identification: vendor, GUID; binary, NAA 6 with Microsoft's OUI 00-22-48 and the GUID's ends */
	static const uint8_t t10[] = {0x01, 0x01, 0, 24, 'M', 's', 'f', 't', ' ', ' ', ' ', ' '};
	static const uint8_t naa[] = {0x01, 0x03, 0, 16, 0x60, 0x02, 0x24, 0x80};

	if (guid_is_zero(id)) {
		return 0; /* a made-up identity would be the same for all */
	}
	memcpy(body, t10, sizeof(t10));
	memcpy(body + 12, id->bytes, 16);
	memcpy(body + 28, naa, sizeof(naa));
	memcpy(body + 36, id->bytes, 6);
	memcpy(body + 42, id->bytes + 10, 6);
	return 48;
}
