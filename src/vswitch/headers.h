/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the headers of a frame are: through 802.1Q tags, LLC/SNAP, IPv4 options and IPv6 extension headers, as far as a receiver would
 * follow them, so that nothing hides from a rule behind an unusual encapsulation.
 */
#ifndef VSWITCH_HEADERS_H
#define VSWITCH_HEADERS_H

#include <stdbool.h>
#include <stdint.h>

#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_IPV6 0x86ddu
#define ETHERTYPE_TAG 0x8100u	      /* C-tag */
#define ETHERTYPE_SERVICE_TAG 0x88a8u /* S-tag */
#define ETHERTYPE_OLD_TAG 0x9100u

#define IP_ICMP 1u
#define IP_IGMP 2u
#define IP_TCP 6u
#define IP_UDP 17u
#define IP_ICMPV6 58u
#define IP_PIM 103u

#define IPV4_HEADER_BYTES 20u
#define IPV6_HEADER_BYTES 40u
#define TCP_HEADER_BYTES 20u
#define UDP_HEADER_BYTES 8u

struct net_headers {
	uint16_t ethertype; /* the innermost */
	uint8_t family;	    /* 4, 6; 0: not IP */
	uint8_t protocol;   /* family: of IP, after extension headers */
	/* The chain of headers was followed to its end. False: it is malformed, too long for the head, or cut off by fragmentation. */
	bool complete;
	bool fragment; /* a part of a datagram; */
	bool later; /* and not the first: it has no further header (protocol is that of the datagram) */
	uint16_t l3; /* offset of the IP header */
	uint16_t l4; /* family, complete and not later: offset behind the IP headers */
	uint16_t home,
		route; /* IPv6: offset of the home address, of a type 2 routing address; 0: none */
};

void net_headers_parse(const uint8_t *head, uint32_t head_bytes, struct net_headers *ret);
/* TCP, UDP: the ports. False: there are none to see. */
bool net_headers_ports(const struct net_headers *h, const uint8_t *head, uint32_t head_bytes,
		       uint16_t *ret_source, uint16_t *ret_destination);
static inline bool net_is_tag(uint16_t ethertype)
{
	return ethertype == ETHERTYPE_TAG || ethertype == ETHERTYPE_SERVICE_TAG ||
	       ethertype == ETHERTYPE_OLD_TAG;
}

#endif
