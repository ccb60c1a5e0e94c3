/* SPDX-License-Identifier: Apache-2.0 */
/* The network behind a NAT switch: 256 IPv4 addresses, of which the router and the name server have fixed ones, and an IPv6 prefix of 64 bits. */
#ifndef VSWITCHD_NAT_NETWORK_H
#define VSWITCHD_NAT_NETWORK_H

#include <stdint.h>

#define NAT_HOST 2u /* the last byte of the router's address, IPv4 and IPv6 */
#define NAT_DNS 3u  /* of the name server's */
#define NAT_NETWORK_DEFAULT "10.0.2.0/24"

struct nat_network {
	uint8_t v4[3];
	uint8_t v6[8];
};

/* @address: of the network as switch_config.address has it, sound; empty: NAT_NETWORK_DEFAULT with the prefix fec0::. */
struct nat_network nat_network_of(const char *address);
/* Host byte order. */
static inline uint32_t nat_address(const struct nat_network *n, unsigned last)
{
	return (uint32_t)n->v4[0] << 24 | (uint32_t)n->v4[1] << 16 | (uint32_t)n->v4[2] << 8 | last;
}
static inline void nat_address6(const struct nat_network *n, unsigned last, uint8_t *ret)
{
	for (unsigned i = 0; i < 16; i++) {
		ret[i] = i < 8 ? n->v6[i] : 0;
	}
	ret[15] = (uint8_t)last;
}

#endif
