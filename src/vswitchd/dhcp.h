/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses for the guests of a NAT switch: a DHCP server of one network. libslirp has one of its own, but only for sixteen
 * guests, and it never takes an address back. No system calls, no clock: time comes in.
 *
 * Spec: RFC 2131, RFC 2132.
 */
#ifndef VSWITCHD_DHCP_H
#define VSWITCHD_DHCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nat_network.h"

#define DHCP_FIRST 15u /* the last byte of the guests' addresses */
#define DHCP_LAST 254u
#define DHCP_LEASE_SECONDS 3600u
#define DHCP_REPLY_BYTES 600u

struct dhcp_lease {
	uint8_t mac[6];
	bool known;	   /* mac is somebody's */
	bool declined;	   /* somebody else has the address */
	uint64_t until_ns; /* keeps it that long at least */
};

struct dhcp {
	struct nat_network network;
	struct dhcp_lease leases[DHCP_LAST - DHCP_FIRST + 1];
};

/*
 * @frame is a whole Ethernet frame from a guest. Is it for us? Then true, with an answer of *ret_bytes (0: none) in @reply, which has
 * DHCP_REPLY_BYTES.
 */
bool dhcp_input(struct dhcp *d, const uint8_t *frame, size_t bytes, uint64_t now_ns, uint8_t *reply,
		size_t *ret_bytes);
/* The guest with @mac is gone: others may have its address when there is no better one. */
void dhcp_forget(struct dhcp *d, const uint8_t *mac);

#endif
