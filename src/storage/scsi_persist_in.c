// SPDX-License-Identifier: Apache-2.0
/* PERSISTENT RESERVE IN. Spec: SPC-4 6.15. */
#include "scsi_unit.h"

enum action_in {
	READ_KEYS = 0,
	READ_RESERVATION = 1,
	REPORT_CAPABILITIES = 2,
	READ_FULL_STATUS = 3
};

#define TRANSPORT_ID_BYTES 24u
#define FULL_STATUS_BYTES (24u + TRANSPORT_ID_BYTES)

static unsigned read_keys(const struct scsi_unit *u, uint8_t *body)
{
	unsigned bytes = 0;

	for (uint32_t i = 0; i < u->nexus_count; i++) {
		if (u->nexuses[i].registered) {
			store_be64(body + bytes, u->nexuses[i].key);
			bytes += 8;
		}
	}
	return bytes;
}

static unsigned read_reservation(const struct scsi_unit *u, uint8_t *body)
{
	const struct scsi_reservations *r = &u->reservations;

	if (r->type == SCSI_RESERVATION_NONE) {
		return 0;
	}
	store_be64(body, scsi_held_by_all(r->type) ? 0 : u->nexuses[r->holder].key);
	body[13] = r->type;
	return 16;
}

/* As if we were SAS, whose addresses are 8 bytes: the identifier's halves together. */
static void store_transport_id(uint8_t *to, const struct scsi_initiator *id)
{
	to[0] = 0x06;
	for (unsigned i = 0; i < 8; i++) {
		to[4 + i] = id->id[i] ^ id->id[i + 8];
	}
}

static unsigned read_full_status(const struct scsi_unit *u, uint8_t *body)
{
	unsigned bytes = 0;

	for (uint32_t i = 0; i < u->nexus_count; i++) {
		const struct scsi_nexus *n = &u->nexuses[i];
		uint8_t *d = body + bytes;

		if (!n->registered) {
			continue;
		}
		store_be64(d, n->key);
		if (scsi_is_holder(u, i)) {
			d[12] = 0x01;
			d[13] = u->reservations.type;
		}
		store_be16(d + 18, 1); /* relative target port */
		store_be32(d + 20, TRANSPORT_ID_BYTES);
		store_transport_id(d + 24, &n->id);
		bytes += FULL_STATUS_BYTES;
	}
	return bytes;
}

static void report_capabilities(struct scsi_command *c, size_t allocation)
{
	static const uint8_t data[8] = {
		0,    8, 0x04, /* ALL_TG_PT is understood: there is one port */
		0x80,	       /* the mask that follows is valid */
		0xea,	       /* all types */
		0x01,
	};

	scsi_reply(c, data, sizeof(data), allocation);
}

void scsi_persistent_in(struct scsi_unit *u, struct scsi_command *c)
{
	size_t allocation = load_be16(c->cdb + 7);
	uint8_t data[8 + SCSI_NEXUSES * FULL_STATUS_BYTES] = {0};
	unsigned bytes = 0;

	if (u->reservations.legacy != SCSI_NO_NEXUS) {
		scsi_conflict(c);
		return;
	}
	switch (c->cdb[1] & 0x1f) {
	case READ_KEYS:
		bytes = read_keys(u, data + 8);
		break;
	case READ_RESERVATION:
		bytes = read_reservation(u, data + 8);
		break;
	case REPORT_CAPABILITIES:
		report_capabilities(c, allocation);
		return;
	case READ_FULL_STATUS:
		bytes = read_full_status(u, data + 8);
		break;
	default:
		scsi_fail(c, SCSI_INVALID_FIELD_IN_CDB);
		return;
	}
	store_be32(data, u->reservations.generation);
	store_be32(data + 4, bytes);
	scsi_reply(c, data, 8 + bytes, allocation);
}
