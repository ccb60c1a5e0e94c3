// SPDX-License-Identifier: Apache-2.0
#include "measure.h"

#include <time.h>

#include "guest.h"
#include "lib/bits.h"

#define ENOUGH_NS 15000000u /* a measured run takes at least that */
#define FIRST_ROUNDS 200u   /* 2 ms where kernel mode makes a million instructions a second */
#define ROUNDS_MAX (UINT64_C(1) << 36)
#define FIRST_EXITS 16u
#define EXITS_MAX 100000u

/* Processor time of this thread, guest included: a busy host does not spoil it. */
static uint64_t thread_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* One run of GUEST_LOOP. */
static bool time_loop(struct measured_vp *vp, bool user, uint64_t rounds, uint64_t *ret_ns)
{
	if (!vp->start(vp, guest_entry(GUEST_LOOP), rounds, user)) {
		return false;
	}
	uint64_t began = thread_ns();

	if (!vp->run(vp)) {
		return false;
	}
	*ret_ns = thread_ns() - began;
	return true;
}

/* The better of two runs each time: a first touch of memory, or a first translation, is not what is measured. */
static bool measure_loop(struct measured_vp *vp, bool user, uint64_t *ret_ips)
{
	for (uint64_t rounds = FIRST_ROUNDS; rounds < ROUNDS_MAX; rounds *= 4) {
		uint64_t first, second;

		if (!time_loop(vp, user, rounds, &first) || !time_loop(vp, user, rounds, &second)) {
			return false;
		}
		uint64_t took = min_u64(first, second);

		if (took >= ENOUGH_NS) {
			*ret_ips = (uint64_t)((double)rounds * GUEST_LOOP_INSTRUCTIONS * 1e9 /
					      (double)took);
			return true;
		}
	}
	return false; /* a clock that stands still */
}

static bool time_exits(struct measured_vp *vp, uint64_t exits, uint64_t *ret_ns)
{
	uint64_t began = thread_ns();

	for (uint64_t i = 0; i < exits; i++) {
		if (!vp->run(vp)) {
			return false;
		}
	}
	*ret_ns = thread_ns() - began;
	return true;
}

static bool measure_exits(struct measured_vp *vp, uint64_t *ret_ns)
{
	uint64_t first, second, took;

	if (!vp->start(vp, guest_entry(GUEST_EXIT), 0, false)) {
		return false;
	}
	for (uint64_t exits = FIRST_EXITS;; exits *= 4) {
		if (!time_exits(vp, exits, &first) || !time_exits(vp, exits, &second)) {
			return false;
		}
		took = min_u64(first, second);
		if (took >= ENOUGH_NS || exits >= EXITS_MAX) {
			*ret_ns = max_u64(took / exits, 1);
			return true;
		}
	}
}

bool measure_rates(struct measured_vp *vp, struct engines_rates *ret_rates)
{
	return measure_loop(vp, false, &ret_rates->kernel_ips) &&
	       measure_loop(vp, true, &ret_rates->user_ips) &&
	       measure_exits(vp, &ret_rates->exit_ns);
}
