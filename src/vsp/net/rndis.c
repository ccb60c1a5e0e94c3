// SPDX-License-Identifier: Apache-2.0
/*
 * RNDIS control messages and their answers. Answers go through the receive buffer like frames; while there is no room for one it waits in a
 * short row, and a guest that asks on while that is full is refused.
 */
#include "adapter.h"

#include <string.h>

#include "lib/check.h"

/* ---- The row of answers ---- */

bool net_rndis_reply(struct vsp_net *n, const void *message, uint32_t bytes)
{
	struct net_reply *r;

	CHECK(bytes <= NET_REPLY_BYTES);
	if (n->reply_count == NET_REPLIES) {
		return false;
	}
	r = &n->replies[(n->reply_first + n->reply_count++) % NET_REPLIES];
	r->generation = __atomic_load_n(&n->generation, __ATOMIC_SEQ_CST);
	r->bytes = bytes;
	memcpy(r->message, message, bytes);
	return true;
}

/* True: it is the guest's. */
static bool send_reply(struct net_queue *q, const struct net_reply *r)
{
	const struct nvsp_message m = {
		.type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
		.rndis = {.channel = NVSP_CHANNEL_CONTROL, .section = NVSP_NO_SECTION},
	};
	struct net_pool *pool = &q->net->pool;
	uint32_t suballoc = net_pool_take_reserved(q);
	struct vmbus_xfer_range range;

	if (suballoc == NET_SUBALLOC_NONE) {
		return false; /* a completion will come, and be looked at */
	}
	range = (struct vmbus_xfer_range){r->bytes, suballoc * q->s.suballoc_bytes};
	pool->next[suballoc] = NET_SUBALLOC_NONE;
	if (!vmbus_gpadl_write(q->s.primary, q->s.receive_gpadl, range.offset, r->message,
			       r->bytes)) {
		net_report(q->net, VIOLATION_MEMORY,
			   "an answer: the receive buffer's pages are not there");
		net_pool_give(q, suballoc);
		return true;
	}
	if (!net_queue_written(q,
			       vmbus_ring_write_xfer(q->vmbus, suballoc + UINT64_C(1),
						     q->s.receive_id, &range, 1, &m, sizeof(m)))) {
		if (!q->broken) {
			net_pool_give(q, suballoc);
		}
		return !q->blocked;
	}
	net_pool_lend(q, suballoc);
	return true;
}

static void send_replies(struct net_queue *q)
{
	struct vsp_net *n = q->net;

	while (n->reply_count != 0 && !q->blocked && !q->broken) {
		const struct net_reply *r = &n->replies[n->reply_first];

		if (!q->s.receive || !net_settled(n, r->generation) || !send_reply(q, r)) {
			return;
		}
		n->reply_first = (n->reply_first + 1) % NET_REPLIES;
		n->reply_count--;
	}
}

/* ---- Indications ---- */

struct indication {
	struct rndis_header header;
	struct rndis_indicate indicate;
	uint32_t value;
};

static bool indicate(struct vsp_net *n, uint32_t status, const uint32_t *value)
{
	struct indication m = {
		.header.type = RNDIS_MSG_INDICATE,
		.indicate = {.status = status, .offset = sizeof(m.indicate)},
	};

	m.header.bytes = offsetof(struct indication, value);
	if (value != NULL) {
		m.indicate.bytes = sizeof(*value);
		m.header.bytes = sizeof(m);
		m.value = *value;
	}
	return net_rndis_reply(n, &m, m.header.bytes);
}

/* A link that goes up says as much by itself. */
static void tell_network(struct vsp_net *n)
{
	if (__atomic_load_n(&n->network_changed, __ATOMIC_ACQUIRE) &&
	    (!n->link_told || indicate(n, RNDIS_STATUS_NETWORK_CHANGE, NULL))) {
		__atomic_store_n(&n->network_changed, false, __ATOMIC_RELEASE);
	}
}

static void tell_link(struct vsp_net *n)
{
	bool up = net_link_up(n);
	uint64_t bps = __atomic_load_n(&n->link_bps, __ATOMIC_ACQUIRE);
	uint32_t speed = (uint32_t)min_u64(bps / 100, UINT32_MAX);

	if (up != n->link_told &&
	    indicate(n, up ? RNDIS_STATUS_MEDIA_CONNECT : RNDIS_STATUS_MEDIA_DISCONNECT, NULL)) {
		n->link_told = up;
	}
	if (bps != n->link_bps_told && indicate(n, RNDIS_STATUS_LINK_SPEED_CHANGE, &speed)) {
		n->link_bps_told = bps;
	}
}

void net_rndis_serve(struct net_queue *q)
{
	struct vsp_net *n = q->net;

	if (q->s.rndis) {
		tell_network(n);
		tell_link(n);
	}
	send_replies(q);
}

/* ---- Requests ---- */

/* A message as it will be sent. */
struct message {
	struct rndis_header header;
	union {
		struct rndis_init_complete init;
		struct rndis_query_complete query;
		struct rndis_set_complete set;
		struct rndis_reset_complete reset;
	};
};

static bool reply(struct vsp_net *n, uint32_t type, struct message *m, size_t bytes)
{
	m->header.type = type | RNDIS_MSG_COMPLETION;
	m->header.bytes = (uint32_t)(RNDIS_HEADER_BYTES + bytes);
	return net_rndis_reply(n, m, m->header.bytes);
}

static bool init(struct vsp_net *n, const uint8_t *body, uint32_t bytes)
{
	struct message m = {0};
	struct rndis_init r;

	memcpy(&r, body, sizeof(r));
	m.init = (struct rndis_init_complete){
		.request = r.request,
		.status = RNDIS_STATUS_SUCCESS,
		.major = 1,
		.device_flags = RNDIS_DEVICE_CONNECTIONLESS,
		.max_packets = NET_RNDIS_MAX_PACKETS,
		.max_transfer = NET_RNDIS_MAX_PACKETS * NET_FRAME_BYTES_MAX,
		.alignment_shift = NET_RNDIS_ALIGNMENT_SHIFT,
	};
	if (r.major != 1) {
		m.init.status = RNDIS_STATUS_NOT_SUPPORTED;
	} else {
		/* The guest asks for the link itself, from now on. */
		n->link_told = net_link_up(n);
		n->link_bps_told = __atomic_load_n(&n->link_bps, __ATOMIC_ACQUIRE);
		net_settings_change(n)->rndis = true;
		net_settings_changed(n);
	}
	return reply(n, RNDIS_MSG_INIT, &m, sizeof(m.init));
}

/* Nothing comes or goes until the next INIT. There is no answer. */
static bool halt(struct vsp_net *n, const uint8_t *body, uint32_t bytes)
{
	struct net_settings *s = net_settings_change(n);

	s->rndis = false;
	s->filter = 0;
	s->multicasts = 0;
	net_settings_changed(n);
	return true;
}

static bool query(struct vsp_net *n, const uint8_t *body, uint32_t bytes)
{
	const uint32_t head_bytes = RNDIS_HEADER_BYTES + sizeof(struct rndis_query_complete);
	uint8_t buf[NET_REPLY_BYTES];
	struct net_out out = {.buf = buf + head_bytes, .capacity = sizeof(buf) - head_bytes};
	struct message m = {0};
	struct rndis_query r;

	memcpy(&r, body, sizeof(r));
	m.query = (struct rndis_query_complete){
		.request = r.request,
		.status = RNDIS_STATUS_INVALID_DATA,
		.offset = sizeof(m.query),
	};
	if (range_within(r.offset, r.bytes, bytes)) {
		m.query.status = net_oid_query(n, r.oid, body + r.offset, r.bytes, &out);
	}
	CHECK(out.bytes <= out.capacity);
	m.query.bytes = m.query.status == RNDIS_STATUS_SUCCESS ? out.bytes : 0;
	m.header.type = RNDIS_MSG_QUERY | RNDIS_MSG_COMPLETION;
	m.header.bytes = head_bytes + m.query.bytes;
	memcpy(buf, &m, head_bytes);
	return net_rndis_reply(n, buf, m.header.bytes);
}

/* There has to be room for the answer before the guest's wish is carried out. */
static bool set(struct vsp_net *n, const uint8_t *body, uint32_t bytes)
{
	struct message m = {0};
	struct rndis_set r;

	memcpy(&r, body, sizeof(r));
	m.set.request = r.request;
	if (!range_within(r.offset, r.bytes, bytes)) {
		m.set.status = RNDIS_STATUS_INVALID_DATA;
	} else {
		m.set.status = net_oid_set(n, r.oid, body + r.offset, r.bytes);
	}
	return reply(n, RNDIS_MSG_SET, &m, sizeof(m.set));
}

/* What the guest set stays; it need not set it again. */
static bool reset(struct vsp_net *n, const uint8_t *body, uint32_t bytes)
{
	struct message m = {.reset.status = RNDIS_STATUS_SUCCESS};

	return reply(n, RNDIS_MSG_RESET, &m, sizeof(m.reset));
}

static bool keepalive(struct vsp_net *n, const uint8_t *body, uint32_t bytes)
{
	struct message m = {0};

	m.set = (struct rndis_set_complete){.request = load_le32(body),
					    .status = RNDIS_STATUS_SUCCESS};
	return reply(n, RNDIS_MSG_KEEPALIVE, &m, sizeof(m.set));
}

/* ---- Which message ---- */

struct control {
	uint32_t type;
	uint32_t bytes; /* of the body, at least */
	bool before_init;
	bool (*run)(struct vsp_net *n, const uint8_t *body, uint32_t bytes);
};

static const struct control controls[] = {
	{RNDIS_MSG_INIT, sizeof(struct rndis_init), true, init},
	{RNDIS_MSG_HALT, 0, true, halt},
	{RNDIS_MSG_QUERY, sizeof(struct rndis_query), false, query},
	{RNDIS_MSG_SET, sizeof(struct rndis_set), false, set},
	{RNDIS_MSG_RESET, 0, false, reset},
	{RNDIS_MSG_KEEPALIVE, sizeof(uint32_t), false, keepalive},
};

static const struct control *find_control(uint32_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(controls); i++) {
		if (controls[i].type == type) {
			return &controls[i];
		}
	}
	return NULL;
}

bool net_rndis_control(struct vsp_net *n, uint32_t bytes)
{
	uint32_t type = load_le32(n->request), body_bytes = bytes - RNDIS_HEADER_BYTES;
	const struct control *c = find_control(type);

	if (c == NULL || body_bytes < c->bytes || !(n->settings.rndis || c->before_init)) {
		net_report(n, VIOLATION_CONTROL,
			   "RNDIS message 0x%x of %u bytes%s: unknown, too short or too early",
			   type, bytes, n->settings.rndis ? "" : " before INIT");
		return false;
	}
	if (n->reply_count == NET_REPLIES) {
		net_report(n, VIOLATION_CONTROL,
			   "RNDIS message 0x%x while %u answers wait for the guest", type,
			   NET_REPLIES);
		return false;
	}
	return c->run(n, n->request + RNDIS_HEADER_BYTES, body_bytes);
}
