// SPDX-License-Identifier: Apache-2.0
#include "hostcpu/shares.h"

#include <stdlib.h>

#include "lib/bits.h"
#include "lib/check.h"

/* Shares are counted in parts so small that rounding does not matter. */
#define SCALE 1000u
#define QUOTA_MIN_US 1000u /* Linux takes no less */

uint64_t hostcpu_reserved(const struct hostcpu_claim *c)
{
	return (uint64_t)c->processors * c->reserve_percent;
}

uint64_t hostcpu_reserved_all(const struct hostcpu_claim *claims, size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		sum += hostcpu_reserved(&claims[i]);
	}
	return sum;
}

uint64_t hostcpu_hundredths(uint64_t quota_us, uint64_t period_us)
{
	uint64_t parts;

	return __builtin_mul_overflow(quota_us, (uint64_t)100, &parts) ? UINT64_MAX
								       : parts / period_us;
}

uint64_t hostcpu_quota_us(const struct hostcpu_claim *c)
{
	if (c->limit_percent >= 100) {
		return 0;
	}
	return max_u64((uint64_t)c->processors * c->limit_percent * (HOSTCPU_PERIOD_US / 100),
		       QUOTA_MIN_US);
}

/* ---- Pools: processors that are connected by machines which may run on several of them ---- */

/* What belongs to one pool; a pool is named by one of its processors. */
struct pool {
	uint64_t processors, reserved, weight; /* sums */
	uint64_t largest;		       /* share, in parts */
};

struct pools {
	uint16_t parent[HOSTCPU_MAX];
	struct pool pools[HOSTCPU_MAX];
};

static unsigned pool_of(struct pools *p, unsigned cpu)
{
	while (p->parent[cpu] != cpu) {
		p->parent[cpu] = p->parent[p->parent[cpu]];
		cpu = p->parent[cpu];
	}
	return cpu;
}

/* Where @c may run of what there is; everywhere when that is nowhere. */
static struct hostcpu_set usable(const struct hostcpu_claim *c,
				 const struct hostcpu_capacity *capacity)
{
	struct hostcpu_set s = c->set;

	hostcpu_set_intersect(&s, &capacity->set);
	return hostcpu_set_is_empty(&s) ? capacity->set : s;
}

static unsigned first_of(const struct hostcpu_claim *c, const struct hostcpu_capacity *capacity)
{
	struct hostcpu_set s = usable(c, capacity);

	return hostcpu_set_next(&s, 0);
}

static void connect(struct pools *p, const struct hostcpu_set *s)
{
	unsigned first = hostcpu_set_next(s, 0);

	for (unsigned n = hostcpu_set_next(s, first + 1); n < HOSTCPU_MAX;
	     n = hostcpu_set_next(s, n + 1)) {
		p->parent[pool_of(p, n)] = (uint16_t)pool_of(p, first);
	}
}

static struct pools *make_pools(const struct hostcpu_claim *claims, size_t count,
				const struct hostcpu_capacity *capacity)
{
	struct pools *p = calloc(1, sizeof(*p));

	CHECK(p != NULL);
	for (unsigned n = 0; n < HOSTCPU_MAX; n++) {
		p->parent[n] = (uint16_t)n;
	}
	for (size_t i = 0; i < count; i++) {
		struct hostcpu_set s = usable(&claims[i], capacity);

		connect(p, &s);
	}
	for (unsigned n = hostcpu_set_next(&capacity->set, 0); n < HOSTCPU_MAX;
	     n = hostcpu_set_next(&capacity->set, n + 1)) {
		p->pools[pool_of(p, n)].processors++;
	}
	for (size_t i = 0; i < count; i++) {
		const struct hostcpu_claim *c = &claims[i];
		struct pool *pool = &p->pools[pool_of(p, first_of(c, capacity))];

		pool->reserved += hostcpu_reserved(c);
		pool->weight += (uint64_t)c->weight * c->processors;
	}
	return p;
}

/* ---- Reserves ---- */

static bool fits(const struct hostcpu_claim *claims, size_t count, const struct hostcpu_claim *c,
		 const struct hostcpu_set *where, const struct hostcpu_capacity *capacity,
		 struct hostcpu_refusal *ret)
{
	uint64_t reserved = 0;
	uint64_t available =
		min_u64(capacity->hundredths, (uint64_t)hostcpu_set_count(where) * 100);

	for (size_t i = 0; i < count; i++) {
		struct hostcpu_set s = usable(&claims[i], capacity);

		if (hostcpu_set_is_within(&s, where)) {
			reserved += hostcpu_reserved(&claims[i]);
		}
	}
	if (reserved + hostcpu_reserved(c) <= available) {
		return true;
	}
	*ret = (struct hostcpu_refusal){
		.reserved = reserved, .available = available, .set = *where};
	return false;
}

bool hostcpu_admits(const struct hostcpu_claim *claims, size_t count, const struct hostcpu_claim *c,
		    const struct hostcpu_capacity *capacity, struct hostcpu_refusal *ret)
{
	struct hostcpu_set own = usable(c, capacity);

	if (c->reserve_percent == 0) {
		return true;
	}
	if (!fits(claims, count, c, &own, capacity, ret) ||
	    !fits(claims, count, c, &capacity->set, capacity, ret)) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		struct hostcpu_set other = usable(&claims[i], capacity);

		/* Most may run everywhere, and that has been looked at. */
		if (!hostcpu_set_equals(&other, &capacity->set) &&
		    !hostcpu_set_equals(&other, &own) && hostcpu_set_is_within(&own, &other) &&
		    !fits(claims, count, c, &other, capacity, ret)) {
			return false;
		}
	}
	return true;
}

/* ---- Shares ---- */

/* Its part of the pool's processors when all want everything: the reserve, and of the rest what its weight says. */
static uint64_t share_of(const struct hostcpu_claim *c, const struct pool *pool,
			 const struct hostcpu_capacity *capacity)
{
	uint64_t all = hostcpu_set_count(&capacity->set);
	uint64_t here = pool->processors * capacity->hundredths / all;
	uint64_t rest = here > pool->reserved ? here - pool->reserved : 0;

	return hostcpu_reserved(c) * SCALE +
	       rest * SCALE * ((uint64_t)c->weight * c->processors) / pool->weight;
}

/* Rounded up where something is reserved, so that no reserve is missed. */
static unsigned weight_of(uint64_t share, uint64_t largest, bool up)
{
	uint64_t w = (share * HOSTCPU_WEIGHT_MAX + (up ? largest - 1 : 0)) / largest;

	return (unsigned)max_u64(1, min_u64(w, HOSTCPU_WEIGHT_MAX));
}

void hostcpu_weights(const struct hostcpu_claim *claims, size_t count,
		     const struct hostcpu_capacity *capacity, unsigned *ret_weights)
{
	CHECK(count <= HOSTCPU_CLAIMS_MAX && !hostcpu_set_is_empty(&capacity->set));
	struct pools *p = make_pools(claims, count, capacity);

	for (size_t i = 0; i < count; i++) {
		struct pool *pool = &p->pools[pool_of(p, first_of(&claims[i], capacity))];

		pool->largest = max_u64(pool->largest, share_of(&claims[i], pool, capacity));
	}
	for (size_t i = 0; i < count; i++) {
		const struct pool *pool = &p->pools[pool_of(p, first_of(&claims[i], capacity))];

		/* Nothing for anybody: all are alike. */
		ret_weights[i] = pool->largest == 0
					 ? HOSTCPU_WEIGHT_DEFAULT
					 : weight_of(share_of(&claims[i], pool, capacity),
						     pool->largest, claims[i].reserve_percent > 0);
	}
	free(p);
}
