/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One way out of a NAT switch: libslirp, which turns the guests' connections into sockets of this process. It knows sixteen neighbours at a time,
 * so a switch has several, each for a part of the guests (nat.c).
 */
#ifndef VSWITCHD_NAT_WAY_H
#define VSWITCHD_NAT_WAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nat_network.h"

#define NAT_MTU 1500u

struct nat_way;
struct poll_set;

/* @send takes a whole frame for the guests; called from within input and after_wait. NULL: no memory. */
struct nat_way *nat_way_open(const struct nat_network *network,
			     void (*send)(void *ctx, const uint8_t *bytes, size_t count),
			     void *ctx);
void nat_way_close(struct nat_way *w);
/* A whole frame from a guest, checksums filled in. Longer ones than the MTU are fine. */
void nat_way_input(struct nat_way *w, const uint8_t *bytes, size_t count);
/* Before and after the wait for descriptors: adds its own to @set, lowers *timeout_ns; serves them. */
void nat_way_before_wait(struct nat_way *w, struct poll_set *set, uint64_t *timeout_ns);
void nat_way_after_wait(struct nat_way *w, struct poll_set *set, bool failed);

#endif
