// SPDX-License-Identifier: Apache-2.0
/* A frame, or a part of it, in a suballocation: RNDIS header, what is known about it, and its bytes. */
#include "adapter.h"

#include <string.h>

#define VLAN_PRIORITY_SHIFT 13u
#define VLAN_CFI_SHIFT 12u

/* ---- RNDIS headers ---- */

static uint32_t put_information(uint8_t *buf, uint32_t at, uint32_t type, uint32_t value)
{
	const struct rndis_ppi ppi = {
		.bytes = sizeof(ppi) + sizeof(value), .type = type, .offset = sizeof(ppi)};

	memcpy(buf + at, &ppi, sizeof(ppi));
	store_le32(buf + at + sizeof(ppi), value);
	return at + ppi.bytes;
}

static uint32_t tag_value(uint32_t tci)
{
	return (tci >> VLAN_PRIORITY_SHIFT & 7) | (tci >> VLAN_CFI_SHIFT & 1) << 3 |
	       NET_TAG_VID(tci) << 4;
}

/*
 * What is known of the checksums of @f, the frame in hand or a piece of it. A large segment that is handed on whole was made on this machine
 * and has no checksum to speak of; a guest that takes such segments does not forward them.
 */
static uint32_t checksum_value(const struct net_queue *q, const struct net_frame *f)
{
	const struct net_offload *whole = &q->frame.offload;

	if (f->offload.gso != NET_GSO_NONE) {
		return net_offload_verified(f) | RNDIS_RX_CHECKSUM_TCP_VALUE_INVALID;
	}
	if (whole->gso == NET_GSO_NONE &&
	    !(whole->flags & (NET_OFFLOAD_DATA_VALID | NET_OFFLOAD_NEEDS_CSUM))) {
		return 0;
	}
	return net_offload_verified(f);
}

/* The tag beside the frame, when the guest takes it there. */
static bool tag_beside(const struct net_queue *q, const struct net_frame *f)
{
	return f->tag != NET_TAG_NONE && q->s.capabilities & NVSP_CAPABILITY_8021Q;
}

/* Returns the size of the header; @data_bytes follow it. */
static uint32_t make_header(const struct net_queue *q, const struct net_frame *f,
			    const struct net_part *part, uint32_t data_bytes, uint8_t *buf)
{
	uint32_t at = RNDIS_PACKET_BYTES, checksum = checksum_value(q, f), hash, type = 0;
	struct rndis_packet p = {.data_bytes = data_bytes};
	struct rndis_header h = {.type = RNDIS_MSG_PACKET};

	if (tag_beside(q, f)) {
		at = put_information(buf, at, RNDIS_PPI_8021Q, tag_value(f->tag));
	}
	if (checksum != 0) {
		at = put_information(buf, at, RNDIS_PPI_CHECKSUM, checksum);
	}
	hash = q->s.rss ? net_rss_hash(&q->s.rss_parameters, f, &type) : 0;
	if (type != 0) {
		at = put_information(buf, at, RNDIS_PPI_HASH, hash);
	}
	if (part->split) {
		at = put_information(buf, at, RNDIS_PPI_PACKET_ID,
				     RNDIS_PACKET_ID_VERSION | part->packet_id_flags << 8 |
					     (uint32_t)q->packet_id << 16);
	}
	p.data_offset = at - RNDIS_HEADER_BYTES;
	p.ppi_bytes = at - RNDIS_PACKET_BYTES;
	p.ppi_offset = p.ppi_bytes != 0 ? (uint32_t)sizeof(p) : 0;
	h.bytes = at + data_bytes;
	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), &p, sizeof(p));
	return at;
}

/* ---- A suballocation ---- */

/* Parts of a frame on their way to a suballocation: written a few at a time. */
struct pieces {
	struct net_queue *q;
	size_t to;
	bool written; /* all of them, so far */
	unsigned count;
	size_t bytes;
	struct io_vec vec[4];
};

static void write_pieces(struct pieces *p)
{
	const struct net_settings *s = &p->q->s;

	p->written = p->written &&
		     vmbus_gpadl_write_vec(s->primary, s->receive_gpadl, p->to, p->vec, p->count);
	p->to += p->bytes;
	p->bytes = 0;
	p->count = 0;
}

static void add_piece(struct pieces *p, void *base, size_t bytes)
{
	if (p->count == ARRAY_LEN(p->vec)) {
		write_pieces(p);
	}
	p->vec[p->count++] = (struct io_vec){base, bytes};
	p->bytes += bytes;
}

/* @bytes of what is not in the head of @f, from @offset of the frame. */
static void add_rest(struct pieces *p, const struct net_frame *f, uint32_t offset, uint32_t bytes)
{
	uint32_t skip = offset - f->head_bytes;

	for (unsigned i = 0; i < f->rest_count && bytes != 0; i++) {
		const struct io_vec *v = &f->rest[i];
		size_t n;

		if (skip >= v->bytes) {
			skip -= (uint32_t)v->bytes;
			continue;
		}
		n = min_u64(v->bytes - skip, bytes);
		add_piece(p, (uint8_t *)v->base + skip, n);
		bytes -= (uint32_t)n;
		skip = 0;
	}
}

/* The beginning of the frame, with its tag where the guest does not take it beside. Returns how much there is. */
static uint32_t put_head(const struct net_queue *q, const struct net_frame *f, uint8_t *to)
{
	if (f->tag == NET_TAG_NONE || tag_beside(q, f)) {
		memcpy(to, f->head, f->head_bytes);
		return f->head_bytes;
	}
	memcpy(to, f->head, 12);
	to[12] = 0x81;
	to[13] = 0x00;
	to[14] = (uint8_t)(f->tag >> 8);
	to[15] = (uint8_t)f->tag;
	memcpy(to + 16, f->head + 12, f->head_bytes - 12);
	return f->head_bytes + 4;
}

/* Writes a part of @f, which lies in the head only if it is the first. False: the buffer's pages are not there. */
bool net_part_write(struct net_queue *q, const struct net_frame *f, const struct net_part *part,
		    uint32_t suballoc, uint32_t *ret_bytes)
{
	uint8_t buf[NET_HEADER_BYTES + NET_HEAD_BYTES + 4];
	struct pieces p = {.q = q, .to = (size_t)suballoc * q->s.suballoc_bytes, .written = true};
	uint32_t rest = part->bytes, offset = part->offset, data_bytes = part->bytes;
	uint32_t header, used;

	if (part->offset == 0 && f->tag != NET_TAG_NONE && !tag_beside(q, f)) {
		data_bytes += 4;
	}
	header = make_header(q, f, part, data_bytes, buf);
	used = header;
	if (part->offset == 0) {
		used += put_head(q, f, buf + header);
		rest -= f->head_bytes;
		offset = f->head_bytes;
	}
	*ret_bytes = header + data_bytes;
	add_piece(&p, buf, used);
	add_rest(&p, f, offset, rest);
	write_pieces(&p);
	return p.written;
}
