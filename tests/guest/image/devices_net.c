// SPDX-License-Identifier: Apache-2.0
#include "devices.h"
#include "net_protocol.h"

#define RING_PFN 0x900u
#define RECEIVE_PFN 0x940u
#define RECEIVE_PAGES 12u
#define SEND_PFN 0x960u
#define FRAME_BYTES 60u
#define RNDIS_TRANSACTION 0x77u

static struct bus_channel net;
static uint64_t received;

/* What lies in the page that is sent. */
static uint32_t *const page = (uint32_t *)(SEND_PFN * (uint64_t)PAGE_BYTES);

static bool send(const struct nvsp_message *m, bool wants_answer, uint64_t transaction)
{
	return bus_send(&net, VMBUS_PACKET_DATA_INBAND,
			wants_answer ? VMBUS_PACKET_COMPLETION_REQUESTED : 0, transaction, NULL, 0,
			m, sizeof(*m));
}

/* A packet of data is given back as soon as it is seen. False: it was another. */
static bool give_back(uint64_t transaction, const struct nvsp_message *m)
{
	const struct nvsp_message done = {.type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE,
					  .status = NVSP_STAT_SUCCESS};

	if (m->type != NVSP_MSG1_TYPE_SEND_RNDIS_PKT) {
		return false;
	}
	received++;
	bus_send(&net, VMBUS_PACKET_COMPLETION, 0, transaction, NULL, 0, &done, sizeof(done));
	return true;
}

/* The next message of @type; what comes before it is taken. */
static bool wait_for(uint32_t type, struct nvsp_message *ret)
{
	uint64_t transaction, end = bus_now() + BUS_PATIENCE;

	while (bus_now() < end && bus_receive_some(&net, &transaction, ret, sizeof(*ret))) {
		if (!give_back(transaction, ret) && ret->type == type) {
			return true;
		}
	}
	return false;
}

void net_look(void)
{
	struct nvsp_message m;
	uint64_t transaction;

	if (bus_pending(&net) && bus_receive_some(&net, &transaction, &m, sizeof(m))) {
		give_back(transaction, &m);
	}
}

/* ---- RNDIS ---- */

/* The page's first @bytes, which are an RNDIS message; true when the host has taken them. */
static bool send_page(uint32_t channel, uint32_t bytes)
{
	const struct nvsp_message m = {.type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
				       .rndis = {.channel = channel, .section = NVSP_NO_SECTION}};
	const struct {
		struct vmbus_packet_gpa_direct direct;
		struct vmbus_gpa_range range;
		uint64_t pfn;
	} header = {{.range_count = 1}, {.bytes = bytes}, SEND_PFN};
	struct nvsp_message r;

	return bus_send(&net, VMBUS_PACKET_DATA_USING_GPA_DIRECT, VMBUS_PACKET_COMPLETION_REQUESTED,
			RNDIS_TRANSACTION, &header, sizeof(header), &m, sizeof(m)) &&
	       wait_for(NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE, &r) &&
	       r.status == NVSP_STAT_SUCCESS;
}

/* The answers come into the receive buffer, and are taken for done. */
static bool start_rndis(void)
{
	uint64_t before = received;
	const uint32_t init[] = {RNDIS_MSG_INIT, 24, 1, 1, 0, 0x4000};
	const uint32_t filter[] = {RNDIS_MSG_SET,
				   32,
				   2,
				   0x0001010e, /* OID_GEN_CURRENT_PACKET_FILTER */
				   4,
				   20,
				   0,
				   NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_BROADCAST};

	memcpy(page, init, sizeof(init));
	if (!send_page(NVSP_CHANNEL_CONTROL, sizeof(init))) {
		return false;
	}
	memcpy(page, filter, sizeof(filter));
	if (!send_page(NVSP_CHANNEL_CONTROL, sizeof(filter))) {
		return false;
	}
	for (uint64_t end = bus_now() + BUS_PATIENCE; received < before + 2 && bus_now() < end;) {
		net_look();
	}
	return received >= before + 2;
}

bool net_send_frame(void)
{
	const uint32_t header[11] = {RNDIS_MSG_PACKET, RNDIS_PACKET_BYTES + FRAME_BYTES,
				     RNDIS_PACKET_BYTES - RNDIS_HEADER_BYTES, FRAME_BYTES};
	uint8_t *frame = (uint8_t *)page + RNDIS_PACKET_BYTES;

	memcpy(page, header, sizeof(header));
	memset(frame, 0xff, 6);
	for (unsigned i = 6; i < FRAME_BYTES; i++) {
		frame[i] = (uint8_t)i;
	}
	frame[6] = 0x02;  /* whose it is: nobody's */
	frame[12] = 0x88; /* for experiments */
	frame[13] = 0xb5;
	return send_page(NVSP_CHANNEL_DATA, RNDIS_PACKET_BYTES + FRAME_BYTES);
}

/* ---- NVSP ---- */

static bool start_nvsp(void)
{
	const struct nvsp_message init = {
		.type = NVSP_MSG_TYPE_INIT,
		.init = {NVSP_PROTOCOL_VERSION_61, NVSP_PROTOCOL_VERSION_61}};
	const struct nvsp_message ndis = {.type = NVSP_MSG1_TYPE_SEND_NDIS_VER,
					  .ndis_version = {6, 30}};
	struct nvsp_message buffer = {.type = NVSP_MSG1_TYPE_SEND_RECV_BUF,
				      .buffer = {.id = 0xcafe}};
	struct nvsp_message r;

	if (!send(&init, true, 1) || !wait_for(NVSP_MSG_TYPE_INIT_COMPLETE, &r) ||
	    r.init_complete.status != NVSP_STAT_SUCCESS || !send(&ndis, false, 2) ||
	    !bus_gpadl(net.offer.relid, RECEIVE_PFN, RECEIVE_PAGES, &buffer.buffer.gpadl)) {
		return false;
	}
	return send(&buffer, true, 3) && wait_for(NVSP_MSG1_TYPE_SEND_RECV_BUF_COMPLETE, &r) &&
	       r.receive_complete.status == NVSP_STAT_SUCCESS;
}

bool net_start(void)
{
	static const struct guid type = NET_ADAPTER_TYPE;
	const struct vmbus_offer_channel *o = devices_find(&type);

	return o != NULL && bus_open(&net, o, RING_PFN, 8, 0) && start_nvsp() && start_rndis();
}
