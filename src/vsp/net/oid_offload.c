// SPDX-License-Identifier: Apache-2.0
/*
 * OIDs about offloads: what the port can take is offered, in the revision that the guest asks for; and what the guest then wants.
 *
 * What it wants to send needs no memory: each packet says it. For what it receives only RSC counts, since checksums that were verified are told
 * to everybody, and are at worst verified again.
 */
#include "adapter.h"

#include <string.h>

#include "lib/check.h"

#define NDIS_6_1 0x00060001u
#define NDIS_6_30 0x0006001eu
#define RSC_SUPPORTED 1u

/* Which checksums and segments may be left to us, as the hardware can, or (@now) as the guest set it. */
static bool on(bool can, bool now, uint8_t set, uint8_t off)
{
	return can && !(now && set == off);
}

static bool tx_on(bool can, bool now, uint8_t set)
{
	return on(can, now, set, NDIS_PARAMETER_TX_RX_DISABLED) &&
	       !(now && set == NDIS_PARAMETER_RX_ENABLED);
}

static bool rx_on(bool now, uint8_t set)
{
	return on(true, now, set, NDIS_PARAMETER_TX_RX_DISABLED) &&
	       !(now && set == NDIS_PARAMETER_TX_ENABLED);
}

static uint32_t tcp_udp(bool tcp, bool udp)
{
	return (tcp ? NDIS_CHECKSUM_IP_OPTIONS | NDIS_CHECKSUM_TCP_OPTIONS | NDIS_CHECKSUM_TCP
		    : 0) |
	       (udp ? NDIS_CHECKSUM_IP_OPTIONS | NDIS_CHECKSUM_UDP : 0);
}

static void fill_checksum(const struct vsp_net *n, bool now, struct ndis_checksum_offload *c)
{
	const struct ndis_offload_parameters *p = &n->settings.offload;
	bool can = n->config.takes & NET_TAKES_CSUM;

	c->ip4_tx = tcp_udp(tx_on(can, now, p->tcp4_checksum), tx_on(can, now, p->udp4_checksum)) |
		    (tx_on(can, now, p->ip4_checksum) ? NDIS_CHECKSUM_IP4 : 0);
	c->ip4_rx = tcp_udp(rx_on(now, p->tcp4_checksum), rx_on(now, p->udp4_checksum)) |
		    (rx_on(now, p->ip4_checksum) ? NDIS_CHECKSUM_IP4 : 0);
	c->ip6_tx = tcp_udp(tx_on(can, now, p->tcp6_checksum), tx_on(can, now, p->udp6_checksum));
	c->ip6_rx = tcp_udp(rx_on(now, p->tcp6_checksum), rx_on(now, p->udp6_checksum));
	c->ip4_tx_encap = c->ip4_tx != 0 ? NDIS_ENCAPSULATION_8023 : 0;
	c->ip4_rx_encap = c->ip4_rx != 0 ? NDIS_ENCAPSULATION_8023 : 0;
	c->ip6_tx_encap = c->ip6_tx != 0 ? NDIS_ENCAPSULATION_8023 : 0;
	c->ip6_rx_encap = c->ip6_rx != 0 ? NDIS_ENCAPSULATION_8023 : 0;
}

static void fill_lso(const struct vsp_net *n, bool now, struct ndis_offload *o)
{
	const struct ndis_offload_parameters *p = &n->settings.offload;
	bool checksum = n->config.takes & NET_TAKES_CSUM;
	bool ip4 = checksum && n->config.takes & NET_TAKES_TSO4;
	bool ip6 = checksum && n->config.takes & NET_TAKES_TSO6;

	if (on(ip4, now, p->lso1, NDIS_PARAMETER_OFF)) {
		o->lso1.encap = NDIS_ENCAPSULATION_8023;
		o->lso1.max_bytes = NET_LSO_MAX_BYTES;
		o->lso1.min_segments = 2;
		o->lso1.options = NDIS_CHECKSUM_IP_OPTIONS | NDIS_CHECKSUM_TCP_OPTIONS;
	}
	if (on(ip4, now, p->lso2_ip4, NDIS_PARAMETER_OFF)) {
		o->lso2.ip4_encap = NDIS_ENCAPSULATION_8023;
		o->lso2.ip4_max_bytes = NET_LSO_MAX_BYTES;
		o->lso2.ip4_min_segments = 2;
	}
	if (on(ip6, now, p->lso2_ip6, NDIS_PARAMETER_OFF)) {
		o->lso2.ip6_encap = NDIS_ENCAPSULATION_8023;
		o->lso2.ip6_max_bytes = NET_LSO_MAX_BYTES;
		o->lso2.ip6_min_segments = 2;
		o->lso2.ip6_options = NDIS_LSO_IP6_EXTENSIONS | NDIS_LSO_TCP6_OPTIONS;
	}
}

static bool rsc_possible(const struct net_settings *s)
{
	return s->version >= NVSP_PROTOCOL_VERSION_61 && s->capabilities & NVSP_CAPABILITY_RSC;
}

/* RSC is off until it is asked for. */
bool net_offload_rsc(const struct net_settings *s, bool ip6)
{
	uint8_t set = ip6 ? s->offload.rsc_ip6 : s->offload.rsc_ip4;

	return rsc_possible(s) && set == NDIS_PARAMETER_ON;
}

/* The revision in the request; without one, that of the guest's NDIS. Unknown ones get the newest that we know. */
static uint8_t revision(const struct vsp_net *n, const uint8_t *in, uint32_t bytes)
{
	struct ndis_header h;

	if (bytes >= sizeof(h)) {
		memcpy(&h, in, sizeof(h));
		return (uint8_t)min_u64(max_u64(h.revision, 1), 3);
	}
	return n->settings.ndis >= NDIS_6_30 ? 3 : n->settings.ndis >= NDIS_6_1 ? 2 : 1;
}

static uint32_t answer(const struct vsp_net *n, const uint8_t *in, uint32_t bytes, bool now,
		       struct net_out *out)
{
	static const uint16_t sizes[] = {NDIS_OFFLOAD_BYTES_1, NDIS_OFFLOAD_BYTES_2,
					 NDIS_OFFLOAD_BYTES_3};
	const struct net_settings *s = &n->settings;
	uint8_t rev = revision(n, in, bytes);
	struct ndis_offload o = {
		.header = {NDIS_OBJECT_TYPE_OFFLOAD, rev, sizes[rev - 1]},
		.rsc_ip4 = now ? net_offload_rsc(s, false) : rsc_possible(s),
		.rsc_ip6 = now ? net_offload_rsc(s, true) : rsc_possible(s),
	};

	fill_checksum(n, now, &o.checksum);
	fill_lso(n, now, &o);
	net_out_bytes(out, &o, o.header.bytes);
	return RNDIS_STATUS_SUCCESS;
}

uint32_t net_query_offload(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
			   uint32_t bytes, struct net_out *out)
{
	return answer(n, in, bytes, false, out);
}

uint32_t net_query_offload_now(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
			       uint32_t bytes, struct net_out *out)
{
	return answer(n, in, bytes, true, out);
}

/* ---- Parameters ---- */

static void change(uint8_t *field, uint8_t value)
{
	*field = value != 0 ? value : *field;
}

static bool parameters_valid(const struct ndis_offload_parameters *p)
{
	return p->header.type == NDIS_OBJECT_TYPE_DEFAULT &&
	       p->ip4_checksum <= NDIS_PARAMETER_TX_RX_ENABLED &&
	       p->tcp4_checksum <= NDIS_PARAMETER_TX_RX_ENABLED &&
	       p->udp4_checksum <= NDIS_PARAMETER_TX_RX_ENABLED &&
	       p->tcp6_checksum <= NDIS_PARAMETER_TX_RX_ENABLED &&
	       p->udp6_checksum <= NDIS_PARAMETER_TX_RX_ENABLED && p->lso1 <= NDIS_PARAMETER_ON &&
	       p->lso2_ip4 <= NDIS_PARAMETER_ON && p->lso2_ip6 <= NDIS_PARAMETER_ON &&
	       p->rsc_ip4 <= NDIS_PARAMETER_ON && p->rsc_ip6 <= NDIS_PARAMETER_ON;
}

/*
 * Interop: Linux sends revision 3 with 22 bytes to old hosts, and the size in the header is that of the buffer: what is not there changes nothing. To
 * switch on what was not offered is no error; it stays off.
 */
uint32_t net_set_offload(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
			 uint32_t bytes)
{
	struct ndis_offload_parameters p = {0}, *now;

	memcpy(&p, in, min_u64(bytes, sizeof(p)));
	if (!parameters_valid(&p)) {
		return RNDIS_STATUS_INVALID_DATA;
	}
	now = &net_settings_change(n)->offload;
	change(&now->ip4_checksum, p.ip4_checksum);
	change(&now->tcp4_checksum, p.tcp4_checksum);
	change(&now->udp4_checksum, p.udp4_checksum);
	change(&now->tcp6_checksum, p.tcp6_checksum);
	change(&now->udp6_checksum, p.udp6_checksum);
	change(&now->lso1, p.lso1);
	change(&now->lso2_ip4, p.lso2_ip4);
	change(&now->lso2_ip6, p.lso2_ip6);
	change(&now->rsc_ip4, p.rsc_ip4);
	change(&now->rsc_ip6, p.rsc_ip6);
	net_settings_changed(n);
	return RNDIS_STATUS_SUCCESS;
}

/* ---- Encapsulation ---- */

uint32_t net_query_encapsulation(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
				 uint32_t bytes, struct net_out *out)
{
	const struct ndis_encapsulation e = {
		.header = {NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION, 1, sizeof(e)},
		.ip4 = {1, NDIS_ENCAPSULATION_8023, NET_ETHERNET_BYTES},
		.ip6 = {1, NDIS_ENCAPSULATION_8023, NET_ETHERNET_BYTES},
	};

	net_out_bytes(out, &e, sizeof(e));
	return RNDIS_STATUS_SUCCESS;
}

uint32_t net_set_encapsulation(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
			       uint32_t bytes)
{
	struct ndis_encapsulation e;

	memcpy(&e, in, sizeof(e));
	if (e.header.type != NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION) {
		return RNDIS_STATUS_INVALID_DATA;
	}
	if ((e.ip4.enabled == 1 && e.ip4.type != NDIS_ENCAPSULATION_8023) ||
	    (e.ip6.enabled == 1 && e.ip6.type != NDIS_ENCAPSULATION_8023)) {
		return RNDIS_STATUS_NOT_SUPPORTED;
	}
	return RNDIS_STATUS_SUCCESS;
}
