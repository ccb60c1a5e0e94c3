/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who gets how much of the host's processors: from what is asked for each machine (weight, reserve, limit) to what Linux is told. Amounts are hundredths of a
 * processor: 100 is one. No state; any thread.
 *
 * Spec: TLFS, CPU scheduling policies: reserve and cap are parts of one processor for each virtual one, the weight is each virtual processor's.
 */
#ifndef HOSTCPU_SHARES_H
#define HOSTCPU_SHARES_H

#include "hostcpu/set.h"

#define HOSTCPU_WEIGHT_MAX 10000u
#define HOSTCPU_WEIGHT_DEFAULT 100u
#define HOSTCPU_PROCESSORS_MAX 2048u /* virtual ones of a machine */
#define HOSTCPU_CLAIMS_MAX 65536u
#define HOSTCPU_PERIOD_US 100000u

/* One machine. */
struct hostcpu_claim {
	unsigned processors;	  /* virtual ones, 1 .. HOSTCPU_PROCESSORS_MAX */
	unsigned weight;	  /* 1 .. HOSTCPU_WEIGHT_MAX */
	unsigned reserve_percent; /* of a processor, for each virtual one: 0 .. 100 */
	unsigned limit_percent;	  /* 1 .. 100; 100: no limit */
	struct hostcpu_set set;	  /* where it may run; empty: everywhere */
};

/* What there is to be had. */
struct hostcpu_capacity {
	struct hostcpu_set set; /* not empty */
	uint64_t
		hundredths; /* at most 100 for each of @set; less where all machines together are limited */
};

/* What @c has reserved. */
uint64_t hostcpu_reserved(const struct hostcpu_claim *c);
uint64_t hostcpu_reserved_all(const struct hostcpu_claim *claims, size_t count);

/*
 * Weights (1 .. 10000, of cgroup v2's cpu.weight) with which, when all want all they can get, each machine has at least its reserve and the rest goes by weight.
 * Machines that can never meet on a processor do not count for each other; those that may meet share the processors that they may meet on, also by way of others.
 * More reserved than there is: the reserves are the weights. At most HOSTCPU_CLAIMS_MAX.
 */
void hostcpu_weights(const struct hostcpu_claim *claims, size_t count,
		     const struct hostcpu_capacity *capacity, unsigned *ret_weights);

/* Why a machine's reserve cannot be had, in hundredths. */
struct hostcpu_refusal {
	uint64_t reserved;	/* by others where it would have to run, and nowhere else */
	uint64_t available;	/* in all there */
	struct hostcpu_set set; /* there */
};
/*
 * Could @c be added to @claims, which have what they reserved? Looked at are the processors of each machine that @c's are among, and all there are: what is
 * reserved for machines that can run only there has to fit. False: *ret.
 */
bool hostcpu_admits(const struct hostcpu_claim *claims, size_t count, const struct hostcpu_claim *c,
		    const struct hostcpu_capacity *capacity, struct hostcpu_refusal *ret);

/* What a limit of Linux (cpu.max) comes to; UINT64_MAX: none. @period_us is above 0. */
uint64_t hostcpu_hundredths(uint64_t quota_us, uint64_t period_us);
/* Microseconds of processor time in each HOSTCPU_PERIOD_US; 0: no limit. */
uint64_t hostcpu_quota_us(const struct hostcpu_claim *c);

#endif
