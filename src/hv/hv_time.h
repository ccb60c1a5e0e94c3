/* SPDX-License-Identifier: Apache-2.0 */
/* time.c: a partition's time. */
#ifndef HV_TIME_H
#define HV_TIME_H

#include <stdbool.h>
#include <stdint.h>

struct hv_partition;

struct hv_time {
	uint32_t sequence; /* odd while it changes */
	bool frozen;
	uint64_t offset;     /* guest TSC = engine TSC + offset while running */
	uint64_t frozen_tsc; /* guest TSC while frozen */
	uint64_t tsc_hz;
	uint64_t
		lost_hz; /* the rate where the restored state came from, which the engine could not take; 0: none */
	uint64_t scale; /* reference time = (guest TSC * scale >> 64) + reference_offset */
	int64_t reference_offset;
	uint64_t apic_hz; /* ticks of the local APICs' timers in a second */
};

#define REFERENCE_HZ UINT64_C(10000000)

void time_init(struct hv_partition *p, bool frozen);
/* The guest's TSC ran at @hz so far: the engine takes that rate if it can. Time is set anew afterwards (time_set). */
void time_keep_rate(struct hv_partition *p, uint64_t hz);
void time_freeze(struct hv_partition *p, bool frozen);
/* Guest TSC (without a VP's own offset) and reference time now. [any] */
uint64_t time_guest_tsc(const struct hv_partition *p);
uint64_t time_reference(const struct hv_partition *p);
uint64_t time_reference_of(const struct hv_time *time, uint64_t guest_tsc);
/* A guest TSC at which reference time reaches @reference, to within 100 ns; 0: it has; UINT64_MAX: never. */
uint64_t time_tsc_of_reference(const struct hv_partition *p, uint64_t reference);
/* The engine's clock when the guest's TSC is @guest_tsc; what has been is now, and UINT64_MAX: never, or later than that clock can tell. */
uint64_t time_engine_tsc(const struct hv_partition *p, uint64_t guest_tsc);
uint64_t time_frozen(const struct hv_partition *p);
/* Starts again at @guest_tsc and @reference (restore). The partition is frozen. */
void time_set(struct hv_partition *p, uint64_t guest_tsc, uint64_t reference);
/* 100 ns in @ticks of the TSC. */
uint64_t time_100ns(const struct hv_partition *p, uint64_t ticks);

#endif
