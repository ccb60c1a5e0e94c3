/* SPDX-License-Identifier: Apache-2.0 */
/* Inside disk*.c: what a disk consists of. */
#ifndef VMWP_DISK_PARTS_H
#define VMWP_DISK_PARTS_H

#include "disk.h"

#define FILTERS_MAX 4u

struct disk {
	struct disk_config config;
	struct scsi_luns luns;
	struct disk_listener listener;
	struct block_counters *counters;
	struct block_device *
		top; /* virtual disk or medium, and filters on it, which own what is below; NULL: no medium */
	struct block_device *timed[FILTERS_MAX]; /* filters that need turning */
	unsigned timed_count;
	struct block_device *throttle; /* one of them; NULL: no limits */
	struct block_device *hold;     /* right above the virtual disk; NULL: DVD */
	bool hurry, give_up;
	bool troubled;		 /* the listener knows that requests are held */
	struct vhd_disk *vhd;	 /* below hold; NULL: DVD */
	struct vhd_disk *branch; /* will be the disk; NULL: no checkpoint is being made */
	char *branch_path;
	char *old_path;	       /* until the last switch is finished; NULL: it is */
	struct vhd_job *merge; /* NULL: none is under way */
	uint64_t merge_told_ns;
	struct scsi_unit *unit;
	char *path; /* the config's */
	char why[600];
};

/* disk_why becomes "disk PATH: WHAT: REASON". False. */
bool disk_failed(struct disk *d, const char *what, int r);
/* The same with what the library says. */
bool disk_failed_vhd(struct disk *d, const struct vhd_error *error);

#endif
