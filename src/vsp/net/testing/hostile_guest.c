// SPDX-License-Identifier: Apache-2.0
/* Messages, memory and channels, by nobody's rules. */
#include <string.h>

#include "hostile_player.h"
#include "lib/check.h"

#define READ_ONLY 34u /* data pages from here on may only be read */
#define HOLES 37u     /* and from here on are not there */

/* ---- Memory ---- */

void player_fill_canaries(struct rig *r)
{
	gmem_unmap(&r->g->gm, 0);
	memset(r->g->memory, PLAYER_CANARY, GMEM_PAGE_BYTES);
	for (unsigned i = READ_ONLY; i < RIG_DATA_PAGES; i++) {
		memset(fake_guest_page(r->g, r->data_pfns[i]), PLAYER_CANARY, GMEM_PAGE_BYTES);
		if (i < HOLES) {
			gmem_protect(&r->g->gm, r->data_pfns[i], GMEM_R);
		} else {
			gmem_unmap(&r->g->gm, r->data_pfns[i]);
		}
	}
}

static bool canary_lives(const uint8_t *page)
{
	for (unsigned i = 0; i < GMEM_PAGE_BYTES; i++) {
		if (page[i] != PLAYER_CANARY) {
			return false;
		}
	}
	return true;
}

void player_check_canaries(struct rig *r)
{
	CHECK(canary_lives(r->g->memory));
	for (unsigned i = READ_ONLY; i < RIG_DATA_PAGES; i++) {
		CHECK(canary_lives(fake_guest_page(r->g, r->data_pfns[i])));
	}
}

static uint64_t pick_pfn(struct player *p)
{
	struct rig *r = p->r;
	uint8_t kind = (uint8_t)player_take(p, 1), n = (uint8_t)player_take(p, 1);
	const struct fake_guest_channel *ch = &r->channels[n % RIG_QUEUES];

	switch (kind & 15) {
	case 0:
		return r->data_pfns[READ_ONLY + n % (RIG_DATA_PAGES - READ_ONLY)];
	case 1:
		return n & 1 ? 0 : player_take(p, 8);
	case 2:
		return ch->pfns != NULL ? ch->pfns[(n >> 3) % ch->page_count] : 0;
	case 3:
		return r->receive_pfns[n % r->receive_pages];
	default:
		return r->data_pfns[n % READ_ONLY];
	}
}

void player_do_map(struct player *p)
{
	struct fake_guest *g = p->r->g;
	uint8_t how = (uint8_t)player_take(p, 1), n = (uint8_t)player_take(p, 1);
	uint64_t pfn = how & 4 ? p->r->receive_pfns[n % p->r->receive_pages]
			       : p->r->send_pfns[n % RIG_SEND_PAGES];

	if (how & 1) {
		gmem_map(&g->gm, pfn, fake_guest_page(g, pfn), GMEM_R | GMEM_W | GMEM_X);
	} else if (how & 2) {
		gmem_unmap(&g->gm, pfn);
	} else {
		gmem_protect(&g->gm, pfn, how >> 3 & GMEM_RIGHTS);
	}
}

void player_do_memory(struct player *p)
{
	uint8_t n = (uint8_t)player_take(p, 1);
	uint32_t at = (uint32_t)player_take(p, 2) % (GMEM_PAGE_BYTES - 4);

	store_le32((uint8_t *)fake_guest_page(p->r->g, n & 1 ? p->r->data_pfns[n / 2 % READ_ONLY]
							     : p->r->send_pfns[n / 2 % 32]) +
			   at,
		   player_edge(p));
}

/* ---- NVSP ---- */

static uint64_t now_and_then(struct player *p, uint64_t good)
{
	return player_take(p, 1) % 8 != 0 ? good : player_edge(p);
}

void player_do_nvsp(struct player *p)
{
	static const uint32_t types[] = {1,   1,   100, 101, 101, 103, 104, 104, 106, 107,
					 107, 107, 125, 129, 131, 133, 133, 135, 2,   108};
	struct nvsp_message m = {
		.type = types[player_take(p, 1) % ARRAY_LEN(types)],
		.raw = {player_edge(p), player_edge(p), player_edge(p)},
	};
	int queue = foul_pick(&p->foul);
	uint8_t cut = (uint8_t)player_take(p, 1);

	if (queue < 0) {
		return;
	}
	switch (m.type) {
	case NVSP_MSG_TYPE_INIT:
		m.init = (struct nvsp_init){0, (uint32_t)now_and_then(p, 0x60001)};
		break;
	case NVSP_MSG1_TYPE_SEND_RECV_BUF:
		m.buffer = (struct nvsp_buffer){(uint32_t)now_and_then(p, RIG_RECEIVE_GPADL),
						RIG_RECEIVE_ID};
		break;
	case NVSP_MSG1_TYPE_SEND_SEND_BUF:
		m.buffer = (struct nvsp_buffer){(uint32_t)now_and_then(p, RIG_SEND_GPADL), 0};
		break;
	case NVSP_MSG1_TYPE_REVOKE_RECV_BUF:
		m.revoke.id = (uint16_t)now_and_then(p, RIG_RECEIVE_ID);
		break;
	case NVSP_MSG1_TYPE_REVOKE_SEND_BUF:
		m.revoke.id = (uint16_t)now_and_then(p, 0);
		break;
	case NVSP_MSG5_TYPE_SUBCHANNEL:
		m.subchannel.operation = (uint32_t)now_and_then(p, 1);
		break;
	default:
		break;
	}
	foul_send_good(&p->foul, (unsigned)queue, VMBUS_PACKET_DATA_INBAND, NULL, 0, &m,
		       cut < 220 ? sizeof(m) : cut % sizeof(m));
}

/* ---- RNDIS ---- */

static void put_memory(struct player *p, const uint8_t *message, uint32_t bytes, uint32_t section)
{
	for (uint32_t i = 0; i < bytes; i++) {
		uint32_t at = section * NET_SEND_SECTION_BYTES + i;

		((uint8_t *)fake_guest_page(
			p->r->g, p->r->send_pfns[at / GMEM_PAGE_BYTES]))[at % GMEM_PAGE_BYTES] =
			message[i];
		at = i + 40;
		((uint8_t *)fake_guest_page(
			p->r->g, p->r->data_pfns[at / GMEM_PAGE_BYTES]))[at % GMEM_PAGE_BYTES] =
			message[i];
	}
}

/* Some words become others. */
static void spoil(struct player *p, uint8_t *message, uint32_t bytes)
{
	uint8_t n = (uint8_t)player_take(p, 1);

	for (unsigned i = 0; i < (n < 96 ? 0u : n % 4u); i++) {
		uint32_t at = (uint32_t)player_take(p, 1) * 4;

		if (at + 4 <= bytes) {
			store_le32(message + at, player_edge(p));
		}
	}
}

/* A message in a section, in pages (which need not be those it lies in), or in both. */
static void send_message(struct player *p, uint8_t *message, uint32_t bytes, uint32_t kind)
{
	uint8_t way = (uint8_t)player_take(p, 1);
	uint32_t section = way % 20u, in_section = 0;
	struct nvsp_message m = {.type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
				 .rndis = {kind, NVSP_NO_SECTION, 0}};
	struct {
		uint32_t reserved, count;
		struct vmbus_gpa_range range;
		uint64_t pfn[16];
	} h = {.count = 1};
	int queue = foul_pick(&p->foul);
	uint32_t pages;

	if (queue < 0) {
		return;
	}
	spoil(p, message, bytes);
	put_memory(p, message, bytes, section);
	if (way & 0x40) {
		in_section = way & 0x80 ? bytes : (uint32_t)min_u64(bytes, 60);
		m.rndis.section = (uint32_t)now_and_then(p, section);
		m.rndis.section_bytes = (uint32_t)now_and_then(p, in_section);
	}
	if (in_section == bytes) {
		foul_send_good(&p->foul, (unsigned)queue, VMBUS_PACKET_DATA_INBAND, NULL, 0, &m,
			       sizeof(m));
		return;
	}
	h.range = (struct vmbus_gpa_range){bytes - in_section, 40 + in_section};
	pages = (h.range.offset + h.range.bytes + 4095) / GMEM_PAGE_BYTES;
	for (uint32_t i = 0; i < pages && i < 16; i++) {
		h.pfn[i] = player_take(p, 1) % 16 == 0 ? pick_pfn(p) : p->r->data_pfns[i];
	}
	foul_send_good(&p->foul, (unsigned)queue, VMBUS_PACKET_DATA_USING_GPA_DIRECT, &h,
		       16 + pages * 8, &m, sizeof(m));
}

/* A frame that a checksum or a large segment could be asked for. */
static uint32_t make_frame(struct player *p, uint8_t *frame, uint32_t bytes)
{
	uint8_t kind = (uint8_t)player_take(p, 1);

	memset(frame, 0, bytes);
	memcpy(frame, RIG_MAC, 6);
	frame[6] = 2;
	store_le16(frame + 12, kind & 1 ? 0x0008 : 0xdd86);
	frame[14] = kind & 1 ? 0x45 : 0x60;
	frame[kind & 1 ? 23 : 20] = kind & 2 ? 6 : 17;
	frame[(kind & 1 ? 34 : 54) + 12] = 0x50;
	if (kind >= 200) {
		for (unsigned i = 0; i < 4; i++) {
			frame[12 + player_take(p, 1) % 60] = (uint8_t)player_take(p, 1);
		}
	}
	return kind;
}

void player_do_frame(struct player *p)
{
	uint8_t frame[6000], message[6400];
	uint32_t sizes[] = {13, 14, 60, 100, 200, 1514, 1523, 3000, 5900};
	uint32_t bytes = sizes[player_take(p, 1) % ARRAY_LEN(sizes)], n;
	uint32_t kind = make_frame(p, frame, 6000);
	struct rig_ppi ppi[3] = {
		{RNDIS_PPI_CHECKSUM, (kind & 1 ? 1 : 2) | (kind & 2 ? 4 : 8)},
		{RNDIS_PPI_LSO, RNDIS_LSO_V2 | (kind & 1 ? 0 : RNDIS_LSO_V2_IPV6) | 1000},
		{RNDIS_PPI_8021Q, 0x70},
	};
	uint8_t which = (uint8_t)player_take(p, 1);

	if (which & 0x80) {
		ppi[which % 3].value = player_edge(p);
	}
	n = rig_message(message, frame, bytes, ppi + (which & 1), which >> 1 & 1);
	if (which & 0x10 && n < 1000) { /* and another one */
		n += rig_message(message + n, frame, bytes, ppi, which % 4);
	}
	send_message(p, message, n, NVSP_CHANNEL_DATA);
}

void player_do_control(struct player *p)
{
	uint32_t m[64] = {(uint32_t)(player_take(p, 1) % 10), 0, (uint32_t)p->foul.transaction};
	uint32_t bytes = 8 + (uint32_t)(player_take(p, 1) % 60) * 4;

	m[1] = bytes;
	for (unsigned i = 3; i < 20; i++) {
		m[i] = player_take(p, 1) % 2 == 0 ? player_edge(p) : 0;
	}
	send_message(p, (uint8_t *)m, bytes, NVSP_CHANNEL_CONTROL);
}

/* One of those that there are, with information of any kind. */
void player_do_oid(struct player *p)
{
	uint32_t list[128] = {0}, m[300] = {RNDIS_MSG_QUERY, 0, 5, 0, 0, 20, 0};
	struct net_out out = {.buf = (uint8_t *)list, .capacity = sizeof(list)};
	uint32_t information = (uint32_t)player_take(p, 1) * 4 % 700;
	uint8_t kind = (uint8_t)player_take(p, 1);

	net_oid_query(p->r->n, OID_GEN_SUPPORTED_LIST, NULL, 0, &out);
	m[0] = kind & 1 ? RNDIS_MSG_SET : RNDIS_MSG_QUERY;
	m[3] = list[player_take(p, 1) % (out.bytes / 4)];
	m[4] = information;
	m[1] = 28 + information;
	m[7] = kind & 2 ? 0x00280289 : kind & 4 ? 0x001c0380 : player_edge(p);
	for (unsigned i = 8; i < 18; i++) {
		m[i] = kind & 8 ? player_edge(p) : (uint32_t)player_take(p, 1);
	}
	send_message(p, (uint8_t *)m, m[1], NVSP_CHANNEL_CONTROL);
}

/* ---- Channels ---- */

static void set_write(struct player *p, unsigned queue)
{
	p->foul.write[queue] = p->r->channels[queue].out.control->write_index;
}

void player_do_open(struct player *p)
{
	unsigned queue = (unsigned)player_take(p, 1) % RIG_QUEUES;
	struct rig *r = p->r;

	if (r->channels[queue].out.pages != NULL || r->g->pages - r->g->next_page < 40) {
		return;
	}
	if (rig_open(r, queue)) {
		set_write(p, queue);
	} else if (r->channels[queue].pfns != NULL) {
		fake_guest_abandon(&r->channels[queue]);
	}
}

void player_do_close(struct player *p)
{
	int queue = foul_pick(&p->foul);

	if (queue >= 0 && player_take(p, 1) % 4 == 0) {
		if (!rig_close(p->r, (unsigned)queue)) {
			fake_guest_abandon(&p->r->channels[queue]);
		}
	}
}

void player_do_teardown(struct player *p)
{
	uint32_t id = player_take(p, 1) & 1 ? RIG_RECEIVE_GPADL : RIG_SEND_GPADL;
	struct rig *r = p->r;
	const uint64_t *pfns = id == RIG_RECEIVE_GPADL ? r->receive_pfns : r->send_pfns;
	uint32_t pages = id == RIG_RECEIVE_GPADL ? r->receive_pages : RIG_SEND_PAGES;

	if (r->channels[0].out.pages == NULL) {
		return;
	}
	if (player_take(p, 1) % 4 == 0) {
		fake_guest_teardown(r->g, r->channels[0].offer.relid, id);
	}
	fake_guest_gpadl(r->g, r->channels[0].offer.relid, id, pages * GMEM_PAGE_BYTES, 0, pfns);
}

/* Of what the guest has, of what it may have, or of nothing that there is. */
void player_do_completion(struct player *p)
{
	const struct net_pool *pool = &p->r->n->pool;
	uint32_t which = (uint32_t)player_take(p, 2);
	const uint32_t body[2] = {NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE, which & 1};
	struct vmbus_packet_descriptor d = {
		.type = VMBUS_PACKET_COMPLETION, .offset8 = 2, .length8 = 3};
	int queue = foul_pick(&p->foul);

	if (queue < 0) {
		return;
	}
	d.transaction = which % 16 == 0 ? player_edge(p) : which;
	for (uint32_t i = 0; i < pool->count && which % 16 > 3; i++) {
		if (pool->owner[(i + which) % pool->count] == queue + 1) {
			d.transaction = (i + which) % pool->count + 1;
			break;
		}
	}
	foul_send(&p->foul, (unsigned)queue, &d, NULL, 0, body, sizeof(body));
}

/* A good driver begins, as far as it gets. */
void player_do_start(struct player *p)
{
	static const uint32_t init[6] = {RNDIS_MSG_INIT, 24, 1, 1, 0, 0x4000};
	static const uint32_t filter[8] = {
		RNDIS_MSG_SET, 32, 2, OID_GEN_CURRENT_PACKET_FILTER, 4, 20, 0, 0x2d};
	struct nvsp_message m[] = {
		{.type = NVSP_MSG_TYPE_INIT, .init = {2, 0x60001}},
		{.type = NVSP_MSG1_TYPE_SEND_RECV_BUF,
		 .buffer = {RIG_RECEIVE_GPADL, RIG_RECEIVE_ID}},
		{.type = NVSP_MSG1_TYPE_SEND_SEND_BUF, .buffer = {RIG_SEND_GPADL, 0}},
	};
	uint8_t copy[32];

	if (p->r->channels[0].out.pages == NULL) {
		return;
	}
	for (unsigned i = 0; i < 3; i++) {
		foul_send_good(&p->foul, 0, VMBUS_PACKET_DATA_INBAND, NULL, 0, &m[i], sizeof(m[i]));
	}
	memcpy(copy, init, sizeof(init));
	send_message(p, copy, sizeof(init), NVSP_CHANNEL_CONTROL);
	memcpy(copy, filter, sizeof(filter));
	send_message(p, copy, sizeof(filter), NVSP_CHANNEL_CONTROL);
	rig_run_host(p->r);
}
