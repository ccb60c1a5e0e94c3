/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VM's disks: one thread per controller, which opens its disks, serves them while the VM runs, and closes them at the end. Over a
 * reset of the VM the disks stay open.
 */
#ifndef VMWP_STORAGE_H
#define VMWP_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "lib/state.h"

#define STORAGE_CONTROLLERS 4u
#define STORAGE_DISKS_MAX (STORAGE_CONTROLLERS * 64u + 4u)

struct block_counters;
struct storage;
struct vmbus;

enum disk_kind { DISK_SCSI, DISK_DVD, DISK_IDE };

struct disk_config {
	enum disk_kind kind;
	unsigned controller; /* SCSI and DVD: 0..3; IDE: channel 0..1 */
	unsigned lun;	     /* SCSI and DVD: 0..63; IDE: drive 0..1 */
	bool read_only;
	bool raw;
	bool temporary;	   /* what the guest writes is kept in memory and forgotten at the end */
	bool log;	   /* a line for every request */
	uint64_t iops;	   /* 0: no limit */
	uint64_t delay_ns; /* added to every request */
	const char *path;  /* as in the handed files; DVD: "" for an empty drive */
};

/* A descriptor for the disks of one controller: each controller has its own, also of a parent that several disks share. */
struct storage_file_handed {
	unsigned slot; /* STORAGE_SLOT_* of its controller */
	struct backend_handed file;
};
#define STORAGE_SLOT_SCSI(n) (n)
#define STORAGE_SLOT_IDE(channel, drive) (STORAGE_CONTROLLERS + (channel)*2u + (drive))

struct storage_config {
	struct disk_config *disks;
	size_t disk_count;
	struct storage_file_handed *files; /* descriptors, taken over */
	size_t file_count;
	uint32_t processors;
	bool scsi; /* SCSI controller 0 is there even without disks */
	/* Guest memory is given to this before the kernel gets it; controllers' threads; NULL: it is all there. */
	void (*touch)(void *ctx, const void *start, size_t bytes);
	void *touch_ctx;
};

/*
 * Starts a thread for each controller that has disks; they open their disks at once. Before sandbox_enter. What is wrong is on the log;
 * 0 or -errno; the result of opening comes from storage_opened.
 */
int storage_create(const struct storage_config *config, struct storage **ret);
/* Waits until all disks are open. False: at least one is not; the reasons are on the log. */
bool storage_opened(struct storage *s);
/* Puts the controllers on @bus; their threads do not serve yet. Loop thread, before any VP runs. 0 or -errno. */
int storage_offer(struct storage *s, struct vmbus *bus);

/*
 * Standing still. quiesce: the threads shall answer what they took, take no more, and park; quiet: they have. flush: of parked ones, what the guest wrote
 * is durable; false: not all (it is on the log). resume: they serve, also for the first time,
 * and when they have not become quiet. tend: of parked ones, merges go on and requests about them are carried out, until rest, which waits; both may be
 * called at any time while the machine stands still.
 */
void storage_quiesce(struct storage *s);
bool storage_quiet(struct storage *s);
bool storage_flush(struct storage *s);
void storage_resume(struct storage *s);
void storage_tend(struct storage *s);
void storage_rest(struct storage *s);
/* Of quiet controllers: records of a run of which others are skipped. Restore: before the first resume, with the bus restored. False: torn. */
void storage_save(struct storage *s, struct state_writer *w);
bool storage_restore(struct storage *s, const struct state_reader *run);

/* What is in the controllers that are on the bus, in order; quiet ones. */
struct storage_place {
	unsigned slot, lun; /* STORAGE_SLOT_*; IDE: lun 0 */
	bool dvd;
	uint64_t bytes; /* of a disk */
};
/* Returns how many there are, at most STORAGE_DISKS_MAX. */
size_t storage_places(struct storage *s, struct storage_place places[STORAGE_DISKS_MAX]);
/* Bit n: the controller of slot n is on the bus. */
uint32_t storage_slots(struct storage *s);

/* The VM ends or is reset: requests that wait for limits (iops) go at once, those that are held fail, until the next resume. */
void storage_hurry(struct storage *s);
/* The bus is quiet: makes the threads leave it. Waits. */
void storage_park(struct storage *s);
/* The bus is gone. */
void storage_withdraw(struct storage *s);
enum storage_change {
	STORAGE_ATTACH,
	STORAGE_DETACH,
	STORAGE_MEDIUM,
	STORAGE_RESIZE,
	STORAGE_BRANCH, /* of storage_checkpoint_prepare */
	STORAGE_MERGE,
	STORAGE_MERGE_CANCEL,
};

/* A change to a running VM's disks. The asker's memory until done. */
struct storage_request {
	enum storage_change what;
	struct disk_config disk; /* the place; attach: all of it; medium: the path too */
	uint64_t bytes;		 /* resize */
	unsigned depth,
		count; /* merge: these files of the chain go into the one below; done: it has begun */
	const struct backend_handed *files; /* attach, medium, merge: descriptors, taken over */
	size_t file_count;
	/* On the controller's thread. @error: NULL, or why it failed. */
	void (*done)(struct storage_request *r, const char *error);
	void *ctx;
	struct storage_request *next;
};

/*
 * Hands @r to the thread of its controller. Any thread. False: no such controller (or one of IDE, whose disks stay as they are); done is not
 * called.
 */
bool storage_submit(struct storage *s, struct storage_request *r);

/* Each disk's place and the file that it writes, or the medium that is in ("": none). Any thread; @fn under a lock. */
void storage_list(struct storage *s,
		  void (*fn)(void *ctx, unsigned slot, unsigned lun, const char *path), void *ctx);

/* "scsi0:3", "ide0:1". */
#define STORAGE_PLACE_BYTES 32u
void storage_place_text(unsigned slot, unsigned lun, char text[STORAGE_PLACE_BYTES]);

/* What the guest has asked of each disk since it was attached, or the worker was started. Any thread. */
void storage_count(struct storage *s,
		   void (*fn)(void *ctx, const char *place, const struct block_counters *counters),
		   void *ctx);

/* ---- Checkpoints: every disk that keeps what is written gets a new file on top ---- */

/* @error: NULL, or why; then nothing is left of it but the files. On any thread. */
typedef void storage_checkpoint_done(void *ctx, const char *error);
/*
 * Makes the new tops: @want has for each disk its place, the path of an empty file and that file, writable (descriptors are taken over unless
 * a reason is returned). The machine runs, or stands still. NULL: @done will be called.
 */
const char *storage_checkpoint_prepare(struct storage *s, const struct storage_config *want,
				       storage_checkpoint_done *done, void *ctx);
/* What was prepared is given up. Any thread. */
void storage_checkpoint_forget(struct storage *s);
/*
 * The new tops become the disks: all of them, or none and @why (then what was prepared is given up). Quiet controllers. When they serve again,
 * they bring the files below into order.
 */
bool storage_checkpoint_switch(struct storage *s, char *why, size_t size);
/* Before they serve again: as it was before the switch. */
void storage_checkpoint_undo(struct storage *s);

/* ---- Merges ---- */

/* As storage_list: the file below the one that each disk writes, of those that have one. */
void storage_list_parents(struct storage *s,
			  void (*fn)(void *ctx, unsigned slot, unsigned lun, const char *path),
			  void *ctx);

enum storage_merge_state {
	STORAGE_MERGES,
	STORAGE_MERGED,
	STORAGE_MERGE_FAILED,
	STORAGE_MERGE_CANCELLED
};
struct storage_merge {
	unsigned slot, lun;
	enum storage_merge_state state;
	uint64_t done_bytes, total_bytes;
	const char *phase;
	const char *path; /* the file that the disk writes now */
	const char *why;  /* of a failure */
};
/* @fn hears of merges: a few times a second how far they are, and how they end. On controllers' threads. Before the first storage_resume. */
void storage_set_merge(struct storage *s, void (*fn)(void *ctx, const struct storage_merge *m),
		       void *ctx);

/* ---- When the host has no space, or storage goes away ---- */

/*
 * @fn gets to know (on a controller's thread) that requests of a disk are held since the host cannot carry them out; and, with NULL, that none are held
 * any more. They are tried again every second. Until then they are not answered, and controllers do not become quiet. Before the first storage_resume.
 */
void storage_set_trouble(struct storage *s, void (*fn)(void *ctx, const char *text), void *ctx);
/* Requests are held. Any thread. */
bool storage_in_trouble(struct storage *s);
/* Tries again now. Any thread. */
void storage_retry(struct storage *s);

/* Flushes and closes all disks and ends the threads. False: something was lost (it is on the log). */
bool storage_destroy(struct storage *s);

#endif
