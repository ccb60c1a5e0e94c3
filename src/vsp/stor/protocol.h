/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The storage protocol on the wire: packets that a VMBus packet of type DATA_INBAND or DATA_USING_GPA_DIRECT carries from the guest, and
 * a completion or an in-band packet carries back. Little endian. No behaviour.
 *
 * Spec: Linux drivers/scsi/storvsc_drv.c and OpenVMM storvsp speak the same protocol from both sides; numbers and layouts are theirs.
 */
#ifndef STOR_PROTOCOL_H
#define STOR_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/guid.h"

/* ---- Offers ---- */

/* ba6163d9-04a1-4d29-b605-72e2ffb1dc7f */
#define VSTOR_SCSI_TYPE                                                                            \
	GUID(0xba6163d9, 0x04a1, 0x4d29, 0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f)
/* 32412632-86cb-44a2-9b5c-50d1417354f5 */
#define VSTOR_IDE_TYPE                                                                             \
	GUID(0x32412632, 0x86cb, 0x44a2, 0x9b, 0x5c, 0x50, 0xd1, 0x41, 0x73, 0x54, 0xf5)
/*
 * 0000000C-000D-8899-0000-000000000000 for drive D of IDE channel C. Drivers take the numbers from here: storvsc makes the drive the target.
 * Interop: Azure's udev rules know 00000000-0000, 00000000-0001 and 00000001-0001.
 */
#define VSTOR_IDE_INSTANCE(channel, drive) GUID(channel, drive, 0x8899, 0, 0, 0, 0, 0, 0, 0, 0)

/* User data of the IDE offer; old Windows drivers look here rather than at the instance. */
struct vstor_offer_properties {
	uint16_t reserved1;
	uint8_t path;
	uint8_t target;
	uint32_t reserved2;
	uint32_t flags; /* VSTOR_OFFER_* */
	uint32_t reserved3[3];
};
#define VSTOR_OFFER_IDE_DEVICE 0x2u

/* ---- Versions ---- */

#define VSTOR_VERSION_WIN6 0x0200u
#define VSTOR_VERSION_WIN7 0x0402u
#define VSTOR_VERSION_WIN8 0x0501u
#define VSTOR_VERSION_WIN8_1 0x0600u
#define VSTOR_VERSION_WIN10 0x0602u

/* ---- Packets ---- */

enum vstor_operation {
	VSTOR_OPERATION_COMPLETE_IO = 1, /* every answer */
	VSTOR_OPERATION_REMOVE_DEVICE = 2,
	VSTOR_OPERATION_EXECUTE_SRB = 3,
	VSTOR_OPERATION_RESET_LUN = 4,
	VSTOR_OPERATION_RESET_ADAPTER = 5,
	VSTOR_OPERATION_RESET_BUS = 6,
	VSTOR_OPERATION_BEGIN_INITIALIZATION = 7,
	VSTOR_OPERATION_END_INITIALIZATION = 8,
	VSTOR_OPERATION_QUERY_PROTOCOL_VERSION = 9,
	VSTOR_OPERATION_QUERY_PROPERTIES = 10,
	VSTOR_OPERATION_ENUMERATE_BUS = 11, /* host to guest */
	VSTOR_OPERATION_FCHBA_DATA = 12,
	VSTOR_OPERATION_CREATE_SUB_CHANNELS = 13,
	VSTOR_OPERATION_EVENT_NOTIFICATION = 14,
};

enum vstor_direction {
	VSTOR_DATA_WRITE = 0, /* to the device */
	VSTOR_DATA_READ = 1,
	VSTOR_DATA_UNKNOWN = 2,
};

#define VSTOR_CDB_BYTES 16u
#define VSTOR_SENSE_BYTES 20u

/* A SCSI request; the answer is one too. */
struct vstor_srb {
	uint16_t bytes;
	uint8_t srb_status;
	uint8_t scsi_status;
	uint8_t port;
	uint8_t path;
	uint8_t target;
	uint8_t lun;
	uint8_t cdb_bytes;
	uint8_t sense_bytes;
	uint8_t direction; /* enum vstor_direction */
	uint8_t reserved;
	uint32_t data_bytes;
	union {
		uint8_t cdb[VSTOR_CDB_BYTES];
		uint8_t sense[VSTOR_SENSE_BYTES];
	};
	/* From here on not before VSTOR_VERSION_WIN8. */
	uint16_t reserve;
	uint8_t queue_tag;
	uint8_t queue_action;
	uint32_t flags;
	uint32_t timeout_s;
	uint32_t queue_sort_key;
};
#define VSTOR_SRB_BYTES_WIN7 0x24u
#define VSTOR_SRB_BYTES 0x34u

struct vstor_version {
	uint16_t version; /* VSTOR_VERSION_* */
	uint16_t revision;
};

struct vstor_properties {
	uint32_t reserved1;
	uint16_t subchannels_max;
	uint16_t reserved2;
	uint32_t flags; /* VSTOR_PROPERTIES_* */
	uint32_t max_transfer_bytes;
	uint32_t reserved3[2];
};
#define VSTOR_PROPERTIES_MULTI_CHANNEL 0x1u

struct vstor_header {
	uint32_t operation; /* enum vstor_operation */
	uint32_t flags;
	uint32_t status; /* NTSTATUS, of an answer */
};

struct vstor_packet {
	struct vstor_header header;
	union {
		struct vstor_srb srb;
		struct vstor_version version;
		struct vstor_properties properties;
		uint16_t subchannels;
		uint8_t body[VSTOR_SRB_BYTES];
	};
};
#define VSTOR_PACKET_BYTES_WIN7 (sizeof(struct vstor_header) + VSTOR_SRB_BYTES_WIN7)
#define VSTOR_PACKET_BYTES sizeof(struct vstor_packet)

_Static_assert(sizeof(struct vstor_offer_properties) == 24, "offer properties");
_Static_assert(sizeof(struct vstor_srb) == VSTOR_SRB_BYTES, "SRB");
_Static_assert(offsetof(struct vstor_srb, data_bytes) == 12, "SRB");
_Static_assert(offsetof(struct vstor_srb, cdb) == 16, "SRB");
_Static_assert(offsetof(struct vstor_srb, reserve) == VSTOR_SRB_BYTES_WIN7, "SRB");
_Static_assert(offsetof(struct vstor_srb, flags) == 40, "SRB");
_Static_assert(sizeof(struct vstor_properties) == 24, "properties");
_Static_assert(offsetof(struct vstor_properties, max_transfer_bytes) == 12, "properties");
_Static_assert(sizeof(struct vstor_header) == 12, "packet header");
_Static_assert(sizeof(struct vstor_packet) == 64, "packet");
_Static_assert(VSTOR_PACKET_BYTES_WIN7 == 48, "packet");

/* ---- Statuses ---- */

enum srb_status {
	SRB_STATUS_SUCCESS = 0x01,
	SRB_STATUS_ABORTED = 0x02,
	SRB_STATUS_ERROR = 0x04,
	SRB_STATUS_BUSY = 0x05,
	SRB_STATUS_INVALID_REQUEST = 0x06,
	SRB_STATUS_NO_DEVICE = 0x08,
	SRB_STATUS_TIMEOUT = 0x09,
	SRB_STATUS_SELECTION_TIMEOUT = 0x0a,
	SRB_STATUS_COMMAND_TIMEOUT = 0x0b,
	SRB_STATUS_BUS_RESET = 0x0e,
	SRB_STATUS_NO_HBA = 0x11,
	SRB_STATUS_DATA_OVERRUN = 0x12,
	SRB_STATUS_BAD_SRB_BLOCK_LENGTH = 0x15,
	SRB_STATUS_REQUEST_FLUSHED = 0x16,
	SRB_STATUS_INVALID_LUN = 0x20,
	SRB_STATUS_INVALID_TARGET_ID = 0x21,
	SRB_STATUS_BAD_FUNCTION = 0x22,
	SRB_STATUS_INTERNAL_ERROR = 0x30,
};
#define SRB_STATUS_QUEUE_FROZEN 0x40u
#define SRB_STATUS_AUTOSENSE_VALID 0x80u
#define SRB_STATUS_CODE(status) ((status)&0x3fu)

#define STATUS_SUCCESS 0x00000000u
#define STATUS_BUFFER_OVERFLOW 0x80000005u
#define STATUS_DEVICE_BUSY 0x80000011u
#define STATUS_UNSUCCESSFUL 0xc0000001u
#define STATUS_INVALID_PARAMETER 0xc000000du
#define STATUS_INVALID_DEVICE_REQUEST 0xc0000010u
#define STATUS_REVISION_MISMATCH 0xc0000059u
#define STATUS_DEVICE_NOT_CONNECTED 0xc000009du
#define STATUS_IO_TIMEOUT 0xc00000b5u
#define STATUS_DEVICE_DOES_NOT_EXIST 0xc00000c0u
#define STATUS_CANCELLED 0xc0000120u
#define STATUS_INSUFFICIENT_RESOURCES 0xc000009au
#define STATUS_INVALID_DEVICE_STATE 0xc0000184u
#define STATUS_IO_DEVICE_ERROR 0xc0000185u

/* status.c: the NTSTATUS that goes with an SRB status (flags ignored), and the SRB status that goes with a SCSI status. */
uint32_t vstor_nt_status(uint8_t srb_status);
uint8_t vstor_srb_status(uint8_t scsi_status);

#endif
