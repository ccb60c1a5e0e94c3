// SPDX-License-Identifier: Apache-2.0
/* The guest: what its driver sends, and what it makes of what comes. */
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "rig.h"

/* ---- What comes ---- */

static void copy_out(struct rig *r, const uint64_t *pfns, size_t offset, void *to, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		size_t in_page = (offset + done) % GMEM_PAGE_BYTES;
		size_t n = min_u64(bytes - done, GMEM_PAGE_BYTES - in_page);
		uint64_t pfn = pfns[(offset + done) / GMEM_PAGE_BYTES];

		memcpy((uint8_t *)to + done, (uint8_t *)fake_guest_page(r->g, pfn) + in_page, n);
		done += n;
	}
}

static void copy_in(struct rig *r, const uint64_t *pfns, size_t offset, const void *from,
		    size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		size_t in_page = (offset + done) % GMEM_PAGE_BYTES;
		size_t n = min_u64(bytes - done, GMEM_PAGE_BYTES - in_page);
		uint64_t pfn = pfns[(offset + done) / GMEM_PAGE_BYTES];

		memcpy((uint8_t *)fake_guest_page(r->g, pfn) + in_page,
		       (const uint8_t *)from + done, n);
		done += n;
	}
}

static struct rig_message *new_message(struct rig *r)
{
	if (r->message_count == RIG_MESSAGES) {
		free(r->messages[0].data);
		memmove(r->messages, r->messages + 1, sizeof(r->messages) - sizeof(r->messages[0]));
		r->message_count--;
	}
	return &r->messages[r->message_count++];
}

/* As netvsc_receive: each range within the buffer and one suballocation. */
static void take_transfer(struct rig *r, unsigned channel, const uint8_t *packet,
			  uint64_t transaction)
{
	struct vmbus_packet_xfer x;
	struct nvsp_message nvsp;
	struct vmbus_xfer_range range;
	size_t bytes, limit = (size_t)r->receive_pages * GMEM_PAGE_BYTES;
	const void *payload = fake_guest_payload(packet, &bytes);

	CHECK(bytes == NVSP_MESSAGE_BYTES);
	memcpy(&nvsp, payload, sizeof(nvsp));
	memcpy(&x, packet + 16, sizeof(x));
	CHECK(nvsp.type == NVSP_MSG1_TYPE_SEND_RNDIS_PKT && nvsp.rndis.section == NVSP_NO_SECTION);
	CHECK(x.pageset == RIG_RECEIVE_ID && x.range_count != 0 && x.range_count <= NET_RANGES);
	for (uint32_t i = 0; i < x.range_count; i++) {
		struct rig_message *m = new_message(r);

		memcpy(&range, packet + 24 + i * sizeof(range), sizeof(range));
		CHECK(range_within(range.offset, range.bytes, limit) && range.bytes >= 8);
		*m = (struct rig_message){.channel = channel,
					  .kind = nvsp.rndis.channel,
					  .transaction = transaction,
					  .index = i,
					  .of = x.range_count,
					  .bytes = range.bytes,
					  .data = malloc(range.bytes)};
		CHECK(m->data != NULL);
		copy_out(r, r->receive_pfns, range.offset, m->data, range.bytes);
	}
	if (!r->keep) {
		rig_complete(r, channel, transaction);
	}
}

static void take_completion(struct rig *r, unsigned channel, const uint8_t *packet,
			    uint64_t transaction)
{
	struct rig_completion *c;

	if (r->completion_count == RIG_MESSAGES) {
		memmove(r->completions, r->completions + 1,
			sizeof(r->completions) - sizeof(r->completions[0]));
		r->completion_count--;
	}
	c = &r->completions[r->completion_count++];
	*c = (struct rig_completion){.channel = channel, .transaction = transaction};
	const void *payload = fake_guest_payload(packet, &c->bytes);

	CHECK(c->bytes <= sizeof(c->message));
	memcpy(&c->message, payload, c->bytes);
}

static void take_inband(struct rig *r, const uint8_t *packet)
{
	struct nvsp_message m;
	size_t bytes;
	const uint8_t *payload = fake_guest_payload(packet, &bytes);

	CHECK(bytes >= sizeof(m));
	memcpy(&m, payload, sizeof(m));
	CHECK(m.type == NVSP_MSG5_TYPE_SEND_INDIRECTION_TABLE);
	CHECK(m.table.count == NVSP_TABLE_ENTRIES &&
	      range_within(m.table.offset, sizeof(r->table), bytes));
	memcpy(r->table, payload + m.table.offset, sizeof(r->table));
	r->tables++;
}

void rig_take(struct rig *r, unsigned channel)
{
	uint64_t buf[512];
	struct vmbus_packet_descriptor d;

	while (fake_guest_read(&r->channels[channel], buf, sizeof(buf)) != 0) {
		memcpy(&d, buf, sizeof(d));
		switch (d.type) {
		case VMBUS_PACKET_COMPLETION:
			take_completion(r, channel, (uint8_t *)buf, d.transaction);
			break;
		case VMBUS_PACKET_DATA_USING_XFER_PAGES:
			take_transfer(r, channel, (uint8_t *)buf, d.transaction);
			break;
		default:
			CHECK(d.type == VMBUS_PACKET_DATA_INBAND);
			take_inband(r, (uint8_t *)buf);
			break;
		}
	}
}

bool rig_complete(struct rig *r, unsigned channel, uint64_t transaction)
{
	const uint32_t done[2] = {NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE, NVSP_STAT_SUCCESS};

	return fake_guest_write(&r->channels[channel], VMBUS_PACKET_COMPLETION, false, transaction,
				NULL, 0, done, sizeof(done));
}

/* ---- NVSP ---- */

size_t rig_ask(struct rig *r, struct nvsp_message *m)
{
	uint64_t id = r->transaction++;

	if (!fake_guest_send(&r->channels[0], id, m, sizeof(*m))) {
		return SIZE_MAX;
	}
	rig_run(r);
	for (unsigned i = 0; i < r->completion_count; i++) {
		if (r->completions[i].transaction == id) {
			*m = r->completions[i].message;
			return r->completions[i].bytes;
		}
	}
	return SIZE_MAX;
}

bool rig_tell(struct rig *r, const struct nvsp_message *m)
{
	bool sent = fake_guest_write(&r->channels[0], VMBUS_PACKET_DATA_INBAND, false, 0, NULL, 0,
				     m, sizeof(*m));

	rig_run(r);
	return sent;
}

uint32_t rig_init(struct rig *r, uint32_t min, uint32_t max)
{
	struct nvsp_message m = {.type = NVSP_MSG_TYPE_INIT, .init = {min, max}};

	return rig_ask(r, &m) == sizeof(m) && m.type == NVSP_MSG_TYPE_INIT_COMPLETE
		       ? m.init_complete.status
		       : 0;
}

void rig_ndis_config(struct rig *r, uint32_t mtu, uint64_t capabilities)
{
	const struct nvsp_ndis_config c = {mtu + NET_ETHERNET_BYTES, 0, capabilities};
	struct nvsp_message m = {.type = NVSP_MSG2_TYPE_SEND_NDIS_CONFIG};

	memcpy(m.ndis_config, &c, sizeof(c));
	rig_tell(r, &m);
}

static bool make_gpadl(struct rig *r, uint32_t id, const uint64_t *pfns, uint32_t pages)
{
	return fake_guest_gpadl(r->g, r->channels[0].offer.relid, id, pages * GMEM_PAGE_BYTES, 0,
				pfns) == 0;
}

uint32_t rig_receive_buffer(struct rig *r, struct nvsp_receive_complete *ret)
{
	struct nvsp_message m = {.type = NVSP_MSG1_TYPE_SEND_RECV_BUF,
				 .buffer = {RIG_RECEIVE_GPADL, RIG_RECEIVE_ID}};

	if (rig_ask(r, &m) != sizeof(m) || m.type != NVSP_MSG1_TYPE_SEND_RECV_BUF_COMPLETE) {
		return 0;
	}
	*ret = m.receive_complete;
	return m.receive_complete.status;
}

uint32_t rig_send_buffer(struct rig *r)
{
	struct nvsp_message m = {.type = NVSP_MSG1_TYPE_SEND_SEND_BUF,
				 .buffer = {RIG_SEND_GPADL, 0}};

	if (rig_ask(r, &m) != sizeof(m) || m.type != NVSP_MSG1_TYPE_SEND_SEND_BUF_COMPLETE) {
		return 0;
	}
	CHECK(m.send_complete.section_bytes == NET_SEND_SECTION_BYTES);
	return m.send_complete.status;
}

static bool rndis_init(struct rig *r)
{
	struct {
		struct rndis_header h;
		struct rndis_init init;
	} m = {{RNDIS_MSG_INIT, sizeof(m)}, {++r->request, 1, 0, 0x4000}};
	struct {
		struct rndis_header h;
		struct rndis_init_complete c;
	} a;

	return rig_control(r, &m, sizeof(m), &a, sizeof(a)) == sizeof(a) &&
	       a.c.status == RNDIS_STATUS_SUCCESS && a.c.max_packets == NET_RNDIS_MAX_PACKETS;
}

bool rig_start(struct rig *r, uint32_t version, uint32_t mtu)
{
	struct nvsp_message m = {.type = NVSP_MSG1_TYPE_SEND_NDIS_VER, .ndis_version = {6, 1}};
	uint64_t capabilities = NVSP_CAPABILITY_8021Q;
	struct nvsp_receive_complete c;

	if (rig_init(r, version, version) != NVSP_STAT_SUCCESS) {
		return false;
	}
	if (version >= NVSP_PROTOCOL_VERSION_5) {
		capabilities |= NVSP_CAPABILITY_SRIOV | NVSP_CAPABILITY_TEAMING;
		m.ndis_version.minor = 30;
	}
	if (version >= NVSP_PROTOCOL_VERSION_61) {
		capabilities |= NVSP_CAPABILITY_RSC;
	}
	if (version >= NVSP_PROTOCOL_VERSION_2) {
		rig_ndis_config(r, mtu, capabilities);
	}
	rig_tell(r, &m);
	return make_gpadl(r, RIG_RECEIVE_GPADL, r->receive_pfns, r->receive_pages) &&
	       rig_receive_buffer(r, &c) == NVSP_STAT_SUCCESS &&
	       make_gpadl(r, RIG_SEND_GPADL, r->send_pfns, RIG_SEND_PAGES) &&
	       rig_send_buffer(r) == NVSP_STAT_SUCCESS && rndis_init(r);
}

bool rig_up(struct rig *r, uint32_t version)
{
	return rig_connect(r, VERSION_WIN10_V5_3) && rig_start(r, version, 1500) &&
	       rig_set_filter(r, 0xd) == RNDIS_STATUS_SUCCESS;
}

bool rig_create_subchannels(struct rig *r, uint32_t count)
{
	struct nvsp_message m = {.type = NVSP_MSG5_TYPE_SUBCHANNEL,
				 .subchannel = {NVSP_SUBCHANNEL_ALLOCATE, count}};

	if (rig_ask(r, &m) != sizeof(m) || m.type != NVSP_MSG5_TYPE_SUBCHANNEL ||
	    m.subchannel.operation != NVSP_STAT_SUCCESS) {
		return false;
	}
	for (unsigned i = 1; i <= m.subchannel.count; i++) {
		if (!rig_open(r, i)) {
			return false;
		}
	}
	rig_run(r);
	return m.subchannel.count == count;
}

/* ---- Packets with memory ---- */

struct ranges {
	uint32_t reserved, count;
	uint8_t bytes[1024];
	uint32_t used;
};

/* A range over data pages from @offset of them. */
static void add_range(struct rig *r, struct ranges *p, uint32_t offset, uint32_t bytes)
{
	const struct vmbus_gpa_range range = {bytes, offset % GMEM_PAGE_BYTES};
	uint32_t pages = (range.offset + bytes + GMEM_PAGE_BYTES - 1) / GMEM_PAGE_BYTES;

	CHECK(p->used + sizeof(range) + pages * 8 <= sizeof(p->bytes));
	memcpy(p->bytes + p->used, &range, sizeof(range));
	memcpy(p->bytes + p->used + sizeof(range), &r->data_pfns[offset / GMEM_PAGE_BYTES],
	       pages * 8);
	p->used += (uint32_t)sizeof(range) + pages * 8;
	p->count++;
}

/* Data that lies in the pages goes in two ranges, as header and payload of Linux do. */
static uint64_t send_memory(struct rig *r, unsigned channel, const struct nvsp_message *m,
			    uint32_t first, uint32_t bytes)
{
	uint64_t id = r->transaction++;
	struct ranges p = {0};

	if (bytes == 0) {
		return fake_guest_send(&r->channels[channel], id, m, sizeof(*m)) ? id : 0;
	}
	add_range(r, &p, first, bytes > 60 ? 60 : bytes);
	if (bytes > 60) {
		add_range(r, &p, first + 60, bytes - 60);
	}
	return fake_guest_write(&r->channels[channel], VMBUS_PACKET_DATA_USING_GPA_DIRECT, true, id,
				&p, 8 + p.used, m, sizeof(*m))
		       ? id
		       : 0;
}

uint64_t rig_send_raw(struct rig *r, unsigned channel, enum rig_way way, unsigned section,
		      const void *messages, uint32_t bytes, uint32_t head)
{
	struct nvsp_message m = {
		.type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
		.rndis = {NVSP_CHANNEL_DATA, NVSP_NO_SECTION, 0},
	};
	uint32_t in_section = way == RIG_PAGES ? 0 : way == RIG_SECTION ? bytes : head;
	const uint32_t offset = 100; /* of the data: not at the start of a page */

	if (way != RIG_PAGES) {
		m.rndis.section = section;
		m.rndis.section_bytes = in_section;
		copy_in(r, r->send_pfns, (size_t)section * NET_SEND_SECTION_BYTES, messages,
			in_section);
	}
	copy_in(r, r->data_pfns, offset, (const uint8_t *)messages + in_section,
		bytes - in_section);
	return send_memory(r, channel, &m, offset, bytes - in_section);
}

uint32_t rig_message(uint8_t *buf, const void *frame, uint32_t bytes, const struct rig_ppi *ppi,
		     unsigned ppis)
{
	struct rndis_header h = {RNDIS_MSG_PACKET, RNDIS_PACKET_BYTES + ppis * 16 + bytes};
	struct rndis_packet p = {.data_offset = (uint32_t)sizeof(p) + ppis * 16,
				 .data_bytes = bytes,
				 .ppi_offset = sizeof(p),
				 .ppi_bytes = ppis * 16};

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + 8, &p, sizeof(p));
	for (unsigned i = 0; i < ppis; i++) {
		const struct rndis_ppi header = {16, ppi[i].type, 12};

		memcpy(buf + RNDIS_PACKET_BYTES + i * 16, &header, 12);
		store_le32(buf + RNDIS_PACKET_BYTES + i * 16 + 12, ppi[i].value);
	}
	memcpy(buf + RNDIS_PACKET_BYTES + ppis * 16, frame, bytes);
	return h.bytes;
}

uint64_t rig_send(struct rig *r, unsigned channel, enum rig_way way, const void *frame,
		  uint32_t bytes, const struct rig_ppi *ppi, unsigned ppis)
{
	uint8_t buf[NET_FRAME_BYTES_MAX + 256];
	uint32_t n = rig_message(buf, frame, bytes, ppi, ppis);
	uint64_t id = rig_send_raw(r, channel, way, (unsigned)(r->transaction % 20), buf, n,
				   RNDIS_PACKET_BYTES + ppis * 16);

	rig_run(r);
	return id;
}

uint32_t rig_status(const struct rig *r, uint64_t transaction)
{
	for (unsigned i = 0; i < r->completion_count; i++) {
		const struct rig_completion *c = &r->completions[i];

		if (c->transaction == transaction) {
			return c->message.type == NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE
				       ? c->message.status
				       : 0;
		}
	}
	return 0;
}

/* ---- RNDIS control ---- */

static const struct rig_message *find_reply(const struct rig *r, const uint8_t *message)
{
	uint32_t type = load_le32(message) | RNDIS_MSG_COMPLETION;

	for (unsigned i = 0; i < r->message_count; i++) {
		const struct rig_message *m = &r->messages[i];

		if (m->kind == NVSP_CHANNEL_CONTROL && load_le32(m->data) == type &&
		    (type == (RNDIS_MSG_RESET | RNDIS_MSG_COMPLETION) ||
		     load_le32(m->data + 8) == load_le32(message + 8))) {
			return m;
		}
	}
	return NULL;
}

uint32_t rig_control(struct rig *r, const void *message, uint32_t bytes, void *ret,
		     uint32_t capacity)
{
	const struct nvsp_message m = {
		.type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
		.rndis = {NVSP_CHANNEL_CONTROL, NVSP_NO_SECTION, 0},
	};
	const struct rig_message *reply;

	copy_in(r, r->data_pfns, 4000, message, bytes);
	if (send_memory(r, 0, &m, 4000, bytes) == 0) {
		return 0;
	}
	rig_run(r);
	reply = find_reply(r, message);
	if (reply == NULL) {
		return 0;
	}
	CHECK(load_le32(reply->data + 4) == reply->bytes);
	memcpy(ret, reply->data, min_u64(capacity, reply->bytes));
	return reply->bytes;
}

uint32_t rig_query(struct rig *r, uint32_t oid, const void *in, uint32_t in_bytes, void *out,
		   uint32_t capacity, uint32_t *ret_bytes)
{
	uint8_t buf[1024], answer[2048];
	const struct rndis_header h = {RNDIS_MSG_QUERY, 28 + in_bytes};
	const struct rndis_query q = {++r->request, oid, in_bytes, sizeof(q), 0};
	struct rndis_query_complete c;
	uint32_t bytes;

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + 8, &q, sizeof(q));
	if (in_bytes != 0) {
		memcpy(buf + 28, in, in_bytes);
	}
	bytes = rig_control(r, buf, 28 + in_bytes, answer, sizeof(answer));
	if (bytes < 8 + sizeof(c)) {
		return UINT32_MAX;
	}
	memcpy(&c, answer + 8, sizeof(c));
	CHECK(c.offset >= sizeof(c) && range_within(c.offset, c.bytes, bytes - 8));
	memcpy(out, answer + 8 + c.offset, min_u64(c.bytes, capacity));
	*ret_bytes = c.bytes;
	return c.status;
}

uint32_t rig_set(struct rig *r, uint32_t oid, const void *in, uint32_t bytes)
{
	uint8_t buf[1200], answer[64];
	const struct rndis_header h = {RNDIS_MSG_SET, 28 + bytes};
	const struct rndis_set s = {++r->request, oid, bytes, sizeof(s), 0};

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + 8, &s, sizeof(s));
	if (bytes != 0) {
		memcpy(buf + 28, in, bytes);
	}
	return rig_control(r, buf, 28 + bytes, answer, sizeof(answer)) == 16
		       ? load_le32(answer + 12)
		       : UINT32_MAX;
}

uint32_t rig_set_filter(struct rig *r, uint32_t filter)
{
	return rig_set(r, OID_GEN_CURRENT_PACKET_FILTER, &filter, sizeof(filter));
}

/* ---- Frames that came ---- */

const uint8_t *rig_data(const struct rig_message *m, uint32_t *ret_bytes)
{
	struct rndis_packet p;

	CHECK(load_le32(m->data) == RNDIS_MSG_PACKET && load_le32(m->data + 4) == m->bytes &&
	      m->bytes >= RNDIS_PACKET_BYTES);
	memcpy(&p, m->data + 8, sizeof(p));
	CHECK(range_within(p.data_offset, p.data_bytes, m->bytes - 8));
	*ret_bytes = p.data_bytes;
	return m->data + 8 + p.data_offset;
}

bool rig_information(const struct rig_message *m, uint32_t type, uint32_t *ret_value)
{
	struct rndis_packet p;
	struct rndis_ppi ppi;

	memcpy(&p, m->data + 8, sizeof(p));
	CHECK(p.ppi_bytes == 0 || range_within(p.ppi_offset, p.ppi_bytes, m->bytes - 8));
	for (uint32_t at = 0; at < p.ppi_bytes; at += ppi.bytes) {
		memcpy(&ppi, m->data + 8 + p.ppi_offset + at, sizeof(ppi));
		CHECK(ppi.bytes == 16 && ppi.offset == 12);
		if (ppi.type == type) {
			*ret_value = load_le32(m->data + 8 + p.ppi_offset + at + 12);
			return true;
		}
	}
	return false;
}

const struct rig_message *rig_frame_message(const struct rig *r, unsigned n)
{
	for (unsigned i = 0; i < r->message_count; i++) {
		if (r->messages[i].kind == NVSP_CHANNEL_DATA && n-- == 0) {
			return &r->messages[i];
		}
	}
	return NULL;
}
