// SPDX-License-Identifier: Apache-2.0
/*
 * Messages and events between the parent and the guest. A connection of the guest and the root's port behind it share their number;
 * so do a message port of the guest (one for each VP and SINT that was written to) and the root's connection to it.
 */
#include <errno.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "partition.h"

/* Ports of the guest, by SINT and VP: 24 bits that connections of the guest (VMBus) never use together. */
#define GUEST_PORT_BASE 0x800000u
#define GUEST_PORT_SINT_SHIFT 16

static uint64_t port_owner(const struct vid_partition *p, bool of_guest)
{
	return of_guest ? p->id : HV_ROOT_PARTITION_ID;
}

/* A port of one side with the other side's connection to it. */
static int open_pair(struct vid_partition *p, bool of_guest, uint32_t id,
		     const struct hv_port_info *info)
{
	const struct hv_input_create_port port = {
		.port_partition = port_owner(p, of_guest),
		.port_id = id,
		.connection_partition = port_owner(p, !of_guest),
		.port_info = *info,
	};
	const struct hv_input_connect_port connect = {
		.connection_partition = port_owner(p, !of_guest),
		.connection_id = id,
		.port_partition = port_owner(p, of_guest),
		.port_id = id,
		.connection_info = {.port_type = info->port_type},
	};
	int r = vid_call(p, HvCallCreatePort, 0, &port, NULL);

	if (r != 0) {
		return r;
	}
	r = vid_call(p, HvCallConnectPort, 0, &connect, NULL);
	if (r != 0) {
		const struct hv_input_port gone = {.partition_id = port.port_partition, .id = id};

		vid_call(p, HvCallDeletePort, 0, &gone, NULL);
	}
	return r;
}

int vid_message_connection_open(struct vid_partition *p, uint32_t connection)
{
	const struct hv_port_info info = {.port_type = HvPortTypeMessage, .target_sint = 1};

	return open_pair(p, false, connection, &info);
}

int vid_event_connection_open(struct vid_partition *p, uint32_t connection, uint16_t flags)
{
	const struct hv_port_info info = {
		.port_type = HvPortTypeEvent, .target_sint = 1, .flag_count = flags};

	return open_pair(p, false, connection, &info);
}

void vid_connection_close(struct vid_partition *p, uint32_t connection)
{
	const struct hv_input_port theirs = {.partition_id = p->id, .id = connection};
	const struct hv_input_port ours = {.partition_id = HV_ROOT_PARTITION_ID, .id = connection};

	vid_call(p, HvCallDisconnectPort, 0, &theirs, NULL);
	vid_call(p, HvCallDeletePort, 0, &ours, NULL);
}

bool vid_take_message(struct vid_partition *p, uint32_t *ret_connection, struct hv_message *ret)
{
	if (!hv_root_take_message(p->hv, ret)) {
		return false;
	}
	*ret_connection = (uint32_t)ret->origin;
	return true;
}

bool vid_take_event(struct vid_partition *p, uint32_t *ret_connection, uint16_t *ret_flag)
{
	return hv_root_take_event(p->hv, ret_connection, ret_flag);
}

static int post(struct vid_partition *p, uint32_t id, uint32_t type, const void *payload,
		size_t bytes)
{
	struct hv_input_post_message in = {
		.connection_id = id, .message_type = type, .payload_size = (uint32_t)bytes};

	CHECK(bytes <= sizeof(in.payload));
	memcpy(in.payload, payload, bytes);
	return vid_call(p, HvCallPostMessage, 0, &in, NULL);
}

static uint32_t guest_port(uint32_t vp, uint32_t sint)
{
	return GUEST_PORT_BASE | sint << GUEST_PORT_SINT_SHIFT | vp;
}

int vid_guest_port_open(struct vid_partition *p, uint32_t vp, uint32_t sint)
{
	const struct hv_port_info info = {
		.port_type = HvPortTypeMessage, .target_sint = sint, .target_vp = vp};
	int r = 0;

	if ((p->vps[vp]->message_sints & BIT32(sint)) == 0) {
		r = open_pair(p, true, guest_port(vp, sint), &info);
	}
	if (r == 0) {
		p->vps[vp]->message_sints |= (uint16_t)BIT32(sint);
	}
	return r;
}

int vid_post_message(struct vid_partition *p, uint32_t vp, uint32_t sint, uint32_t type,
		     const void *payload, size_t bytes)
{
	int r;

	if (vp >= p->config.processors || p->vps[vp] == NULL) {
		return HV_STATUS_INVALID_VP_INDEX;
	}
	if (sint >= HV_SYNIC_SINT_COUNT) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	r = vid_guest_port_open(p, vp, sint);
	r = r != 0 ? r : post(p, guest_port(vp, sint), type, payload, bytes);
	return r == HV_STATUS_INSUFFICIENT_BUFFERS ? -EAGAIN : r;
}

int vid_signal_event(struct vid_partition *p, uint32_t vp, uint32_t sint, uint16_t flag)
{
	const struct hv_input_signal_event_direct in = {
		.partition_id = p->id,
		.vp_index = vp,
		.sint = (uint8_t)sint,
		.flag_number = flag,
	};
	uint64_t newly;

	return vid_call(p, HvCallSignalEventDirect, 0, &in, &newly);
}
