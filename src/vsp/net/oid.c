// SPDX-License-Identifier: Apache-2.0
/* What guests ask and set: all OIDs of Linux's and FreeBSD's drivers, and those that a Windows miniport above RNDIS needs. */
#include "adapter.h"

#include <string.h>

void net_out_bytes(struct net_out *o, const void *data, size_t bytes)
{
	size_t fits = o->bytes < o->capacity ? o->capacity - o->bytes : 0;

	memcpy(o->buf + min_u64(o->bytes, o->capacity), data, min_u64(bytes, fits));
	o->bytes += (uint32_t)bytes;
}

void net_out_u32(struct net_out *o, uint32_t v)
{
	net_out_bytes(o, &v, sizeof(v));
}

static net_oid_query_fn query_supported;

static const struct net_oid oids[] = {
	{OID_GEN_SUPPORTED_LIST, 0, query_supported},
	{OID_GEN_HARDWARE_STATUS, 0, net_query_value, .value = 0}, /* ready */
	{OID_GEN_MEDIA_SUPPORTED, 0, net_query_value, .value = 0}, /* 802.3 */
	{OID_GEN_MEDIA_IN_USE, 0, net_query_value, .value = 0},
	{OID_GEN_PHYSICAL_MEDIUM, 0, net_query_value, .value = 0},
	{OID_GEN_MAXIMUM_LOOKAHEAD, 0, net_query_mtu},
	{OID_GEN_CURRENT_LOOKAHEAD, 4, net_query_lookahead, net_set_lookahead},
	{OID_GEN_MAXIMUM_FRAME_SIZE, 0, net_query_mtu},
	{OID_GEN_MAXIMUM_TOTAL_SIZE, 0, net_query_total},
	{OID_GEN_TRANSMIT_BLOCK_SIZE, 0, net_query_total},
	{OID_GEN_RECEIVE_BLOCK_SIZE, 0, net_query_total},
	{OID_GEN_TRANSMIT_BUFFER_SPACE, 0, net_query_space},
	{OID_GEN_RECEIVE_BUFFER_SPACE, 0, net_query_space},
	{OID_GEN_LINK_SPEED, 0, net_query_speed},
	{OID_GEN_MAX_LINK_SPEED, 0, net_query_max_speed},
	{OID_GEN_LINK_STATE, 0, net_query_link_state},
	{OID_GEN_LINK_PARAMETERS, 0, NULL, net_set_nothing}, /* nothing to negotiate */
	{OID_GEN_MEDIA_CONNECT_STATUS, 0, net_query_connect},
	{OID_GEN_INTERRUPT_MODERATION, 0, net_query_moderation},
	{OID_GEN_VENDOR_ID, 0, net_query_value, .value = 0xffffff}, /* none of IEEE's */
	{OID_GEN_VENDOR_DESCRIPTION, 0, net_query_vendor},
	{OID_GEN_VENDOR_DRIVER_VERSION, 0, net_query_value, .value = 0x00010000},
	{OID_GEN_DRIVER_VERSION, 0, net_query_driver_version},
	{OID_GEN_FRIENDLY_NAME, 0, net_query_name},
	{OID_GEN_MAC_OPTIONS, 0, net_query_value,
	 .value = 0x01 | 0x02 | 0x08 | 0x40 | 0x80}, /* no loopback; 802.1p and 802.1Q */
	{OID_GEN_MAXIMUM_SEND_PACKETS, 0, net_query_value, .value = NET_RNDIS_MAX_PACKETS},
	{OID_GEN_CURRENT_PACKET_FILTER, 4, net_query_filter, net_set_filter},
	{OID_GEN_PROTOCOL_OPTIONS, 4, NULL, net_set_nothing},
	{OID_GEN_NETWORK_LAYER_ADDRESSES, 0, NULL, net_set_nothing},
	{OID_GEN_TRANSPORT_HEADER_OFFSET, 0, NULL, net_set_nothing},
	{OID_GEN_VLAN_ID, 4, net_query_value, net_set_nothing, .value = 0}, /* tags go by packet */
	{OID_GEN_RNDIS_CONFIG_PARAMETER, sizeof(struct rndis_config_parameter), NULL,
	 net_set_config_parameter},
	{OID_GEN_RECEIVE_SCALE_CAPABILITIES, 0, net_query_rss_capabilities},
	{OID_GEN_RECEIVE_SCALE_PARAMETERS, NDIS_RSS_PARAMETERS_BYTES_1, net_query_rss, net_set_rss},
	{OID_GEN_XMIT_OK, 0, net_query_counter},
	{OID_GEN_RCV_OK, 0, net_query_counter},
	{OID_GEN_XMIT_ERROR, 0, net_query_counter},
	{OID_GEN_RCV_ERROR, 0, net_query_counter},
	{OID_GEN_RCV_NO_BUFFER, 0, net_query_counter},
	{OID_GEN_BYTES_RCV, 0, net_query_counter},
	{OID_GEN_BYTES_XMIT, 0, net_query_counter},
	{OID_GEN_RCV_DISCARDS, 0, net_query_counter},
	{OID_GEN_XMIT_DISCARDS, 0, net_query_counter},
	{OID_GEN_STATISTICS, 0, net_query_statistics},
	{OID_802_3_PERMANENT_ADDRESS, 0, net_query_permanent_mac},
	{OID_802_3_CURRENT_ADDRESS, NET_MAC_BYTES, net_query_mac, net_set_mac},
	{OID_802_3_MULTICAST_LIST, 0, net_query_multicast, net_set_multicast},
	{OID_802_3_ADD_MULTICAST_ADDRESS, NET_MAC_BYTES, NULL, net_add_multicast},
	{OID_802_3_DELETE_MULTICAST_ADDRESS, NET_MAC_BYTES, NULL, net_delete_multicast},
	{OID_802_3_MAXIMUM_LIST_SIZE, 0, net_query_value, .value = NET_MULTICAST_MAX},
	{OID_802_3_MAC_OPTIONS, 0, net_query_value, .value = 0},
	{OID_802_3_RCV_ERROR_ALIGNMENT, 0, net_query_value, .value = 0},
	{OID_802_3_XMIT_ONE_COLLISION, 0, net_query_value, .value = 0},
	{OID_802_3_XMIT_MORE_COLLISIONS, 0, net_query_value, .value = 0},
	{OID_OFFLOAD_ENCAPSULATION, sizeof(struct ndis_encapsulation), net_query_encapsulation,
	 net_set_encapsulation},
	{OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, 0, net_query_offload},
	{OID_TCP_OFFLOAD_CURRENT_CONFIG, 0, net_query_offload_now},
	{OID_TCP_OFFLOAD_PARAMETERS, NDIS_OFFLOAD_PARAMETERS_BYTES_MIN, NULL, net_set_offload},
};

static uint32_t query_supported(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
				uint32_t bytes, struct net_out *out)
{
	for (size_t i = 0; i < ARRAY_LEN(oids); i++) {
		net_out_u32(out, oids[i].oid);
	}
	return RNDIS_STATUS_SUCCESS;
}

static const struct net_oid *find(uint32_t oid)
{
	for (size_t i = 0; i < ARRAY_LEN(oids); i++) {
		if (oids[i].oid == oid) {
			return &oids[i];
		}
	}
	return NULL;
}

uint32_t net_oid_query(struct vsp_net *n, uint32_t oid, const uint8_t *in, uint32_t bytes,
		       struct net_out *out)
{
	const struct net_oid *o = find(oid);

	if (o == NULL || o->query == NULL) {
		return o == NULL ? RNDIS_STATUS_INVALID_OID : RNDIS_STATUS_NOT_SUPPORTED;
	}
	return o->query(n, o, in, bytes, out);
}

uint32_t net_oid_set(struct vsp_net *n, uint32_t oid, const uint8_t *in, uint32_t bytes)
{
	const struct net_oid *o = find(oid);

	if (o == NULL || o->set == NULL) {
		return o == NULL ? RNDIS_STATUS_INVALID_OID : RNDIS_STATUS_NOT_SUPPORTED;
	}
	if (bytes < o->set_bytes) {
		return RNDIS_STATUS_INVALID_LENGTH;
	}
	return o->set(n, o, in, bytes);
}
