// SPDX-License-Identifier: Apache-2.0
#include "vswitch/frame.h"

#include <string.h>

#include "headers.h"
#include "lib/bits.h"
#include "lib/check.h"

void net_frame_copy(const struct net_frame *f, uint32_t offset, void *buf, uint32_t bytes)
{
	uint8_t *to = buf;
	const struct io_vec *v = f->rest;

	CHECK(range_within(offset, bytes, f->bytes));
	if (offset < f->head_bytes) {
		uint32_t n = (uint32_t)min_u64(bytes, f->head_bytes - offset);

		memcpy(to, f->head + offset, n);
		to += n;
		bytes -= n;
		offset += n;
	}
	for (uint64_t skip = offset - f->head_bytes; bytes != 0; v++) {
		if (skip >= v->bytes) {
			skip -= v->bytes;
			continue;
		}
		uint32_t n = (uint32_t)min_u64(bytes, v->bytes - skip);

		memcpy(to, (const uint8_t *)v->base + skip, n);
		to += n;
		bytes -= n;
		skip = 0;
	}
}

static bool rest_adds_up(const struct net_frame *f)
{
	uint64_t left = f->bytes - f->head_bytes;

	for (unsigned i = 0; i < f->rest_count; i++) {
		if (f->rest[i].bytes > left) {
			return false;
		}
		left -= f->rest[i].bytes;
	}
	return left == 0;
}

static const char *check_segments(const struct net_frame *f)
{
	const struct net_offload *o = &f->offload;
	uint8_t type = o->gso & (uint8_t)~NET_GSO_ECN;
	struct net_headers h;
	uint32_t ip_bytes;

	if ((type != NET_GSO_TCPV4 && type != NET_GSO_TCPV6 && type != NET_GSO_UDP) ||
	    o->gso == (NET_GSO_UDP | NET_GSO_ECN)) {
		return "an unknown kind of large segment";
	}
	if ((o->flags & NET_OFFLOAD_NEEDS_CSUM) == 0) {
		return "a large segment without checksum offload";
	}
	if (o->header_bytes == 0 ||
	    o->header_bytes != net_gso_header_bytes(f->head, f->head_bytes, o->gso)) {
		return "a large segment whose headers do not match its kind";
	}
	net_headers_parse(f->head, f->head_bytes, &h);
	if (o->csum_start != h.l4 || o->csum_offset != (type == NET_GSO_UDP ? 6 : 16)) {
		return "a large segment whose checksum is elsewhere than its headers say";
	}
	if (o->gso_bytes == 0 || f->bytes <= o->header_bytes ||
	    (f->bytes - o->header_bytes - 1) / o->gso_bytes >= NET_SEGMENTS_MAX) {
		return "a large segment that makes too many small ones, or none";
	}
	ip_bytes = f->bytes - h.l3 - (h.family == 6 ? IPV6_HEADER_BYTES : 0);
	return ip_bytes > 0xffff ? "a large segment beyond what IP can carry" : NULL;
}

/*
 * Whoever fills in the checksum writes two bytes that its author chose, after all rules have been asked: they must lie where no rule
 * looks, behind ports and types. (In a tunnel, the inner headers' checksum does.)
 */
static const char *check_checksum(const struct net_frame *f)
{
	const struct net_offload *o = &f->offload;
	uint32_t at = (uint32_t)o->csum_start + o->csum_offset;
	struct net_headers h;

	if (at + 2 > f->bytes) {
		return "a checksum outside of the frame";
	}
	net_headers_parse(f->head, f->head_bytes, &h);
	if (!h.complete || h.fragment) {
		return "a checksum behind headers that cannot be followed";
	}
	if (h.family == 0) {
		return o->csum_start < h.l3 ? "a checksum in the link's header" : NULL;
	}
	if (o->csum_start < h.l4 || at < h.l4 + 4u) {
		return "a checksum in front of the protocol's";
	}
	if (o->csum_start == h.l4 && ((h.protocol == IP_TCP && o->csum_offset != 16) ||
				      (h.protocol == IP_UDP && o->csum_offset != 6))) {
		return "a checksum elsewhere than its protocol has it";
	}
	return NULL;
}

static const char *check_offload(const struct net_frame *f)
{
	const struct net_offload *o = &f->offload;
	const char *wrong = NULL;

	if ((o->flags & ~(NET_OFFLOAD_NEEDS_CSUM | NET_OFFLOAD_DATA_VALID)) != 0) {
		return "unknown offload flags";
	}
	if ((o->flags & NET_OFFLOAD_NEEDS_CSUM) != 0) {
		wrong = check_checksum(f);
	}
	return wrong == NULL && o->gso != NET_GSO_NONE ? check_segments(f) : wrong;
}

const char *net_frame_check(const struct net_frame *f)
{
	if (f->bytes < NET_ETHERNET_BYTES) {
		return "a frame without a whole Ethernet header";
	}
	if (f->bytes > NET_FRAME_BYTES_MAX) {
		return "a frame beyond the largest size";
	}
	if (f->head_bytes != min_u64(f->bytes, NET_HEAD_BYTES) || !rest_adds_up(f)) {
		return "a frame whose parts do not add up";
	}
	if (f->tag != NET_TAG_NONE && f->tag > 0xffff) {
		return "a tag beyond 16 bits";
	}
	return (f->offload.flags | f->offload.gso) != 0 ? check_offload(f) : NULL;
}
