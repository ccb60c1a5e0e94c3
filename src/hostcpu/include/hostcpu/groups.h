/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of processes of one service in cgroup v2's tree, one for each machine, below the group that the service itself is in:
 *
 *     SERVICE              where the service was started: systemd's unit (Delegate=cpu cpuset), or any group that it may write in
 *       virid-KEY          all machines
 *         ID               one machine
 *
 * Decision: all of ours are threaded groups. The controllers cpu and cpuset work in them, and unlike ordinary ones they leave processes where they are: the service, and
 * whoever shares its group, stay in SERVICE, and systemd can start the service there again while machines run on below it.
 *
 * One user at a time; calls are short but for the kernel's own locks.
 */
#ifndef HOSTCPU_GROUPS_H
#define HOSTCPU_GROUPS_H

#include "hostcpu/shares.h"
#include "hostcpu/text.h"

#define HOSTCPU_REASON_BYTES 480u

struct hostcpu_groups {
	bool acts;   /* groups can be made, and the controller cpu works in them */
	bool cpuset; /* cpuset as well */
	char folder[HOSTCPU_PATH_BYTES];   /* of all machines; "": !acts */
	char reason[HOSTCPU_REASON_BYTES]; /* why not: found, and what to do; "": acts */
};

/* Finds the place and makes it ready. @key: of this service, so that two in one group do not meet; a part of a file's name. */
void hostcpu_groups_open(const char *key, struct hostcpu_groups *ret);

/* Removes what is common to all when no machine's group is left. */
void hostcpu_groups_close(const struct hostcpu_groups *g);

/* What there is for all machines; @host: what there would be without groups. */
void hostcpu_groups_capacity(const struct hostcpu_groups *g, const struct hostcpu_set *host,
			     struct hostcpu_capacity *ret);

/* What a group is told. */
struct hostcpu_limits {
	unsigned weight;	  /* 1 .. 10000 */
	uint64_t quota_us;	  /* 0: none */
	struct hostcpu_set set;	  /* empty: all; only with .cpuset */
	struct hostcpu_set nodes; /* of memory; empty: all; only with .cpuset */
};

/* Makes the group @id, if need be. 0 or -errno. */
int hostcpu_group_make(const struct hostcpu_groups *g, const char *id);
/* 0, or -errno of the first that was refused, whose file's name is *ret_file. */
int hostcpu_group_set(const struct hostcpu_groups *g, const char *id,
		      const struct hostcpu_limits *limits, const char **ret_file);
int hostcpu_group_set_weight(const struct hostcpu_groups *g, const char *id, unsigned weight);
/* The folder, for a process that is to begin in it; close-on-exec, or -errno. */
int hostcpu_group_open(const struct hostcpu_groups *g, const char *id);
/* A process with all its threads comes in. 0 or -errno. */
int hostcpu_group_take(const struct hostcpu_groups *g, const char *id, int pid);
/* What its processes used; false: the kernel does not say. */
bool hostcpu_group_usage(const struct hostcpu_groups *g, const char *id, struct hostcpu_usage *ret);
/* 0, also when there is none; -EBUSY: somebody is in it. */
int hostcpu_group_remove(const struct hostcpu_groups *g, const char *id);
/* Removes all groups that nobody is in but those that @keep wants. Returns how many are left that it does not want. */
unsigned hostcpu_groups_sweep(const struct hostcpu_groups *g,
			      bool (*keep)(void *ctx, const char *id), void *ctx);

#endif
