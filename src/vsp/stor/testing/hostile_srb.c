// SPDX-License-Identifier: Apache-2.0
/* storvsp packets: the start, resets, SRBs with all sorts of CDBs and page lists. */
#include <string.h>

#include "hostile_player.h"
#include "lib/be.h"
#include "lib/bits.h"

/* The next step of the start, as it should be. */
void player_do_step(struct player *p)
{
	static const uint32_t next[STOR_STATES] = {
		VSTOR_OPERATION_BEGIN_INITIALIZATION, VSTOR_OPERATION_QUERY_PROTOCOL_VERSION,
		VSTOR_OPERATION_QUERY_PROPERTIES, VSTOR_OPERATION_END_INITIALIZATION,
		VSTOR_OPERATION_CREATE_SUB_CHANNELS};
	static const uint16_t versions[] = {VSTOR_VERSION_WIN10,  VSTOR_VERSION_WIN6,
					    VSTOR_VERSION_WIN7,	  VSTOR_VERSION_WIN8,
					    VSTOR_VERSION_WIN8_1, 0x0603};
	struct vstor_packet packet = {.header.operation = next[p->r->s->state]};

	if (p->r->channels[0].out.pages == NULL) {
		return;
	}
	if (packet.header.operation == VSTOR_OPERATION_QUERY_PROTOCOL_VERSION) {
		packet.version.version = versions[player_take(p, 1) % ARRAY_LEN(versions)];
	} else if (packet.header.operation == VSTOR_OPERATION_CREATE_SUB_CHANNELS) {
		packet.subchannels = (uint16_t)player_take(p, 1) % (RIG_CHANNELS + 1);
	}
	foul_send_good(&p->foul, 0, VMBUS_PACKET_DATA_INBAND, NULL, 0, &packet, sizeof(packet));
	rig_run(p->r);
}

/* In-band, sometimes cut. */
static void send_operation(struct player *p, unsigned index, struct vstor_packet *packet)
{
	uint8_t cut = (uint8_t)player_take(p, 1);
	size_t bytes = cut < 200 ? sizeof(*packet) : cut % (sizeof(*packet) + 1);

	packet->header.flags = 1;
	foul_send_good(&p->foul, index, VMBUS_PACKET_DATA_INBAND, NULL, 0, packet, bytes);
}

void player_do_operation(struct player *p)
{
	struct vstor_packet packet = {.header.operation = (uint32_t)player_take(p, 1) % 18};
	int index = foul_pick(&p->foul);

	if (index < 0) {
		return;
	}
	for (size_t i = 0; i < 8; i++) {
		packet.body[i] = (uint8_t)player_take(p, 1);
	}
	send_operation(p, (unsigned)index, &packet);
}

static void fill_cdb(struct player *p, struct vstor_srb *srb)
{
	static const uint8_t opcodes[] = {
		0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x16, 0x17, 0x1a, 0x1b, 0x1d, 0x1e, 0x25, 0x28,
		0x2a, 0x2f, 0x35, 0x41, 0x42, 0x43, 0x46, 0x4a, 0x51, 0x55, 0x5a, 0x5e, 0x5f, 0x88,
		0x8a, 0x8f, 0x91, 0x93, 0x9e, 0xa0, 0xa3, 0xa8, 0xaa, 0xbd, 0xbe, 0xff};
	uint8_t how = (uint8_t)player_take(p, 1);

	srb->cdb[0] = how & 0x80 ? (how & 0x40 ? 0x28 : 0x2a) : opcodes[how % ARRAY_LEN(opcodes)];
	srb->cdb_bytes = (uint8_t)(how == 77 ? player_take(p, 1) : 16);
	if (how & 0x80) { /* a read or a write that may succeed */
		store_be32(srb->cdb + 2, (uint32_t)player_take(p, 2));
		store_be16(srb->cdb + 7, (uint16_t)(player_take(p, 1) + 1));
		srb->data_bytes = load_be16(srb->cdb + 7) * 512u;
		srb->direction = how & 0x40 ? VSTOR_DATA_READ : VSTOR_DATA_WRITE;
		return;
	}
	for (unsigned i = 1; i < VSTOR_CDB_BYTES; i++) {
		srb->cdb[i] = (uint8_t)player_take(p, 1);
	}
	srb->direction = (uint8_t)player_take(p, 1) % 4;
	srb->data_bytes = player_edge(p);
}

/* A page list that fits the data, more or less. Returns its bytes, with the GPA-direct header. */
static size_t fill_ranges(struct player *p, uint32_t bytes)
{
	struct vmbus_packet_gpa_direct direct = {.reserved = 0xa5a5a5a5};
	uint8_t how = (uint8_t)player_take(p, 1);
	uint64_t pages = how & 1 ? 1 : RIG_DATA_PAGES; /* of one range */
	uint32_t left = how & 2 ? player_edge(p) : bytes;
	size_t used = sizeof(direct);

	while (left != 0 && used < 4200 && direct.range_count < 300) {
		struct vmbus_gpa_range range = {
			.offset = how & 4 ? (uint32_t)player_take(p, 2) % 4096 : 0};
		uint64_t pfn = player_pick_pfn(p), n;

		range.bytes = (uint32_t)min_u64(left, pages * 4096 - range.offset);
		n = align_up(range.offset + range.bytes, 4096) / 4096;
		memcpy(p->packet + used, &range, sizeof(range));
		used += sizeof(range);
		for (uint64_t i = 0; i < n; i++, used += 8) {
			store_le64(p->packet + used, pfn);
			pfn = how & 8 || i % 8 == 7 ? player_pick_pfn(p) : pfn + 1;
		}
		left -= range.bytes;
		direct.range_count++;
	}
	if (how == 0xf0) { /* it lies: the channel breaks */
		direct.range_count += (uint32_t)player_take(p, 1);
	}
	memcpy(p->packet, &direct, sizeof(direct));
	return used;
}

void player_do_srb(struct player *p)
{
	struct vstor_packet packet = {.header = {VSTOR_OPERATION_EXECUTE_SRB, 1, 0}};
	uint8_t where = (uint8_t)player_take(p, 1);
	int index = foul_pick(&p->foul);

	if (index < 0) {
		return;
	}
	packet.srb.lun = where & 7;
	packet.srb.path = (where & 0xe0) == 0xe0 ? (uint8_t)player_take(p, 1) : 0;
	packet.srb.target = (where & 0x1c) == 0x1c;
	fill_cdb(p, &packet.srb);
	if (where & 0x20 && packet.srb.data_bytes == 0) {
		send_operation(p, (unsigned)index, &packet);
		return;
	}
	size_t header_bytes = fill_ranges(p, packet.srb.data_bytes);

	foul_send_good(&p->foul, (unsigned)index, VMBUS_PACKET_DATA_USING_GPA_DIRECT, p->packet,
		       header_bytes, &packet, sizeof(packet));
}
