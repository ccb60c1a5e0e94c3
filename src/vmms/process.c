// SPDX-License-Identifier: Apache-2.0
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Fields of /proc/PID/stat, as proc(5) counts them. */
enum { USER_TIME = 14, SYSTEM_TIME = 15, START_TIME = 22, RESIDENT_PAGES = 24 };

/* Reads /proc/PID/stat. */
static bool read_stat(pid_t pid, char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0) {
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* Field @number (of proc(5), from the third on) of such a line; the second, the name, may hold anything. */
static bool stat_field(const char *stat, unsigned number, unsigned long long *ret)
{
	const char *at = strrchr(stat, ')');

	for (unsigned field = 2; at != NULL && field < number; field++) {
		at = strchr(at + 1, ' ');
	}
	return at != NULL && sscanf(at, " %llu", ret) == 1;
}

/* One that has ended and waits to be waited for is gone. */
static bool has_ended(const char *stat)
{
	const char *end = strrchr(stat, ')');

	return end == NULL || end[1] != ' ' || end[2] == 'Z' || end[2] == 'X';
}

bool process_parse_stat(const char *text, pid_t *ret_pid, uint64_t *ret_start_time)
{
	unsigned long long start;
	int pid;

	if (sscanf(text, "%d (", &pid) != 1 || pid <= 0 || !stat_field(text, START_TIME, &start)) {
		return false;
	}
	*ret_pid = pid;
	*ret_start_time = start;
	return true;
}

bool process_start_time(pid_t pid, uint64_t *ret)
{
	char text[1024];
	pid_t same;

	return read_stat(pid, text, sizeof(text)) && !has_ended(text) &&
	       process_parse_stat(text, &same, ret);
}

int process_open_child(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

void process_kill_child(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
	}
}

int process_open(pid_t pid, uint64_t start_time)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	uint64_t found;

	if (fd < 0) {
		return -errno;
	}
	/* Only now: the descriptor holds on to whoever it is. */
	if (!process_start_time(pid, &found) || found != start_time) {
		close(fd);
		return -ESRCH;
	}
	return fd;
}

bool process_usage(pid_t pid, struct process_usage *ret)
{
	char text[1024];
	unsigned long long user, system, pages;

	if (!read_stat(pid, text, sizeof(text)) || has_ended(text) ||
	    !stat_field(text, USER_TIME, &user) || !stat_field(text, SYSTEM_TIME, &system) ||
	    !stat_field(text, RESIDENT_PAGES, &pages)) {
		return false;
	}
	ret->cpu_ns = (user + system) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
	ret->resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return true;
}
