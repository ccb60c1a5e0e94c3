// SPDX-License-Identifier: Apache-2.0
#include "shut_down.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The lock's holder wrote its pid there; 0: nobody holds it. */
static pid_t holder(const char *state, char *error, size_t size)
{
	char path[PATH_MAX + 8], text[16] = "";

	snprintf(path, sizeof(path), "%s/lock", state);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0) {
		if (errno == ENOENT) {
			return 0;
		}
		snprintf(error, size, "%s: %s", path, strerror(errno));
		return -1;
	}
	bool is_free = flock(fd, LOCK_EX | LOCK_NB) == 0;
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	return is_free ? 0 : n > 0 ? (pid_t)atoi(text) : -1;
}

bool shut_down(const char *state, char *error, size_t size)
{
	snprintf(error, size, "%s/lock: does not say who serves", state);
	pid_t pid = holder(state, error, size);

	if (pid == 0) {
		return true;
	}
	int fd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (pid < 0) {
		return false;
	}
	if (fd < 0 || syscall(SYS_pidfd_send_signal, fd, SIGPWR, NULL, 0) < 0) {
		snprintf(error, size, "process %d: %s", (int)pid, strerror(errno));
		return errno == ESRCH;
	}
	while (poll(&p, 1, -1) < 0 && errno == EINTR) {
	}
	close(fd);
	return true;
}
