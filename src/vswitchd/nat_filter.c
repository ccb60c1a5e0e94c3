// SPDX-License-Identifier: Apache-2.0
#include "nat_filter.h"

#include <string.h>

#define ETHERNET 14u
#define IP4 20u
#define IP6 40u
#define ICMP 1u
#define TCP 6u
#define UDP 17u
#define ICMP6 58u
#define DNS_PORT 53u

static const uint8_t zeros[10];

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* The name server is there for names, whatever else runs on that host. */
static bool is_question(uint8_t protocol, const uint8_t *transport, size_t bytes)
{
	return (protocol == TCP || protocol == UDP) && bytes >= 4 &&
	       get16(transport + 2) == DNS_PORT;
}

static bool allows4(const struct nat_network *n, const uint8_t *ip, size_t bytes)
{
	const uint8_t *to = ip + 16;
	size_t head = bytes < IP4 ? 0 : (size_t)(ip[0] & 0xf) * 4;

	if (head < IP4 || head > bytes || to[0] == 127 || to[0] == 0) {
		return false;
	}
	if (memcmp(to, n->v4, sizeof(n->v4)) != 0 || to[3] != NAT_DNS || ip[9] == ICMP) {
		return true;
	}
	/* The ports of a packet in pieces are known too late. */
	return (get16(ip + 6) & 0x3fff) == 0 && is_question(ip[9], ip + head, bytes - head);
}

static bool allows6(const struct nat_network *n, const uint8_t *ip, size_t bytes)
{
	const uint8_t *to = ip + 24;
	uint8_t dns[16];

	/* ::, ::1, and IPv4 addresses in disguise */
	if (bytes < IP6 || memcmp(to, zeros, sizeof(zeros)) == 0) {
		return false;
	}
	nat_address6(n, NAT_DNS, dns);
	return memcmp(to, dns, sizeof(dns)) != 0 || ip[6] == ICMP6 ||
	       is_question(ip[6], ip + IP6, bytes - IP6);
}

bool nat_filter_allows(const struct nat_network *n, const uint8_t *frame, size_t bytes)
{
	if (bytes < ETHERNET) {
		return false;
	}
	switch (get16(frame + 12)) {
	case 0x0800:
		return allows4(n, frame + ETHERNET, bytes - ETHERNET);
	case 0x86dd:
		return allows6(n, frame + ETHERNET, bytes - ETHERNET);
	case 0x0806:
		return true;
	default:
		return false;
	}
}
