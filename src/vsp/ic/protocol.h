/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integration components on the wire: pipe header, component header, negotiation, and the body of each component's messages. All little
 * endian, without padding.
 *
 * Spec: Linux include/linux/hyperv.h, include/uapi/linux/hyperv.h, drivers/hv/hv_util.c, hv_kvp.c, hv_snapshot.c, hv_fcopy.c.
 */
#ifndef IC_PROTOCOL_H
#define IC_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/guid.h"

/* ---- Offers: interface type and instance, the same on every host ---- */

#define IC_SHUTDOWN_TYPE                                                                           \
	GUID(0x0e0b6031, 0x5213, 0x4934, 0x81, 0x8b, 0x38, 0xd9, 0x0c, 0xed, 0x39, 0xdb)
#define IC_SHUTDOWN_INSTANCE                                                                       \
	GUID(0xb6650ff7, 0x33bc, 0x4840, 0x80, 0x48, 0xe0, 0x67, 0x67, 0x86, 0xf3, 0x93)
#define IC_TIMESYNC_TYPE                                                                           \
	GUID(0x9527e630, 0xd0ae, 0x497b, 0xad, 0xce, 0xe8, 0x0a, 0xb0, 0x17, 0x5c, 0xaf)
#define IC_TIMESYNC_INSTANCE                                                                       \
	GUID(0x2dd1ce17, 0x079e, 0x403c, 0xb3, 0x52, 0xa1, 0x92, 0x1e, 0xe2, 0x07, 0xee)
#define IC_HEARTBEAT_TYPE                                                                          \
	GUID(0x57164f39, 0x9115, 0x4e78, 0xab, 0x55, 0x38, 0x2f, 0x3b, 0xd5, 0x42, 0x2d)
#define IC_HEARTBEAT_INSTANCE                                                                      \
	GUID(0xfd149e91, 0x82e0, 0x4a7d, 0xaf, 0xa6, 0x2a, 0x41, 0x66, 0xcb, 0xd7, 0xc0)
#define IC_KVP_TYPE GUID(0xa9a0f4e7, 0x5a45, 0x4d96, 0xb8, 0x27, 0x8a, 0x84, 0x1e, 0x8c, 0x03, 0xe6)
#define IC_KVP_INSTANCE                                                                            \
	GUID(0x242ff919, 0x07db, 0x4180, 0x9c, 0x2e, 0xb8, 0x6c, 0xb6, 0x8c, 0x8c, 0x55)
#define IC_VSS_TYPE GUID(0x35fa2e29, 0xea23, 0x4236, 0x96, 0xae, 0x3a, 0x6e, 0xba, 0xcb, 0xa4, 0x40)
#define IC_VSS_INSTANCE                                                                            \
	GUID(0x2450ee40, 0x33bf, 0x4fbd, 0x89, 0x2e, 0x9f, 0xb0, 0x6e, 0x92, 0x14, 0xcf)
#define IC_FCOPY_TYPE                                                                              \
	GUID(0x34d14be3, 0xdee4, 0x41c8, 0x9a, 0xe7, 0x6b, 0x17, 0x49, 0x77, 0xc1, 0x92)
#define IC_FCOPY_INSTANCE                                                                          \
	GUID(0xeb765408, 0x105f, 0x49b6, 0xb4, 0xaa, 0xc1, 0x23, 0xb6, 0x4d, 0x17, 0xd4)

#define IC_PIPE_MESSAGE_MODE 4u /* first word of the offer's user data: VMBUS_PIPE_TYPE_MESSAGE */

/* ---- Header of every message; struct vmbus_pipe_header stands before it ---- */

enum ic_message_type {
	IC_MESSAGE_NEGOTIATE = 0,
	IC_MESSAGE_HEARTBEAT = 1,
	IC_MESSAGE_KVP = 2,
	IC_MESSAGE_SHUTDOWN = 3,
	IC_MESSAGE_TIMESYNC = 4,
	IC_MESSAGE_VSS = 5,
	IC_MESSAGE_FCOPY = 7,
};

#define IC_FLAG_TRANSACTION 0x1u
#define IC_FLAG_REQUEST 0x2u
#define IC_FLAG_RESPONSE 0x4u

struct ic_version {
	uint16_t major;
	uint16_t minor;
};

struct ic_header {
	struct ic_version framework;
	uint16_t type; /* enum ic_message_type */
	struct ic_version message;
	uint16_t bytes; /* of the body */
	uint32_t status;
	uint8_t transaction;
	uint8_t flags; /* IC_FLAG_* */
	uint8_t reserved[2];
} __attribute__((packed));

/* Statuses: HRESULTs */
#define IC_STATUS_OK 0u
#define IC_STATUS_FAIL 0x80004005u
#define IC_STATUS_NOT_FOUND 0x80041002u
#define IC_STATUS_EXISTS 0x80070050u
#define IC_STATUS_INVALID 0x80070057u
#define IC_STATUS_DISK_FULL 0x80070070u
#define IC_STATUS_NO_MORE 0x80070103u
#define IC_STATUS_NOT_CONNECTED 0x8007048fu

/*
 * NEGOTIATE: the host's versions, those of the framework first. The answer has the same form with one of each, or with none when nothing
 * suits.
 */
struct ic_negotiate {
	uint16_t framework_count;
	uint16_t message_count;
	uint32_t reserved;
	/* struct ic_version follow */
};

/* ---- Shutdown ---- */

#define IC_SHUTDOWN_FLAG_FORCE 0x1u
#define IC_SHUTDOWN_FLAG_RESTART 0x2u	/* from 3.1 on */
#define IC_SHUTDOWN_FLAG_HIBERNATE 0x4u /* from 3.2 on */
#define IC_SHUTDOWN_TEXT_BYTES 2048u

struct ic_shutdown_body {
	uint32_t reason;
	uint32_t timeout_seconds;
	uint32_t flags;
	uint8_t text[IC_SHUTDOWN_TEXT_BYTES]; /* UTF-16 */
};

/* ---- Time synchronization ---- */

#define IC_TIMESYNC_PROBE 0u
#define IC_TIMESYNC_SYNC 1u   /* set the clock now */
#define IC_TIMESYNC_SAMPLE 2u /* a hint */

/* Between 1601-01-01 and 1970-01-01. */
#define IC_EPOCH_100NS UINT64_C(116444736000000000)

struct ic_timesync_body {    /* before 4.0 */
	uint64_t host_100ns; /* since 1601-01-01 UTC */
	uint64_t guest_100ns;
	uint64_t round_trip_100ns;
	uint8_t flags;
} __attribute__((packed));

struct ic_timesync_reference_body { /* 4.0 */
	uint64_t host_100ns;
	uint64_t reference_100ns; /* the partition's reference time at the moment of host_100ns */
	uint8_t flags;
	uint8_t leap;
	uint8_t stratum;
	uint8_t reserved[3];
} __attribute__((packed));

/* ---- Heartbeat ---- */

struct ic_heartbeat_body {
	uint64_t sequence; /* the guest answers with the next one */
	uint32_t application_state;
	uint32_t reserved[7];
};

/* ---- Key-value pairs ---- */

enum ic_kvp_operation {
	IC_KVP_GET = 0,
	IC_KVP_SET = 1,
	IC_KVP_DELETE = 2,
	IC_KVP_ENUMERATE = 3,
	IC_KVP_GET_IP = 4,
	IC_KVP_SET_IP = 5,
};

enum ic_kvp_pool {
	IC_KVP_POOL_EXTERNAL = 0,      /* host to guest */
	IC_KVP_POOL_GUEST = 1,	       /* guest to host, by its administrator */
	IC_KVP_POOL_AUTO = 2,	       /* guest to host, by the system */
	IC_KVP_POOL_AUTO_EXTERNAL = 3, /* host to guest, by the host itself */
	IC_KVP_POOL_AUTO_INTERNAL = 4,
};

#define IC_KVP_TYPE_SZ 1u
#define IC_KVP_TYPE_U32 4u
#define IC_KVP_TYPE_U64 8u

#define IC_KVP_KEY_BYTES 512u /* UTF-16 with its NUL */
#define IC_KVP_VALUE_BYTES 2048u

struct ic_kvp_header {
	uint8_t operation; /* enum ic_kvp_operation */
	uint8_t pool;	   /* enum ic_kvp_pool */
	uint16_t reserved;
};

struct ic_kvp_value { /* GET and SET, after the header; ENUMERATE, after header and index */
	uint32_t type;
	uint32_t key_bytes;
	uint32_t value_bytes;
	uint8_t key[IC_KVP_KEY_BYTES];
	uint8_t value[IC_KVP_VALUE_BYTES];
};

struct ic_kvp_delete {
	uint32_t key_bytes;
	uint8_t key[IC_KVP_KEY_BYTES];
};

#define IC_KVP_FAMILY_IPV4 0x1u
#define IC_KVP_FAMILY_IPV6 0x2u

/* GET_IP and SET_IP: follows operation and pool without the reserved word. Texts are UTF-16, lists are separated by ';'. */
struct ic_kvp_ip {
	uint8_t adapter[256];
	uint8_t family;
	uint8_t dhcp;
	uint8_t addresses[2048];
	uint8_t subnets[2048];
	uint8_t gateways[1024];
	uint8_t dns[2048];
};

#define IC_KVP_IP_OFFSET 2u

/* ---- Backup ---- */

enum ic_vss_operation {
	IC_VSS_CREATE = 0,
	IC_VSS_DELETE = 1,
	IC_VSS_HOT_BACKUP = 2,
	IC_VSS_GET_DM_INFO = 3,
	IC_VSS_COMPLETE = 4,
	IC_VSS_FREEZE = 5, /* these from 5.0 on */
	IC_VSS_THAW = 6,
	IC_VSS_AUTO_RECOVER = 7,
};

#define IC_VSS_NO_AUTO_RECOVERY 0x5u /* in HOT_BACKUP's answer: recovers nothing afterwards */

struct ic_vss_body {
	uint8_t operation;
	uint8_t reserved[7];
	uint32_t flags;
} __attribute__((packed));

/* ---- File copy ---- */

enum ic_fcopy_operation {
	IC_FCOPY_START = 0,
	IC_FCOPY_WRITE = 1,
	IC_FCOPY_COMPLETE = 2,
	IC_FCOPY_CANCEL = 3,
};

#define IC_FCOPY_OVERWRITE 0x1u
#define IC_FCOPY_CREATE_PATH 0x2u
#define IC_FCOPY_NAME_BYTES 520u
#define IC_FCOPY_DATA_BYTES 6144u

struct ic_fcopy_header {
	uint32_t operation;
	uint8_t service[2][16];
};

struct ic_fcopy_start {
	struct ic_fcopy_header header;
	uint8_t name[IC_FCOPY_NAME_BYTES]; /* UTF-16 */
	uint8_t path[IC_FCOPY_NAME_BYTES];
	uint32_t flags;
	uint64_t bytes;
} __attribute__((packed));

struct ic_fcopy_write {
	struct ic_fcopy_header header;
	uint32_t padding;
	uint64_t offset;
	uint32_t bytes;
	uint8_t data[IC_FCOPY_DATA_BYTES];
} __attribute__((packed));

_Static_assert(sizeof(struct ic_header) == 20, "header");
_Static_assert(offsetof(struct ic_header, status) == 12, "header");
_Static_assert(sizeof(struct ic_negotiate) == 8, "NEGOTIATE");
_Static_assert(sizeof(struct ic_shutdown_body) == 2060, "shutdown");
_Static_assert(sizeof(struct ic_timesync_body) == 25, "time synchronization");
_Static_assert(sizeof(struct ic_timesync_reference_body) == 22, "time synchronization");
_Static_assert(sizeof(struct ic_heartbeat_body) == 40, "heartbeat");
_Static_assert(sizeof(struct ic_kvp_header) == 4, "KVP");
_Static_assert(sizeof(struct ic_kvp_value) == 2572, "KVP");
_Static_assert(sizeof(struct ic_kvp_delete) == 516, "KVP");
_Static_assert(sizeof(struct ic_kvp_ip) == 7426, "KVP");
_Static_assert(sizeof(struct ic_vss_body) == 12, "backup");
_Static_assert(sizeof(struct ic_fcopy_header) == 36, "file copy");
_Static_assert(sizeof(struct ic_fcopy_start) == 1088, "file copy");
_Static_assert(sizeof(struct ic_fcopy_write) == 6196, "file copy");

/* The largest body: SET_IP. */
#define IC_BODY_MAX (IC_KVP_IP_OFFSET + sizeof(struct ic_kvp_ip))

#endif
