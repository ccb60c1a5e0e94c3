/* SPDX-License-Identifier: Apache-2.0 */
/* The processors and NUMA nodes that this host has, and files of the kernel. Any thread. */
#ifndef HOSTCPU_HOST_H
#define HOSTCPU_HOST_H

#include "hostcpu/set.h"

#define HOSTCPU_SYS "/sys/devices/system"

struct hostcpu_host {
	struct hostcpu_set processors; /* that run */
	struct hostcpu_set nodes;      /* with memory; node 0 where the kernel knows none */
};

/* @sys: HOSTCPU_SYS, or a folder like it. What cannot be read is what this process may use, and node 0. */
void hostcpu_host_read(const char *sys, struct hostcpu_host *ret);
/* The processors of @nodes, of those that run; all of those that run where the kernel knows no nodes. */
void hostcpu_node_processors(const char *sys, const struct hostcpu_set *nodes,
			     struct hostcpu_set *ret);

/* Where all threads of process @pid run, also those that it makes meanwhile. 0 or -errno. */
int hostcpu_pid_affinity(int pid, const struct hostcpu_set *s);

/* A small file of the kernel, "@folder/@name": bytes that were read, without NUL; or -errno. */
long hostcpu_read(const char *folder, const char *name, char *ret, size_t size);
/* @text into such a file, at once. 0 or -errno. */
int hostcpu_write(const char *folder, const char *name, const char *text);

#endif
