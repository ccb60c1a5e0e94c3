/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCSI logical units as Hyper-V shows them: a disk on a block device, and a DVD drive with media that come and go.
 * Threads and completion as in io.h: a unit belongs to its context's thread.
 *
 * Spec: SPC-4, SBC-3, MMC-6; identity as Hyper-V's (vendor "Msft    ", see scsi_disk.c).
 */
#ifndef STORAGE_SCSI_H
#define STORAGE_SCSI_H

#include "lib/state.h"
#include "storage/block.h"

#define SCSI_SENSE_BYTES 18
#define SCSI_CDB_BYTES 16

enum scsi_status {
	SCSI_GOOD = 0x00,
	SCSI_CHECK_CONDITION = 0x02,
	SCSI_BUSY = 0x08,
	SCSI_RESERVATION_CONFLICT = 0x18,
	SCSI_TASK_ABORTED = 0x40,
};

enum scsi_direction { SCSI_DATA_NONE, SCSI_DATA_OUT /* to the unit */, SCSI_DATA_IN };

/* Who sends the command, for reservations and unit attentions: an I_T nexus. The unit copies it. */
struct scsi_initiator {
	uint8_t id[16];
};

struct scsi_unit;

/* One command; the sender's memory until done. */
struct scsi_command {
	uint8_t cdb[SCSI_CDB_BYTES];
	uint8_t cdb_bytes;
	enum scsi_direction direction;
	const struct io_vec *vec; /* data buffer, guest memory */
	unsigned vec_count;
	size_t data_bytes; /* length of the buffer that may be used; the vector holds at least that */
	struct scsi_initiator initiator;
	void (*done)(struct scsi_command *c);
	void *ctx;

	/* Filled in before done: */
	uint8_t status;			 /* enum scsi_status */
	uint8_t sense[SCSI_SENSE_BYTES]; /* fixed format */
	uint8_t sense_bytes;		 /* 0: none */
	size_t transferred;		 /* bytes moved in data_bytes */

	/* The unit's: */
	struct io_request io;
	struct io_vec own_vec;
	void *buffer;
	struct scsi_unit *unit;
	struct scsi_command *next;
	uint64_t progress;
	uint32_t nexus, epoch;
	bool cancelled;
};

/* Carries the command out; done is called later, never from within. Any content of @c is acceptable. */
void scsi_submit(struct scsi_unit *u, struct scsi_command *c);
/*
 * The sender of a command under way has no use for it any more: one of many parts, such as VERIFY of a whole disk, ends before its next part with
 * TASK ABORTED; others go on. done is called as always, later.
 */
void scsi_cancel(struct scsi_command *c);

/* REPORT LUNS must name all units of the target: asks who knows. Fills up to @max LUN numbers in rising order, returns how many there are. */
struct scsi_luns {
	unsigned (*list)(void *ctx, uint16_t *luns, unsigned max);
	void *ctx;
};

struct scsi_unit_config {
	struct scsi_luns luns;	     /* list NULL: LUN 0 alone */
	uint32_t max_transfer_bytes; /* 0: no limit worth telling */
};

/* A disk. The unit listens to @b (size changes give CAPACITY DATA HAS CHANGED) and does not own it. -ENOMEM. */
int scsi_disk_create(struct block_device *b, const struct scsi_unit_config *config,
		     struct scsi_unit **ret);
/* A DVD drive; @medium (2048-byte sectors, read-only) may be NULL: empty. Not owned. */
int scsi_dvd_create(struct block_device *medium, struct io_context *context,
		    const struct scsi_unit_config *config, struct scsi_unit **ret);
/*
 * Changes the medium. NULL: empty, and commands that need one find none. A new one: unit attention MEDIUM MAY HAVE CHANGED for every
 * initiator. Either is an event of GET EVENT STATUS NOTIFICATION. Reads of the old medium go on: it stays until scsi_dvd_reading is false.
 */
void scsi_dvd_set_medium(struct scsi_unit *u, struct block_device *medium);
/* A medium, also one that was taken out meanwhile, is being read. */
bool scsi_dvd_reading(struct scsi_unit *u);
/*
 * Guest asked to eject (START STOP UNIT) a medium that is there and not locked: the owner removes it with scsi_dvd_set_medium, from within
 * @eject or later. NULL: the drive just lets go of it.
 */
void scsi_dvd_set_eject(struct scsi_unit *u, void (*eject)(void *ctx), void *ctx);
/* No command may be in flight. */
void scsi_unit_destroy(struct scsi_unit *u);
struct block_device *scsi_unit_block(struct scsi_unit *u);

/*
 * Bus or unit reset: reservations of RESERVE(6), locks of the medium, changed mode settings and pending attentions go; persistent reservations
 * stay; POWER ON OR RESET is pending for every initiator that the unit has seen. Commands in flight go on.
 */
void scsi_unit_reset(struct scsi_unit *u);

/* Unit attentions, mode settings, reservations and registrations. No command in flight. Restore: false: torn or impossible. */
void scsi_unit_save(struct scsi_unit *u, struct state_writer *w);
bool scsi_unit_restore(struct scsi_unit *u, struct state_reader *r);

/* Builds fixed-format sense data. */
void scsi_sense(struct scsi_command *c, uint8_t key, uint8_t asc, uint8_t ascq);

#endif
