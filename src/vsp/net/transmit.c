// SPDX-License-Identifier: Apache-2.0
/*
 * Frames from the guest. A packet names memory: a part of a send section, then pages; together they hold one or more RNDIS messages. What is
 * decided by is copied once; payload is handed to the port where it lies.
 */
#include "adapter.h"

#include <string.h>

#define PPI_BYTES_MAX 256u
#define ETHERTYPE_8021Q 0x8100u

/* ---- The packet's memory ---- */

static const char *view_section(struct net_queue *q, const struct nvsp_rndis *m)
{
	const struct net_settings *s = &q->s;
	int count;

	if (m->section == NVSP_NO_SECTION) {
		return NULL;
	}
	if (!s->send || m->section >= s->sections || m->section_bytes > NET_SEND_SECTION_BYTES) {
		return "a send section that is not there";
	}
	count = vmbus_gpadl_map(s->primary, s->send_gpadl,
				(size_t)m->section * NET_SEND_SECTION_BYTES, m->section_bytes,
				GMEM_R, q->view.vec, NET_VECS);
	if (count < 0) {
		return "a send section whose pages are not there";
	}
	q->view.count = (unsigned)count;
	q->view.bytes = m->section_bytes;
	return NULL;
}

/* The sum of the ranges; each was found to lie within the packet when it was read. */
static uint64_t ranges_bytes(const struct vmbus_packet *p)
{
	const uint8_t *at = p->ranges;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < p->range_count; i++) {
		struct vmbus_gpa_range range;
		uint64_t pages;

		memcpy(&range, at, sizeof(range));
		pages = ((uint64_t)range.bytes + range.offset + VMBUS_PAGE_BYTES - 1) /
			VMBUS_PAGE_BYTES;
		at += sizeof(range) + pages * sizeof(uint64_t);
		sum += range.bytes;
	}
	return sum;
}

static const char *view_pages(struct net_queue *q)
{
	struct net_view *v = &q->view;
	uint64_t bytes;
	int count;

	if (q->p.type != VMBUS_PACKET_DATA_USING_GPA_DIRECT) {
		return NULL;
	}
	bytes = ranges_bytes(&q->p);
	count = vmbus_ranges_map(q->vmbus, &q->p, bytes, GMEM_R, v->vec + v->count,
				 NET_VECS - v->count);
	if (count < 0) {
		return "pages that are not there, or too many pieces of them";
	}
	v->count += (unsigned)count;
	v->bytes += bytes;
	return NULL;
}

static const char *view_packet(struct net_queue *q, const struct nvsp_rndis *m)
{
	const char *wrong;

	q->view.count = 0;
	q->view.bytes = 0;
	wrong = view_section(q, m);
	return wrong != NULL ? wrong : view_pages(q);
}

/* ---- What the guest says about a frame ---- */

static void note(struct net_request *r, uint32_t type, uint32_t value)
{
	switch (type) {
	case RNDIS_PPI_CHECKSUM:
		r->has_checksum = true;
		r->checksum = value;
		break;
	case RNDIS_PPI_LSO:
		r->has_lso = true;
		r->lso = value;
		break;
	case RNDIS_PPI_8021Q:
		r->has_tag = true;
		r->tag = (value & 7) << 13 | (value >> 3 & 1) << 12 | (value >> 4 & 0xfff);
		break;
	default: /* hash values and the like are of no use to us */
		break;
	}
}

/* The run of per-packet information at @offset of the view. False: it does not add up. */
static bool read_information(const struct net_view *v, size_t offset, uint32_t bytes,
			     struct net_request *r)
{
	uint8_t buf[PPI_BYTES_MAX];
	uint32_t at = 0;

	if (bytes > sizeof(buf)) {
		return false;
	}
	net_view_copy(v, offset, buf, bytes);
	while (at != bytes) {
		struct rndis_ppi ppi;

		if (bytes - at < sizeof(ppi)) {
			return false;
		}
		memcpy(&ppi, buf + at, sizeof(ppi));
		if (ppi.bytes < sizeof(ppi) || ppi.bytes > bytes - at || ppi.offset > ppi.bytes) {
			return false;
		}
		if (ppi.bytes - ppi.offset >= sizeof(uint32_t)) {
			note(r, ppi.type, load_le32(buf + at + ppi.offset));
		}
		at += ppi.bytes;
	}
	return true;
}

/* ---- A frame ---- */

/* A tag in the frame travels beside it, as everywhere in the house, unless there is one beside it already. */
static void take_out_tag(struct net_frame *f, uint8_t *head, uint32_t *copied)
{
	if (f->tag != NET_TAG_NONE || *copied < NET_ETHERNET_BYTES + 4 ||
	    (head[12] << 8 | head[13]) != ETHERTYPE_8021Q) {
		return;
	}
	f->tag = (uint32_t)(head[14] << 8 | head[15]);
	*copied -= 4;
	f->bytes -= 4;
	memmove(head + 12, head + 16, *copied - 12);
}

/* The frame of @bytes at @offset of the view. NULL, or what is wrong with it. */
static const char *make_frame(struct net_queue *q, size_t offset, uint32_t bytes,
			      const struct net_request *r, struct net_frame *f)
{
	uint32_t copied = (uint32_t)min_u64(bytes, NET_HEAD_BYTES);
	size_t rest = offset + copied;
	const char *wrong;

	if (bytes < NET_ETHERNET_BYTES) {
		return "a frame without an Ethernet header";
	}
	if (bytes > (r->has_lso ? NET_FRAME_BYTES_MAX
				: q->s.mtu + NET_ETHERNET_BYTES + 8)) { /* and two tags */
		return "a frame longer than the MTU allows";
	}
	*f = (struct net_frame){.head = q->head, .bytes = bytes, .tag = NET_TAG_NONE};
	f->tag = r->has_tag ? r->tag : NET_TAG_NONE;
	net_view_copy(&q->view, offset, q->head, copied);
	take_out_tag(f, q->head, &copied);
	if (copied < NET_HEAD_BYTES && copied < f->bytes) { /* the four bytes of the tag */
		uint32_t more = (uint32_t)min_u64(NET_HEAD_BYTES, f->bytes) - copied;

		net_view_copy(&q->view, rest, q->head + copied, more);
		copied += more;
		rest += more;
	}
	f->head_bytes = copied;
	f->rest = q->rest;
	f->rest_count = net_view_slice(&q->view, rest, f->bytes - copied, q->rest);
	wrong = net_offload_apply(f, q->head, r, q->net->config.takes);
	return wrong != NULL ? wrong : net_frame_check(f);
}

/* False: the port has no room. An adapter that leaves does not wait for it. */
static bool send(struct net_queue *q, const struct net_frame *f)
{
	const struct vsp_net_config *c = &q->net->config;

	q->port_used = true;
	if (!c->port->send(c->port_ctx, q->index, f)) {
		if (!net_leaving(q->net)) {
			return false;
		}
		net_count(&q->counters.tx_dropped, 1);
		return true;
	}
	net_count(&q->counters.tx_frames, 1);
	net_count(&q->counters.tx_bytes, f->bytes);
	return true;
}

static void drop(struct net_queue *q, enum net_violation kind, const char *wrong)
{
	q->failed = true;
	net_count(&q->counters.tx_dropped, 1);
	net_report(q->net, kind, "queue %u: %s", q->index, wrong);
}

/* The data message of @bytes at q->at. False: the port has no room. */
static bool data_message(struct net_queue *q, uint32_t bytes)
{
	size_t inside = q->at + RNDIS_HEADER_BYTES; /* what offsets count from */
	uint32_t limit = bytes - RNDIS_HEADER_BYTES;
	struct net_request r = {0};
	struct rndis_packet p;
	struct net_frame f;
	const char *wrong;

	if (limit < sizeof(p)) {
		drop(q, VIOLATION_RNDIS, "an RNDIS packet shorter than its header");
		return true;
	}
	net_view_copy(&q->view, inside, &p, sizeof(p));
	if (!range_within(p.data_offset, p.data_bytes, limit) ||
	    !range_within(p.ppi_offset, p.ppi_bytes, limit)) {
		drop(q, VIOLATION_RNDIS, "an RNDIS packet whose data lies outside of it");
		return true;
	}
	if (!read_information(&q->view, inside + p.ppi_offset, p.ppi_bytes, &r)) {
		drop(q, VIOLATION_RNDIS, "an RNDIS packet whose information does not add up");
		return true;
	}
	wrong = make_frame(q, inside + p.data_offset, p.data_bytes, &r, &f);
	if (wrong != NULL) {
		drop(q, VIOLATION_FRAME, wrong);
		return true;
	}
	return send(q, &f);
}

/* ---- Messages ---- */

static void control_message(struct net_queue *q, uint32_t bytes)
{
	struct vsp_net *n = q->net;

	if (q->index != 0 || bytes > sizeof(n->request)) {
		q->failed = true;
		net_report(n, VIOLATION_CONTROL,
			   "queue %u: RNDIS control message of %u bytes, expected at most %zu on "
			   "queue 0",
			   q->index, bytes, sizeof(n->request));
		return;
	}
	net_view_copy(&q->view, q->at, n->request, bytes);
	q->failed |= !net_rndis_control(n, bytes);
}

/* The header was copied once, but control messages are copied again: they are judged by that copy. */
static bool one_message(struct net_queue *q, const struct rndis_header *h)
{
	if (h->type != RNDIS_MSG_PACKET) {
		control_message(q, h->bytes);
		return true;
	}
	if (!q->s.rndis) {
		drop(q, VIOLATION_ORDER, "a frame before RNDIS is initialized");
		return true;
	}
	return data_message(q, h->bytes);
}

/* Less than a header at the end is padding. */
enum net_transmit net_transmit(struct net_queue *q, const struct nvsp_rndis *m)
{
	const char *wrong = view_packet(q, m);
	unsigned messages = 0;
	struct rndis_header h;

	if (wrong != NULL || q->view.bytes < sizeof(h)) {
		drop(q, VIOLATION_MEMORY, wrong != NULL ? wrong : "a packet without a message");
		return NET_TRANSMIT_MALFORMED;
	}
	while (q->at < q->view.bytes && q->view.bytes - q->at >= sizeof(h)) {
		net_view_copy(&q->view, q->at, &h, sizeof(h));
		if (h.bytes < sizeof(h) || h.bytes > q->view.bytes - q->at) {
			drop(q, VIOLATION_RNDIS, "an RNDIS message longer than its packet");
			break;
		}
		if (messages++ == NET_MESSAGES_MAX) {
			drop(q, VIOLATION_RNDIS, "a packet of more messages than we take");
			break;
		}
		if (!one_message(q, &h)) {
			return NET_TRANSMIT_HELD;
		}
		q->at += h.bytes;
	}
	return q->failed ? NET_TRANSMIT_MALFORMED : NET_TRANSMIT_DONE;
}
