/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network protocols on the wire: NVSP in VMBus packets, RNDIS in what they refer to, NDIS structures inside of that. Little endian. No
 * behaviour.
 *
 * Spec: Linux drivers/net/hyperv/hyperv_net.h and include/linux/rndis.h; FreeBSD sys/dev/hyperv/netvsc; [MS-RNDIS]; NDIS (ntddndis.h). Names of
 * messages, OIDs and statuses are theirs.
 */
#ifndef NET_PROTOCOL_H
#define NET_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/guid.h"

/* f8615163-df3e-46c5-913f-f2d2f965ed0e */
#define NET_ADAPTER_TYPE                                                                           \
	GUID(0xf8615163, 0xdf3e, 0x46c5, 0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e)

/* ---- NVSP ---- */

#define NVSP_PROTOCOL_VERSION_1 0x00000002u
#define NVSP_PROTOCOL_VERSION_2 0x00030002u
#define NVSP_PROTOCOL_VERSION_4 0x00040000u
#define NVSP_PROTOCOL_VERSION_5 0x00050000u
#define NVSP_PROTOCOL_VERSION_6 0x00060000u
#define NVSP_PROTOCOL_VERSION_61 0x00060001u

enum nvsp_message_type {
	NVSP_MSG_TYPE_INIT = 1,
	NVSP_MSG_TYPE_INIT_COMPLETE = 2,
	NVSP_MSG1_TYPE_SEND_NDIS_VER = 100,
	NVSP_MSG1_TYPE_SEND_RECV_BUF = 101,
	NVSP_MSG1_TYPE_SEND_RECV_BUF_COMPLETE = 102,
	NVSP_MSG1_TYPE_REVOKE_RECV_BUF = 103,
	NVSP_MSG1_TYPE_SEND_SEND_BUF = 104,
	NVSP_MSG1_TYPE_SEND_SEND_BUF_COMPLETE = 105,
	NVSP_MSG1_TYPE_REVOKE_SEND_BUF = 106,
	NVSP_MSG1_TYPE_SEND_RNDIS_PKT = 107,
	NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE = 108,
	NVSP_MSG2_TYPE_SEND_NDIS_CONFIG = 125,
	NVSP_MSG4_TYPE_SEND_VF_ASSOCIATION = 128,
	NVSP_MSG4_TYPE_SWITCH_DATA_PATH = 129,
	NVSP_MSG5_TYPE_OID_QUERY_EX = 131,
	NVSP_MSG5_TYPE_SUBCHANNEL = 133,
	NVSP_MSG5_TYPE_SEND_INDIRECTION_TABLE = 134,
	NVSP_MSG6_TYPE_PD_API = 135,
};

enum nvsp_status {
	NVSP_STAT_SUCCESS = 1,
	NVSP_STAT_FAIL = 2,
	NVSP_STAT_PROTOCOL_TOO_NEW = 3,
	NVSP_STAT_PROTOCOL_TOO_OLD = 4,
	NVSP_STAT_INVALID_RNDIS_PKT = 5,
	NVSP_STAT_BUSY = 6,
	NVSP_STAT_PROTOCOL_UNSUPPORTED = 7,
};

struct nvsp_init {
	uint32_t min_version, max_version;
};
struct nvsp_init_complete {
	uint32_t version;
	uint32_t max_mdl_chain;
	uint32_t status;
};
struct nvsp_ndis_version {
	uint32_t major, minor;
};
struct nvsp_buffer { /* SEND_RECV_BUF, SEND_SEND_BUF */
	uint32_t gpadl;
	uint16_t id;
};
struct nvsp_receive_complete {
	uint32_t status;
	uint32_t sections; /* one follows */
	uint32_t offset;
	uint32_t suballoc_bytes;
	uint32_t suballocs;
	uint32_t end_offset;
};
struct nvsp_send_complete {
	uint32_t status;
	uint32_t section_bytes;
};
struct nvsp_revoke {
	uint16_t id;
};
#define NVSP_CHANNEL_DATA 0u
#define NVSP_CHANNEL_CONTROL 1u
#define NVSP_NO_SECTION 0xffffffffu
struct nvsp_rndis {
	uint32_t channel; /* NVSP_CHANNEL_* */
	uint32_t section; /* of the send buffer, or NVSP_NO_SECTION */
	uint32_t section_bytes;
};
struct nvsp_ndis_config {
	uint32_t mtu; /* with the Ethernet header */
	uint32_t reserved;
	uint64_t capabilities; /* NVSP_CAPABILITY_* */
};
#define NVSP_CAPABILITY_SRIOV 0x04u
#define NVSP_CAPABILITY_8021Q 0x08u
#define NVSP_CAPABILITY_TEAMING 0x20u
#define NVSP_CAPABILITY_RSC 0x80u
struct nvsp_subchannel {
	uint32_t operation; /* NVSP_SUBCHANNEL_ALLOCATE; in the answer: status */
	uint32_t count;
};
#define NVSP_SUBCHANNEL_ALLOCATE 1u
struct nvsp_indirection_table {
	uint32_t count;
	uint32_t offset; /* from the start of the message; uint32_t queue[count] */
};
struct nvsp_pd_api {
	uint32_t operation;
	uint32_t status; /* of the answer */
};

struct nvsp_message {
	uint32_t type;
	union {
		struct nvsp_init init;
		struct nvsp_init_complete init_complete;
		struct nvsp_ndis_version ndis_version;
		struct nvsp_buffer buffer;
		struct nvsp_receive_complete receive_complete;
		struct nvsp_send_complete send_complete;
		struct nvsp_revoke revoke;
		struct nvsp_rndis rndis;
		uint32_t status;	 /* SEND_RNDIS_PKT_COMPLETE */
		uint32_t ndis_config[4]; /* struct nvsp_ndis_config, which lies unaligned here */
		struct nvsp_subchannel subchannel;
		struct nvsp_indirection_table table;
		struct nvsp_pd_api pd_api;
		uint32_t raw[9];
	};
};
#define NVSP_MESSAGE_BYTES 40u
#define NVSP_TABLE_ENTRIES 16u

_Static_assert(sizeof(struct nvsp_message) == NVSP_MESSAGE_BYTES, "NVSP message");
_Static_assert(offsetof(struct nvsp_message, init) == 4, "NVSP message");
_Static_assert(sizeof(struct nvsp_init_complete) == 12, "INIT_COMPLETE");
_Static_assert(offsetof(struct nvsp_buffer, id) == 4, "SEND_RECV_BUF");
_Static_assert(sizeof(struct nvsp_receive_complete) == 24, "SEND_RECV_BUF_COMPLETE");
_Static_assert(offsetof(struct nvsp_receive_complete, suballocs) == 16, "SEND_RECV_BUF_COMPLETE");
_Static_assert(sizeof(struct nvsp_rndis) == 12, "SEND_RNDIS_PKT");
_Static_assert(sizeof(struct nvsp_ndis_config) == 16, "SEND_NDIS_CONFIG");
_Static_assert(offsetof(struct nvsp_ndis_config, capabilities) == 8, "SEND_NDIS_CONFIG");

/* ---- RNDIS ---- */

enum rndis_type {
	RNDIS_MSG_PACKET = 0x1,
	RNDIS_MSG_INIT = 0x2,
	RNDIS_MSG_HALT = 0x3,
	RNDIS_MSG_QUERY = 0x4,
	RNDIS_MSG_SET = 0x5,
	RNDIS_MSG_RESET = 0x6,
	RNDIS_MSG_INDICATE = 0x7,
	RNDIS_MSG_KEEPALIVE = 0x8,
};
#define RNDIS_MSG_COMPLETION 0x80000000u

#define RNDIS_STATUS_SUCCESS 0x00000000u
#define RNDIS_STATUS_MEDIA_CONNECT 0x4001000bu
#define RNDIS_STATUS_MEDIA_DISCONNECT 0x4001000cu
#define RNDIS_STATUS_LINK_SPEED_CHANGE 0x40010013u
#define RNDIS_STATUS_NETWORK_CHANGE                                                                \
	0x40010018u /* another network: addresses may not fit any more */
#define RNDIS_STATUS_FAILURE 0xc0000001u
#define RNDIS_STATUS_NOT_SUPPORTED 0xc00000bbu
#define RNDIS_STATUS_NOT_ACCEPTED 0xc0010003u
#define RNDIS_STATUS_MULTICAST_FULL 0xc0010009u
#define RNDIS_STATUS_MULTICAST_EXISTS 0xc001000au
#define RNDIS_STATUS_INVALID_LENGTH 0xc0010014u
#define RNDIS_STATUS_INVALID_DATA 0xc0010015u
#define RNDIS_STATUS_INVALID_OID 0xc0010017u

/* Every message. Offsets inside count from the end of this header. */
struct rndis_header {
	uint32_t type;
	uint32_t bytes; /* with this header, and padding at the end */
};
#define RNDIS_HEADER_BYTES 8u

struct rndis_packet {
	uint32_t data_offset, data_bytes;
	uint32_t oob_offset, oob_bytes, oob_count;
	uint32_t ppi_offset, ppi_bytes;
	uint32_t vc, reserved;
};
#define RNDIS_PACKET_BYTES (RNDIS_HEADER_BYTES + (uint32_t)sizeof(struct rndis_packet))

struct rndis_init {
	uint32_t request, major, minor, max_transfer;
};
struct rndis_init_complete {
	uint32_t request, status, major, minor;
	uint32_t device_flags, medium, max_packets, max_transfer, alignment_shift;
	uint32_t af_list_offset, af_list_bytes;
};
#define RNDIS_DEVICE_CONNECTIONLESS 0x1u
struct rndis_query {
	uint32_t request, oid, bytes, offset, vc;
};
struct rndis_query_complete {
	uint32_t request, status, bytes, offset;
};
struct rndis_set { /* the same as a query */
	uint32_t request, oid, bytes, offset, vc;
};
struct rndis_set_complete { /* and of KEEPALIVE */
	uint32_t request, status;
};
struct rndis_reset_complete {
	uint32_t status, addressing_reset;
};
struct rndis_indicate {
	uint32_t status, bytes, offset;
};

/* Per-packet information: runs of these. */
struct rndis_ppi {
	uint32_t bytes;	 /* with this header */
	uint32_t type;	 /* RNDIS_PPI_* */
	uint32_t offset; /* of the value */
};
#define RNDIS_PPI_CHECKSUM 0u
#define RNDIS_PPI_LSO 2u
#define RNDIS_PPI_8021Q 6u
#define RNDIS_PPI_HASH 9u
#define RNDIS_PPI_INTERNAL 0x80000000u
#define RNDIS_PPI_PACKET_ID (RNDIS_PPI_INTERNAL | 1u)

/* From the guest. */
#define RNDIS_TX_CHECKSUM_IPV4 0x01u
#define RNDIS_TX_CHECKSUM_IPV6 0x02u
#define RNDIS_TX_CHECKSUM_TCP 0x04u
#define RNDIS_TX_CHECKSUM_UDP 0x08u
#define RNDIS_TX_CHECKSUM_IP 0x10u
#define RNDIS_LSO_MSS(v) ((v)&0xfffffu)
#define RNDIS_LSO_V2 0x40000000u
#define RNDIS_LSO_V2_IPV6 0x80000000u

/* To the guest. */
#define RNDIS_RX_CHECKSUM_TCP_OK 0x08u
#define RNDIS_RX_CHECKSUM_UDP_OK 0x10u
#define RNDIS_RX_CHECKSUM_IP_OK 0x20u
#define RNDIS_RX_CHECKSUM_TCP_VALUE_INVALID 0x80u

/* 802.1Q, both ways: priority 2:0, CFI 3, VLAN id 15:4. */

/* A packet in several ranges: version 1, flags, id of the packet. */
#define RNDIS_PACKET_ID_VERSION 1u
#define RNDIS_PACKET_ID_SUBALLOC 0x1u
#define RNDIS_PACKET_ID_FIRST 0x2u
#define RNDIS_PACKET_ID_LAST 0x4u

_Static_assert(sizeof(struct rndis_header) == RNDIS_HEADER_BYTES, "RNDIS header");
_Static_assert(sizeof(struct rndis_packet) == 36, "RNDIS PACKET");
_Static_assert(sizeof(struct rndis_init_complete) == 44, "RNDIS INIT_C");
_Static_assert(sizeof(struct rndis_query) == 20, "RNDIS QUERY");
_Static_assert(sizeof(struct rndis_set) == 20, "RNDIS SET");
_Static_assert(sizeof(struct rndis_ppi) == 12, "per-packet information");

/* Of RNDIS_OID_GEN_RNDIS_CONFIG_PARAMETER; offsets count from its start. */
struct rndis_config_parameter {
	uint32_t name_offset, name_bytes; /* UTF-16 */
	uint32_t type;			  /* 2: a string */
	uint32_t value_offset, value_bytes;
};
#define RNDIS_CONFIG_STRING 2u

/* ---- NDIS ---- */

struct ndis_header {
	uint8_t type; /* NDIS_OBJECT_TYPE_* */
	uint8_t revision;
	uint16_t bytes;
};
#define NDIS_OBJECT_TYPE_DEFAULT 0x80u
#define NDIS_OBJECT_TYPE_RSS_CAPABILITIES 0x88u
#define NDIS_OBJECT_TYPE_RSS_PARAMETERS 0x89u
#define NDIS_OBJECT_TYPE_OFFLOAD 0xa7u
#define NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION 0xa8u

/* Packet filter. */
#define NDIS_PACKET_TYPE_DIRECTED 0x01u
#define NDIS_PACKET_TYPE_MULTICAST 0x02u
#define NDIS_PACKET_TYPE_ALL_MULTICAST 0x04u
#define NDIS_PACKET_TYPE_BROADCAST 0x08u
#define NDIS_PACKET_TYPE_PROMISCUOUS 0x20u

struct ndis_checksum_offload {
	uint32_t ip4_tx_encap, ip4_tx;
	uint32_t ip4_rx_encap, ip4_rx;
	uint32_t ip6_tx_encap, ip6_tx;
	uint32_t ip6_rx_encap, ip6_rx;
};
struct ndis_offload {
	struct ndis_header header;
	struct ndis_checksum_offload checksum;
	struct {
		uint32_t encap, max_bytes, min_segments, options;
	} lso1;
	uint8_t ipsec1[28];
	struct {
		uint32_t ip4_encap, ip4_max_bytes, ip4_min_segments;
		uint32_t ip6_encap, ip6_max_bytes, ip6_min_segments;
		uint32_t ip6_options;
	} lso2;
	uint32_t flags;
	uint8_t ipsec2[32];	  /* from revision 2 */
	uint8_t rsc_ip4, rsc_ip6; /* from revision 3 */
	uint8_t padding[2];
	uint32_t encap_flags, encap_max_header;
};
#define NDIS_OFFLOAD_BYTES_1 112u
#define NDIS_OFFLOAD_BYTES_2 144u
#define NDIS_OFFLOAD_BYTES_3 156u
#define NDIS_ENCAPSULATION_8023 0x2u
#define NDIS_CHECKSUM_IP_OPTIONS 0x001u /* IPv6: extension headers */
#define NDIS_CHECKSUM_TCP_OPTIONS 0x004u
#define NDIS_CHECKSUM_TCP 0x010u
#define NDIS_CHECKSUM_UDP 0x040u
#define NDIS_CHECKSUM_IP4 0x100u
#define NDIS_LSO_IP6_EXTENSIONS 0x1u
#define NDIS_LSO_TCP6_OPTIONS 0x4u

_Static_assert(sizeof(struct ndis_offload) == NDIS_OFFLOAD_BYTES_3, "NDIS_OFFLOAD");
_Static_assert(offsetof(struct ndis_offload, lso1) == 36, "NDIS_OFFLOAD");
_Static_assert(offsetof(struct ndis_offload, lso2) == 80, "NDIS_OFFLOAD");
_Static_assert(offsetof(struct ndis_offload, ipsec2) == NDIS_OFFLOAD_BYTES_1, "NDIS_OFFLOAD");
_Static_assert(offsetof(struct ndis_offload, rsc_ip4) == NDIS_OFFLOAD_BYTES_2, "NDIS_OFFLOAD");

/* Set by the guest: 0 in any field changes nothing. */
struct ndis_offload_parameters {
	struct ndis_header header;
	uint8_t ip4_checksum, tcp4_checksum, udp4_checksum, tcp6_checksum, udp6_checksum;
	uint8_t lso1, ipsec1, lso2_ip4, lso2_ip6, connection_ip4, connection_ip6;
	uint8_t padding;
	uint32_t flags;
	uint8_t ipsec2, ipsec2_ip4;
	uint8_t rsc_ip4, rsc_ip6; /* from revision 3 */
	uint8_t encapsulation, encapsulation_types;
	uint8_t padding2[2];
};
#define NDIS_OFFLOAD_PARAMETERS_BYTES_MIN 15u /* to the end of connection_ip6 */
#define NDIS_PARAMETER_TX_RX_DISABLED 1u
#define NDIS_PARAMETER_TX_ENABLED 2u
#define NDIS_PARAMETER_RX_ENABLED 3u
#define NDIS_PARAMETER_TX_RX_ENABLED 4u
#define NDIS_PARAMETER_OFF 1u /* LSO, RSC */
#define NDIS_PARAMETER_ON 2u

_Static_assert(offsetof(struct ndis_offload_parameters, connection_ip6) == 14,
	       "offload parameters");
_Static_assert(offsetof(struct ndis_offload_parameters, flags) == 16, "offload parameters");
_Static_assert(offsetof(struct ndis_offload_parameters, rsc_ip4) == 22, "offload parameters");

struct ndis_rss_capabilities {
	struct ndis_header header;
	uint32_t flags;
	uint32_t messages;
	uint32_t queues;
	uint16_t table_entries; /* from revision 2; Linux has no padding after it */
	uint16_t padding;
};
#define NDIS_RSS_CAPABILITIES_BYTES_1 16u
#define NDIS_RSS_CAPABILITIES_BYTES_2 18u
#define NDIS_RSS_CAPABILITIES_BYTES 20u
#define NDIS_RSS_CLASSIFICATION_AT_DPC 0x04000000u
#define NDIS_RSS_HASH_TYPE_TCP_IPV4 0x100u
#define NDIS_RSS_HASH_TYPE_TCP_IPV6 0x200u
#define NDIS_HASH_FUNCTION_TOEPLITZ 0x1u

struct ndis_rss_parameters {
	struct ndis_header header;
	uint16_t flags; /* NDIS_RSS_* */
	uint16_t base_cpu;
	uint32_t hash; /* function, and NDIS_HASH_* of frame.h */
	uint16_t table_bytes;
	uint16_t padding1;
	uint32_t table_offset; /* from the start of this */
	uint16_t key_bytes;
	uint16_t padding2;
	uint32_t key_offset;
	uint32_t masks_offset, masks, mask_bytes; /* from revision 2 */
};
#define NDIS_RSS_PARAMETERS_BYTES_1 28u
#define NDIS_RSS_HASH_UNCHANGED 0x02u
#define NDIS_RSS_TABLE_UNCHANGED 0x04u
#define NDIS_RSS_KEY_UNCHANGED 0x08u
#define NDIS_RSS_DISABLE 0x10u

_Static_assert(sizeof(struct ndis_rss_parameters) == 40, "RSS parameters");
_Static_assert(offsetof(struct ndis_rss_parameters, table_offset) == 16, "RSS parameters");
_Static_assert(offsetof(struct ndis_rss_parameters, key_offset) == 24, "RSS parameters");

struct ndis_link_state {
	struct ndis_header header;
	uint32_t connect; /* 1: yes, 2: no */
	uint32_t duplex;  /* 2: full */
	uint32_t padding;
	uint64_t tx_bps, rx_bps;
	uint32_t pause, auto_negotiation;
};
_Static_assert(sizeof(struct ndis_link_state) == 40, "NDIS_LINK_STATE");

struct ndis_interrupt_moderation {
	struct ndis_header header;
	uint32_t flags;
	uint32_t moderation; /* 1: not supported */
};

struct ndis_encapsulation {
	struct ndis_header header;
	struct {
		uint32_t enabled; /* 1: on, 2: off */
		uint32_t type;	  /* NDIS_ENCAPSULATION_* */
		uint32_t header_bytes;
	} ip4, ip6;
};
_Static_assert(sizeof(struct ndis_encapsulation) == 28, "NDIS_OFFLOAD_ENCAPSULATION");

struct ndis_statistics {
	struct ndis_header header;
	uint32_t supported;
	uint64_t in_discards, in_errors, in_octets;
	uint64_t in_unicast, in_multicast, in_broadcast;
	uint64_t out_octets, out_unicast, out_multicast, out_broadcast;
	uint64_t out_errors, out_discards;
	uint64_t in_unicast_octets, in_multicast_octets, in_broadcast_octets;
	uint64_t out_unicast_octets, out_multicast_octets, out_broadcast_octets;
};
_Static_assert(sizeof(struct ndis_statistics) == 152, "NDIS_STATISTICS_INFO");
#define NDIS_STATISTICS_IN_DISCARDS 0x00000002u
#define NDIS_STATISTICS_IN_OCTETS 0x00000008u
#define NDIS_STATISTICS_OUT_OCTETS 0x00000080u
#define NDIS_STATISTICS_OUT_ERRORS 0x00001000u

/* ---- OIDs ---- */

#define OID_GEN_SUPPORTED_LIST 0x00010101u
#define OID_GEN_HARDWARE_STATUS 0x00010102u
#define OID_GEN_MEDIA_SUPPORTED 0x00010103u
#define OID_GEN_MEDIA_IN_USE 0x00010104u
#define OID_GEN_MAXIMUM_LOOKAHEAD 0x00010105u
#define OID_GEN_MAXIMUM_FRAME_SIZE 0x00010106u
#define OID_GEN_LINK_SPEED 0x00010107u
#define OID_GEN_TRANSMIT_BUFFER_SPACE 0x00010108u
#define OID_GEN_RECEIVE_BUFFER_SPACE 0x00010109u
#define OID_GEN_TRANSMIT_BLOCK_SIZE 0x0001010au
#define OID_GEN_RECEIVE_BLOCK_SIZE 0x0001010bu
#define OID_GEN_VENDOR_ID 0x0001010cu
#define OID_GEN_VENDOR_DESCRIPTION 0x0001010du
#define OID_GEN_CURRENT_PACKET_FILTER 0x0001010eu
#define OID_GEN_CURRENT_LOOKAHEAD 0x0001010fu
#define OID_GEN_DRIVER_VERSION 0x00010110u
#define OID_GEN_MAXIMUM_TOTAL_SIZE 0x00010111u
#define OID_GEN_PROTOCOL_OPTIONS 0x00010112u
#define OID_GEN_MAC_OPTIONS 0x00010113u
#define OID_GEN_MEDIA_CONNECT_STATUS 0x00010114u
#define OID_GEN_MAXIMUM_SEND_PACKETS 0x00010115u
#define OID_GEN_VENDOR_DRIVER_VERSION 0x00010116u
#define OID_GEN_NETWORK_LAYER_ADDRESSES 0x00010118u
#define OID_GEN_TRANSPORT_HEADER_OFFSET 0x00010119u
#define OID_GEN_PHYSICAL_MEDIUM 0x00010202u
#define OID_GEN_RECEIVE_SCALE_CAPABILITIES 0x00010203u
#define OID_GEN_RECEIVE_SCALE_PARAMETERS 0x00010204u
#define OID_GEN_MAX_LINK_SPEED 0x00010206u
#define OID_GEN_LINK_STATE 0x00010207u
#define OID_GEN_LINK_PARAMETERS 0x00010208u
#define OID_GEN_INTERRUPT_MODERATION 0x00010209u
#define OID_GEN_RNDIS_CONFIG_PARAMETER 0x0001021bu
#define OID_GEN_VLAN_ID 0x0001021cu
#define OID_GEN_XMIT_OK 0x00020101u
#define OID_GEN_RCV_OK 0x00020102u
#define OID_GEN_XMIT_ERROR 0x00020103u
#define OID_GEN_RCV_ERROR 0x00020104u
#define OID_GEN_RCV_NO_BUFFER 0x00020105u
#define OID_GEN_STATISTICS 0x00020106u
#define OID_GEN_BYTES_RCV 0x0002021fu
#define OID_GEN_BYTES_XMIT 0x00020220u
#define OID_GEN_RCV_DISCARDS 0x0002021bu
#define OID_GEN_XMIT_DISCARDS 0x0002021cu
#define OID_GEN_FRIENDLY_NAME 0x00020216u
#define OID_802_3_PERMANENT_ADDRESS 0x01010101u
#define OID_802_3_CURRENT_ADDRESS 0x01010102u
#define OID_802_3_MULTICAST_LIST 0x01010103u
#define OID_802_3_MAXIMUM_LIST_SIZE 0x01010104u
#define OID_802_3_MAC_OPTIONS 0x01010105u
#define OID_OFFLOAD_ENCAPSULATION 0x0101010au
#define OID_802_3_ADD_MULTICAST_ADDRESS 0x01010208u
#define OID_802_3_DELETE_MULTICAST_ADDRESS 0x01010209u
#define OID_802_3_RCV_ERROR_ALIGNMENT 0x01020101u
#define OID_802_3_XMIT_ONE_COLLISION 0x01020102u
#define OID_802_3_XMIT_MORE_COLLISIONS 0x01020103u
#define OID_TCP_OFFLOAD_CURRENT_CONFIG 0xfc01020bu
#define OID_TCP_OFFLOAD_PARAMETERS 0xfc01020cu
#define OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES 0xfc01020du

#endif
