// SPDX-License-Identifier: Apache-2.0
/*
 * A saved state from anywhere, onto components with channels open. The first byte says which are, and whether they had agreed on versions; what
 * is taken is worked with for a while.
 */
#include <string.h>

#include "lib/bits.h"
#include "rig.h"

#define READY 0x80u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void work(struct rig *r)
{
	const struct vsp_ic_done nobody = {0};
	struct rig_message m;

	for (unsigned i = 0; i < 4; i++) {
		rig_pass(r, 40 * RIG_S);
		for (unsigned kind = 0; kind < VSP_IC_KINDS; kind++) {
			if (r->open[kind] && rig_take(r, (enum vsp_ic_kind)kind, &m)) {
				rig_answer(r, (enum vsp_ic_kind)kind, &m, 0);
			}
		}
		vsp_ic_freeze(r->ic, RIG_S, nobody);
		vsp_ic_thaw(r->ic, nobody);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct rig *r = rig_create(NULL);
	uint8_t open = bytes != 0 ? data[0] : 0;
	struct state_reader reader;

	rig_connect(r, VERSION_WIN10_V5_3);
	for (unsigned kind = 0; kind < VSP_IC_KINDS; kind++) {
		if ((open & BIT32(kind)) && (open & READY)) {
			rig_up(r, (enum vsp_ic_kind)kind);
		} else if (open & BIT32(kind)) {
			rig_open(r, (enum vsp_ic_kind)kind);
		}
	}
	state_reader_init(&reader, data + (bytes != 0), bytes - (bytes != 0));
	vsp_ic_restore(r->ic, &reader);
	work(r);
	rig_destroy(r);
	return 0;
}
