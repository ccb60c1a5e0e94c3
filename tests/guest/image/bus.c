// SPDX-License-Identifier: Apache-2.0
#include "bus.h"

#define MESSAGE_TYPE 1u
#define SINT 2u
#define SINT_VECTOR 0xf3u

struct vmbus_offer_channel bus_offers[BUS_OFFERS_MAX];
unsigned bus_offer_count;

static struct {
	struct hv_message messages[PAGE_BYTES / sizeof(struct hv_message)];
	uint8_t events[PAGE_BYTES];
	uint8_t hypercall[PAGE_BYTES];
	struct hv_input_post_message post;
	uint8_t post_rest[PAGE_BYTES - sizeof(struct hv_input_post_message)];
	uint8_t interrupts[PAGE_BYTES];
} page __attribute__((aligned(PAGE_BYTES)));

static uint32_t connection = VMBUS_MESSAGE_CONNECTION_ID;
static uint32_t next_gpadl = 0x1000;

/* ---- Hypervisor ---- */

void bus_start(void)
{
	wrmsr(HV_X64_MSR_GUEST_OS_ID, 0x8100ull << 48);
	wrmsr(HV_X64_MSR_HYPERCALL, (uint64_t)page.hypercall | HV_MSR_PAGE_ENABLE);
	wrmsr(HV_X64_MSR_SIMP, (uint64_t)page.messages | HV_MSR_PAGE_ENABLE);
	wrmsr(HV_X64_MSR_SIEFP, (uint64_t)page.events | HV_MSR_PAGE_ENABLE);
	wrmsr(HV_X64_MSR_SINT0 + SINT, SINT_VECTOR | HV_SINT_AUTO_EOI);
	wrmsr(HV_X64_MSR_SCONTROL, HV_SCONTROL_ENABLE);
}

uint64_t bus_now(void)
{
	return rdmsr(HV_X64_MSR_TIME_REF_COUNT);
}

uint64_t bus_hypercall(uint64_t control, uint64_t input, uint64_t output)
{
	register uint64_t r8 __asm__("r8") = output;
	uint64_t status;

	__asm__ volatile("call *%4"
			 : "=a"(status), "+c"(control), "+d"(input), "+r"(r8)
			 : "r"(page.hypercall)
			 : "memory", "cc", "r9", "r10", "r11");
	return status & 0xffff;
}

uint64_t bus_post_raw(uint32_t to, uint32_t type, const void *message, size_t bytes)
{
	uint64_t status, end = bus_now() + BUS_PATIENCE;

	memset(&page.post, 0, sizeof(page.post));
	memcpy(page.post.payload, message,
	       bytes < sizeof(page.post.payload) ? bytes : sizeof(page.post.payload));
	page.post.connection_id = to;
	page.post.message_type = type;
	page.post.payload_size = (uint32_t)bytes;
	do {
		status = bus_hypercall(HvCallPostMessage, (uint64_t)&page.post, 0);
	} while ((status == HV_STATUS_INSUFFICIENT_BUFFERS ||
		  status == HV_STATUS_INSUFFICIENT_MEMORY) &&
		 bus_now() < end);
	return status;
}

uint64_t bus_signal(uint32_t to, uint16_t flag)
{
	return bus_hypercall(HvCallSignalEvent | UINT64_C(1) << 16, to | (uint64_t)flag << 32, 0);
}

/* ---- Messages ---- */

void bus_post(const void *message, size_t bytes)
{
	bus_post_raw(connection, MESSAGE_TYPE, message, bytes);
}

static void note(const union bus_message *m)
{
	if (m->header.type == CHANNELMSG_OFFERCHANNEL && bus_offer_count < BUS_OFFERS_MAX) {
		bus_offers[bus_offer_count++] = m->offer;
	}
	for (unsigned i = 0;
	     m->header.type == CHANNELMSG_RESCIND_CHANNELOFFER && i < bus_offer_count; i++) {
		if (bus_offers[i].relid == m->relid.relid) {
			bus_offers[i] = bus_offers[--bus_offer_count];
		}
	}
}

bool bus_take(union bus_message *ret)
{
	struct hv_message *slot = &page.messages[SINT];
	uint32_t type = __atomic_load_n(&slot->type, __ATOMIC_ACQUIRE);

	if (type == 0) {
		return false;
	}
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->bytes, slot->payload, slot->payload_size);
	__atomic_store_n(&slot->type, 0, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&slot->flags, __ATOMIC_SEQ_CST) & 1) {
		wrmsr(HV_X64_MSR_EOM, 0);
	}
	note(ret);
	return true;
}

/* What a message is about. */
static uint32_t subject(const union bus_message *m)
{
	switch (m->header.type) {
	case CHANNELMSG_GPADL_CREATED:
		return m->created.gpadl;
	case CHANNELMSG_GPADL_TORNDOWN:
		return m->torndown.gpadl;
	case CHANNELMSG_OPENCHANNEL_RESULT:
		return m->opened.open_id;
	default:
		return 0;
	}
}

static bool wait_until(uint64_t end, uint32_t type, uint32_t id, union bus_message *ret)
{
	do {
		while (bus_take(ret)) {
			if (ret->header.type == type && subject(ret) == id) {
				return true;
			}
		}
		__asm__ volatile("pause");
	} while (bus_now() < end);
	return false;
}

bool bus_wait(uint32_t type, uint32_t id, union bus_message *ret)
{
	return wait_until(bus_now() + BUS_PATIENCE, type, id, ret);
}

/* ---- The connection ---- */

static void initiate(uint32_t version)
{
	struct vmbus_initiate_contact m = {.header.type = CHANNELMSG_INITIATE_CONTACT,
					   .version = version};

	connection = VMBUS_MESSAGE_CONNECTION_ID;
	if (version >= VERSION_WIN10_V5) {
		connection = VMBUS_MESSAGE_CONNECTION_ID_4;
		m.msg_sint = SINT;
	} else {
		m.interrupt_page_gpa = (uint64_t)page.interrupts;
	}
	bus_offer_count = 0;
	bus_post(&m, sizeof(m));
}

/*
 * Answers to what was asked before may still be on their way, so the version's is not recognized: asking for the end of a list that
 * never was is answered as soon as there is a connection, and by nothing else.
 */
static bool fence(void)
{
	uint64_t end = bus_now() + BUS_PATIENCE;
	union bus_message m;

	do {
		const struct vmbus_gpadl_teardown ask = {.header.type = CHANNELMSG_GPADL_TEARDOWN,
							 .gpadl = next_gpadl++};

		bus_post(&ask, sizeof(ask));
		if (wait_until(bus_now() + 10000, CHANNELMSG_GPADL_TORNDOWN, ask.gpadl, &m)) {
			return true;
		}
	} while (bus_now() < end);
	return false;
}

bool bus_connect(uint32_t version)
{
	const struct vmbus_message_header ask = {.type = CHANNELMSG_REQUESTOFFERS};
	union bus_message m;

	initiate(version);
	if (!fence()) {
		return false;
	}
	bus_offer_count = 0;
	bus_post(&ask, sizeof(ask));
	return bus_wait(CHANNELMSG_ALLOFFERS_DELIVERED, 0, &m);
}

bool bus_unload(void)
{
	const struct vmbus_message_header ask = {.type = CHANNELMSG_UNLOAD};
	union bus_message m;

	bus_post(&ask, sizeof(ask));
	return bus_wait(CHANNELMSG_UNLOAD_RESPONSE, 0, &m);
}

const struct vmbus_offer_channel *bus_find(const struct guid *type, const struct guid *instance,
					   unsigned index)
{
	for (unsigned i = 0; i < bus_offer_count; i++) {
		const struct vmbus_offer_channel *o = &bus_offers[i];

		if (guid_equal(&o->type, type) && guid_equal(&o->instance, instance) &&
		    o->subchannel_index == index) {
			return o;
		}
	}
	return NULL;
}

/* ---- Channels ---- */

static bool create_gpadl(uint32_t relid, uint32_t gpadl, uint64_t pfn, uint32_t pages)
{
	struct {
		struct vmbus_gpadl_header header;
		struct vmbus_gpa_range range;
		uint64_t pfn[26];
	} __attribute__((packed)) m = {
		.header.header.type = CHANNELMSG_GPADL_HEADER,
		.header.relid = relid,
		.header.gpadl = gpadl,
		.header.range_bytes = (uint16_t)(8 + 8 * pages),
		.header.range_count = 1,
		.range.bytes = pages * PAGE_BYTES,
	};
	union bus_message r;

	for (unsigned i = 0; i < pages; i++) {
		m.pfn[i] = pfn + i;
	}
	bus_post(&m, sizeof(m.header) + 8 + 8 * pages);
	return bus_wait(CHANNELMSG_GPADL_CREATED, gpadl, &r) && r.created.status == 0;
}

bool bus_gpadl(uint32_t relid, uint64_t pfn, uint32_t pages, uint32_t *ret_gpadl)
{
	*ret_gpadl = next_gpadl++;
	return create_gpadl(relid, *ret_gpadl, pfn, pages);
}

bool bus_open(struct bus_channel *c, const struct vmbus_offer_channel *offer, uint64_t pfn,
	      uint32_t pages, uint32_t vp)
{
	union bus_message r;

	*c = (struct bus_channel){
		.offer = *offer, .gpadl = next_gpadl++, .pfn = pfn, .pages = pages};
	if (!create_gpadl(offer->relid, c->gpadl, pfn, 2 * pages)) {
		return false;
	}
	memset(bus_ring(c, true), 0, PAGE_BYTES);
	memset(bus_ring(c, false), 0, PAGE_BYTES);
	bus_ring(c, true)->features = bus_ring(c, false)->features =
		VMBUS_RING_FEATURE_PENDING_SEND_SIZE;
	const struct vmbus_open_channel m = {.header.type = CHANNELMSG_OPENCHANNEL,
					     .relid = offer->relid,
					     .open_id = c->gpadl,
					     .ring_gpadl = c->gpadl,
					     .target_vp = vp,
					     .downstream_page = pages};

	bus_post(&m, sizeof(m));
	return bus_wait(CHANNELMSG_OPENCHANNEL_RESULT, c->gpadl, &r) && r.opened.status == 0;
}

bool bus_close(struct bus_channel *c)
{
	const struct vmbus_relid_message close = {.header.type = CHANNELMSG_CLOSECHANNEL,
						  .relid = c->offer.relid};
	const struct vmbus_gpadl_teardown teardown = {.header.type = CHANNELMSG_GPADL_TEARDOWN,
						      .relid = c->offer.relid,
						      .gpadl = c->gpadl};
	union bus_message m;

	bus_post(&close, sizeof(close));
	bus_post(&teardown, sizeof(teardown));
	return bus_wait(CHANNELMSG_GPADL_TORNDOWN, c->gpadl, &m);
}

/* ---- Rings ---- */

struct vmbus_ring_control *bus_ring(const struct bus_channel *c, bool to_host)
{
	return (struct vmbus_ring_control *)((to_host ? c->pfn : c->pfn + c->pages) * PAGE_BYTES);
}

static uint32_t size(const struct bus_channel *c)
{
	return (c->pages - 1) * PAGE_BYTES;
}

uint32_t bus_ring_put(const struct bus_channel *c, uint32_t at, const void *data, size_t bytes)
{
	uint8_t *ring = (uint8_t *)(bus_ring(c, true) + 1);

	for (size_t n; bytes != 0; bytes -= n) {
		n = size(c) - at < bytes ? size(c) - at : bytes;
		memcpy(ring + at, data, n);
		data = (const uint8_t *)data + n;
		at = (at + (uint32_t)n) % size(c);
	}
	return at;
}

bool bus_send(struct bus_channel *c, uint16_t type, uint16_t flags, uint64_t transaction,
	      const void *header, size_t header_bytes, const void *payload, size_t bytes)
{
	struct vmbus_ring_control *ring = bus_ring(c, true);
	size_t length = sizeof(struct vmbus_packet_descriptor) + header_bytes + (bytes + 7) / 8 * 8;
	const struct vmbus_packet_descriptor d = {
		.type = type,
		.offset8 = (uint16_t)((sizeof(d) + header_bytes) / 8),
		.length8 = (uint16_t)(length / 8),
		.flags = flags,
		.transaction = transaction};
	uint32_t read = __atomic_load_n(&ring->read_index, __ATOMIC_SEQ_CST) % size(c),
		 at = c->write;
	const uint64_t trailer = (uint64_t)at << 32;

	if ((read + size(c) - at - 1) % size(c) < length + sizeof(trailer)) {
		return false;
	}
	at = bus_ring_put(c, at, &d, sizeof(d));
	at = bus_ring_put(c, at, header, header_bytes);
	bus_ring_put(c, at, payload, bytes);
	at = (c->write + (uint32_t)length) % size(c);
	c->write = bus_ring_put(c, at, &trailer, sizeof(trailer));
	__atomic_store_n(&ring->write_index, c->write, __ATOMIC_SEQ_CST);
	bus_signal(c->offer.connection_id, 0);
	return true;
}

static uint32_t take_bytes(const struct bus_channel *c, uint32_t at, void *data, size_t bytes)
{
	const uint8_t *ring = (const uint8_t *)(bus_ring(c, false) + 1);

	for (size_t i = 0; i < bytes; i++) {
		((uint8_t *)data)[i] = ring[(at + i) % size(c)];
	}
	return (at + (uint32_t)bytes) % size(c);
}

bool bus_pending(const struct bus_channel *c)
{
	return __atomic_load_n(&bus_ring(c, false)->write_index, __ATOMIC_ACQUIRE) != c->read;
}

static bool wait_for_packet(const struct bus_channel *c)
{
	uint64_t end = bus_now() + BUS_PATIENCE;

	while (!bus_pending(c)) {
		__asm__ volatile("pause");
		if (bus_now() > end) {
			return false;
		}
	}
	return true;
}

/* The packet that is there: its descriptor and the beginning of its payload. */
static void take_packet(struct bus_channel *c, struct vmbus_packet_descriptor *d, void *payload,
			size_t bytes)
{
	uint32_t at = take_bytes(c, c->read, d, sizeof(*d));

	take_bytes(c, at + d->offset8 * 8u - (uint32_t)sizeof(*d), payload, bytes);
	c->read = (c->read + d->length8 * 8u + VMBUS_PACKET_TRAILER_BYTES) % size(c);
	__atomic_store_n(&bus_ring(c, false)->read_index, c->read, __ATOMIC_SEQ_CST);
}

bool bus_receive_some(struct bus_channel *c, uint64_t *ret_transaction, void *payload, size_t bytes)
{
	struct vmbus_packet_descriptor d;

	if (!wait_for_packet(c)) {
		return false;
	}
	take_bytes(c, c->read, &d, sizeof(d));
	size_t has = (d.length8 - d.offset8) * 8u;

	memset(payload, 0, bytes);
	take_packet(c, &d, payload, has < bytes ? has : bytes);
	*ret_transaction = d.transaction;
	return true;
}

bool bus_receive(struct bus_channel *c, uint64_t *ret_transaction, void *payload, size_t bytes)
{
	struct vmbus_packet_descriptor d;

	if (!wait_for_packet(c)) {
		return false;
	}
	take_bytes(c, c->read, &d, sizeof(d));
	if ((d.length8 - d.offset8) * 8u < bytes) {
		return false;
	}
	take_packet(c, &d, payload, bytes);
	*ret_transaction = d.transaction;
	return true;
}

/* ---- storvsp ---- */

static bool answered(struct bus_channel *c, uint64_t transaction, struct vstor_packet *ret)
{
	uint64_t got = 0;

	while (bus_receive(c, &got, ret, sizeof(*ret))) {
		if (got == transaction) {
			return true;
		}
	}
	return false;
}

static bool step(struct bus_channel *c, uint32_t operation, uint16_t version)
{
	const struct vstor_packet p = {.header = {.operation = operation, .flags = 1},
				       .version.version = version};
	struct vstor_packet r;

	return bus_send(c, VMBUS_PACKET_DATA_INBAND, VMBUS_PACKET_COMPLETION_REQUESTED, operation,
			NULL, 0, &p, sizeof(p)) &&
	       answered(c, operation, &r) && r.header.status == 0;
}

bool stor_start(struct bus_channel *c, uint16_t version)
{
	return step(c, VSTOR_OPERATION_BEGIN_INITIALIZATION, 0) &&
	       step(c, VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, version) &&
	       step(c, VSTOR_OPERATION_QUERY_PROPERTIES, 0) &&
	       step(c, VSTOR_OPERATION_END_INITIALIZATION, 0);
}

bool stor_command(struct bus_channel *c, uint8_t lun, const uint8_t *cdb, uint8_t cdb_bytes,
		  uint8_t direction, uint64_t pfn, uint32_t bytes, struct vstor_packet *ret)
{
	struct vstor_packet p = {.header = {.operation = VSTOR_OPERATION_EXECUTE_SRB, .flags = 1},
				 .srb = {.bytes = VSTOR_SRB_BYTES,
					 .lun = lun,
					 .cdb_bytes = cdb_bytes,
					 .direction = direction,
					 .data_bytes = bytes}};
	struct {
		struct vmbus_packet_gpa_direct direct;
		struct vmbus_gpa_range range;
		uint64_t pfn[64];
	} header = {.direct.range_count = 1, .range.bytes = bytes};
	uint32_t pages = (bytes + PAGE_BYTES - 1) / PAGE_BYTES;
	static uint64_t transaction = 0x100;

	for (unsigned i = 0; i < pages && i < ARRAY_LEN(header.pfn); i++) {
		header.pfn[i] = pfn + i;
	}
	memcpy(p.srb.cdb, cdb, cdb_bytes);
	transaction++;
	return bus_send(c,
			bytes != 0 ? VMBUS_PACKET_DATA_USING_GPA_DIRECT : VMBUS_PACKET_DATA_INBAND,
			VMBUS_PACKET_COMPLETION_REQUESTED, transaction, &header,
			bytes != 0 ? 16 + 8 * pages : 0, &p, sizeof(p)) &&
	       answered(c, transaction, ret);
}
