// SPDX-License-Identifier: Apache-2.0
/*
 * Whom an SRB is for. A SCSI controller has one target, path 0 target 0; its units are the LUNs. Drivers look at all paths and
 * targets they can name, so what is not there answers at once:
 *
 *   REPORT LUNS	the target itself answers, and for other targets with an empty list;
 *   INQUIRY		as SPC wants for an absent LUN: "not capable of supporting a device here" (7Fh). Linux believes any INQUIRY to be
 *			successful, and would see a disk in an empty buffer;
 *   others		SRB_STATUS_INVALID_LUN: Linux removes the LUN at this.
 */
#include "controller.h"

#include <string.h>

#include "lib/be.h"
#include "lib/bits.h"

#define SCSI_INQUIRY 0x12u
#define SCSI_REPORT_LUNS 0xa0u
#define INQUIRY_EVPD 0x01u
#define INQUIRY_BYTES 36u
#define LUN_NOT_THERE 0x7fu /* qualifier 011b, type 1Fh */

#define KEY_ILLEGAL_REQUEST 0x05
#define ASC_INVALID_FIELD_IN_CDB 0x24

#define LUN_LIST_HEADER_BYTES 8u
#define LUN_ENTRY_BYTES 8u
#define REPORT_LUNS_BYTES_MIN 16u /* SPC-3: no less may be asked for */
#define SELECT_ADDRESSABLE 0u
#define SELECT_WELL_KNOWN 1u
#define SELECT_ALL 2u

/* Guests do not reliably give the path of an IDE channel: it is not looked at. */
static bool target_known(const struct stor *s, const struct vstor_srb *srb)
{
	if (s->config.ide) {
		return srb->target == s->config.ide_target;
	}
	return srb->path == 0 && srb->target == 0;
}

unsigned stor_route(const struct stor *s, const struct vstor_srb *srb)
{
	if (!target_known(s, srb) || srb->lun >= STOR_LUNS || s->slots[srb->lun].unit == NULL) {
		return STOR_LUNS;
	}
	return srb->lun;
}

/* ---- What the target answers ---- */

static void finish(struct stor_request *r, const void *data, size_t bytes)
{
	struct scsi_command *c = &r->command;
	const struct vmbus_packet p = {
		.type = VMBUS_PACKET_DATA_USING_GPA_DIRECT,
		.range_count = r->range_count,
		.ranges = r->ranges,
		.ranges_bytes = r->ranges_bytes,
	};
	size_t done = 0;

	bytes = c->direction == SCSI_DATA_IN ? min_u64(bytes, c->data_bytes) : 0;
	for (unsigned i = 0; i < c->vec_count && done < bytes; i++) {
		size_t n = min_u64(c->vec[i].bytes, bytes - done);

		memcpy(c->vec[i].base, (const uint8_t *)data + done, n);
		done += n;
	}
	if (done != 0) {
		vmbus_ranges_touch(r->channel->vmbus, &p, done);
	}
	c->transferred = done;
	c->status = SCSI_GOOD;
	stor_srb_complete(r);
}

static void invalid_field(struct stor_request *r)
{
	scsi_sense(&r->command, KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB, 0);
	r->command.status = SCSI_CHECK_CONDITION;
	stor_srb_complete(r);
}

static size_t list_luns(const struct stor *s, uint8_t *list)
{
	size_t used = LUN_LIST_HEADER_BYTES;

	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		if (s->slots[lun].unit != NULL) {
			list[used + 1] =
				(uint8_t)lun; /* single level, peripheral device addressing */
			used += LUN_ENTRY_BYTES;
		}
	}
	return used;
}

static void report_luns(struct stor_request *r, const struct vstor_srb *srb)
{
	const struct stor *s = r->channel->stor;
	const uint8_t *cdb = r->command.cdb;
	uint8_t list[LUN_LIST_HEADER_BYTES + STOR_LUNS * LUN_ENTRY_BYTES] = {0};
	uint32_t allocation = load_be32(cdb + 6);
	size_t bytes = LUN_LIST_HEADER_BYTES;

	if (allocation < REPORT_LUNS_BYTES_MIN || cdb[2] > SELECT_ALL) {
		invalid_field(r);
		return;
	}
	if (target_known(s, srb) && cdb[2] != SELECT_WELL_KNOWN) {
		bytes = list_luns(s, list);
	}
	store_be32(list, (uint32_t)(bytes - LUN_LIST_HEADER_BYTES));
	finish(r, list, min_u64(bytes, allocation));
}

/* LUN 0 says for the whole target who it is: Linux takes the SCSI version, and from it that REPORT LUNS may be asked, from here. */
static void inquiry(struct stor_request *r, const struct vstor_srb *srb)
{
	const uint8_t *cdb = r->command.cdb;
	uint8_t data[INQUIRY_BYTES] = {LUN_NOT_THERE, 0, 5 /* SPC-3 */, 2, INQUIRY_BYTES - 5};

	if ((cdb[1] & INQUIRY_EVPD) || cdb[2] != 0) {
		invalid_field(r);
		return;
	}
	if (srb->lun == 0) {
		memcpy(data + 8, "Msft    Virtual Disk    1.0 ", 28);
	}
	finish(r, data, min_u64(sizeof(data), load_be16(cdb + 3)));
}

bool stor_route_local(struct stor_request *r, const struct vstor_srb *srb, unsigned lun)
{
	if (r->command.cdb[0] == SCSI_REPORT_LUNS) {
		report_luns(r, srb);
	} else if (lun != STOR_LUNS) {
		return false;
	} else if (r->command.cdb[0] == SCSI_INQUIRY) {
		inquiry(r, srb);
	} else {
		stor_srb_fail(r, SRB_STATUS_INVALID_LUN);
	}
	return true;
}
