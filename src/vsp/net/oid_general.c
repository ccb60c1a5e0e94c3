// SPDX-License-Identifier: Apache-2.0
/* OIDs about sizes, names, the link, the packet filter and counters. */
#include "adapter.h"

#include <string.h>

#include "lib/check.h"
#include "lib/utf16.h"

#define QUERY(name)                                                                                \
	uint32_t name(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,             \
		      uint32_t bytes, struct net_out *out)
#define SET(name)                                                                                  \
	uint32_t name(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,             \
		      uint32_t bytes)

static uint32_t answer_u32(struct net_out *out, uint64_t v)
{
	net_out_u32(out, (uint32_t)min_u64(v, UINT32_MAX));
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t answer(struct net_out *out, const void *data, size_t bytes)
{
	net_out_bytes(out, data, bytes);
	return RNDIS_STATUS_SUCCESS;
}

QUERY(net_query_value)
{
	return answer_u32(out, oid->value);
}

SET(net_set_nothing)
{
	return RNDIS_STATUS_SUCCESS;
}

/* ---- Sizes and names ---- */

QUERY(net_query_mtu)
{
	return answer_u32(out, n->settings.mtu);
}

QUERY(net_query_total)
{
	return answer_u32(out, n->settings.mtu + NET_ETHERNET_BYTES);
}

QUERY(net_query_space)
{
	const struct net_settings *s = &n->settings;

	if (oid->oid == OID_GEN_TRANSMIT_BUFFER_SPACE) {
		return answer_u32(out, (uint64_t)s->sections * NET_SEND_SECTION_BYTES);
	}
	return answer_u32(out, (uint64_t)s->suballocs * s->suballoc_bytes);
}

QUERY(net_query_lookahead)
{
	return answer_u32(out,
			  n->settings.lookahead != 0 ? n->settings.lookahead : n->settings.mtu);
}

SET(net_set_lookahead)
{
	net_settings_change(n)->lookahead = (uint32_t)min_u64(load_le32(in), NET_MTU_MAX);
	net_settings_changed(n);
	return RNDIS_STATUS_SUCCESS;
}

QUERY(net_query_vendor)
{
	static const char vendor[] = "Virid synthetic network adapter";

	return answer(out, vendor, sizeof(vendor));
}

QUERY(net_query_driver_version)
{
	const uint16_t version = 0x0100;

	return answer(out, &version, sizeof(version));
}

/* Interop: Linux looks for the final NUL. */
QUERY(net_query_name)
{
	static const uint8_t nul[2];
	uint8_t name[2 * NET_NAME_BYTES];
	size_t name_bytes;

	if (!utf16_encode(n->name, UTF16_LE, name, sizeof(name), &name_bytes)) {
		return RNDIS_STATUS_NOT_SUPPORTED;
	}
	net_out_bytes(out, name, name_bytes);
	return answer(out, nul, sizeof(nul));
}

/* ---- Link ---- */

static uint64_t link_bps(const struct vsp_net *n)
{
	return __atomic_load_n(&n->link_bps, __ATOMIC_ACQUIRE);
}

QUERY(net_query_speed)
{
	return answer_u32(out, link_bps(n) / 100);
}

QUERY(net_query_max_speed)
{
	const uint64_t speed[2] = {link_bps(n), link_bps(n)};

	return answer(out, speed, sizeof(speed));
}

QUERY(net_query_connect)
{
	return answer_u32(out, net_link_up(n) ? 0 : 1);
}

QUERY(net_query_link_state)
{
	const struct ndis_link_state state = {
		.header = {NDIS_OBJECT_TYPE_DEFAULT, 1, sizeof(state)},
		.connect = net_link_up(n) ? 1 : 2,
		.duplex = 2,
		.tx_bps = link_bps(n),
		.rx_bps = link_bps(n),
	};

	return answer(out, &state, sizeof(state));
}

QUERY(net_query_moderation)
{
	const struct ndis_interrupt_moderation moderation = {
		.header = {NDIS_OBJECT_TYPE_DEFAULT, 1, sizeof(moderation)},
		.moderation = 1,
	};

	return answer(out, &moderation, sizeof(moderation));
}

/* ---- Filter ---- */

QUERY(net_query_filter)
{
	return answer_u32(out, n->settings.filter);
}

SET(net_set_filter)
{
	const uint32_t known = NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_MULTICAST |
			       NDIS_PACKET_TYPE_ALL_MULTICAST | NDIS_PACKET_TYPE_BROADCAST |
			       NDIS_PACKET_TYPE_PROMISCUOUS;

	net_settings_change(n)->filter = load_le32(in) & known;
	net_settings_changed(n);
	return RNDIS_STATUS_SUCCESS;
}

/* ---- Counters ---- */

static uint64_t counter(const struct vsp_net_stats *s, uint32_t oid)
{
	switch (oid) {
	case OID_GEN_XMIT_OK:
		return s->tx_frames;
	case OID_GEN_RCV_OK:
		return s->rx_frames;
	case OID_GEN_XMIT_ERROR:
	case OID_GEN_XMIT_DISCARDS:
		return s->tx_dropped;
	case OID_GEN_RCV_NO_BUFFER:
	case OID_GEN_RCV_DISCARDS:
		return s->rx_dropped;
	case OID_GEN_BYTES_XMIT:
		return s->tx_bytes;
	case OID_GEN_BYTES_RCV:
		return s->rx_bytes;
	default:
		return 0;
	}
}

/* In 32 bits, going round, unless the guest has room for 64. */
QUERY(net_query_counter)
{
	struct vsp_net_stats s;
	uint64_t v;

	vsp_net_get_stats(n, &s);
	v = counter(&s, oid->oid);
	return answer(out, &v, bytes >= sizeof(v) ? sizeof(v) : sizeof(uint32_t));
}

QUERY(net_query_statistics)
{
	struct ndis_statistics a = {
		.header = {NDIS_OBJECT_TYPE_DEFAULT, 1, sizeof(a)},
		.supported = NDIS_STATISTICS_IN_DISCARDS | NDIS_STATISTICS_IN_OCTETS |
			     NDIS_STATISTICS_OUT_OCTETS | NDIS_STATISTICS_OUT_ERRORS,
	};
	struct vsp_net_stats s;

	vsp_net_get_stats(n, &s);
	a.in_discards = s.rx_dropped;
	a.in_octets = s.rx_bytes;
	a.out_octets = s.tx_bytes;
	a.out_errors = s.tx_dropped;
	return answer(out, &a, sizeof(a));
}
