// SPDX-License-Identifier: Apache-2.0
#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "paths.h"

#define READY_FD 3
#define START_MS 10000

/* In the grandchild; another thread may have held any lock when we forked, so only system calls. */
static void become_process(const char *path, int ready)
{
	char name[] = "virid-vswitch", option[] = "--ready-fd=3";
	char *const argv[] = {name, option, NULL};
	sigset_t none;
	int null = open("/dev/null", O_RDWR);

	for (int s = 1; s < NSIG; s++) {
		signal(s, SIG_DFL);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* The pipe may have a number below 3, and the copies must not run over it. */
	ready = fcntl(ready, F_DUPFD, 16);
	if (null < 0 || ready < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 ||
	    dup2(ready, READY_FD) < 0) {
		_exit(1);
	}
	close_range(READY_FD + 1, ~0u, 0);
	execv(path, argv);
	const char *why = strerrorname_np(errno);
	ssize_t n = write(READY_FD, why, why == NULL ? 0 : strlen(why));

	(void)n;
	_exit(1);
}

/* Reads until the process closes the pipe; a process that cannot say anything leaves it empty. */
static size_t read_ready(int fd, char *text, size_t size)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t at = 0;

	while (at + 1 < size && poll(&p, 1, START_MS) > 0) {
		ssize_t n = read(fd, text + at, size - 1 - at);

		if (n <= 0) {
			break;
		}
		at += (size_t)n;
	}
	text[at] = '\0';
	return at;
}

bool start_process(char *error, size_t size)
{
	char path[PATH_MAX], text[1024];
	int ready[2];

	paths_program(path, sizeof(path));
	if (pipe2(ready, O_CLOEXEC) < 0) {
		snprintf(error, size, "starting the switch process: %s", strerror(errno));
		return false;
	}
	pid_t child = fork();

	if (child == 0) {
		setsid();
		if (fork() == 0) {
			become_process(path, ready[1]);
		}
		_exit(0);
	}
	close(ready[1]);
	if (child > 0) {
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
		}
	}
	size_t n = child < 0 ? 0 : read_ready(ready[0], text, sizeof(text));

	close(ready[0]);
	if (n > 0 && strcmp(text, "ok") == 0) {
		return true;
	}
	snprintf(error, size, "the switch process did not start: %s",
		 n > 0 ? text : "it ended without a word");
	if (n > 0 && strchr(text, ' ') == NULL) {
		snprintf(error, size, "%s: the switch process cannot be started: %s", path, text);
	}
	return false;
}
