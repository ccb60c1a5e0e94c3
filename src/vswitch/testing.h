/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: packets built piece by piece, with a checksum that is computed the plain way; and a switch with ports that count. */
#ifndef VSWITCH_TESTING_H
#define VSWITCH_TESTING_H

#include <stdlib.h>
#include <string.h>

#include "headers.h"
#include "lib/be.h"
#include "lib/check.h"
#include "vswitch/vswitch.h"

/* ---- Packets ---- */

struct packet {
	uint8_t bytes[NET_FRAME_BYTES_MAX + 256];
	uint32_t count;
	uint32_t l3, l4;
	uint8_t family, protocol;
	struct net_offload offload;
	struct io_vec rest[3];
};

/* A private address with number @n. */
#define MAC(n) ((const uint8_t[]){2, 0, 0, 0, (uint8_t)((n) >> 8), (uint8_t)(n)})
#define MAC_ALL ((const uint8_t[]){255, 255, 255, 255, 255, 255})
/* fe80::@n */
#define LINK_LOCAL(n) ((const uint8_t[]){0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (n)})

static inline void packet_add(struct packet *p, const void *bytes, uint32_t count)
{
	CHECK(p->count + count <= sizeof(p->bytes));
	memcpy(p->bytes + p->count, bytes, count);
	p->count += count;
}

static inline void packet_add16(struct packet *p, uint16_t value)
{
	uint8_t b[2];

	store_be16(b, value);
	packet_add(p, b, 2);
}

static inline void packet_add32(struct packet *p, uint32_t value)
{
	uint8_t b[4];

	store_be32(b, value);
	packet_add(p, b, 4);
}

/* Bytes that tell their place. */
static inline void packet_fill(struct packet *p, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint8_t b = (uint8_t)(i * 7 + (i >> 8) * 31 + 1);

		packet_add(p, &b, 1);
	}
}

static inline void packet_ethernet(struct packet *p, const uint8_t *to, const uint8_t *from,
				   uint16_t type)
{
	p->count = p->l3 = p->l4 = 0;
	p->family = 0;
	p->offload = (struct net_offload){0};
	packet_add(p, to, 6);
	packet_add(p, from, 6);
	packet_add16(p, type);
}

static inline void packet_ipv4(struct packet *p, uint32_t from, uint32_t to, uint8_t protocol)
{
	static const uint8_t start[] = {0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 64};

	p->l3 = p->count;
	packet_add(p, start, sizeof(start));
	packet_add(p, &protocol, 1);
	packet_add16(p, 0);
	packet_add32(p, from);
	packet_add32(p, to);
	p->l4 = p->count;
	p->family = 4;
	p->protocol = protocol;
}

static inline void packet_ipv6(struct packet *p, const uint8_t *from, const uint8_t *to,
			       uint8_t next, uint8_t hops)
{
	p->l3 = p->count;
	packet_add32(p, 0x60000000);
	packet_add16(p, 0);
	packet_add(p, &next, 1);
	packet_add(p, &hops, 1);
	packet_add(p, from, 16);
	packet_add(p, to, 16);
	p->l4 = p->count;
	p->family = 6;
	p->protocol = next;
}

/* An extension header of 8 bytes whose last bytes are @data; @next follows. */
static inline void packet_extension(struct packet *p, uint8_t next, uint16_t data)
{
	const uint8_t header[8] = {next, 0, (uint8_t)(data >> 8), (uint8_t)data};

	packet_add(p, header, 8);
	p->l4 = p->count;
	p->protocol = next;
}

static inline void packet_udp(struct packet *p, uint16_t from, uint16_t to)
{
	packet_add16(p, from);
	packet_add16(p, to);
	packet_add32(p, 0);
}

static inline void packet_tcp(struct packet *p, uint16_t from, uint16_t to, uint32_t sequence,
			      uint8_t flags)
{
	packet_add16(p, from);
	packet_add16(p, to);
	packet_add32(p, sequence);
	packet_add32(p, 0x11223344);
	packet_add16(p, (uint16_t)(0x5000 | flags));
	packet_add32(p, 0x20000000);
	packet_add16(p, 0);
}

/* RFC 1071 as written: 16-bit words in network order, one by one. */
static inline uint32_t plain_sum(uint32_t sum, const uint8_t *at, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		sum += (i & 1) != 0 ? at[i] : (uint32_t)at[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

/* Of what is at and behind l4, with the pseudo header; 0xffff when the checksum in it is right. */
static inline uint16_t plain_l4_sum(const struct packet *p)
{
	uint32_t bytes = p->count - p->l4;
	uint32_t sum = p->family == 4 ? plain_sum(0, p->bytes + p->l3 + 12, 8)
				      : plain_sum(0, p->bytes + p->l3 + 8, 32);

	sum = plain_sum(sum, (const uint8_t[]){0, p->protocol}, 2);
	sum = plain_sum(sum, (const uint8_t[]){(uint8_t)(bytes >> 8), (uint8_t)bytes}, 2);
	return (uint16_t)plain_sum(sum, p->bytes + p->l4, bytes);
}

static inline uint32_t packet_checksum_at(const struct packet *p)
{
	return p->protocol == IP_TCP ? 16 : p->protocol == IP_UDP ? 6 : 2;
}

/* Fills in lengths and checksums. */
static inline void packet_finish(struct packet *p)
{
	uint8_t *ip = p->bytes + p->l3, *field;

	if (p->family == 4) {
		store_be16(ip + 2, (uint16_t)(p->count - p->l3));
		store_be16(ip + 10, (uint16_t)~plain_sum(0, ip, 20));
	} else if (p->family == 6) {
		store_be16(ip + 4, (uint16_t)(p->count - p->l3 - 40));
	}
	if (p->protocol == IP_UDP && p->family != 0) {
		store_be16(p->bytes + p->l4 + 4, (uint16_t)(p->count - p->l4));
	}
	field = p->bytes + p->l4 + packet_checksum_at(p);
	if (p->family != 0 && field + 2 <= p->bytes + p->count) {
		store_be16(field, 0);
		store_be16(field,
			   p->protocol == IP_IGMP || p->protocol == IP_ICMP
				   ? (uint16_t)~plain_sum(0, p->bytes + p->l4, p->count - p->l4)
				   : (uint16_t)~plain_l4_sum(p));
	}
}

/* Leaves the checksum (and cutting into @gso_bytes, 0: none) to others. */
static inline void packet_offload(struct packet *p, uint8_t gso, uint16_t gso_bytes)
{
	uint32_t at = packet_checksum_at(p), bytes = p->count - p->l4;
	uint8_t *field = p->bytes + p->l4 + at;
	struct packet *pseudo = malloc(sizeof(*pseudo));

	CHECK(pseudo != NULL);
	*pseudo = *p;
	memset(pseudo->bytes + p->l4, 0, bytes);
	store_be16(field, plain_l4_sum(pseudo));
	free(pseudo);
	p->offload = (struct net_offload){.flags = NET_OFFLOAD_NEEDS_CSUM,
					  .gso = gso,
					  .gso_bytes = gso_bytes,
					  .csum_start = (uint16_t)p->l4,
					  .csum_offset = (uint16_t)at};
	if (gso != NET_GSO_NONE) {
		p->offload.header_bytes =
			(uint16_t)(p->l4 +
				   (p->protocol == IP_UDP ? 8 : (p->bytes[p->l4 + 12] >> 4) * 4));
	}
}

/* The packet as a frame, its rest in up to three pieces. */
static inline struct net_frame packet_frame(struct packet *p, uint32_t tag)
{
	uint32_t head = p->count < NET_HEAD_BYTES ? p->count : NET_HEAD_BYTES;
	uint32_t left = p->count - head, third = left / 3;

	p->rest[0] = (struct io_vec){p->bytes + head, third};
	p->rest[1] = (struct io_vec){p->bytes + head + third, third};
	p->rest[2] = (struct io_vec){p->bytes + head + 2 * third, left - 2 * third};
	return (struct net_frame){.head = p->bytes,
				  .head_bytes = head,
				  .bytes = p->count,
				  .rest = p->rest,
				  .rest_count = left != 0 ? 3 : 0,
				  .tag = tag,
				  .offload = p->offload};
}

/* Without meaning, of @count bytes, for what looks at addresses only. */
static inline void packet_plain(struct packet *p, const uint8_t *to, const uint8_t *from,
				uint32_t count)
{
	packet_ethernet(p, to, from, 0x88b5);
	packet_fill(p, count - NET_ETHERNET_BYTES);
}

/* ---- A switch to look at ---- */

#define LAB_PORTS 32u

struct lab_port {
	struct vswitch_port *port;
	unsigned got, flushed;
	bool full, linked;
	struct packet last; /* what came last */
	uint32_t last_tag;
	unsigned links; /* times that the link changed */
};

struct lab {
	struct vswitch *s;
	uint64_t now_ns;
	struct packet packet;
	struct lab_port ports[LAB_PORTS];
};

static inline bool lab_deliver(void *ctx, const struct net_frame *f)
{
	struct lab_port *p = ctx;

	CHECK(net_frame_check(f) == NULL);
	if (p->full) {
		return false;
	}
	p->got++;
	p->last.count = f->bytes;
	p->last.offload = f->offload;
	net_frame_copy(f, 0, p->last.bytes, f->bytes);
	p->last_tag = f->tag;
	return true;
}

static inline void lab_flush(void *ctx)
{
	((struct lab_port *)ctx)->flushed++;
}

static inline void lab_link(void *ctx, bool up)
{
	struct lab_port *p = ctx;

	p->linked = up;
	p->links++;
}

static inline struct lab *lab_create(const struct vswitch_config *config)
{
	static const struct vswitch_config plain = {.seed = 1};
	struct lab *lab = calloc(1, sizeof(*lab));

	CHECK(lab != NULL);
	lab->now_ns = UINT64_C(1000000000);
	CHECK(vswitch_create(config != NULL ? config : &plain, &lab->s) == 0);
	return lab;
}

static inline void lab_destroy(struct lab *lab)
{
	vswitch_destroy(lab->s);
	free(lab);
}

/* The configuration of port @i: its name, and address MAC(@i) if it is a VM's. */
static inline struct vswitch_port_config lab_config(unsigned i, enum vswitch_role role)
{
	struct vswitch_port_config c = {.role = role, .takes = NET_TAKES_ALL};

	c.name[0] = 'p';
	c.name[1] = (char)('A' + i);
	if (role == VSWITCH_VM) {
		memcpy(c.mac, MAC(i), 6);
	}
	return c;
}

static inline int lab_add(struct lab *lab, unsigned i, const struct vswitch_port_config *config)
{
	static const struct vswitch_port_ops ops = {
		.deliver = lab_deliver, .flush = lab_flush, .link = lab_link};

	lab->ports[i].linked = true;
	return vswitch_port_add(lab->s, config, &ops, &lab->ports[i], &lab->ports[i].port);
}

/* Plain ports @first to @last of @role. */
static inline void lab_fill(struct lab *lab, unsigned first, unsigned last, enum vswitch_role role)
{
	for (unsigned i = first; i <= last; i++) {
		struct vswitch_port_config c = lab_config(i, role);

		CHECK(lab_add(lab, i, &c) == 0);
	}
}

/* Sends lab->packet into port @from; a bit for each port that got something. */
static inline uint32_t lab_send_tagged(struct lab *lab, unsigned from, uint32_t tag)
{
	struct net_frame f = packet_frame(&lab->packet, tag);
	uint32_t got = 0;

	for (unsigned i = 0; i < LAB_PORTS; i++) {
		lab->ports[i].got = 0;
	}
	vswitch_input(lab->ports[from].port, &f, lab->now_ns);
	for (unsigned i = 0; i < LAB_PORTS; i++) {
		got |= lab->ports[i].got != 0 ? 1u << i : 0;
	}
	return got;
}

static inline uint32_t lab_send(struct lab *lab, unsigned from)
{
	return lab_send_tagged(lab, from, NET_TAG_NONE);
}

/* A plain packet. */
static inline uint32_t lab_unicast(struct lab *lab, unsigned from, const uint8_t *to,
				   const uint8_t *source)
{
	packet_plain(&lab->packet, to, source, 64);
	return lab_send(lab, from);
}

static inline uint64_t lab_drops_in(const struct lab *lab, unsigned port, enum vswitch_drop drop)
{
	struct vswitch_stats stats;

	vswitch_port_stats(lab->ports[port].port, &stats);
	return stats.drops_in[drop];
}

static inline uint64_t lab_drops_out(const struct lab *lab, unsigned port, enum vswitch_drop drop)
{
	struct vswitch_stats stats;

	vswitch_port_stats(lab->ports[port].port, &stats);
	return stats.drops_out[drop];
}

#define P(n) (1u << (n))

#endif
