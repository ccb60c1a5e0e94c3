/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Internet checksum (RFC 1071), on words as they lie in memory: sums are neither swapped nor complemented until they are
 * stored, with the same bytes on every machine.
 */
#ifndef VSWITCH_CHECKSUM_H
#define VSWITCH_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include "headers.h"

/* @sum and the words of @bytes at @p, which begin at an even place of what is summed up. */
uint64_t net_sum(uint64_t sum, const void *p, size_t bytes);
/* The pseudo header of IPv4 or IPv6 for @bytes of protocol header and payload; @head: the frame's. */
uint64_t net_sum_pseudo(const struct net_headers *h, const uint8_t *head, uint32_t bytes);
/* The sum as 16 bits, not complemented. */
static inline uint16_t net_sum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* What goes into a checksum field of TCP and UDP: 0 would mean that there is none. */
static inline uint16_t net_sum_finish(uint64_t sum)
{
	uint16_t folded = (uint16_t)~net_sum_fold(sum);

	return folded != 0 ? folded : 0xffff;
}

#endif
