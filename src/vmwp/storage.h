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

#define STORAGE_CONTROLLERS 4u
#define STORAGE_DISKS_MAX (STORAGE_CONTROLLERS * 64u + 4u)

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
};

/*
 * Starts a thread for each controller that has disks; they open their disks at once. Before sandbox_enter. What is wrong is on the log;
 * 0 or -errno; the result of opening comes from storage_opened.
 */
int storage_create(const struct storage_config *config, struct storage **ret);
/* Waits until all disks are open. False: at least one is not; the reasons are on the log. */
bool storage_opened(struct storage *s);
/* Puts the controllers on @bus and lets their threads serve. Loop thread, before any VP runs. 0 or -errno. */
int storage_offer(struct storage *s, struct vmbus *bus);
/* The VM ends or is reset: requests that wait for limits (iops) go at once, until the next offer. */
void storage_hurry(struct storage *s);
/* The bus is quiet: makes the threads leave it. Waits. */
void storage_park(struct storage *s);
/* The bus is gone. */
void storage_withdraw(struct storage *s);
enum storage_change { STORAGE_ATTACH, STORAGE_DETACH, STORAGE_MEDIUM, STORAGE_RESIZE };

/* A change to a running VM's disks. The asker's memory until done. */
struct storage_request {
	enum storage_change what;
	struct disk_config disk;	    /* the place; attach: all of it; medium: the path too */
	uint64_t bytes;			    /* resize */
	const struct backend_handed *files; /* attach, medium: descriptors, taken over */
	size_t file_count;
	/* On the controller's thread. @error: NULL, or why it failed. */
	void (*done)(struct storage_request *r, const char *error);
	void *ctx;
	struct storage_request *next;
};

/* Hands @r to the thread of its controller, which must be there (SCSI controllers only). Any thread. False: no such controller; done is not called. */
bool storage_submit(struct storage *s, struct storage_request *r);

/* Flushes and closes all disks and ends the threads. False: something was lost (it is on the log). */
bool storage_destroy(struct storage *s);

#endif
