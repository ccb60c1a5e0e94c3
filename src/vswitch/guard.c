// SPDX-License-Identifier: Apache-2.0
/*
 * What a VM must not say on a network where it is not trusted to be its DHCP server or router. Where the headers of an IP packet cannot be
 * followed to their end, nobody can know what it is, and it is stopped (RFC 7113); later fragments pass, they are nothing without
 * the first.
 */
#include "switch.h"

enum { DHCPV4_SERVER = 67, DHCPV4_CLIENT = 68, DHCPV6_CLIENT = 546, DHCPV6_SERVER = 547 };
enum { ICMP_REDIRECT = 5, ICMP_ROUTER_ADVERTISEMENT = 9 };
enum { ICMPV6_ROUTER_ADVERTISEMENT = 134, ICMPV6_REDIRECT = 137 };

static bool is_from_dhcp_server(const struct net_headers *h, const struct net_frame *f)
{
	uint16_t source, destination;

	if (h->protocol != IP_UDP) {
		return false;
	}
	if (!net_headers_ports(h, f->head, f->head_bytes, &source, &destination)) {
		return true; /* UDP that hides its ports */
	}
	return h->family == 4 ? source == DHCPV4_SERVER || destination == DHCPV4_CLIENT
			      : source == DHCPV6_SERVER || destination == DHCPV6_CLIENT;
}

static bool is_from_router(const struct net_headers *h, const struct net_frame *f)
{
	if (h->protocol != (h->family == 4 ? IP_ICMP : IP_ICMPV6)) {
		return false;
	}
	if (h->l4 >= f->head_bytes) {
		return true;
	}
	uint8_t type = f->head[h->l4];

	return h->family == 4 ? type == ICMP_REDIRECT || type == ICMP_ROUTER_ADVERTISEMENT
			      : type == ICMPV6_ROUTER_ADVERTISEMENT || type == ICMPV6_REDIRECT;
}

bool guard_stops(struct transit *t)
{
	const struct vswitch_port_config *config = &t->from->config;
	const struct net_headers *h = transit_headers(t);

	if (!h->complete) {
		return true;
	}
	if (h->family == 0 || h->later) {
		return false;
	}
	return (config->dhcp_guard && is_from_dhcp_server(h, t->f)) ||
	       (config->router_guard && is_from_router(h, t->f));
}
