// SPDX-License-Identifier: Apache-2.0
#include "nat_join.h"

#include <string.h>

#define ETHERNET 14u
#define IP4 20u
#define IP6 40u
#define TCP 20u
#define IP_TCP 6u
#define LENGTH_MAX 65535u
enum { TCP_PSH = 0x08, TCP_ACK = 0x10 };

/* Where things are in a segment that may be joined. */
struct layout {
	bool ip6;
	uint32_t tcp;	  /* offset of its header */
	uint32_t headers; /* up to the payload */
};

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* TCP over IP without options or fragments, the length as IP has it. */
static bool find_tcp(const uint8_t *f, uint32_t bytes, struct layout *l)
{
	const uint8_t *ip = f + ETHERNET;

	if (bytes < ETHERNET + IP4 + TCP) {
		return false;
	}
	l->ip6 = get16(f + 12) == 0x86dd;
	l->tcp = ETHERNET + (l->ip6 ? IP6 : IP4);
	if (l->ip6) {
		return bytes >= l->tcp + TCP && ip[0] >> 4 == 6 && ip[6] == IP_TCP &&
		       get16(ip + 4) == bytes - l->tcp;
	}
	return get16(f + 12) == 0x0800 && ip[0] == 0x45 && ip[9] == IP_TCP &&
	       (get16(ip + 6) & 0x3fff) == 0 && get16(ip + 2) == bytes - ETHERNET;
}

/* Payload in the middle of a conversation. */
static bool may_join(const uint8_t *f, uint32_t bytes, struct layout *l)
{
	if (!find_tcp(f, bytes, l)) {
		return false;
	}
	l->headers = l->tcp + (f[l->tcp + 12] >> 4) * 4u;
	return l->headers >= l->tcp + TCP && l->headers < bytes &&
	       (f[l->tcp + 13] & ~TCP_PSH) == TCP_ACK && (f[l->tcp + 12] & 0xf) == 0;
}

/* Do all headers agree, but for lengths, checksums, the packet's number, PSH and the sequence number? */
static bool is_like(const struct nat_joined *j, const uint8_t *f, const struct layout *l)
{
	const uint8_t *a = j->frame, *tcp = a + l->tcp, *other = f + l->tcp;
	bool same = memcmp(a, f, ETHERNET) == 0 &&
		    (l->ip6 ? memcmp(a + 14, f + 14, 4) == 0 && memcmp(a + 20, f + 20, 34) == 0
			    : memcmp(a + 14, f + 14, 2) == 0 && memcmp(a + 20, f + 20, 4) == 0 &&
				      memcmp(a + 26, f + 26, 8) == 0);

	return same && memcmp(tcp, other, 4) == 0 && memcmp(tcp + 8, other + 8, 5) == 0 &&
	       memcmp(tcp + 14, other + 14, 2) == 0 &&
	       memcmp(tcp + TCP, other + TCP, l->headers - l->tcp - TCP) == 0;
}

static bool append(struct nat_joined *j, const uint8_t *f, uint32_t bytes, const struct layout *l)
{
	uint32_t payload = bytes - l->headers;

	if (j->bytes == 0 || j->full || j->headers != l->headers ||
	    get32(f + l->tcp + 4) != j->next || payload > j->segment ||
	    j->bytes + payload - ETHERNET > LENGTH_MAX || !is_like(j, f, l)) {
		return false;
	}
	memcpy(j->frame + j->bytes, f + l->headers, payload);
	j->bytes += payload;
	j->next += payload;
	j->count++;
	j->frame[l->tcp + 13] |= f[l->tcp + 13] & TCP_PSH;
	j->full = payload < j->segment || (f[l->tcp + 13] & TCP_PSH) != 0;
	return true;
}

static void begin(struct nat_joined *j, const uint8_t *f, uint32_t bytes, const struct layout *l)
{
	memcpy(j->frame, f, bytes);
	j->bytes = bytes;
	j->headers = l->headers;
	j->segment = bytes - l->headers;
	j->next = get32(f + l->tcp + 4) + j->segment;
	j->count = 1;
	j->full = (f[l->tcp + 13] & TCP_PSH) != 0;
}

/* ---- Sending ---- */

static uint32_t sum(const uint8_t *p, uint32_t bytes, uint32_t s)
{
	for (uint32_t i = 0; i < bytes; i += 2) {
		s += get16(p + i);
	}
	return s;
}

static uint32_t fold(uint32_t s)
{
	s = (s >> 16) + (s & 0xffff);
	return (s + (s >> 16)) & 0xffff;
}

/* Headers of a large segment, whose checksum is to be filled in. */
static void finish(struct nat_joined *j, struct net_offload *o)
{
	bool ip6 = j->frame[12] == 0x86;
	uint8_t *ip = j->frame + ETHERNET;
	uint32_t tcp = ETHERNET + (ip6 ? IP6 : IP4), length = j->bytes - tcp;

	if (ip6) {
		put16(ip + 4, length);
	} else {
		put16(ip + 2, j->bytes - ETHERNET);
		put16(ip + 10, 0);
		put16(ip + 10, ~fold(sum(ip, IP4, 0)));
	}
	put16(j->frame + tcp + 16, fold(sum(ip + (ip6 ? 8 : 12), ip6 ? 32 : 8, IP_TCP + length)));
	*o = (struct net_offload){.flags = NET_OFFLOAD_NEEDS_CSUM,
				  .gso = ip6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4,
				  .header_bytes = (uint16_t)j->headers,
				  .gso_bytes = (uint16_t)j->segment,
				  .csum_start = (uint16_t)tcp,
				  .csum_offset = 16};
}

static void send(struct nat_join *j, const uint8_t *bytes, uint32_t count,
		 const struct net_offload *o)
{
	struct net_frame f = {.head = bytes, .bytes = count, .tag = NET_TAG_NONE, .offload = *o};
	struct io_vec rest;

	f.head_bytes = count < NET_HEAD_BYTES ? count : NET_HEAD_BYTES;
	if (count > NET_HEAD_BYTES) {
		rest = (struct io_vec){(void *)(uintptr_t)(bytes + NET_HEAD_BYTES),
				       count - NET_HEAD_BYTES};
		f.rest = &rest;
		f.rest_count = 1;
	}
	j->send(j->ctx, &f);
}

static void send_joined(struct nat_join *j, struct nat_joined *flow)
{
	struct net_offload o = {0};

	if (flow->bytes == 0) {
		return;
	}
	if (flow->count > 1) {
		finish(flow, &o);
	}
	send(j, flow->frame, flow->bytes, &o);
	flow->bytes = 0;
}

void nat_join_flush(struct nat_join *j)
{
	for (unsigned i = 0; i < NAT_JOIN_FLOWS; i++) {
		send_joined(j, &j->flows[i]);
	}
}

void nat_join_add(struct nat_join *j, const uint8_t *frame, uint32_t bytes)
{
	static const struct net_offload none;
	struct layout l;

	if (!find_tcp(frame, bytes, &l)) {
		send(j, frame, bytes, &none); /* no part of a conversation that is kept */
		return;
	}
	/* All of a conversation meet in one place, so they stay in order. */
	struct nat_joined *flow =
		&j->flows[(frame[5] + 3u * frame[l.tcp + 1] + 7u * frame[l.tcp + 3]) %
			  NAT_JOIN_FLOWS];
	bool keep = may_join(frame, bytes, &l);

	if (keep && append(flow, frame, bytes, &l)) {
		return;
	}
	send_joined(j, flow);
	if (keep) {
		begin(flow, frame, bytes, &l);
	} else {
		send(j, frame, bytes, &none);
	}
}
