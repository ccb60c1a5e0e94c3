// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "headers.h"
#include "lib/be.h"
#include "lib/check.h"
#include "vswitch/frame.h"

#define INPUT_BYTES_MAX 36u /* two IPv6 addresses, two ports */
_Static_assert(INPUT_BYTES_MAX + 4 <= NET_RSS_KEY_BYTES, "each input byte sees 40 bits of the key");

struct input {
	uint8_t bytes[INPUT_BYTES_MAX];
	unsigned count;
};

/* Bit i of the input (from the left) adds the 32 bits of the key that begin at its bit i. */
static uint32_t toeplitz(const uint8_t *key, const struct input *in)
{
	uint32_t hash = 0;

	for (unsigned i = 0; i < in->count; i++) {
		uint64_t window = (uint64_t)load_be32(key + i) << 8 | key[i + 4];

		for (unsigned bit = 0; bit < 8; bit++) {
			uint32_t set = (uint32_t) - (in->bytes[i] >> (7 - bit) & 1);

			hash ^= (uint32_t)(window >> (8 - bit)) & set;
		}
	}
	return hash;
}

static void add(struct input *in, const uint8_t *from, unsigned bytes)
{
	memcpy(in->bytes + in->count, from, bytes);
	in->count += bytes;
}

/* The type to use for @h: the one that looks at most, as NDIS orders them; 0: none. */
static uint32_t choose_type(uint32_t types, const struct net_headers *h, bool ports)
{
	uint32_t tcp = ports && h->protocol == IP_TCP, udp = ports && h->protocol == IP_UDP;
	const uint32_t order4[] = {tcp * NDIS_HASH_TCP_IPV4, udp * NDIS_HASH_UDP_IPV4,
				   NDIS_HASH_IPV4};
	const uint32_t order6[] = {tcp * NDIS_HASH_TCP_IPV6_EX, tcp * NDIS_HASH_TCP_IPV6,
				   udp * NDIS_HASH_UDP_IPV6, NDIS_HASH_IPV6_EX, NDIS_HASH_IPV6};
	const uint32_t *order = h->family == 4 ? order4 : order6;
	unsigned count = h->family == 4 ? ARRAY_LEN(order4) : ARRAY_LEN(order6);

	for (unsigned i = 0; i < count; i++) {
		if ((types & order[i]) != 0) {
			return order[i];
		}
	}
	return 0;
}

static void add_addresses(struct input *in, const struct net_headers *h, const uint8_t *head,
			  bool extended)
{
	const uint8_t *ip = head + h->l3;

	if (h->family == 4) {
		add(in, ip + 12, 8);
		return;
	}
	add(in, extended && h->home != 0 ? head + h->home : ip + 8, 16);
	add(in, extended && h->route != 0 ? head + h->route : ip + 24, 16);
}

uint32_t net_rss_hash(const struct net_rss *rss, const struct net_frame *f, uint32_t *ret_type)
{
	struct net_headers h;
	struct input in = {.count = 0};
	uint16_t source, destination;
	bool ports;

	*ret_type = 0;
	if (rss->types == 0) {
		return 0;
	}
	net_headers_parse(f->head, f->head_bytes, &h);
	if (h.family == 0) {
		return 0;
	}
	/* parts of a datagram must meet in one queue, and only the first one shows the ports */
	ports = !h.fragment && net_headers_ports(&h, f->head, f->head_bytes, &source, &destination);
	*ret_type = choose_type(rss->types, &h, ports);
	if (*ret_type == 0) {
		return 0;
	}
	add_addresses(&in, &h, f->head,
		      (*ret_type & (NDIS_HASH_IPV6_EX | NDIS_HASH_TCP_IPV6_EX)) != 0);
	if ((*ret_type & (NDIS_HASH_IPV4 | NDIS_HASH_IPV6 | NDIS_HASH_IPV6_EX)) == 0) {
		add(&in, f->head + h.l4, 4);
	}
	return toeplitz(rss->key, &in);
}

unsigned net_rss_queue(const struct net_rss *rss, const struct net_frame *f, unsigned queues)
{
	uint32_t type, hash, entries = rss->table_entries;
	unsigned queue;

	CHECK(queues != 0);
	if (queues == 1 || entries == 0 || entries > NET_RSS_TABLE_MAX ||
	    (entries & (entries - 1)) != 0) {
		return 0;
	}
	hash = net_rss_hash(rss, f, &type);
	if (type == 0) {
		return 0;
	}
	queue = rss->table[hash & (entries - 1)];
	return queue < queues ? queue : 0;
}
