// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "checksum.h"
#include "headers.h"
#include "lib/be.h"
#include "lib/check.h"
#include "vswitch/frame.h"

enum { TCP_FIN = 0x01, TCP_PSH = 0x08, TCP_CWR = 0x80 };

/* A large segment on its way to small ones. */
struct cut {
	const struct net_frame *f;
	struct net_headers h;
	bool fill; /* the receiver wants whole checksums */
	uint8_t *scratch;
	uint32_t done, payload; /* bytes */
	unsigned index;
};

/* A frame of @bytes in @scratch. */
static struct net_frame frame_of(const struct net_frame *like, uint8_t *scratch, uint32_t bytes,
				 struct io_vec *rest)
{
	uint32_t head_bytes = (uint32_t)min_u64(bytes, NET_HEAD_BYTES);

	*rest = (struct io_vec){scratch + head_bytes, bytes - head_bytes};
	return (struct net_frame){.head = scratch,
				  .head_bytes = head_bytes,
				  .bytes = bytes,
				  .rest = rest,
				  .rest_count = rest->bytes != 0,
				  .tag = like->tag};
}

static bool fill_checksum(const struct net_frame *f, uint8_t *scratch,
			  bool (*out)(void *ctx, const struct net_frame *f), void *ctx)
{
	uint32_t start = f->offload.csum_start;
	uint8_t *field = scratch + start + f->offload.csum_offset;
	struct io_vec rest;
	struct net_frame g;

	net_frame_copy(f, 0, scratch, f->bytes);
	/* the field holds the sum of the pseudo header, so it is summed up with the rest */
	store_le16(field, net_sum_finish(net_sum(0, scratch + start, f->bytes - start)));
	g = frame_of(f, scratch, f->bytes, &rest);
	g.offload.flags = NET_OFFLOAD_DATA_VALID;
	return out(ctx, &g);
}

/* ---- Cutting ---- */

static void write_ip(const struct cut *c, uint32_t bytes)
{
	uint8_t *ip = c->scratch + c->h.l3;

	if (c->h.family == 6) {
		store_be16(ip + 4, (uint16_t)(bytes - c->h.l3 - IPV6_HEADER_BYTES));
		return;
	}
	store_be16(ip + 2, (uint16_t)(bytes - c->h.l3));
	store_be16(ip + 4, (uint16_t)(load_be16(ip + 4) + c->index));
	store_le16(ip + 10, 0);
	store_le16(ip + 10, (uint16_t)~net_sum_fold(net_sum(0, ip, (size_t)(c->h.l4 - c->h.l3))));
}

static void write_tcp(const struct cut *c, uint32_t payload)
{
	uint8_t *tcp = c->scratch + c->h.l4;

	store_be32(tcp + 4, load_be32(tcp + 4) + c->done);
	if (c->done + payload < c->payload) {
		tcp[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	}
	if (c->done != 0) {
		tcp[13] &= (uint8_t)~TCP_CWR;
	}
}

static void write_checksum(const struct cut *c, struct net_frame *g)
{
	const struct net_offload *o = &c->f->offload;
	uint32_t l4_bytes = g->bytes - c->h.l4;
	uint8_t *l4 = c->scratch + c->h.l4, *field = l4 + o->csum_offset;
	uint64_t pseudo = net_sum_pseudo(&c->h, c->scratch, l4_bytes);

	store_le16(field, 0);
	if (c->fill) {
		store_le16(field, net_sum_finish(net_sum(pseudo, l4, l4_bytes)));
		g->offload.flags = NET_OFFLOAD_DATA_VALID;
		return;
	}
	store_le16(field, net_sum_fold(pseudo));
	g->offload = (struct net_offload){.flags = NET_OFFLOAD_NEEDS_CSUM,
					  .csum_start = o->csum_start,
					  .csum_offset = o->csum_offset};
}

static bool cut_next(struct cut *c, bool (*out)(void *ctx, const struct net_frame *f), void *ctx)
{
	const struct net_offload *o = &c->f->offload;
	uint32_t payload = (uint32_t)min_u64(o->gso_bytes, c->payload - c->done);
	uint32_t bytes = o->header_bytes + payload;
	struct io_vec rest;
	struct net_frame g = frame_of(c->f, c->scratch, bytes, &rest);

	memcpy(c->scratch, c->f->head, o->header_bytes);
	net_frame_copy(c->f, o->header_bytes + c->done, c->scratch + o->header_bytes, payload);
	write_ip(c, bytes);
	if (c->h.protocol == IP_TCP) {
		write_tcp(c, payload);
	} else {
		store_be16(c->scratch + c->h.l4 + 4, (uint16_t)(bytes - c->h.l4));
	}
	write_checksum(c, &g);
	c->done += payload;
	c->index++;
	return out(ctx, &g);
}

static unsigned cut_all(const struct net_frame *f, bool fill, uint8_t *scratch,
			bool (*out)(void *ctx, const struct net_frame *f), void *ctx)
{
	struct cut c = {.f = f,
			.fill = fill,
			.scratch = scratch,
			.payload = f->bytes - f->offload.header_bytes};

	CHECK(f->offload.header_bytes <= f->head_bytes && f->offload.gso_bytes != 0);
	net_headers_parse(f->head, f->head_bytes, &c.h);
	while (c.done < c.payload) {
		if (!cut_next(&c, out, ctx)) {
			return c.index - 1;
		}
	}
	return c.index;
}

/* The bit of @takes for frames as @o describes. */
static unsigned needed(const struct net_offload *o)
{
	switch (o->gso & ~NET_GSO_ECN) {
	case NET_GSO_TCPV4:
		return NET_TAKES_CSUM | NET_TAKES_TSO4;
	case NET_GSO_TCPV6:
		return NET_TAKES_CSUM | NET_TAKES_TSO6;
	case NET_GSO_UDP:
		return NET_TAKES_CSUM | NET_TAKES_USO;
	default:
		return (o->flags & NET_OFFLOAD_NEEDS_CSUM) != 0 ? NET_TAKES_CSUM : 0;
	}
}

unsigned net_frame_fit(const struct net_frame *f, unsigned takes, uint8_t *scratch,
		       bool (*out)(void *ctx, const struct net_frame *f), void *ctx)
{
	if ((needed(&f->offload) & ~takes) == 0) {
		return out(ctx, f) ? 1 : 0;
	}
	if (f->offload.gso == NET_GSO_NONE) {
		return fill_checksum(f, scratch, out, ctx) ? 1 : 0;
	}
	return cut_all(f, (takes & NET_TAKES_CSUM) == 0, scratch, out, ctx);
}

bool net_frame_finish(uint8_t *data, uint32_t bytes, const struct net_offload *o)
{
	const struct net_frame f = {.offload = *o};
	struct net_frame g = {.bytes = bytes};
	struct cut c = {.f = &f, .fill = true, .scratch = data};
	uint8_t *field = data + o->csum_start + o->csum_offset;

	if ((o->flags & NET_OFFLOAD_NEEDS_CSUM) == 0) {
		return true;
	}
	if (o->gso == NET_GSO_NONE) {
		/* as in fill_checksum: the pseudo header's sum is there already */
		store_le16(field,
			   net_sum_finish(net_sum(0, data + o->csum_start, bytes - o->csum_start)));
		return true;
	}
	net_headers_parse(data, (uint32_t)min_u64(bytes, NET_HEAD_BYTES), &c.h);
	if (bytes - c.h.l3 - (c.h.family == 6 ? IPV6_HEADER_BYTES : 0) > UINT16_MAX) {
		return false;
	}
	write_ip(&c, bytes);
	if (c.h.protocol != IP_TCP) {
		store_be16(data + c.h.l4 + 4, (uint16_t)(bytes - c.h.l4));
	}
	write_checksum(&c, &g);
	return true;
}
