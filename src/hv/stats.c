// SPDX-License-Identifier: Apache-2.0
/* What VPs count, for whoever looks from outside. A VP's dispatcher alone moves its counters: no locks, and no two that are of the same moment. */
#include "core.h"

static uint64_t read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void hv_vp_stats(struct hv_vp *vp, struct hv_vp_stats *ret)
{
	const struct hv_engine_ops *ops = vp_ops(vp);

	*ret = (struct hv_vp_stats){
		.instructions = ops->instructions(vp->engine),
		.own_exits = ops->own_exits != NULL ? ops->own_exits(vp->engine) : 0,
	};
	for (unsigned n = 0; n < ARRAY_LEN(ret->exits); n++) {
		ret->exits[n] = read(&vp->exits[n]);
	}
}

void hv_partition_stats(struct hv_partition *p, struct hv_stats *ret)
{
	struct hv_vp_stats one;
	struct hv_vp *vp;

	*ret = (struct hv_stats){0};
	for (uint32_t i = 0; (vp = vp_next(p, &i)) != NULL;) {
		hv_vp_stats(vp, &one);
		ret->instructions += one.instructions;
		for (unsigned n = 0; n < ARRAY_LEN(ret->exits); n++) {
			ret->exits[n] += one.exits[n];
		}
		for (unsigned n = 0; n < HV_STATS_CALLS; n++) {
			ret->hypercalls[n] += read(&vp->call_counts[n]);
		}
	}
}
