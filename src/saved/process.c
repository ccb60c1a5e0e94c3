// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "job.h"

/*
 * Not fork(): that takes malloc's locks and runs handlers, for children that allocate; these do not. The system call filter of a worker lets pass
 * exactly these flags (src/host/sandbox.c).
 */
pid_t process_clone(int *ret_pidfd, bool parent)
{
	unsigned long flags = CLONE_PIDFD | CLONE_FILES | SIGCHLD | (parent ? CLONE_PARENT : 0);
	long pid = syscall(SYS_clone, flags, NULL, ret_pidfd, NULL, 0);

	return pid < 0 ? -errno : (pid_t)pid;
}

bool process_follow(pid_t starter)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == starter;
}

int process_reap(int pidfd)
{
	siginfo_t info = {0};
	int r;

	do {
		r = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED);
	} while (r < 0 && errno == EINTR);
	if (r < 0) {
		return -errno;
	}
	return info.si_code == CLD_EXITED && info.si_status == 0 ? 0 : -ECHILD;
}

bool process_ended(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}
