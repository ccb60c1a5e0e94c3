/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disks of a machine that is to be started, or of a change to one that runs: where each goes, and the open and locked descriptors that
 * the worker gets. Blocks; any thread, one list at a time.
 */
#ifndef LAUNCH_DISKS_H
#define LAUNCH_DISKS_H

#include <stddef.h>
#include <stdint.h>

#include "launch/error.h"

#define LAUNCH_DISKS_MAX 260u
#define LAUNCH_DISK_CONTROLLERS 4u
#define LAUNCH_DISK_LUNS 64u
#define LAUNCH_DISK_CHANNELS 2u /* IDE */
#define LAUNCH_DISK_DRIVES 2u
#define LAUNCH_DISK_AUTO UINT32_MAX

enum launch_disk_kind { LAUNCH_DISK_SCSI, LAUNCH_DISK_DVD, LAUNCH_DISK_IDE };

struct launch_disk {
	enum launch_disk_kind kind;
	const char *option; /* what messages begin with, such as "--disk" */
	char *path; /* malloced, owned; "" for an empty DVD drive; absolute once it is open */
	uint32_t controller; /* LAUNCH_DISK_AUTO until placed; IDE: channel */
	uint32_t lun;	     /* IDE: drive */
	bool read_only;
	bool raw;
	bool temporary;
	bool log;
	uint64_t iops;
	uint64_t delay_ns;
};

/* A file that the worker gets: of a chain there are several. */
struct launch_disk_file {
	unsigned slot; /* of the controller */
	int fd;	       /* close-on-exec */
	bool writable;
	char *path; /* as it will be asked for */
	char *real; /* without links */
};

struct launch_disks {
	struct launch_disk disks[LAUNCH_DISKS_MAX];
	size_t count;
	struct launch_disk_file *files;
	size_t file_count;
};

/* Gives those without a place the next free one; refuses two in one place. */
bool launch_disks_place(struct launch_disks *d, struct launch_error *error);
/*
 * Opens and locks every file of every disk, as the worker will need them. False: the first that cannot be had. Nothing is written: a log
 * that waits is replayed by the worker.
 */
bool launch_disks_open(struct launch_disks *d, struct launch_error *error);
void launch_disks_fini(struct launch_disks *d);

/*
 * The worker's options, one by one; false after the last. *ret_text is malloced. Files are named by descriptor, or with @by_index by
 * their place in the list.
 */
bool launch_disks_option(const struct launch_disks *d, size_t index, bool by_index,
			 char **ret_text);

#endif
