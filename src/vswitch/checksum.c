// SPDX-License-Identifier: Apache-2.0
#include "checksum.h"

#include "lib/be.h"

/* Halves of 64-bit words: 2^32 of them fit without a carry to be looked after. Two sums, so that additions overlap. */
uint64_t net_sum(uint64_t sum, const void *p, size_t bytes)
{
	const uint8_t *at = p;
	uint64_t second = 0;

	while (bytes >= 16) {
		uint64_t a = load_le64(at), b = load_le64(at + 8);

		sum += (a & 0xffffffff) + (a >> 32);
		second += (b & 0xffffffff) + (b >> 32);
		at += 16;
		bytes -= 16;
	}
	sum += second;
	while (bytes >= 2) {
		sum += load_le16(at);
		at += 2;
		bytes -= 2;
	}
	return bytes != 0 ? sum + *at : sum;
}

uint64_t net_sum_pseudo(const struct net_headers *h, const uint8_t *head, uint32_t bytes)
{
	uint8_t tail[8] = {0};
	uint64_t sum = h->family == 4 ? net_sum(0, head + h->l3 + 12, 8)
				      : net_sum(0, head + h->l3 + 8, 32);

	store_be32(tail, bytes);
	tail[7] = h->protocol;
	return net_sum(sum, tail, sizeof(tail));
}
