/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network adapters of `virid run`: what --net says, the cables from the switch process, and, while the machine runs, new ones when that
 * process went away.
 */
#ifndef CLI_RUN_NETS_H
#define CLI_RUN_NETS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vswitchd/client.h"

#define RUN_NETS_MAX 64u

struct run_net {
	unsigned number;
	struct json_object *adapter; /* for vswitch_client_plug, without port and queues */
	uint8_t mac[6];
	struct vswitch_cable cable;
	bool plugged;
};

struct run_nets {
	struct run_net nets[RUN_NETS_MAX];
	size_t count;
};

/* The switch that is none: an adapter without a link. */
#define RUN_NETS_NONE "none"

/* SWITCH[,option...]; complains. */
bool run_nets_add(struct run_nets *n, const char *arg);
/* Plugs all of them in that name a switch, as ports of machine @name. Complains about the first that cannot be had. */
bool run_nets_plug(struct run_nets *n, const char *name, unsigned queues);
void run_nets_fini(struct run_nets *n);

/* The worker's option for adapter @index; false after the last. @text is malloced. Descriptors are named, or with @by_index numbered as in run_nets_fds. */
bool run_nets_option(const struct run_nets *n, size_t index, bool by_index, char **ret_text);
/* The descriptors of adapter @index in the worker's order; returns how many. */
unsigned run_nets_cable_fds(const struct vswitch_cable *c, int *ret_fds, unsigned max);
unsigned run_nets_fds(const struct run_nets *n, size_t index, int *ret_fds, unsigned max);

/* In the new process: the descriptors stay open over exec. */
void run_nets_inherit(const struct run_nets *n);

/* ---- While the machine runs ---- */

struct run_nets_keeper;

/* Answers the worker on socket @fd. NULL: no memory. */
struct run_nets_keeper *run_nets_keeper_create(int fd);
void run_nets_keeper_destroy(struct run_nets_keeper *k);
/* The worker asked for something: call when @fd is readable. False: it is gone. */
bool run_nets_keeper_take(struct run_nets_keeper *k);
/* Tries what is outstanding; returns ms until the next try, -1: nothing is. */
int run_nets_keeper_try(struct run_nets_keeper *k);

#endif
