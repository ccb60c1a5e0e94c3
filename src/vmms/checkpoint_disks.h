/* SPDX-License-Identifier: Apache-2.0 */
/* The disks of a VM that get new files on top, as plain values for a thread that may block. */
#ifndef VMMS_CHECKPOINT_DISKS_H
#define VMMS_CHECKPOINT_DISKS_H

#include "call.h"
#include "launch/packet.h"
#include "vm.h"

struct checkpoint_disk {
	bool ide;
	unsigned number, location;
	char *old_path, *new_path; /* as in the configuration */
	char *old_absolute, *new_absolute;
	int fd; /* of the new file; -1: not open */
};

struct checkpoint_disks {
	struct checkpoint_disk *disks;
	size_t count;
};

/* Those of @configuration (the VM's own or a checkpoint's) that take part, each with a name for its new file. */
void checkpoint_disks_take(const struct vm *vm, const json_t *configuration,
			   struct checkpoint_disks *ret);
void checkpoint_disks_fini(struct checkpoint_disks *d);
/* [{"old", "new"}], for the journal; a new reference. */
json_t *checkpoint_disks_json(const struct checkpoint_disks *d);
/* The present writes the new files from now on: in @configuration, with both in its list. */
void checkpoint_disks_switch(const struct checkpoint_disks *d, json_t *configuration);

/* ---- Any thread; these block ---- */

struct checkpoint_failure {
	enum api_error code;
	char text[1200];
};
/* New files that a worker will make disks of: empty, locked, open. False: none is left. */
bool checkpoint_disks_open(struct checkpoint_disks *d, struct checkpoint_failure *ret);
/* New differencing files over the old ones. False: none is left. */
bool checkpoint_disks_make(struct checkpoint_disks *d, struct job *job,
			   struct checkpoint_failure *ret);
/* Removes the new files. */
void checkpoint_disks_remove(struct checkpoint_disks *d);

/*
 * The worker's request for a checkpoint with these files and @state_fd (-1: without memory). The descriptors stay open until checkpoint_disks_fini. NULL:
 * @ret.
 */
struct packet *checkpoint_disks_request(const struct checkpoint_disks *d, int state_fd,
					struct checkpoint_failure *ret);

#endif
