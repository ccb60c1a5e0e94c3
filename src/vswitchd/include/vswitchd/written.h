/* SPDX-License-Identifier: Apache-2.0 */
/* The file of switches while somebody reads or changes it, and what is chosen for a switch about which little was said. */
#ifndef VSWITCHD_WRITTEN_H
#define VSWITCHD_WRITTEN_H

#include "vswitchd/config.h"

struct switches_written {
	char path[4096];
	int lock; /* -1: only read */
	struct switch_list list;
};

/* @lock: others that want to change it wait. False: @error, and nothing to close. */
bool switches_written_open(struct switches_written *w, bool lock, char *error, size_t size);
void switches_written_close(struct switches_written *w);
bool switches_written_save(struct switches_written *w, char *error, size_t size);
/* Of the switch process when none runs: the default switch, then those of the list. */
json_t *switches_written_json(const struct switch_list *list);
/*
 * Makes the switch @c, and takes @name away: both in the process that runs (one is started for a new switch) and in @w, which is locked. Of one that fails
 * nothing stays behind. 0; -EEXIST, -ENOENT; -EPERM: the default switch stays; -EINVAL: its interfaces; -EIO: the file; or what the process says. @error
 * is a sentence.
 */
int switches_written_create(struct switches_written *w, const struct switch_config *c, char *error,
			    size_t size);
int switches_written_remove(struct switches_written *w, const char *name, char *error, size_t size);
/*
 * Adds to @o, a switch to be made, what is not there: the network of a NAT switch (the first behind the default switch's that none of @list has), the host's end of an
 * internal one ("virid-NAME").
 */
void switch_config_complete(json_t *o, const struct switch_list *list);

#endif
