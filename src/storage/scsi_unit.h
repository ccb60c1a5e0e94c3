/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of SCSI units. A command goes through scsi_submit: its opcode is looked up in the table of its kind of unit, then unit
 * attention, reservations and medium are looked at, then its handler runs. A handler finishes the command exactly once, at once
 * or from the done of its I/O, with one of scsi_good, scsi_reply, scsi_fail, scsi_fail_io, scsi_busy, scsi_conflict.
 */
#ifndef STORAGE_SCSI_UNIT_H
#define STORAGE_SCSI_UNIT_H

#include "lib/be.h"
#include "lib/bits.h"
#include "storage/scsi.h"

/* key << 16 | asc << 8 | ascq */
enum scsi_condition {
	SCSI_NO_SENSE = 0x000000,
	SCSI_MEDIUM_NOT_PRESENT = 0x023a00,
	SCSI_MEDIUM_NOT_PRESENT_TRAY_CLOSED = 0x023a01,
	SCSI_MEDIUM_NOT_PRESENT_TRAY_OPEN = 0x023a02,
	SCSI_WRITE_ERROR = 0x030c00,
	SCSI_UNRECOVERED_READ_ERROR = 0x031100,
	SCSI_INTERNAL_TARGET_FAILURE = 0x044400,
	SCSI_PARAMETER_LIST_LENGTH_ERROR = 0x051a00,
	SCSI_INVALID_OPCODE = 0x052000,
	SCSI_LBA_OUT_OF_RANGE = 0x052100,
	SCSI_INVALID_FIELD_IN_CDB = 0x052400,
	SCSI_INVALID_FIELD_IN_PARAMETER_LIST = 0x052600,
	SCSI_INVALID_RELEASE = 0x052604,
	SCSI_SAVING_NOT_SUPPORTED = 0x053900,
	SCSI_MEDIUM_REMOVAL_PREVENTED = 0x055302,
	SCSI_INSUFFICIENT_REGISTRATIONS = 0x055504,
	SCSI_WRITE_PROTECTED = 0x072700,
	SCSI_SPACE_ALLOCATION_FAILED = 0x072707,
	SCSI_ABORTED_COMMAND = 0x0b0000,
	SCSI_MISCOMPARE = 0x0e1d00,
};

/* Unit attentions that may be pending, most important first. */
enum scsi_attention {
	SCSI_ATTENTION_RESET,
	SCSI_ATTENTION_MEDIUM,
	SCSI_ATTENTION_CAPACITY,
	SCSI_ATTENTION_MODE,
	SCSI_ATTENTION_RESERVATIONS_PREEMPTED,
	SCSI_ATTENTION_RESERVATIONS_RELEASED,
	SCSI_ATTENTION_REGISTRATIONS_PREEMPTED,
	SCSI_ATTENTION_COUNT,
};

#define SCSI_NEXUSES 64u
#define SCSI_NO_NEXUS UINT32_MAX

/* Codes of GET EVENT STATUS NOTIFICATION. */
enum scsi_media_event {
	SCSI_MEDIA_NO_CHANGE,
	SCSI_MEDIA_EJECT_REQUEST,
	SCSI_MEDIA_NEW,
	SCSI_MEDIA_REMOVAL,
	SCSI_MEDIA_EVENT_LAST = SCSI_MEDIA_REMOVAL,
};

/* An initiator as this unit knows it. */
struct scsi_nexus {
	struct scsi_initiator id;
	uint32_t attentions; /* mask of 1 << enum scsi_attention */
	bool registered;
	uint64_t key;
	bool prevents;	     /* the removal of the medium */
	uint8_t media_event; /* not yet told: enum scsi_media_event */
	uint32_t epoch;	     /* grows when its commands are aborted */
	unsigned in_flight;  /* of this epoch */
};

enum scsi_reservation_type {
	SCSI_RESERVATION_NONE = 0,
	SCSI_WRITE_EXCLUSIVE = 1,
	SCSI_EXCLUSIVE_ACCESS = 3,
	SCSI_WRITE_EXCLUSIVE_REGISTRANTS = 5,
	SCSI_EXCLUSIVE_ACCESS_REGISTRANTS = 6,
	SCSI_WRITE_EXCLUSIVE_ALL = 7,
	SCSI_EXCLUSIVE_ACCESS_ALL = 8,
};

struct scsi_reservations {
	uint32_t generation;
	uint8_t type;	 /* enum scsi_reservation_type */
	uint32_t holder; /* nexus; the ALL types are held by every registrant */
	uint32_t legacy; /* holder of RESERVE(6)/(10), or SCSI_NO_NEXUS */
};

/* When a command may pass: bits of scsi_opcode.flags. */
#define SCSI_READS 0x01u	   /* other's Write Exclusive lets it pass */
#define SCSI_WRITES 0x02u	   /* only who may access with a reservation of another */
#define SCSI_LEGACY_CONFLICT 0x04u /* stopped by another's RESERVE; implied by the two above */
#define SCSI_QUIET 0x08u	   /* does not report unit attentions */
#define SCSI_NEEDS_MEDIUM 0x10u
#define SCSI_ANY_ACTION 0xffu

struct scsi_opcode {
	uint8_t opcode;
	uint8_t action; /* service action in cdb[1], or SCSI_ANY_ACTION */
	uint8_t cdb_bytes;
	uint8_t direction; /* enum scsi_direction */
	uint8_t flags;
	void (*run)(struct scsi_unit *u, struct scsi_command *c);
	uint8_t usage[SCSI_CDB_BYTES]; /* bits of the CDB that are looked at; [0] is the opcode */
};

enum scsi_mode_control { SCSI_MODE_CURRENT, SCSI_MODE_CHANGEABLE, SCSI_MODE_DEFAULT };

#define SCSI_VERSION_SPC3 0x05

struct scsi_kind {
	uint8_t type; /* peripheral device type */
	uint8_t version; /* of SPC, in INQUIRY; Hyper-V's DVD drive claims none, and Linux does not try ATA commands on it */
	bool removable;
	char product[17];
	const struct scsi_opcode *opcodes; /* entries of one opcode stand together */
	unsigned opcode_count;
	const uint8_t *vpd_pages; /* rising, ends with 0xff; those that vpd_page knows */
	/* Fills in what follows the four bytes of header; -1: no such page (now). */
	int (*vpd_page)(struct scsi_unit *u, uint8_t page, uint8_t *body);
	const uint8_t *mode_pages; /* rising, ends with 0xff */
	/* Fills in the whole page; returns its length. */
	unsigned (*mode_page)(struct scsi_unit *u, uint8_t page, enum scsi_mode_control control,
			      uint8_t *body);
	uint8_t (*mode_device_specific)(struct scsi_unit *u);
	/* Takes over a list of whole pages whose every bit was found unchanged or changeable. Finishes the command. */
	void (*mode_selected)(struct scsi_unit *u, struct scsi_command *c, const uint8_t *list,
			      size_t bytes);
	enum scsi_condition (*no_medium)(struct scsi_unit *u);
	void (*reset)(struct scsi_unit *u);
	void (*save)(struct scsi_unit *u, struct state_writer *w);
	/* Checks (@apply false), then takes over. */
	bool (*restore)(struct scsi_unit *u, struct state_reader *r, bool apply);
};

#define SCSI_VPD_BODY_MAX 64u
#define SCSI_MODE_PAGE_MAX 32u

struct scsi_unit {
	const struct scsi_kind *kind;
	struct io_context *context;
	struct block_device *block; /* NULL: no medium */
	struct block_listener listener;
	struct scsi_unit_config config;
	uint8_t first_opcode[256]; /* index + 1 into the kind's table; 0: unknown */
	struct scsi_nexus nexuses[SCSI_NEXUSES];
	uint32_t nexus_count;
	uint32_t victim; /* where the search for a slot to use again goes on */
	struct scsi_reservations reservations;
	unsigned aborted_in_flight;    /* commands of epochs that are over */
	struct scsi_command *aborters; /* PREEMPT AND ABORT waiting for them */
	bool submitting;	       /* scsi_submit is on the stack */
};

/* ---- Finishing (scsi.c) ---- */

void scsi_finish(struct scsi_command *c);
void scsi_good(struct scsi_command *c);
void scsi_fail(struct scsi_command *c, enum scsi_condition why);
/* With INFORMATION in the sense data. */
void scsi_fail_at(struct scsi_command *c, enum scsi_condition why, uint32_t information);
/* For the host's error of c->io. */
void scsi_fail_io(struct scsi_command *c, int error);
void scsi_busy(struct scsi_command *c);
void scsi_conflict(struct scsi_command *c);
/* Between the parts of a long command. True: nobody waits for it any more, and it is finished. */
bool scsi_end_if_cancelled(struct scsi_command *c);
/* Sends as much of @data as @allocation and the buffer allow. */
void scsi_reply(struct scsi_command *c, const void *data, size_t bytes, size_t allocation);
/* Done function for I/O whose end is the command's end; transferred is already set. */
void scsi_io_done(struct io_request *r, int result);

/* Bytes of the buffer that move in this direction. */
static inline size_t scsi_buffer_bytes(const struct scsi_command *c, enum scsi_direction direction)
{
	return c->direction == direction ? c->data_bytes : 0;
}
/* Copies the first @bytes (at most scsi_buffer_bytes) of data from the initiator, once. */
void scsi_fetch(const struct scsi_command *c, void *to, size_t bytes);
/* Submits c->io as filled in: op, flags, offset, bytes, vector; counts transferred bytes for scsi_io_done. */
void scsi_submit_io(struct scsi_command *c, void (*done)(struct io_request *r, int result));

/* ---- Initiators (scsi_nexus.c) ---- */

struct scsi_nexus *scsi_nexus_of(struct scsi_unit *u, const struct scsi_command *c);
/* Finds or makes the entry of the command's initiator, counts the command. */
void scsi_nexus_enter(struct scsi_unit *u, struct scsi_command *c);
/* The command is over, or waits in a way that nobody waits for. True: it was aborted. */
bool scsi_nexus_leave(struct scsi_unit *u, struct scsi_command *c);
/* All commands of nexus @n that are in flight will end with TASK ABORTED. */
void scsi_nexus_abort(struct scsi_unit *u, uint32_t n);
/* Makes @what pending for everybody but @except (SCSI_NO_NEXUS: everybody). */
void scsi_raise(struct scsi_unit *u, enum scsi_attention what, uint32_t except);
/* The most important pending attention of @n, which is then no longer pending; SCSI_NO_SENSE: none. */
enum scsi_condition scsi_take_attention(struct scsi_nexus *n);
bool scsi_medium_is_locked(const struct scsi_unit *u);

/* ---- Reservations (scsi_reserve.c, scsi_persist.c, scsi_persist_in.c) ---- */

bool scsi_reservation_allows(const struct scsi_unit *u, uint32_t nexus, uint8_t flags);
void scsi_reserve(struct scsi_unit *u, struct scsi_command *c);
void scsi_release(struct scsi_unit *u, struct scsi_command *c);
void scsi_persistent_in(struct scsi_unit *u, struct scsi_command *c);
void scsi_persistent_out(struct scsi_unit *u, struct scsi_command *c);
bool scsi_reservation_type_valid(uint8_t type);
/* Every registrant is a holder of reservations of this type. */
bool scsi_held_by_all(uint8_t type);
bool scsi_is_holder(const struct scsi_unit *u, uint32_t nexus);

/* ---- Commands of all units ---- */

void scsi_inquiry(struct scsi_unit *u, struct scsi_command *c);
void scsi_report_luns(struct scsi_unit *u, struct scsi_command *c);
void scsi_report_opcodes(struct scsi_unit *u, struct scsi_command *c);
void scsi_request_sense(struct scsi_unit *u, struct scsi_command *c);
void scsi_test_unit_ready(struct scsi_unit *u, struct scsi_command *c);
void scsi_mode_sense(struct scsi_unit *u, struct scsi_command *c);
void scsi_mode_select(struct scsi_unit *u, struct scsi_command *c);
void scsi_prevent_allow(struct scsi_unit *u, struct scsi_command *c);

const struct scsi_opcode *scsi_find_opcode(const struct scsi_unit *u, uint8_t opcode,
					   uint8_t action);
void scsi_unit_init(struct scsi_unit *u, const struct scsi_kind *kind, struct io_context *context,
		    const struct scsi_unit_config *config);

/* VPD page 83h of a unit with this identity; returns its length. */
int scsi_vpd_identification(const struct guid *id, uint8_t *body);

/* Fields of text have a fixed length and no end. */
static inline void scsi_store_text(uint8_t *to, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		to[i] = (uint8_t)text[i];
	}
}

static inline uint32_t load_be24(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

/* LBA and count of a command that reads, writes, verifies or synchronizes, of any of the four CDB lengths. */
struct scsi_range {
	uint64_t lba;
	uint64_t blocks;
};
struct scsi_range scsi_range_of(const uint8_t *cdb);

#endif
