// SPDX-License-Identifier: Apache-2.0
/*
 * What a guest leaves to the adapter: checksums to fill in and segments to cut, told in NDIS's words and handed on in those of struct
 * virtio_net_hdr. Headers are found in our own copy of the frame's beginning; what the guest says about them counts only where it agrees.
 *
 * Spec: NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO, NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO.
 */
#include "adapter.h"

#include <string.h>

#include "lib/be.h"

#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_IPV6 0x86ddu
#define ETHERTYPE_8021Q 0x8100u
#define ETHERTYPE_8021AD 0x88a8u
#define PROTOCOL_TCP 6u
#define PROTOCOL_UDP 17u
#define TCP_CHECKSUM_OFFSET 16u
#define UDP_CHECKSUM_OFFSET 6u
#define TCP_FLAG_CWR 0x80u

struct headers {
	unsigned ip; /* 4, 6, 0: neither */
	uint32_t ip_offset;
	uint8_t protocol; /* 0: unknown, or not the first fragment */
	uint32_t l4_offset;
	uint32_t payload_offset; /* TCP, UDP: complete headers are in the head */
};

/* ---- Finding headers ---- */

static bool find_ipv4(const uint8_t *head, uint32_t bytes, struct headers *h)
{
	const uint8_t *ip = head + h->ip_offset;
	uint32_t header_bytes;

	if (bytes - h->ip_offset < 20 || ip[0] >> 4 != 4) {
		return false;
	}
	header_bytes = (ip[0] & 0xf) * 4u;
	if (header_bytes < 20 || header_bytes > bytes - h->ip_offset) {
		return false;
	}
	h->ip = 4;
	h->l4_offset = h->ip_offset + header_bytes;
	h->protocol = (load_be16(ip + 6) & 0x3fff) == 0 ? ip[9] : 0;
	return true;
}

/* Hop-by-hop, routing and destination options have their length at the same place; anything else is the end. */
static bool find_ipv6(const uint8_t *head, uint32_t bytes, struct headers *h)
{
	const uint8_t *ip = head + h->ip_offset;
	uint32_t at = h->ip_offset + 40;
	uint8_t next;

	if (bytes - h->ip_offset < 40 || ip[0] >> 4 != 6) {
		return false;
	}
	next = ip[6];
	while ((next == 0 || next == 43 || next == 60) && bytes - at >= 8) {
		uint32_t header_bytes = (head[at + 1] + 1u) * 8;

		if (header_bytes > bytes - at) {
			return false;
		}
		next = head[at];
		at += header_bytes;
	}
	h->ip = 6;
	h->l4_offset = at;
	h->protocol = next;
	return true;
}

static bool find_l4(const uint8_t *head, uint32_t bytes, struct headers *h)
{
	const uint8_t *l4 = head + h->l4_offset;
	uint32_t left = bytes - h->l4_offset, header_bytes;

	if (h->protocol == PROTOCOL_UDP && left >= 8) {
		h->payload_offset = h->l4_offset + 8;
		return true;
	}
	if (h->protocol != PROTOCOL_TCP || left < 20) {
		return false;
	}
	header_bytes = (l4[12] >> 4) * 4u;
	h->payload_offset = h->l4_offset + header_bytes;
	return header_bytes >= 20 && header_bytes <= left;
}

/* False: there is no TCP or UDP over IP that could be worked on. h->ip is right in any case. */
static bool find(const uint8_t *head, uint32_t bytes, struct headers *h)
{
	uint32_t at = 12;
	uint16_t type = 0;

	*h = (struct headers){0};
	while (at + 2 <= bytes) {
		type = load_be16(head + at);
		at += 2;
		if (type != ETHERTYPE_8021Q && type != ETHERTYPE_8021AD) {
			break;
		}
		at += 2;
	}
	if (at > bytes) {
		return false;
	}
	h->ip_offset = at;
	if (type == ETHERTYPE_IPV4 ? !find_ipv4(head, bytes, h)
				   : type != ETHERTYPE_IPV6 || !find_ipv6(head, bytes, h)) {
		return false;
	}
	return find_l4(head, bytes, h);
}

/* ---- Sums ---- */

static uint32_t sum(const uint8_t *data, uint32_t bytes)
{
	uint32_t s = 0;

	for (uint32_t i = 0; i + 1 < bytes; i += 2) {
		s += load_be16(data + i);
	}
	return s;
}

static uint16_t fold(uint32_t s)
{
	while (s >> 16 != 0) {
		s = (s & 0xffff) + (s >> 16);
	}
	return (uint16_t)s;
}

static void fill_ipv4_checksum(uint8_t *ip)
{
	store_be16(ip + 10, 0);
	store_be16(ip + 10, (uint16_t)~fold(sum(ip, (ip[0] & 0xf) * 4u)));
}

/* ---- Requests ---- */

static void needs_checksum(struct net_frame *f, const struct headers *h)
{
	f->offload.flags = NET_OFFLOAD_NEEDS_CSUM;
	f->offload.csum_start = (uint16_t)h->l4_offset;
	f->offload.csum_offset =
		h->protocol == PROTOCOL_TCP ? TCP_CHECKSUM_OFFSET : UDP_CHECKSUM_OFFSET;
}

/* The guest has put the sum of the pseudo header where the checksum will be. */
static const char *apply_checksum(struct net_frame *f, uint8_t *head, uint32_t asked,
				  uint32_t takes)
{
	unsigned ip = asked & RNDIS_TX_CHECKSUM_IPV4 ? 4 : asked & RNDIS_TX_CHECKSUM_IPV6 ? 6 : 0;
	uint8_t protocol = asked & RNDIS_TX_CHECKSUM_TCP   ? PROTOCOL_TCP
			   : asked & RNDIS_TX_CHECKSUM_UDP ? PROTOCOL_UDP
							   : 0;
	struct headers h;
	bool found = find(head, f->head_bytes, &h);

	if (ip == 0 || h.ip != ip) {
		return "a checksum for another version of IP than the frame's";
	}
	if (ip == 4 && asked & RNDIS_TX_CHECKSUM_IP) {
		fill_ipv4_checksum(head + h.ip_offset);
	}
	if (protocol == 0) {
		return NULL;
	}
	if (!found || h.protocol != protocol) {
		return "a TCP or UDP checksum where there is no such header";
	}
	if (!(takes & NET_TAKES_CSUM)) {
		return "a checksum, which was not offered";
	}
	needs_checksum(f, &h);
	return NULL;
}

/*
 * The guest leaves out the lengths (version 2): they are filled in, and all sums that depend on them. So the frame is whole for a receiver
 * that takes it uncut.
 */
static void complete_headers(const struct net_frame *f, uint8_t *head, const struct headers *h)
{
	uint8_t *ip = head + h->ip_offset, *tcp = head + h->l4_offset;
	uint32_t tcp_bytes = f->bytes - h->l4_offset, pseudo = tcp_bytes + PROTOCOL_TCP;

	if (h->ip == 4) {
		store_be16(ip + 2, (uint16_t)(f->bytes - h->ip_offset));
		fill_ipv4_checksum(ip);
		pseudo += sum(ip + 12, 8);
	} else {
		store_be16(ip + 4, (uint16_t)(f->bytes - h->ip_offset - 40));
		pseudo += sum(ip + 8, 32);
	}
	store_be16(tcp + TCP_CHECKSUM_OFFSET, fold(pseudo));
}

static const char *apply_lso(struct net_frame *f, uint8_t *head, uint32_t lso, uint32_t takes)
{
	uint32_t mss = RNDIS_LSO_MSS(lso);
	unsigned ip = lso & RNDIS_LSO_V2 && lso & RNDIS_LSO_V2_IPV6 ? 6 : 4;
	struct headers h;

	if (!find(head, f->head_bytes, &h) || h.protocol != PROTOCOL_TCP || h.ip != ip) {
		return "a large segment that is not TCP over the IP it names, or its headers are "
		       "too long";
	}
	if (!(takes & NET_TAKES_CSUM) || !(takes & (ip == 4 ? NET_TAKES_TSO4 : NET_TAKES_TSO6))) {
		return "a large segment, which was not offered";
	}
	if (mss == 0 || mss > UINT16_MAX) {
		return "a large segment with an impossible segment size";
	}
	if (f->bytes - h.ip_offset - (ip == 6 ? 40 : 0) > UINT16_MAX) {
		return "a large segment that is longer than IP allows";
	}
	complete_headers(f, head, &h);
	needs_checksum(f, &h);
	if (f->bytes - h.payload_offset > mss) {
		f->offload.gso = ip == 4 ? NET_GSO_TCPV4 : NET_GSO_TCPV6;
		if (head[h.l4_offset + 13] & TCP_FLAG_CWR) {
			f->offload.gso |= NET_GSO_ECN;
		}
		f->offload.gso_bytes = (uint16_t)mss;
		f->offload.header_bytes = (uint16_t)h.payload_offset;
	}
	return NULL;
}

const char *net_offload_apply(struct net_frame *f, uint8_t *head, const struct net_request *r,
			      uint32_t takes)
{
	if (r->has_lso) {
		return apply_lso(f, head, r->lso, takes);
	}
	return r->has_checksum ? apply_checksum(f, head, r->checksum, takes) : NULL;
}

uint32_t net_offload_verified(const struct net_frame *f)
{
	struct headers h;
	uint32_t verified = 0;

	find(f->head, f->head_bytes, &h);
	if (h.ip == 4 && fold(sum(f->head + h.ip_offset, h.l4_offset - h.ip_offset)) == 0xffff) {
		verified |= RNDIS_RX_CHECKSUM_IP_OK;
	}
	if (h.payload_offset != 0) {
		verified |= h.protocol == PROTOCOL_TCP ? RNDIS_RX_CHECKSUM_TCP_OK
						       : RNDIS_RX_CHECKSUM_UDP_OK;
	}
	return verified;
}
