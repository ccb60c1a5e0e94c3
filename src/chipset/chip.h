/* SPDX-License-Identifier: Apache-2.0 */
/* What the board gives to every chip, and what it asks of every chip. */
#ifndef CHIPSET_CHIP_H
#define CHIPSET_CHIP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/state.h"

#define CHIP_NEVER UINT64_MAX
#define CHIP_NS_PER_S UINT64_C(1000000000)

/* A chip's way out. @slot is the number that the board gave to the chip. */
struct chip_services {
	void *ctx;
	uint64_t (*now_ns)(void *ctx);
	/* Have the chip's timer() called at @deadline_ns (replaces an earlier wish; CHIP_NEVER: none). */
	void (*arm)(void *ctx, unsigned slot, uint64_t deadline_ns);
	/* Drives a line of the interrupt controllers. */
	void (*set_irq)(void *ctx, unsigned line, bool level);
};

struct chip_link {
	const struct chip_services *services;
	unsigned slot;
};

/* The life of a chip. Configuration is set before the first reset and is no part of the saved state. */
struct chip_ops {
	uint32_t tag;
	uint16_t version;
	void (*reset)(void *chip);
	/* The payload of one record. Times are saved relative to now. */
	void (*save)(const void *chip, struct state_writer *w);
	/* False: an impossible value (the board then resets everything). Re-arms timers; drives no lines. */
	bool (*restore)(void *chip, struct state_reader *r);
	/* The armed deadline has come. NULL: the chip has no timer. */
	void (*timer)(void *chip, uint64_t now_ns);
};

static inline uint64_t chip_now(const struct chip_link *link)
{
	return link->services->now_ns(link->services->ctx);
}

static inline void chip_arm(const struct chip_link *link, uint64_t deadline_ns)
{
	link->services->arm(link->services->ctx, link->slot, deadline_ns);
}

static inline void chip_irq(const struct chip_link *link, unsigned line, bool level)
{
	link->services->set_irq(link->services->ctx, line, level);
}

/* Absolute time of a saved relative one, and back; CHIP_NEVER stays. */
static inline uint64_t chip_time_save(uint64_t at_ns, uint64_t now_ns)
{
	return at_ns == CHIP_NEVER ? CHIP_NEVER : at_ns > now_ns ? at_ns - now_ns : 0;
}

static inline uint64_t chip_time_restore(uint64_t delta_ns, uint64_t now_ns)
{
	return delta_ns > CHIP_NEVER - now_ns ? CHIP_NEVER : now_ns + delta_ns;
}

#endif
