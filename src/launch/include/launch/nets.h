/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network adapters of a machine: cables from the switch process for a worker that is to be started, and, while it runs, new ones when
 * that process went away. Blocks as vswitchd/client.h says.
 */
#ifndef LAUNCH_NETS_H
#define LAUNCH_NETS_H

#include <stddef.h>
#include <stdint.h>

#include "launch/error.h"
#include "vswitchd/client.h"

#define LAUNCH_NETS_MAX 64u

struct launch_net {
	unsigned number;
	json_t *adapter; /* for vswitch_client_plug; port and queues come when it is plugged in */
	uint8_t mac[6];
	struct vswitch_cable cable;
	bool plugged;
};

struct launch_nets {
	struct launch_net nets[LAUNCH_NETS_MAX];
	size_t count;
};

/* The switch that is none: an adapter without a link. */
#define LAUNCH_NETS_NONE "none"

/* SWITCH[,option...] as of `virid run --net`; its number is the next one. An address that is not given is made. */
bool launch_nets_add(struct launch_nets *n, const char *text, struct launch_error *error);
/* Plugs all of them in that name a switch, as ports of machine @name. False: the first that cannot be had. */
bool launch_nets_plug(struct launch_nets *n, const char *name, unsigned queues,
		      struct launch_error *error);
void launch_nets_fini(struct launch_nets *n);

/* The worker's option for adapter @index; false after the last. *ret_text is malloced. Descriptors are named, or with @by_index
 * numbered as in launch_nets_fds. */
bool launch_nets_option(const struct launch_nets *n, size_t index, bool by_index, char **ret_text);
/* The descriptors of adapter @index, or of a cable, in the worker's order; returns how many. */
unsigned launch_nets_fds(const struct launch_nets *n, size_t index, int *ret_fds, unsigned max);
unsigned launch_nets_cable_fds(const struct vswitch_cable *c, int *ret_fds, unsigned max);

/* ---- While the machine runs ---- */

struct launch_keeper;

/* Answers the worker on socket @fd (the caller's). NULL: no memory. */
struct launch_keeper *launch_keeper_create(int fd);
void launch_keeper_destroy(struct launch_keeper *k);
/* The worker asked for something: call when @fd is readable. False: it is gone. */
bool launch_keeper_take(struct launch_keeper *k);
/* Tries what is outstanding; returns ms until the next try, -1: nothing is. */
int launch_keeper_try(struct launch_keeper *k);

#endif
