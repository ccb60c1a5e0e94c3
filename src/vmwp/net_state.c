// SPDX-License-Identifier: Apache-2.0
/* Adapters that stand still, and what of them is saved. */
#include "lib/bits.h"
#include "net_adapter.h"

#define TAG_ADAPTER STATE_TAG('N', 'E', 'T', 'A')
#define VERSION 1u

/* ---- Standing still ---- */

void net_quiesce(struct net *n)
{
	if (n != NULL) {
		n->running = false;
		net_threads_park(n->threads);
	}
}

void net_resume(struct net *n)
{
	if (n != NULL) {
		n->running = true;
		net_threads_serve(n->threads);
	}
}

/* ---- Saved state ---- */

static struct adapter *offered(struct net *n, uint32_t number)
{
	struct adapter *a = n != NULL && number < NET_ADAPTERS_MAX ? n->adapters[number] : NULL;

	return a != NULL && a->port.vsp != NULL && !a->leaving ? a : NULL;
}

uint64_t net_numbers(struct net *n)
{
	uint64_t numbers = 0;

	for (uint32_t i = 0; i < NET_ADAPTERS_MAX; i++) {
		numbers |= offered(n, i) != NULL ? BIT64(i) : 0;
	}
	return numbers;
}

bool net_stats(struct net *n, unsigned number, struct vsp_net_stats *ret)
{
	struct adapter *a = offered(n, number);

	if (a != NULL) {
		vsp_net_get_stats(a->port.vsp, ret);
	}
	return a != NULL;
}

void net_save(struct net *n, struct state_writer *w)
{
	for (uint32_t i = 0; i < NET_ADAPTERS_MAX; i++) {
		struct adapter *a = offered(n, i);

		if (a != NULL) {
			state_begin(w, TAG_ADAPTER, VERSION);
			state_put_u32(w, i);
			vsp_net_save(a->port.vsp, w);
			state_end(w);
		}
	}
}

bool net_restore(struct net *n, const struct state_reader *run)
{
	struct state_reader r = *run, payload;
	uint64_t seen = 0;
	uint16_t version;
	uint32_t tag;

	while (state_next(&r, &tag, &version, &payload)) {
		if (tag != TAG_ADAPTER) {
			continue;
		}
		uint32_t number = state_get_u32(&payload);
		struct adapter *a = offered(n, number);

		if (version > VERSION || a == NULL || (seen & BIT64(number)) ||
		    !vsp_net_restore(a->port.vsp, &payload)) {
			return false;
		}
		seen |= BIT64(number);
	}
	return !r.bad && seen == net_numbers(n);
}
