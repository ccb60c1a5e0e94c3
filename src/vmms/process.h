/* SPDX-License-Identifier: Apache-2.0 */
/* Processes by pid and start time, which together mean one process and never another. */
#ifndef VMMS_PROCESS_H
#define VMMS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* When it started, in the kernel's ticks since boot. False: there is no such process. */
bool process_start_time(pid_t pid, uint64_t *ret);
/* Pid and start time from what such a process left of /proc/self/stat. */
bool process_parse_stat(const char *text, pid_t *ret_pid, uint64_t *ret_start_time);
/* A descriptor of exactly that process: readable when it ends. -ESRCH: it is gone. -errno. */
int process_open(pid_t pid, uint64_t start_time);

/* Of a child of ours that nobody has waited for. -errno. */
int process_open_child(pid_t pid);
/* Ends it and waits for that. */
void process_kill_child(pid_t pid);

struct process_usage {
	uint64_t cpu_ns;
	uint64_t resident_bytes;
};
bool process_usage(pid_t pid, struct process_usage *ret);

#endif
