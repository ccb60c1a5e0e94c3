// SPDX-License-Identifier: Apache-2.0
#include "headers.h"

#include "lib/be.h"
#include "vswitch/frame.h"

/* More tags and SNAP headers than any network has; what nests deeper counts as not understood. */
#define LINK_LAYERS_MAX 8

#define LENGTH_MAX 1500u /* of 802.3: below that a type field is a length */
#define SNAP_BYTES 8u

enum {
	EXT_HOP_BY_HOP = 0,
	EXT_ROUTING = 43,
	EXT_FRAGMENT = 44,
	EXT_AUTHENTICATION = 51,
	EXT_DESTINATION = 60,
	EXT_MOBILITY = 135,
	EXT_HIP = 139,
	EXT_SHIM6 = 140,
};

/* LLC AA AA 03 with the OUI of RFC 1042 or of IEEE 802.1H: hosts take what follows as if it were in Ethernet II. */
static bool is_snap(const uint8_t *llc)
{
	uint32_t oui = load_be32(llc + 2) & 0xffffff;

	return llc[0] == 0xaa && llc[1] == 0xaa && llc[2] == 0x03 && (oui == 0 || oui == 0xf8);
}

/* Follows tags and SNAP. The offset behind them; 0: malformed or too deep. */
static uint32_t parse_link(const uint8_t *head, uint32_t bytes, uint16_t *ret_type)
{
	uint32_t at = 12;

	for (unsigned i = 0; i < LINK_LAYERS_MAX; i++) {
		if (at + 2 > bytes) {
			return 0;
		}
		*ret_type = load_be16(head + at);
		at += 2;
		if (net_is_tag(*ret_type)) {
			at += 2;
		} else if (*ret_type <= LENGTH_MAX && at + SNAP_BYTES <= bytes &&
			   is_snap(head + at)) {
			at += SNAP_BYTES - 2;
		} else {
			return at;
		}
	}
	return 0;
}

static void parse_ipv4(const uint8_t *head, uint32_t bytes, struct net_headers *ret)
{
	const uint8_t *ip = head + ret->l3;
	uint32_t header_bytes = (ip[0] & 0xfu) * 4;
	uint16_t fragment = load_be16(ip + 6);

	ret->family = 4;
	ret->protocol = ip[9];
	ret->fragment = (fragment & 0x3fff) != 0; /* more fragments, or an offset */
	ret->later = (fragment & 0x1fff) != 0;
	ret->l4 = (uint16_t)(ret->l3 + header_bytes);
	ret->complete = header_bytes >= IPV4_HEADER_BYTES && ret->l4 <= bytes;
}

static bool is_extension(uint8_t protocol)
{
	switch (protocol) {
	case EXT_HOP_BY_HOP:
	case EXT_ROUTING:
	case EXT_FRAGMENT:
	case EXT_AUTHENTICATION:
	case EXT_DESTINATION:
	case EXT_MOBILITY:
	case EXT_HIP:
	case EXT_SHIM6:
		return true;
	default:
		return false;
	}
}

/* Offset of the address in a home address option (RFC 6275) of the destination options at @at, @end behind them; 0: none. */
static uint16_t home_address(const uint8_t *head, uint32_t at, uint32_t end)
{
	at += 2;
	while (at + 2 <= end) {
		if (head[at] == 0) { /* one byte of padding */
			at++;
			continue;
		}
		if (head[at] == 0xc9 && head[at + 1] == 16 && at + 18 <= end) {
			return (uint16_t)(at + 2);
		}
		at += 2u + head[at + 1];
	}
	return 0;
}

/* Looks into the extension header at @at of @length bytes. False: nothing can follow in this frame. */
static bool take_extension(const uint8_t *head, uint32_t at, uint32_t length,
			   struct net_headers *ret)
{
	if (ret->protocol == EXT_FRAGMENT) {
		uint16_t place = load_be16(head + at + 2);

		ret->fragment |= (place & 0xfff9) != 0;
		ret->later = (place & 0xfff8) != 0;
		return !ret->later;
	}
	if (ret->protocol == EXT_DESTINATION && ret->home == 0) {
		ret->home = home_address(head, at, at + length);
	}
	if (ret->protocol == EXT_ROUTING && length >= 24 && head[at + 2] == 2 &&
	    head[at + 3] != 0) {
		ret->route = (uint16_t)(at + 8);
	}
	return true;
}

static void parse_ipv6(const uint8_t *head, uint32_t bytes, struct net_headers *ret)
{
	uint32_t at = ret->l3 + IPV6_HEADER_BYTES;

	ret->family = 6;
	ret->protocol = head[ret->l3 + 6];
	while (is_extension(ret->protocol)) {
		if (at + 8 > bytes) {
			return;
		}
		uint32_t length = ret->protocol == EXT_FRAGMENT		? 8
				  : ret->protocol == EXT_AUTHENTICATION ? (head[at + 1] + 2u) * 4
									: (head[at + 1] + 1u) * 8;
		bool more;

		if (at + length > bytes) {
			return;
		}
		more = take_extension(head, at, length, ret);
		ret->protocol = head[at];
		at += length;
		if (!more) {
			ret->complete = true;
			return;
		}
	}
	ret->l4 = (uint16_t)at;
	ret->complete = true;
}

void net_headers_parse(const uint8_t *head, uint32_t head_bytes, struct net_headers *ret)
{
	uint32_t at = parse_link(head, head_bytes, &ret->ethertype);
	uint32_t needed;

	*ret = (struct net_headers){.ethertype = at != 0 ? ret->ethertype : 0};
	if (at == 0) {
		return;
	}
	ret->l3 = (uint16_t)at;
	if (ret->ethertype != ETHERTYPE_IPV4 && ret->ethertype != ETHERTYPE_IPV6) {
		ret->complete = true;
		return;
	}
	needed = ret->ethertype == ETHERTYPE_IPV4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
	if (at + needed > head_bytes ||
	    head[at] >> 4 != (ret->ethertype == ETHERTYPE_IPV4 ? 4 : 6)) {
		return;
	}
	if (ret->ethertype == ETHERTYPE_IPV4) {
		parse_ipv4(head, head_bytes, ret);
	} else {
		parse_ipv6(head, head_bytes, ret);
	}
}

bool net_headers_ports(const struct net_headers *h, const uint8_t *head, uint32_t head_bytes,
		       uint16_t *ret_source, uint16_t *ret_destination)
{
	if (!h->complete || h->family == 0 || h->later ||
	    (h->protocol != IP_TCP && h->protocol != IP_UDP) || h->l4 + 4u > head_bytes) {
		return false;
	}
	*ret_source = load_be16(head + h->l4);
	*ret_destination = load_be16(head + h->l4 + 2);
	return true;
}

uint16_t net_gso_header_bytes(const uint8_t *head, uint32_t head_bytes, uint8_t gso)
{
	struct net_headers h;
	uint8_t type = gso & (uint8_t)~NET_GSO_ECN;
	uint8_t family = type == NET_GSO_TCPV4 ? 4 : 6;
	uint32_t bytes;

	net_headers_parse(head, head_bytes, &h);
	if (!h.complete || h.family == 0 || h.fragment ||
	    (type != NET_GSO_UDP && h.family != family) ||
	    h.protocol != (type == NET_GSO_UDP ? IP_UDP : IP_TCP)) {
		return 0;
	}
	if (h.protocol == IP_UDP) {
		bytes = UDP_HEADER_BYTES;
	} else if (h.l4 + TCP_HEADER_BYTES > head_bytes) {
		return 0;
	} else {
		bytes = (head[h.l4 + 12] >> 4) * 4u;
		if (bytes < TCP_HEADER_BYTES) {
			return 0;
		}
	}
	return h.l4 + bytes <= head_bytes ? (uint16_t)(h.l4 + bytes) : 0;
}
