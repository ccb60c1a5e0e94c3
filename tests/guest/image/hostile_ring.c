// SPDX-License-Identifier: Apache-2.0
#include "hostile.h"

static struct hostile h;

/* ---- Packets ---- */

/* Takes all answers, or pretends to. */
static void drain(struct bus_channel *c)
{
	struct vmbus_ring_control *ring = bus_ring(c, false);

	__atomic_store_n(&ring->read_index, __atomic_load_n(&ring->write_index, __ATOMIC_SEQ_CST),
			 __ATOMIC_SEQ_CST);
	bus_signal(c->offer.connection_id, 0);
}

static void send(struct bus_channel *c, uint16_t type, const void *header, size_t header_bytes,
		 const void *payload, size_t bytes)
{
	uint16_t flags = roll(8) != 0;

	h.transaction++;
	for (unsigned i = 0; i < 20 && !bus_send(c, type, flags, h.transaction, header,
						 header_bytes, payload, bytes);
	     i++) {
		drain(c);
	}
}

static void send_raw(struct bus_channel *c)
{
	uint64_t packet[40];

	for (unsigned i = 0; i < ARRAY_LEN(packet); i++) {
		packet[i] = (uint64_t)edge() << 32 | edge();
	}
	struct vmbus_packet_descriptor d = {.type = (uint16_t)roll(16),
					    .offset8 = (uint16_t)roll(40),
					    .length8 = (uint16_t)roll(64),
					    .flags = (uint16_t)roll(3),
					    .transaction = h.transaction++};

	memcpy(packet, &d, sizeof(d));
	c->write = bus_ring_put(c, c->write, packet, 8 * (1 + roll(ARRAY_LEN(packet))));
	__atomic_store_n(&bus_ring(c, true)->write_index, c->write, __ATOMIC_SEQ_CST);
	bus_signal(c->offer.connection_id, 0);
}

/* ---- SRBs ---- */

/* A page that the host may write, or must not and cannot. */
static uint64_t pick_pfn(void)
{
	static const uint64_t not_memory[] = {
		MEMORY_PAGES,	  0xa0,	      0xbf,	 0xc8,	     0xff,
		0xfec00,	  0xfee00,    0xfffff,	 1ull << 28, 1ull << 40,
		(1ull << 52) - 1, 1ull << 52, UINT64_MAX};

	if (h.calm || roll(8) != 0) {
		return HOSTILE_DATA_PFN + roll(HOSTILE_DATA_PAGES);
	}
	return roll(3) != 0 ? not_memory[roll(ARRAY_LEN(not_memory))]
			    : HOSTILE_RING_PFN + roll(16 * HOSTILE_CHANNELS);
}

static void put_be(uint8_t *to, uint64_t value, unsigned bytes)
{
	for (unsigned i = bytes; i-- > 0; value >>= 8) {
		to[i] = (uint8_t)value;
	}
}

/* A transfer that may succeed. */
static void fill_transfer(struct vstor_srb *srb)
{
	bool read = roll(2) != 0;
	uint64_t sectors = 1 + roll(roll(8) != 0 ? 16 : 2048);
	uint64_t lba = roll(16) != 0 ? roll(4096) : edge();

	switch (roll(4)) {
	case 0:
		srb->cdb[0] = read ? 0x08 : 0x0a;
		put_be(srb->cdb + 1, lba & 0x1fffff, 3);
		srb->cdb[4] = (uint8_t)sectors;
		break;
	case 1:
		srb->cdb[0] = read ? 0xa8 : 0xaa;
		put_be(srb->cdb + 2, lba, 4);
		put_be(srb->cdb + 6, sectors, 4);
		break;
	case 2:
		srb->cdb[0] = read ? 0x88 : 0x8a;
		put_be(srb->cdb + 2, roll(8) != 0 ? lba : ~lba, 8);
		put_be(srb->cdb + 10, sectors, 4);
		break;
	default:
		srb->cdb[0] = read ? 0x28 : 0x2a;
		put_be(srb->cdb + 2, lba, 4);
		put_be(srb->cdb + 7, sectors, 2);
		break;
	}
	srb->direction = read ? VSTOR_DATA_READ : VSTOR_DATA_WRITE;
	srb->data_bytes = (uint32_t)sectors * 512;
}

static void fill_command(struct vstor_srb *srb)
{
	static const uint8_t opcodes[] = {
		0x00, 0x01, 0x03, 0x04, 0x12, 0x15, 0x16, 0x17, 0x1a, 0x1b, 0x1d, 0x1e,
		0x23, 0x25, 0x2e, 0x2f, 0x34, 0x35, 0x41, 0x42, 0x43, 0x46, 0x4a, 0x51,
		0x52, 0x55, 0x5a, 0x5e, 0x5f, 0x7f, 0x83, 0x84, 0x85, 0x89, 0x8f, 0x91,
		0x93, 0x9e, 0xa0, 0xa3, 0xa4, 0xad, 0xaf, 0xbd, 0xbe, 0xff};

	srb->cdb[0] = roll(8) != 0 ? opcodes[roll(ARRAY_LEN(opcodes))] : (uint8_t)roll(256);
	for (unsigned i = 1; i < VSTOR_CDB_BYTES; i++) {
		srb->cdb[i] = roll(2) != 0 ? 0 : (uint8_t)roll(256);
	}
	srb->direction = (uint8_t)roll(roll(8) != 0 ? 3 : 256);
	srb->data_bytes = (uint32_t)(roll(4) != 0 ? roll(64) * 8 : edge());
}

/* Page ranges for about @bytes. Returns their length with the header. */
static size_t fill_ranges(uint8_t *to, uint32_t bytes, bool only_read)
{
	struct vmbus_packet_gpa_direct direct = {.reserved = 0xa5a5a5a5};
	bool one_page_each = roll(2) != 0;
	uint32_t left = roll(16) != 0 ? bytes : edge();
	size_t used = sizeof(direct);

	while (left != 0 && used < 3000) {
		uint32_t offset = roll(4) != 0 ? 0 : (uint32_t)roll(PAGE_BYTES);
		uint32_t limit = (one_page_each ? 1 : HOSTILE_DATA_PAGES) * PAGE_BYTES - offset;
		const struct vmbus_gpa_range range = {left < limit ? left : limit, offset};

		memcpy(to + used, &range, sizeof(range));
		used += sizeof(range);
		for (uint32_t n = (range.offset + range.bytes + PAGE_BYTES - 1) / PAGE_BYTES;
		     n > 0 && used < 4000; n--, used += 8) {
			const uint64_t pfn =
				only_read ? UNTOUCHED_PFN + roll(UNTOUCHED_PAGES) : pick_pfn();

			memcpy(to + used, &pfn, sizeof(pfn));
		}
		left -= range.bytes;
		direct.range_count++;
	}
	direct.range_count +=
		h.calm || roll(64) != 0 ? 0 : edge(); /* it lies: the channel breaks */
	memcpy(to, &direct, sizeof(direct));
	return used;
}

static void send_srb(struct bus_channel *c)
{
	struct vstor_packet p = {.header = {.operation = VSTOR_OPERATION_EXECUTE_SRB, .flags = 1}};
	static uint8_t ranges[4200];

	p.srb.bytes = VSTOR_SRB_BYTES;
	p.srb.cdb_bytes = (uint8_t)(roll(32) != 0 ? 16 : roll(256));
	p.srb.lun = (uint8_t)(roll(8) != 0 ? roll(3) : roll(256));
	p.srb.path = (uint8_t)(roll(16) != 0 ? 0 : roll(256));
	p.srb.target = (uint8_t)(roll(16) != 0 ? 0 : roll(256));
	if (roll(2) != 0) {
		fill_transfer(&p.srb);
	} else {
		fill_command(&p.srb);
	}
	if (p.srb.data_bytes == 0 || roll(32) == 0) {
		send(c, VMBUS_PACKET_DATA_INBAND, NULL, 0, &p,
		     roll(16) != 0 ? sizeof(p) : roll(sizeof(p)));
		return;
	}
	bool only_read = h.calm && p.srb.direction == VSTOR_DATA_WRITE && roll(2) != 0;
	size_t bytes = fill_ranges(ranges, p.srb.data_bytes, only_read);

	send(c, VMBUS_PACKET_DATA_USING_GPA_DIRECT, ranges, bytes, &p,
	     roll(16) != 0 ? sizeof(p) : 48);
}

/* ---- Other steps ---- */

static void send_operation(struct bus_channel *c)
{
	struct vstor_packet p = {
		.header = {.operation = (uint32_t)(roll(16) != 0 ? roll(16) : edge()),
			   .flags = (uint32_t)roll(2)}};

	if (p.header.operation != VSTOR_OPERATION_EXECUTE_SRB) {
		for (unsigned i = 0; i < 8; i++) {
			p.body[i] = (uint8_t)roll(256);
		}
	}
	send(c, VMBUS_PACKET_DATA_INBAND, NULL, 0, &p, roll(8) != 0 ? sizeof(p) : roll(sizeof(p)));
}

static void ring_word(struct bus_channel *c)
{
	uint32_t *words = &bus_ring(c, roll(2) != 0)->write_index;
	uint32_t *word = &words[roll(17)], old = *word;

	__atomic_store_n(word, edge(), __ATOMIC_SEQ_CST);
	bus_signal(c->offer.connection_id, 0);
	if (roll(4) != 0) {
		__atomic_store_n(word, old, __ATOMIC_SEQ_CST);
	}
}

static void ring_data(struct bus_channel *c)
{
	uint32_t *words = (uint32_t *)(bus_ring(c, roll(8) != 0) + 1);

	for (uint64_t n = roll(16); n > 0; n--) {
		words[roll((c->pages - 1) * PAGE_BYTES / 4)] = edge();
	}
	bus_signal(c->offer.connection_id, 0);
}

/* A list for the channel that is no good as a ring, or too short, or of a known name. */
static void odd_gpadl(struct bus_channel *c)
{
	uint32_t m[60] = {CHANNELMSG_GPADL_HEADER, 0, c->offer.relid,
			  (uint32_t)(roll(2) != 0 ? c->gpadl : roll(8))};

	m[4] = (uint32_t)(roll(2) != 0 ? 16 + roll(20) * 8 : edge() & 0xffff) | (uint32_t)roll(4)
											<< 16;
	for (unsigned i = 5; i < ARRAY_LEN(m); i++) {
		m[i] = roll(2) != 0 ? 0 : edge();
	}
	bus_post(m, 20 + 8 * roll(28));
}

static void channel_message(struct bus_channel *c)
{
	const struct vmbus_gpadl_teardown teardown = {.header.type = CHANNELMSG_GPADL_TEARDOWN,
						      .relid = c->offer.relid,
						      .gpadl = (uint32_t)roll(8)};
	const struct vmbus_modify_channel modify = {.header.type = CHANNELMSG_MODIFYCHANNEL,
						    .relid = c->offer.relid,
						    .target_vp = (uint32_t)roll(6)};
	const struct vmbus_open_channel open = {
		.header.type = CHANNELMSG_OPENCHANNEL,
		.relid = c->offer.relid,
		.ring_gpadl = (uint32_t)(roll(2) != 0 ? c->gpadl : roll(8)),
		.downstream_page = (uint32_t)roll(20)};

	switch (roll(4)) {
	case 0:
		bus_post(&teardown, sizeof(teardown));
		break;
	case 1:
		bus_post(&modify, sizeof(modify));
		break;
	case 2:
		bus_post(&open, sizeof(open));
		break;
	default:
		odd_gpadl(c);
		break;
	}
}

static void any_step(struct bus_channel *c)
{
	uint64_t what = roll(16);

	if (what < 10) {
		send_srb(c);
	} else if (what == 10) {
		send_operation(c);
	} else if (what == 11) {
		drain(c);
	} else if (h.calm || what == 12) {
		channel_message(c);
	} else if (what == 13) {
		ring_word(c);
	} else if (what == 14) {
		ring_data(c);
	} else {
		send_raw(c);
	}
}

/* ---- A sequence ---- */

static uint64_t rings_of(unsigned i)
{
	return HOSTILE_RING_PFN + 16 * i;
}

/* The start of the protocol as it should be, or begun and left. */
static void start(void)
{
	static const uint16_t versions[] = {VSTOR_VERSION_WIN10, VSTOR_VERSION_WIN8_1,
					    VSTOR_VERSION_WIN8,	 VSTOR_VERSION_WIN7,
					    VSTOR_VERSION_WIN6,	 0x0603};
	const struct vstor_packet create = {
		.header = {.operation = VSTOR_OPERATION_CREATE_SUB_CHANNELS, .flags = 1},
		.subchannels = (uint16_t)roll(HOSTILE_CHANNELS + 1)};

	if (stor_start(&h.channels[0], versions[roll(ARRAY_LEN(versions))]) && roll(2) != 0) {
		send(&h.channels[0], VMBUS_PACKET_DATA_INBAND, NULL, 0, &create, sizeof(create));
	}
}

static void open_subchannels(void)
{
	const struct vmbus_offer_channel *primary = &h.channels[0].offer;

	for (unsigned i = 1; i < HOSTILE_CHANNELS; i++) {
		const struct vmbus_offer_channel *offer =
			bus_find(&primary->type, &primary->instance, i);

		h.open[i] = offer != NULL &&
			    bus_open(&h.channels[i], offer, rings_of(i),
				     2 + (uint32_t)roll(RING_PAGES_MAX - 1), (uint32_t)roll(2));
	}
}

/* The guest may forget what it was told to forget. */
static void release_subchannels(const struct vmbus_offer_channel *primary)
{
	for (unsigned i = 0; i < bus_offer_count; i++) {
		const struct vmbus_relid_message m = {.header.type = CHANNELMSG_RELID_RELEASED,
						      .relid = bus_offers[i].relid};

		if (guid_equal(&bus_offers[i].instance, &primary->instance) &&
		    bus_offers[i].subchannel_index != 0) {
			bus_offers[i--] = bus_offers[--bus_offer_count];
			bus_post(&m, sizeof(m));
		}
	}
}

static bool close_all(void)
{
	bool answered = true;

	for (unsigned i = HOSTILE_CHANNELS; i-- > 0;) {
		if (h.open[i] && (i == 0 || roll(2) != 0)) {
			answered = bus_close(&h.channels[i]) && answered;
		}
		h.open[i] = false;
	}
	return answered;
}

bool hostile_rings(const struct vmbus_offer_channel *offer)
{
	const struct vmbus_offer_channel primary = *offer;
	union bus_message m;

	h.calm = roll(4) == 0;
	h.open[0] = bus_open(&h.channels[0], &primary, rings_of(0),
			     2 + (uint32_t)roll(RING_PAGES_MAX - 1), (uint32_t)roll(5));
	if (!h.open[0]) {
		return true; /* no such processor */
	}
	if (roll(16) != 0) {
		start();
	}
	for (uint64_t n = 2 + roll(24); n > 0; n--) {
		uint64_t i = roll(HOSTILE_CHANNELS);

		if (roll(8) == 0) {
			while (bus_take(&m)) {
			}
			open_subchannels();
		}
		any_step(&h.channels[h.open[i] ? i : 0]);
	}
	bool answered = close_all();

	release_subchannels(&primary);
	return answered;
}

void hostile_racer(void)
{
	static uint32_t seed = 1;

	for (;;) {
		uint32_t *page =
			(uint32_t *)((HOSTILE_RING_PFN + (seed >> 16) % (16 * HOSTILE_CHANNELS)) *
				     (uint64_t)PAGE_BYTES);
		static const uint32_t values[] = {
			0, 8, 16, 0x40, 0xff8, 0x10002, 0x30009, HOSTILE_DATA_PFN, UINT32_MAX};

		seed = seed * 1103515245 + 12345;
		__atomic_store_n(&page[seed >> 8 & (seed & 0x40 ? 0x1f : 0x3ff)],
				 values[(seed >> 20) % ARRAY_LEN(values)], __ATOMIC_RELAXED);
		for (volatile unsigned i = 0; i < 2000; i++) {
		}
	}
}
