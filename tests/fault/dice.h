/* SPDX-License-Identifier: Apache-2.0 */
/* Randomness that a seed repeats. */
#ifndef FAULT_DICE_H
#define FAULT_DICE_H

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t dice_mix(uint64_t v)
{
	v = (v ^ (v >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	v = (v ^ (v >> 27)) * UINT64_C(0x94d049bb133111eb);
	return v ^ (v >> 31);
}

struct dice {
	uint64_t state;
};

static inline uint64_t dice_roll(struct dice *d)
{
	d->state += UINT64_C(0x9e3779b97f4a7c15);
	return dice_mix(d->state);
}

/* 0..@limit - 1. */
static inline uint64_t dice_below(struct dice *d, uint64_t limit)
{
	return dice_roll(d) % limit;
}

static inline bool dice_percent(struct dice *d, unsigned percent)
{
	return dice_below(d, 100) < percent;
}

#endif
