/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The storage service provider: SCSI controllers and the accelerated IDE channel, as storvsc knows them.
 *
 * Threads. A controller has two sides. Its bus side (offer, open, close) runs on the bus thread; its I/O side (rings, SCSI
 * units, block devices) on the one thread that owns its io_context. They meet in a small locked mailbox (stor_lock) and through
 * stor_config.wake, which makes the I/O thread call stor_poll.
 *
 * Spec: the protocol of Linux drivers/scsi/storvsc_drv.c; protocol.h of this folder.
 */
#ifndef VSP_STOR_H
#define VSP_STOR_H

#include "lib/state.h"
#include "storage/scsi.h"
#include "vmbus/vmbus.h"

#define STOR_LUNS 64u
#define STOR_MAX_TRANSFER_BYTES (1u << 20)

struct stor;

struct stor_lock_ops {
	void (*lock)(void *lock);
	void (*unlock)(void *lock);
};

struct stor_config {
	struct guid instance; /* SCSI; an IDE offer's follows from path and target */
	bool ide;	      /* the accelerated IDE offer: one disk at LUN 0, one channel */
	uint8_t ide_path, ide_target;  /* IDE channel and drive, 0..1 */
	uint32_t subchannels_max;      /* 0: one channel only; at most 256 */
	struct io_context *context;    /* of the I/O thread */
	const char *name;	       /* "scsi0", for messages; copied */
	void *lock;		       /* a mutex of the owner, for the mailbox */
	struct stor_lock_ops lock_ops; /* NULLs: bus and I/O are one thread */
	void (*wake)(void *ctx);       /* any thread: the I/O thread shall call stor_poll soon */
	void (*log)(
		void *ctx,
		const char *
			line); /* I/O thread; without the name; bounded: the 1st, 2nd, 4th, 8th of a kind. May be NULL */
	void *ctx;
};

/* Offers the controller on @bus (bus thread, before the I/O thread serves it). 0 or -errno. */
int stor_create(struct vmbus *bus, const struct stor_config *config, struct stor **ret);
/* After vmbus_destroy, with the I/O thread stopped and no command in a unit. Units are the caller's again. NULL: nothing. */
void stor_destroy(struct stor *s);

/* ---- I/O thread ---- */

/* Serves rings and mailbox. Called after io_poll and whenever woken. True: there is more to do at once. */
bool stor_poll(struct stor *s);
/*
 * No command is in flight and nothing waits that could go on without the guest: answers may wait for room in a ring, and rings may hold packets
 * that were not taken yet.
 */
bool stor_idle(const struct stor *s);
/* While held, stor_poll takes no packets out of the rings: it becomes idle when those it took are answered. I/O thread. */
void stor_hold(struct stor *s, bool held);

/*
 * Puts @unit (not owned) at @lun 0..63; a connected guest is told to look again (ENUMERATE_BUS). -EBUSY: taken; -EINVAL: no such lun.
 * I/O thread, or before it runs.
 */
int stor_attach(struct stor *s, unsigned lun, struct scsi_unit *unit);
/*
 * Takes away the unit that is there: new commands find no LUN, and a connected guest is told to look again. When those in flight are done,
 * stor_poll calls @gone (NULL: nobody), never this function itself. Until then the lun is taken. I/O thread, or before it runs.
 */
void stor_detach(struct stor *s, unsigned lun, void (*gone)(void *ctx, struct scsi_unit *unit),
		 void *ctx);
/* A unit has changed (its size): a connected guest is told to look again, which otherwise learns of it with its next command. I/O thread. */
void stor_rescan(struct stor *s);

/*
 * State of the protocol and of the units; idle, I/O thread stopped. Restore comes after vmbus_restore opened the channels again. False: torn.
 */
void stor_save(struct stor *s, struct state_writer *w);
bool stor_restore(struct stor *s, struct state_reader *r);

#endif
