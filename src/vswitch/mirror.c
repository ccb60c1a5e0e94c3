// SPDX-License-Identifier: Apache-2.0
#include "switch.h"

void mirror_copy(struct vswitch *s, const struct net_frame *f)
{
	for (unsigned i = 0; i < s->mirror_count; i++) {
		struct vswitch_port *to = s->mirrors[i];

		if (!to->up) {
			to->stats.drops_out[VSWITCH_DROP_LINK]++;
		} else if (!forward_fits(to, f)) {
			to->stats.drops_out[VSWITCH_DROP_SIZE]++;
		} else {
			forward_deliver(to, f);
		}
	}
}
