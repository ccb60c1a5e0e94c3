// SPDX-License-Identifier: Apache-2.0
/* Commands about the unit and the target, the same for all kinds of units. Spec: SPC-4 chapter 6. */
#include <string.h>

#include "scsi_unit.h"

#define LUNS_MAX 256u

void scsi_test_unit_ready(struct scsi_unit *u, struct scsi_command *c)
{
	scsi_good(c);
}

/* Says what is pending, as data and once. */
void scsi_request_sense(struct scsi_unit *u, struct scsi_command *c)
{
	struct scsi_nexus *n = scsi_nexus_of(u, c);
	enum scsi_condition what = n != NULL ? scsi_take_attention(n) : SCSI_NO_SENSE;
	struct scsi_command sense;

	if ((c->cdb[1] & 0x01) != 0) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB); /* descriptor format: not ours */
		return;
	}
	if (what == SCSI_NO_SENSE && u->block == NULL) {
		what = u->kind->no_medium(u);
	}
	scsi_sense(&sense, (uint8_t)(what >> 16), (uint8_t)(what >> 8), (uint8_t)what);
	scsi_reply(c, sense.sense, sense.sense_bytes, c->cdb[4]);
}

static void store_lun(uint8_t *entry, uint16_t lun)
{
	/* peripheral addressing up to 255, flat space above */
	entry[0] = (uint8_t)(lun < 256 ? 0 : 0x40 | (lun >> 8 & 0x3f));
	entry[1] = (uint8_t)lun;
}

void scsi_report_luns(struct scsi_unit *u, struct scsi_command *c)
{
	uint32_t allocation = load_be32(c->cdb + 6);
	uint8_t data[8 + 8 * LUNS_MAX] = {0};
	uint16_t luns[LUNS_MAX] = {0};
	unsigned count = 1;

	/* 0 and 2: all of them; 1: well known ones, of which there are none */
	if (c->cdb[2] > 2 || allocation < 16) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	if (u->config.luns.list != NULL) {
		count = u->config.luns.list(u->config.luns.ctx, luns, LUNS_MAX);
		count = (unsigned)min_u64(count, LUNS_MAX);
	}
	if (c->cdb[2] == 1) {
		count = 0;
	}
	store_be32(data, 8 * count);
	for (unsigned i = 0; i < count; i++) {
		store_lun(data + 8 + 8 * i, luns[i]);
	}
	scsi_reply(c, data, 8 + 8 * count, allocation);
}

void scsi_prevent_allow(struct scsi_unit *u, struct scsi_command *c)
{
	struct scsi_nexus *n = scsi_nexus_of(u, c);

	if ((c->cdb[4] & 0x02) != 0) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB); /* persistent prevent */
		return;
	}
	if (n != NULL) {
		n->prevents = (c->cdb[4] & 0x01) != 0;
	}
	scsi_good(c);
}

/* ---- REPORT SUPPORTED OPERATION CODES ---- */

#define OPCODES_MAX 96u
#define TIMEOUTS_BYTES 12u /* the command timeouts descriptor: all zero, no expectation */

static uint16_t action_of(const struct scsi_opcode *o)
{
	return o->action == SCSI_ANY_ACTION ? 0 : o->action;
}

static void report_all(struct scsi_unit *u, struct scsi_command *c, bool timeouts)
{
	uint8_t data[4 + OPCODES_MAX * (8 + TIMEOUTS_BYTES)] = {0};
	unsigned bytes = 4;

	for (unsigned i = 0; i < u->kind->opcode_count && i < OPCODES_MAX; i++) {
		const struct scsi_opcode *o = &u->kind->opcodes[i];
		uint8_t *d = data + bytes;

		d[0] = o->opcode;
		store_be16(d + 2, action_of(o));
		d[5] = (uint8_t)((timeouts ? 0x02 : 0) | (o->action != SCSI_ANY_ACTION ? 0x01 : 0));
		store_be16(d + 6, o->cdb_bytes);
		bytes += 8;
		if (timeouts) {
			store_be16(data + bytes, TIMEOUTS_BYTES - 2);
			bytes += TIMEOUTS_BYTES;
		}
	}
	store_be32(data, bytes - 4);
	scsi_reply(c, data, bytes, load_be32(c->cdb + 6));
}

static void report_one(struct scsi_unit *u, struct scsi_command *c, const struct scsi_opcode *o,
		       bool timeouts)
{
	uint8_t data[4 + SCSI_CDB_BYTES + TIMEOUTS_BYTES] = {0};
	unsigned bytes = 4;

	data[1] = 0x01; /* not supported */
	if (o != NULL) {
		data[1] = (uint8_t)(0x03 | (timeouts ? 0x80 : 0));
		store_be16(data + 2, o->cdb_bytes);
		memcpy(data + 4, o->usage, o->cdb_bytes);
		data[4] = o->opcode;
		bytes += o->cdb_bytes;
		if (timeouts) {
			store_be16(data + bytes, TIMEOUTS_BYTES - 2);
			bytes += TIMEOUTS_BYTES;
		}
	}
	scsi_reply(c, data, bytes, load_be32(c->cdb + 6));
}

void scsi_report_opcodes(struct scsi_unit *u, struct scsi_command *c)
{
	uint8_t options = c->cdb[2] & 0x07, opcode = c->cdb[3];
	bool timeouts = (c->cdb[2] & 0x80) != 0;
	uint16_t action = load_be16(c->cdb + 4);
	unsigned first = u->first_opcode[opcode];
	bool has_actions = first != 0 && u->kind->opcodes[first - 1].action != SCSI_ANY_ACTION;

	if (options == 0) {
		report_all(u, c, timeouts);
	} else if (options > 3 || (options == 1 && has_actions) ||
		   (options == 2 && first != 0 && !has_actions)) {
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
	} else if (action > 0x1f) {
		report_one(u, c, NULL, timeouts);
	} else {
		report_one(u, c, scsi_find_opcode(u, opcode, (uint8_t)action), timeouts);
	}
}
