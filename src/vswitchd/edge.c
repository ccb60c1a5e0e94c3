// SPDX-License-Identifier: Apache-2.0
#include "edge.h"

#include <string.h>

#define MACS_BYTES (2 * NET_MAC_BYTES)
#define TAG_TYPE 0x8100u
#define IP4_TYPE 0x0800u
#define IP6_TYPE 0x86ddu
#define TCP 6u
#define UDP 17u

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t type_of(const struct net_frame *f)
{
	return f->head_bytes >= NET_ETHERNET_BYTES ? get16(f->head + MACS_BYTES) : 0;
}

static bool has_tag(const struct net_frame *f)
{
	return f->tag == NET_TAG_NONE && type_of(f) == TAG_TYPE &&
	       f->head_bytes >= NET_ETHERNET_BYTES + EDGE_TAG_BYTES;
}

/* Offsets that were counted with the tag. */
static void shift_offload(struct net_offload *o)
{
	if ((o->flags & NET_OFFLOAD_NEEDS_CSUM) != 0 && o->csum_start >= EDGE_TAG_BYTES) {
		o->csum_start = (uint16_t)(o->csum_start - EDGE_TAG_BYTES);
	}
	if (o->gso != NET_GSO_NONE && o->header_bytes >= EDGE_TAG_BYTES) {
		o->header_bytes = (uint16_t)(o->header_bytes - EDGE_TAG_BYTES);
	}
}

/* All headers up to the payload: the transport's begin at csum_start. 0: cannot say. */
static uint16_t header_bytes(const struct net_frame *f)
{
	uint32_t at = f->offload.csum_start;
	uint32_t kind = f->offload.gso & (uint8_t)~NET_GSO_ECN;

	if (kind == NET_GSO_UDP) {
		return (uint16_t)(at + 8);
	}
	return at + 13 <= f->head_bytes ? (uint16_t)(at + (f->head[at + 12] >> 4) * 4u) : 0;
}

void edge_from_bytes(struct edge_frame *e, uint8_t *data, uint32_t bytes,
		     const struct net_offload *offload)
{
	struct net_frame *f = &e->frame;
	struct net_offload o = *offload;
	uint32_t tag = NET_TAG_NONE;

	if (bytes >= NET_ETHERNET_BYTES + EDGE_TAG_BYTES && get16(data + MACS_BYTES) == TAG_TYPE) {
		tag = get16(data + NET_ETHERNET_BYTES);
		memmove(data + EDGE_TAG_BYTES, data, MACS_BYTES);
		data += EDGE_TAG_BYTES;
		bytes -= EDGE_TAG_BYTES;
		shift_offload(&o);
	}
	*f = (struct net_frame){.head = data,
				.head_bytes = bytes < NET_HEAD_BYTES ? bytes : NET_HEAD_BYTES,
				.bytes = bytes,
				.tag = tag,
				.offload = o};
	if (bytes > NET_HEAD_BYTES) {
		e->rest = (struct io_vec){data + NET_HEAD_BYTES, bytes - NET_HEAD_BYTES};
		f->rest = &e->rest;
		f->rest_count = 1;
	}
	if (o.gso != NET_GSO_NONE && (o.flags & NET_OFFLOAD_NEEDS_CSUM) != 0) {
		f->offload.header_bytes = header_bytes(f);
	}
}

const struct net_frame *edge_untag(const struct net_frame *f, struct edge_untagged *e)
{
	uint32_t more;

	if (!has_tag(f) || f->rest_count > 1) {
		return f;
	}
	e->frame = *f;
	e->frame.tag = get16(f->head + NET_ETHERNET_BYTES);
	e->frame.bytes -= EDGE_TAG_BYTES;
	shift_offload(&e->frame.offload);
	memcpy(e->head, f->head, MACS_BYTES);
	memcpy(e->head + MACS_BYTES, f->head + MACS_BYTES + EDGE_TAG_BYTES,
	       f->head_bytes - MACS_BYTES - EDGE_TAG_BYTES);
	/* The head is as long as it can be: its end comes from the rest. */
	more = f->bytes - f->head_bytes < EDGE_TAG_BYTES ? f->bytes - f->head_bytes
							 : EDGE_TAG_BYTES;
	net_frame_copy(f, f->head_bytes, e->head + f->head_bytes - EDGE_TAG_BYTES, more);
	e->frame.head = e->head;
	e->frame.head_bytes = f->head_bytes - EDGE_TAG_BYTES + more;
	e->frame.rest_count = f->bytes - f->head_bytes > more;
	if (e->frame.rest_count > 0) {
		e->rest[0] =
			(struct io_vec){(uint8_t *)f->rest[0].base + more, f->rest[0].bytes - more};
	}
	e->frame.rest = e->rest;
	return &e->frame;
}

static bool add(struct edge_pieces *p, const void *base, size_t bytes)
{
	if (p->count == EDGE_PIECES_MAX) {
		return false;
	}
	if (bytes > 0) {
		p->iov[p->count++] = (struct iovec){(void *)(uintptr_t)base, bytes};
	}
	return true;
}

bool edge_to_pieces(const struct net_frame *f, struct edge_pieces *ret)
{
	ret->offload = f->offload;
	ret->count = 0;
	add(ret, &ret->offload, sizeof(ret->offload));
	if (f->tag == NET_TAG_NONE) {
		add(ret, f->head, f->head_bytes);
	} else {
		ret->tag[0] = TAG_TYPE >> 8;
		ret->tag[1] = TAG_TYPE & 0xff;
		ret->tag[2] = (uint8_t)(f->tag >> 8);
		ret->tag[3] = (uint8_t)f->tag;
		if ((f->offload.flags & NET_OFFLOAD_NEEDS_CSUM) != 0) {
			ret->offload.csum_start =
				(uint16_t)(f->offload.csum_start + EDGE_TAG_BYTES);
		}
		if (f->offload.gso != NET_GSO_NONE) {
			ret->offload.header_bytes =
				(uint16_t)(f->offload.header_bytes + EDGE_TAG_BYTES);
		}
		add(ret, f->head, MACS_BYTES);
		add(ret, ret->tag, sizeof(ret->tag));
		add(ret, f->head + MACS_BYTES, f->head_bytes - MACS_BYTES);
	}
	for (unsigned i = 0; i < f->rest_count; i++) {
		if (!add(ret, f->rest[i].base, f->rest[i].bytes)) {
			return false;
		}
	}
	return true;
}
