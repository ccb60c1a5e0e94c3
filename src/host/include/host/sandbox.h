/* SPDX-License-Identifier: Apache-2.0 */
/* Giving up everything that a worker does not need. */
#ifndef HOST_SANDBOX_H
#define HOST_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Makes this process unprivileged for good: if it is root, user and group become nobody's (65534)
 * without further groups; every capability set is emptied, no new privileges, not dumpable. Call
 * before threads start. -errno; *ret_what names the step that failed.
 * @tasks: this process, its threads and its children are never more than so many at once, where the host has user namespaces to count them in (the process is in one of its own
 * then, and sees other users as nobody). 0: no limit, no namespace.
 */
int sandbox_drop_privileges(unsigned tasks, const char **ret_what);

/* What a program needs beyond what every worker does. */
struct sandbox_needs {
	const unsigned *ioctls; /* by number */
	size_t ioctl_count;
	bool timers; /* POSIX timers */
};

/*
 * Puts all threads of the process under a system call filter that allows what a running worker
 * needs (memory, time, waiting, reading and writing descriptors that are already open), and @more
 * (NULL: nothing), and kills the process for anything else. No open, no socket, no exec, no new
 * process but copies of itself for saved states.
 */
int sandbox_enter(const struct sandbox_needs *more);

#endif
