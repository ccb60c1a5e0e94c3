// SPDX-License-Identifier: Apache-2.0
/*
 * Saved: which ports for messages to the guest there are, as messages that wait in the hypervisor name theirs; then the hypervisor's own
 * records.
 */
#include <errno.h>

#include "lib/bits.h"
#include "lib/state.h"
#include "partition.h"

#define TAG_PORTS STATE_TAG('V', 'I', 'D', 'P')
#define PORTS_VERSION 1u

static void save_ports(const struct vid_partition *p, struct state_writer *w)
{
	state_begin(w, TAG_PORTS, PORTS_VERSION);
	for (uint32_t i = 0; i < p->config.processors; i++) {
		for (uint32_t sint = 0; p->vps[i] != NULL && sint < HV_SYNIC_SINT_COUNT; sint++) {
			if (p->vps[i]->message_sints & BIT32(sint)) {
				state_put_u32(w, i);
				state_put_u32(w, sint);
			}
		}
	}
	state_end(w);
}

size_t vid_save(struct vid_partition *p, void *buf, size_t bytes)
{
	struct state_writer w;
	size_t room;

	state_writer_init(&w, buf, bytes);
	save_ports(p, &w);
	room = w.used < bytes ? bytes - w.used : 0;
	return w.used +
	       hv_partition_save(p->handle, room != 0 ? (uint8_t *)buf + w.used : NULL, room);
}

static bool restore_ports(struct vid_partition *p, struct state_reader *r)
{
	while (r->left != 0) {
		uint32_t vp = state_get_u32(r), sint = state_get_u32(r);

		if (r->bad || vp >= p->config.processors || p->vps[vp] == NULL ||
		    sint >= HV_SYNIC_SINT_COUNT || vid_guest_port_open(p, vp, sint) != 0) {
			return false;
		}
	}
	return true;
}

/* The hypervisor skips what is not its own. */
int vid_restore(struct vid_partition *p, const void *buf, size_t bytes)
{
	struct state_reader r, payload;
	uint16_t version;
	uint32_t tag;

	state_reader_init(&r, buf, bytes);
	if (state_next(&r, &tag, &version, &payload) && tag == TAG_PORTS &&
	    (version > PORTS_VERSION || !restore_ports(p, &payload))) {
		return -EINVAL;
	}
	return hv_partition_restore(p->handle, buf, bytes) ? 0 : -EINVAL;
}
