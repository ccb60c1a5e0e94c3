// SPDX-License-Identifier: Apache-2.0
/*
 * The start of the protocol: BEGIN, QUERY_PROTOCOL_VERSION until one suits, QUERY_PROPERTIES, END; and CREATE_SUB_CHANNELS before END (as
 * Windows) or after it (as Linux). Anything else at its place is answered with STATUS_INVALID_DEVICE_STATE and changes nothing.
 */
#include "controller.h"

#include <errno.h>

#include "lib/bits.h"
#include "lib/check.h"

static const uint16_t versions[] = {
	VSTOR_VERSION_WIN6,   VSTOR_VERSION_WIN7,  VSTOR_VERSION_WIN8,
	VSTOR_VERSION_WIN8_1, VSTOR_VERSION_WIN10,
};

bool stor_version_known(uint16_t version)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		if (versions[i] == version) {
			return true;
		}
	}
	return false;
}

void stor_answer_status(struct stor_request *r, uint32_t nt_status)
{
	r->answer.header = (struct vstor_header){
		.operation = VSTOR_OPERATION_COMPLETE_IO,
		.status = nt_status,
	};
	stor_channel_answer(r);
}

/* The guest looks at all LUNs after END anyway. */
void stor_negotiate_reset(struct stor *s)
{
	s->state = STOR_BEGIN;
	s->version = 0;
	s->rescan_due = false;
}

static void advance(struct stor_request *r, enum stor_state next)
{
	r->channel->stor->state = next;
	stor_answer_status(r, STATUS_SUCCESS);
}

static void begin(struct stor_request *r, const struct vstor_packet *packet)
{
	advance(r, STOR_VERSION);
}

static void query_version(struct stor_request *r, const struct vstor_packet *packet)
{
	r->answer.version.version = packet->version.version;
	if (!stor_version_known(packet->version.version)) {
		stor_answer_status(r, STATUS_REVISION_MISMATCH);
		return;
	}
	r->channel->stor->version = packet->version.version;
	advance(r, STOR_PROPERTIES);
}

static void query_properties(struct stor_request *r, const struct vstor_packet *packet)
{
	const struct stor *s = r->channel->stor;
	bool multi = s->version >= VSTOR_VERSION_WIN8;

	r->answer.properties = (struct vstor_properties){
		.subchannels_max = multi ? (uint16_t)(s->channel_count - 1) : 0,
		.flags = multi ? VSTOR_PROPERTIES_MULTI_CHANNEL : 0,
		.max_transfer_bytes = STOR_MAX_TRANSFER_BYTES,
	};
	advance(r, STOR_END);
}

static void end(struct stor_request *r, const struct vstor_packet *packet)
{
	r->channel->stor->rescan_due = false;
	advance(r, STOR_READY);
}

/* ---- Subchannels ---- */

static void create_subchannels(struct stor_request *r, const struct vstor_packet *packet)
{
	struct stor *s = r->channel->stor;
	uint16_t count = packet->subchannels;

	if (s->version < VSTOR_VERSION_WIN8 || count >= s->channel_count ||
	    s->create_request != NULL) {
		stor_report(s, VIOLATION_SUBCHANNELS,
			    "asks for %u subchannels%s, version 0x%x and the controller allow %u",
			    count,
			    s->create_request != NULL ? " before the last such request is answered"
						      : "",
			    s->version, s->version < VSTOR_VERSION_WIN8 ? 0 : s->channel_count - 1);
		stor_answer_status(r, STATUS_INVALID_PARAMETER);
		return;
	}
	if (count == 0) {
		stor_answer_status(r, STATUS_SUCCESS);
		return;
	}
	s->create_request = r;
	stor_mailbox_create(s, count);
}

static uint32_t created_status(int result)
{
	switch (result) {
	case 0:
		return STATUS_SUCCESS;
	case -EBUSY: /* it has them */
	case -ENOTSUP:
		return STATUS_INVALID_PARAMETER;
	case -ENODEV:
		return STATUS_INVALID_DEVICE_STATE;
	default:
		return STATUS_INSUFFICIENT_RESOURCES;
	}
}

void stor_negotiate_created(struct stor *s, int result)
{
	struct stor_request *r = s->create_request;

	CHECK(r != NULL);
	s->create_request = NULL;
	stor_answer_status(r, created_status(result));
}

/* ---- Which packet when ---- */

struct step {
	enum vstor_operation operation;
	uint32_t states; /* bit n: allowed in state n */
	size_t bytes;	 /* at least */
	void (*run)(struct stor_request *r, const struct vstor_packet *packet);
};

#define IN(state) BIT32(state)

static const struct step steps[] = {
	{VSTOR_OPERATION_BEGIN_INITIALIZATION, IN(STOR_BEGIN), sizeof(struct vstor_header), begin},
	{VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, IN(STOR_VERSION),
	 sizeof(struct vstor_header) + sizeof(struct vstor_version), query_version},
	{VSTOR_OPERATION_QUERY_PROPERTIES, IN(STOR_PROPERTIES), sizeof(struct vstor_header),
	 query_properties},
	{VSTOR_OPERATION_END_INITIALIZATION, IN(STOR_END), sizeof(struct vstor_header), end},
	{VSTOR_OPERATION_CREATE_SUB_CHANNELS, IN(STOR_END) | IN(STOR_READY),
	 sizeof(struct vstor_header) + sizeof(uint16_t), create_subchannels},
};

static const struct step *find_step(uint32_t operation)
{
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (steps[i].operation == operation) {
			return &steps[i];
		}
	}
	return NULL;
}

void stor_negotiate(struct stor_request *r, const struct vstor_packet *packet, size_t bytes)
{
	struct stor_channel *ch = r->channel;
	struct stor *s = ch->stor;
	const struct step *step = find_step(packet->header.operation);

	if (step == NULL) {
		stor_report(s, VIOLATION_OPERATION, "channel %u: operation %u is not one of ours",
			    ch->index, packet->header.operation);
		stor_answer_status(r, STATUS_INVALID_DEVICE_REQUEST);
	} else if (ch->index != 0 || !(step->states & IN(s->state))) {
		stor_report(s, VIOLATION_ORDER,
			    "channel %u: operation %u is out of order (step %u of the start)",
			    ch->index, packet->header.operation, s->state);
		stor_answer_status(r, STATUS_INVALID_DEVICE_STATE);
	} else if (bytes < step->bytes) {
		stor_report(s, VIOLATION_PACKET_SHORT,
			    "channel %u: operation %u in %zu bytes, expected %zu", ch->index,
			    packet->header.operation, bytes, step->bytes);
		stor_answer_status(r, STATUS_INVALID_PARAMETER);
	} else {
		step->run(r, packet);
	}
}
