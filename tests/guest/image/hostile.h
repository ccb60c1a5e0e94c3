/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that plays foul, in sequences that come from a seed. Which pages it names is kept apart: what the host may write lies in the
 * hostile pages or is not memory at all, so that everything else must stay as it is. Numbers that get into page lists by
 * accident come from edge(), which knows no page of the rest.
 */
#ifndef GUEST_HOSTILE_H
#define GUEST_HOSTILE_H

#include "bus.h"

/* Page frames. The machine has 64 MiB; what lies below the image is nobody's. */
#define HONEST_RING_PFN 0x800u
#define HONEST_DATA_PFN 0x820u
#define HOSTILE_RING_PFN 0x900u /* channel n: 16 pages each */
#define HOSTILE_DATA_PFN 0x980u
#define HOSTILE_DATA_PAGES 128u
#define UNTOUCHED_PFN 0x1000u /* the host may read there at most */
#define UNTOUCHED_PAGES 0x1000u
#define MEMORY_PAGES 0x4000u

#define HOSTILE_CHANNELS 4u /* a primary one and subchannels */
#define RING_PAGES_MAX 8u

struct hostile {
	struct bus_channel channels[HOSTILE_CHANNELS];
	bool open[HOSTILE_CHANNELS];
	bool calm; /* rings keep to the rules: pages that are only read may be named */
	uint64_t transaction;
};

/* ---- hostile.c ---- */

/* The next number of the seed, below @limit. */
uint64_t roll(uint64_t limit);
/* One of the numbers at which things change. */
uint32_t edge(void);

/* ---- hostile_ring.c: what one channel and its subchannels can be sent ---- */

/* Opens, misuses and closes. False: the host does not answer any more. */
bool hostile_rings(const struct vmbus_offer_channel *offer);
/* Never ends: other words in the rings while the host reads them. */
_Noreturn void hostile_racer(void);

/* ---- hostile_message.c: what the bus can be sent ---- */

/* Any messages, a few of them sensible; @honest_relid is left alone. */
void hostile_messages(uint32_t honest_relid);

#endif
