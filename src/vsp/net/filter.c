// SPDX-License-Identifier: Apache-2.0
/* Which frames the guest wants: its packet filter, addresses and multicast list. */
#include "adapter.h"

#include <string.h>

static bool is_broadcast(const uint8_t *mac)
{
	static const uint8_t all[NET_MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	return memcmp(mac, all, sizeof(all)) == 0;
}

static bool in_list(const struct net_settings *s, const uint8_t *mac)
{
	for (uint32_t i = 0; i < s->multicasts; i++) {
		if (memcmp(s->multicast[i], mac, NET_MAC_BYTES) == 0) {
			return true;
		}
	}
	return false;
}

/* A guest that starts again without telling goes back to its permanent address. */
bool net_filter(const struct net_settings *s, const uint8_t *permanent, const struct net_frame *f)
{
	const uint8_t *to = f->head;

	if (s->filter & NDIS_PACKET_TYPE_PROMISCUOUS) {
		return true;
	}
	if (is_broadcast(to)) {
		return s->filter & NDIS_PACKET_TYPE_BROADCAST;
	}
	if (to[0] & 1) {
		return s->filter & NDIS_PACKET_TYPE_ALL_MULTICAST ||
		       (s->filter & NDIS_PACKET_TYPE_MULTICAST && in_list(s, to));
	}
	return s->filter & NDIS_PACKET_TYPE_DIRECTED && (memcmp(to, s->mac, NET_MAC_BYTES) == 0 ||
							 memcmp(to, permanent, NET_MAC_BYTES) == 0);
}
