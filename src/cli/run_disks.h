/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disks of `virid run`: what --disk, --dvd and --ide say, where each goes, and the open and locked descriptors that the worker
 * gets. One message for what is wrong.
 */
#ifndef CLI_RUN_DISKS_H
#define CLI_RUN_DISKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RUN_DISKS_MAX 260u
#define RUN_DISK_CONTROLLERS 4u
#define RUN_DISK_LUNS 64u
#define RUN_DISK_AUTO UINT32_MAX

enum run_disk_kind { RUN_DISK_SCSI, RUN_DISK_DVD, RUN_DISK_IDE };

struct run_disk {
	enum run_disk_kind kind;
	const char *option;  /* "--disk", for messages */
	char *path;	     /* owned; "" for an empty DVD drive; absolute once it is open */
	uint32_t controller; /* RUN_DISK_AUTO until placed; IDE: channel */
	uint32_t lun;	     /* IDE: drive */
	bool read_only;
	bool raw;
	bool temporary;
	bool log;
	uint64_t iops;
	uint64_t delay_ns;
};

/* A file that the worker gets: of a chain there are several. */
struct run_disk_file {
	unsigned slot; /* of the controller */
	int fd;
	bool writable;
	char *path; /* as it will be asked for */
	char *real; /* without links */
};

struct run_disks {
	struct run_disk disks[RUN_DISKS_MAX];
	size_t count;
	const char *option; /* what messages call the option; NULL: as `virid run` does */
	struct run_disk_file *files;
	size_t file_count;
};

/* FILE[,ro][,raw][,temporary][,log][,iops=N][,delay=TIME][,controller=N][,lun=N]; a comma in the name is written twice. */
bool run_disks_add(struct run_disks *d, enum run_disk_kind kind, const char *arg);
/* Gives those without a place the next free one; complains about two in one place. */
bool run_disks_place(struct run_disks *d);
/* Opens and locks every file of every disk. Complains about the first that cannot be had. */
bool run_disks_open(struct run_disks *d);
void run_disks_fini(struct run_disks *d);

/*
 * The worker's options, one by one; false after the last. @text is malloced. Files are named by descriptor, or with @by_index by
 * their place in the list.
 */
bool run_disks_option(const struct run_disks *d, size_t index, bool by_index, char **ret_text);

#endif
