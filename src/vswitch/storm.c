// SPDX-License-Identifier: Apache-2.0
#include "switch.h"

/* What may come at once after silence. */
#define BURST_NS (SECOND_NS / 10)

bool storm_allows(struct rate *r, uint32_t per_second, uint64_t now_ns)
{
	if (per_second == 0) {
		return true;
	}
	if (r->paid_ns > now_ns + BURST_NS) {
		return false;
	}
	r->paid_ns = max_u64(r->paid_ns, now_ns) + SECOND_NS / per_second;
	return true;
}
