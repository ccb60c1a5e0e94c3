/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMBus on the wire: versions, channel messages, offers, GPADLs, ring control page, packets, monitor page. All little endian.
 *
 * Spec: Linux include/linux/hyperv.h and drivers/hv (names kept, so that both can be searched); TLFS 11.7 for the monitor page.
 */
#ifndef VMBUS_PROTOCOL_H
#define VMBUS_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/guid.h"

/* ---- Versions: major << 16 | minor ---- */

#define VERSION_WS2008 0x0000000du
#define VERSION_WIN7 0x00010001u   /* a signal of its own for each channel, guest to host */
#define VERSION_WIN8 0x00020004u   /* an event flag for each channel, host to guest; subchannels */
#define VERSION_WIN8_1 0x00030000u /* UNLOAD; messages go to the VP that the guest names */
#define VERSION_WIN10 0x00040000u  /* reserved channels, TL_CONNECT */
#define VERSION_WIN10_V4_1 0x00040001u /* MODIFYCHANNEL, TL_CONNECT_RESULT */
#define VERSION_WIN10_V5 0x00050000u   /* message connection 4, the guest names the SINT */
#define VERSION_WIN10_V5_1 0x00050001u
#define VERSION_WIN10_V5_2 0x00050002u
#define VERSION_WIN10_V5_3 0x00050003u /* MODIFYCHANNEL_RESPONSE */

/* ---- Connections that the guest knows without being told ---- */

#define VMBUS_MESSAGE_CONNECTION_ID 1u
#define VMBUS_EVENT_CONNECTION_ID 2u /* shared by all channels of a VERSION_WS2008 guest */
#define VMBUS_MONITOR_CONNECTION_ID 3u
#define VMBUS_MESSAGE_CONNECTION_ID_4 4u

/* ---- Channel messages ---- */

#define VMBUS_MESSAGE_MAX_BYTES 240u

enum vmbus_channel_message_type {
	CHANNELMSG_INVALID = 0,
	CHANNELMSG_OFFERCHANNEL = 1,
	CHANNELMSG_RESCIND_CHANNELOFFER = 2,
	CHANNELMSG_REQUESTOFFERS = 3,
	CHANNELMSG_ALLOFFERS_DELIVERED = 4,
	CHANNELMSG_OPENCHANNEL = 5,
	CHANNELMSG_OPENCHANNEL_RESULT = 6,
	CHANNELMSG_CLOSECHANNEL = 7,
	CHANNELMSG_GPADL_HEADER = 8,
	CHANNELMSG_GPADL_BODY = 9,
	CHANNELMSG_GPADL_CREATED = 10,
	CHANNELMSG_GPADL_TEARDOWN = 11,
	CHANNELMSG_GPADL_TORNDOWN = 12,
	CHANNELMSG_RELID_RELEASED = 13,
	CHANNELMSG_INITIATE_CONTACT = 14,
	CHANNELMSG_VERSION_RESPONSE = 15,
	CHANNELMSG_UNLOAD = 16,
	CHANNELMSG_UNLOAD_RESPONSE = 17,
	CHANNELMSG_OPEN_RESERVED_CHANNEL = 18,
	CHANNELMSG_CLOSE_RESERVED_CHANNEL = 19,
	CHANNELMSG_CLOSE_RESERVED_RESPONSE = 20,
	CHANNELMSG_TL_CONNECT_REQUEST = 21,
	CHANNELMSG_MODIFYCHANNEL = 22,
	CHANNELMSG_TL_CONNECT_RESULT = 23,
	CHANNELMSG_MODIFYCHANNEL_RESPONSE = 24,
	CHANNELMSG_COUNT
};

struct vmbus_message_header {
	uint32_t type;
	uint32_t padding;
};

struct vmbus_initiate_contact {
	struct vmbus_message_header header;
	uint32_t version;
	uint32_t target_vp;
	union {
		uint64_t interrupt_page_gpa; /* before VERSION_WIN10_V5 */
		struct {
			uint8_t msg_sint;
			uint8_t msg_vtl;
			uint8_t reserved[6];
		};
	};
	uint64_t monitor_page_gpa[2]; /* parent to child, child to parent */
};

#define VMBUS_CONNECTION_OK 0u
#define VMBUS_CONNECTION_LOW_RESOURCES 1u
#define VMBUS_CONNECTION_UNKNOWN_FAILURE 2u

struct vmbus_version_response {
	struct vmbus_message_header header;
	uint8_t supported;
	uint8_t state; /* VMBUS_CONNECTION_* */
	uint16_t reserved;
	uint32_t
		version_or_connection; /* the version before VERSION_WIN10_V5, the message connection from then on */
};

#define VMBUS_OFFER_ENUMERATE 0x1u
#define VMBUS_OFFER_TRANSFER_PAGES 0x2u
#define VMBUS_OFFER_GPADLS 0x4u
#define VMBUS_OFFER_NAMED_PIPE 0x10u
#define VMBUS_OFFER_LOOPBACK 0x100u
#define VMBUS_OFFER_PARENT 0x200u
#define VMBUS_OFFER_REQUEST_MONITOR                                                                \
	0x400u /* signal through the monitor page, whatever the version */
#define VMBUS_OFFER_TLNPI_PROVIDER 0x2000u /* hv_sock */

struct vmbus_offer_channel {
	struct vmbus_message_header header;
	struct guid type;
	struct guid instance;
	uint8_t reserved[16];
	uint16_t flags; /* VMBUS_OFFER_* */
	uint16_t mmio_megabytes;
	uint8_t user[120];
	uint16_t subchannel_index;
	uint16_t mmio_megabytes_optional;
	uint32_t relid;
	uint8_t monitor_id; /* trigger group * 32 + bit */
	uint8_t monitor_allocated;
	uint16_t is_dedicated_interrupt;
	uint32_t connection_id; /* for HvSignalEvent */
};

struct vmbus_relid_message { /* RESCIND_CHANNELOFFER, CLOSECHANNEL, RELID_RELEASED, CLOSE_RESERVED_RESPONSE */
	struct vmbus_message_header header;
	uint32_t relid;
};

#define VMBUS_NO_INTERRUPTS_VP UINT32_MAX /* OPENCHANNEL's target VP: the guest polls */

struct vmbus_open_channel {
	struct vmbus_message_header header;
	uint32_t relid;
	uint32_t open_id;
	uint32_t ring_gpadl;
	uint32_t target_vp;
	uint32_t
		downstream_page; /* page of the GPADL at which the ring from host to guest starts */
	uint8_t user[120];
};

struct vmbus_open_result {
	struct vmbus_message_header header;
	uint32_t relid;
	uint32_t open_id;
	uint32_t status; /* NTSTATUS */
};

struct vmbus_gpadl_header {
	struct vmbus_message_header header;
	uint32_t relid;
	uint32_t gpadl;
	uint16_t range_bytes; /* of all ranges, over this message and the bodies */
	uint16_t range_count;
	/* ranges follow */
};

/* A run of guest memory: in GPADLs and in GPA-direct packets. */
struct vmbus_gpa_range {
	uint32_t bytes;
	uint32_t offset; /* into the first page */
			 /* uint64_t pfn[] follow: as many as bytes and offset span */
};

struct vmbus_gpadl_body {
	struct vmbus_message_header header;
	uint32_t message_number;
	uint32_t gpadl;
	/* the next 8-byte words of the ranges follow */
};

struct vmbus_gpadl_created {
	struct vmbus_message_header header;
	uint32_t relid;
	uint32_t gpadl;
	uint32_t status;
};

struct vmbus_gpadl_teardown {
	struct vmbus_message_header header;
	uint32_t relid;
	uint32_t gpadl;
};

struct vmbus_gpadl_torndown {
	struct vmbus_message_header header;
	uint32_t gpadl;
};

struct vmbus_open_reserved {
	struct vmbus_message_header header;
	uint32_t relid;
	uint32_t target_vp;
	uint32_t target_sint;
	uint32_t ring_gpadl;
	uint32_t downstream_page;
};

struct vmbus_close_reserved {
	struct vmbus_message_header header;
	uint32_t relid;
	uint32_t target_vp; /* where the response goes */
	uint32_t target_sint;
};

struct vmbus_tl_connect_request {
	struct vmbus_message_header header;
	struct guid endpoint;
	struct guid service;
};

struct vmbus_tl_connect_result {
	struct vmbus_message_header header;
	struct guid endpoint;
	struct guid service;
	uint32_t status;
};

struct vmbus_modify_channel {
	struct vmbus_message_header header;
	uint32_t relid;
	uint32_t target_vp;
};

struct vmbus_modify_channel_response {
	struct vmbus_message_header header;
	uint32_t relid;
	uint32_t status;
};

/* Statuses that we answer with; a guest looks only at zero or not. */
#define VMBUS_STATUS_SUCCESS 0u
#define VMBUS_STATUS_UNEXPECTED 0x8000ffffu		/* E_UNEXPECTED */
#define VMBUS_STATUS_INVALID_PARAMETER 0xc000000du	/* STATUS_INVALID_PARAMETER */
#define VMBUS_STATUS_INSUFFICIENT_RESOURCES 0xc000009au /* STATUS_INSUFFICIENT_RESOURCES */
#define VMBUS_STATUS_INVALID_DEVICE_STATE 0xc0000184u	/* STATUS_INVALID_DEVICE_STATE */
#define VMBUS_STATUS_CONNECTION_REFUSED 0xc0000236u	/* STATUS_CONNECTION_REFUSED */

_Static_assert(sizeof(struct vmbus_message_header) == 8, "header");
_Static_assert(sizeof(struct vmbus_initiate_contact) == 40, "INITIATE_CONTACT");
_Static_assert(offsetof(struct vmbus_initiate_contact, msg_sint) == 16, "INITIATE_CONTACT");
_Static_assert(offsetof(struct vmbus_initiate_contact, monitor_page_gpa) == 24, "INITIATE_CONTACT");
_Static_assert(sizeof(struct vmbus_version_response) == 16, "VERSION_RESPONSE");
_Static_assert(offsetof(struct vmbus_version_response, version_or_connection) == 12, "VERSION");
_Static_assert(sizeof(struct vmbus_offer_channel) == 196, "OFFERCHANNEL");
_Static_assert(offsetof(struct vmbus_offer_channel, flags) == 56, "OFFERCHANNEL");
_Static_assert(offsetof(struct vmbus_offer_channel, user) == 60, "OFFERCHANNEL");
_Static_assert(offsetof(struct vmbus_offer_channel, subchannel_index) == 180, "OFFERCHANNEL");
_Static_assert(offsetof(struct vmbus_offer_channel, relid) == 184, "OFFERCHANNEL");
_Static_assert(offsetof(struct vmbus_offer_channel, connection_id) == 192, "OFFERCHANNEL");
_Static_assert(sizeof(struct vmbus_relid_message) == 12, "RESCIND, CLOSECHANNEL, RELID_RELEASED");
_Static_assert(sizeof(struct vmbus_open_channel) == 148, "OPENCHANNEL");
_Static_assert(offsetof(struct vmbus_open_channel, user) == 28, "OPENCHANNEL");
_Static_assert(sizeof(struct vmbus_open_result) == 20, "OPENCHANNEL_RESULT");
_Static_assert(sizeof(struct vmbus_gpadl_header) == 20, "GPADL_HEADER");
_Static_assert(sizeof(struct vmbus_gpa_range) == 8, "GPA range");
_Static_assert(sizeof(struct vmbus_gpadl_body) == 16, "GPADL_BODY");
_Static_assert(sizeof(struct vmbus_gpadl_created) == 20, "GPADL_CREATED");
_Static_assert(sizeof(struct vmbus_gpadl_teardown) == 16, "GPADL_TEARDOWN");
_Static_assert(sizeof(struct vmbus_gpadl_torndown) == 12, "GPADL_TORNDOWN");
_Static_assert(sizeof(struct vmbus_open_reserved) == 28, "OPEN_RESERVED_CHANNEL");
_Static_assert(sizeof(struct vmbus_close_reserved) == 20, "CLOSE_RESERVED_CHANNEL");
_Static_assert(sizeof(struct vmbus_tl_connect_request) == 40, "TL_CONNECT_REQUEST");
_Static_assert(sizeof(struct vmbus_tl_connect_result) == 44, "TL_CONNECT_RESULT");
_Static_assert(sizeof(struct vmbus_modify_channel) == 16, "MODIFYCHANNEL");
_Static_assert(sizeof(struct vmbus_modify_channel_response) == 16, "MODIFYCHANNEL_RESPONSE");

/* ---- Rings ---- */

#define VMBUS_PAGE_BYTES 4096u

#define VMBUS_RING_FEATURE_PENDING_SEND_SIZE 0x1u

/* The first page of a ring. Each word is written by one side and read by the other at any time. */
struct vmbus_ring_control {
	uint32_t write_index;	    /* writer */
	uint32_t read_index;	    /* reader */
	uint32_t interrupt_mask;    /* reader: do not signal me */
	uint32_t pending_send_size; /* writer: signal me when more than this is free */
	uint32_t reserved[12];
	uint32_t features; /* writer: VMBUS_RING_FEATURE_* */
	uint8_t padding[VMBUS_PAGE_BYTES - 68];
};

enum vmbus_packet_type {
	VMBUS_PACKET_DATA_INBAND = 6,
	VMBUS_PACKET_DATA_USING_XFER_PAGES = 7,
	VMBUS_PACKET_DATA_USING_GPADL = 8,
	VMBUS_PACKET_DATA_USING_GPA_DIRECT = 9,
	VMBUS_PACKET_CANCEL_REQUEST = 10,
	VMBUS_PACKET_COMPLETION = 11,
};

#define VMBUS_PACKET_COMPLETION_REQUESTED 0x1u

struct vmbus_packet_descriptor {
	uint16_t type;	  /* enum vmbus_packet_type */
	uint16_t offset8; /* of the payload, in units of 8 bytes */
	uint16_t length8; /* without the trailer */
	uint16_t flags;	  /* VMBUS_PACKET_COMPLETION_REQUESTED */
	uint64_t transaction;
};

#define VMBUS_PACKET_TRAILER_BYTES 8u /* the packet's own start << 32 */

/* After the descriptor of DATA_USING_XFER_PAGES; {bytes, offset} pairs follow. */
struct vmbus_packet_xfer {
	uint16_t pageset;
	uint8_t sender_owns_set;
	uint8_t reserved;
	uint32_t range_count;
};

/* After the descriptor of DATA_USING_GPA_DIRECT; struct vmbus_gpa_range follow. */
struct vmbus_packet_gpa_direct {
	uint32_t reserved; /* may be garbage */
	uint32_t range_count;
};

_Static_assert(sizeof(struct vmbus_ring_control) == VMBUS_PAGE_BYTES, "ring control page");
_Static_assert(offsetof(struct vmbus_ring_control, features) == 64, "ring control page");
_Static_assert(sizeof(struct vmbus_packet_descriptor) == 16, "packet descriptor");
_Static_assert(sizeof(struct vmbus_packet_xfer) == 8, "transfer-page packet");
_Static_assert(sizeof(struct vmbus_packet_gpa_direct) == 8, "GPA-direct packet");

/* Pipe mode: each in-band packet of a named pipe starts with this. */
#define VMBUS_PIPE_DATA 1u

struct vmbus_pipe_header {
	uint32_t type;
	uint32_t bytes;
};

/* ---- Monitor page ---- */

#define VMBUS_MONITOR_GROUPS 4u
#define VMBUS_MONITOR_GROUP_BITS 32u
#define VMBUS_MONITOR_IDS (VMBUS_MONITOR_GROUPS * VMBUS_MONITOR_GROUP_BITS)

struct vmbus_monitor_page {
	uint32_t trigger_state; /* bit n: group n is in use */
	uint32_t reserved1;
	struct {
		uint32_t pending;
		uint32_t armed;
	} trigger_group[VMBUS_MONITOR_GROUPS];
	uint8_t reserved2[536];
	uint16_t latency_100ns[VMBUS_MONITOR_GROUPS][VMBUS_MONITOR_GROUP_BITS];
	uint8_t reserved3[256];
	struct {
		uint32_t connection_id;
		uint16_t flag;
		uint16_t reserved;
	} parameter[VMBUS_MONITOR_GROUPS][VMBUS_MONITOR_GROUP_BITS];
	uint8_t reserved4[1984];
};

_Static_assert(sizeof(struct vmbus_monitor_page) == VMBUS_PAGE_BYTES, "monitor page");
_Static_assert(offsetof(struct vmbus_monitor_page, latency_100ns) == 576, "monitor page");
_Static_assert(offsetof(struct vmbus_monitor_page, parameter) == 1088, "monitor page");

/* ---- Legacy interrupt page (before VERSION_WIN8): bit n of a half is channel n ---- */

#define VMBUS_INTERRUPT_RECEIVE_OFFSET 0u /* host to guest; the event is flag 0 */
#define VMBUS_INTERRUPT_SEND_OFFSET                                                                \
	2048u			    /* guest to host; the signal is VMBUS_EVENT_CONNECTION_ID */
#define VMBUS_INTERRUPT_RELIDS 256u /* as many as guests of these versions look at */

#endif
