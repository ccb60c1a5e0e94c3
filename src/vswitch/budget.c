// SPDX-License-Identifier: Apache-2.0
/*
 * Deficit round robin: each round gives a port its weight in quanta; what a large frame takes beyond that is owed in the next rounds.
 * What is not used is not kept, or a port that was silent could come back with all of it at once.
 */
#include "switch.h"

#define QUANTUM_BYTES (32 << 10)
#define BURST_NS (SECOND_NS / 100)
/* Not worth waking up for less. */
#define STEP_NS (SECOND_NS / 1000)
#define BITS_NS (8 * SECOND_NS)

uint32_t vswitch_port_budget(struct vswitch_port *p, uint64_t now_ns, uint64_t *ret_when)
{
	uint32_t weight = p->config.weight != 0 ? p->config.weight : 1;
	uint64_t ahead = p->bandwidth.paid_ns > now_ns ? p->bandwidth.paid_ns - now_ns : 0, bytes;

	*ret_when = now_ns;
	p->deficit = (p->deficit < 0 ? p->deficit : 0) + (int64_t)weight * QUANTUM_BYTES;
	if (p->deficit <= 0) {
		return 0;
	}
	if (p->config.max_bps == 0) {
		return (uint32_t)p->deficit;
	}
	bytes = ahead < BURST_NS ? mul_div_u64(BURST_NS - ahead, p->config.max_bps, BITS_NS) + 1
				 : 0;
	if (bytes == 0) {
		*ret_when = p->bandwidth.paid_ns - BURST_NS + STEP_NS;
		return 0;
	}
	return (uint32_t)min_u64(bytes, (uint64_t)p->deficit);
}

void budget_charge(struct vswitch_port *p, const struct net_frame *f, uint64_t now_ns)
{
	p->deficit -= vswitch_cost(f);
	if (p->config.max_bps != 0) { /* rounded up: never more than the limit */
		p->bandwidth.paid_ns = max_u64(p->bandwidth.paid_ns, now_ns) +
				       mul_div_u64(f->bytes, BITS_NS, p->config.max_bps) + 1;
	}
}
