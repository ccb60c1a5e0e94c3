// SPDX-License-Identifier: Apache-2.0
#include "hostcpu/host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH_BYTES 1400u
#define PASSES 8u

static int open_file(const char *folder, const char *name, int flags)
{
	char path[PATH_BYTES];
	int n = snprintf(path, sizeof(path), "%s/%s", folder, name);

	if (n < 0 || (size_t)n >= sizeof(path)) {
		return -ENAMETOOLONG;
	}
	int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

long hostcpu_read(const char *folder, const char *name, char *ret, size_t size)
{
	int fd = open_file(folder, name, O_RDONLY);

	if (fd < 0) {
		return fd;
	}
	ssize_t n = read(fd, ret, size);
	long result = n < 0 ? -errno : n;

	close(fd);
	return result;
}

int hostcpu_write(const char *folder, const char *name, const char *text)
{
	int fd = open_file(folder, name, O_WRONLY);

	if (fd < 0) {
		return fd;
	}
	int r = write(fd, text, strlen(text)) < 0 ? -errno : 0;

	close(fd);
	return r;
}

/* ---- Threads ---- */

/* Sets all threads that @folder shows; their number, or -errno. */
static int set_threads(const char *folder, const struct hostcpu_set *s)
{
	DIR *all = opendir(folder);
	struct dirent *e;
	int count = 0, r = 0;

	if (all == NULL) {
		return -errno;
	}
	while (r == 0 && (e = readdir(all)) != NULL) {
		int tid = atoi(e->d_name);

		if (tid <= 0) {
			continue;
		}
		count++;
		/* One that ended meanwhile needs nothing. */
		if (syscall(SYS_sched_setaffinity, tid, sizeof(s->words), s->words) < 0 &&
		    errno != ESRCH) {
			r = -errno;
		}
	}
	closedir(all);
	return r < 0 ? r : count;
}

int hostcpu_pid_affinity(int pid, const struct hostcpu_set *s)
{
	char folder[40];
	int before = -1, now = 0;

	snprintf(folder, sizeof(folder), "/proc/%d/task", pid);
	/* A thread that is made while we look has its maker's affinity, which may be the old one. */
	for (unsigned pass = 0; pass < PASSES && now != before; pass++) {
		before = now;
		now = set_threads(folder, s);
		if (now < 0) {
			return now;
		}
	}
	return 0;
}

/* ---- What there is ---- */

static bool read_set(const char *folder, const char *name, struct hostcpu_set *ret)
{
	char text[HOSTCPU_LIST_BYTES];
	long n = hostcpu_read(folder, name, text, sizeof(text));

	return n > 0 && hostcpu_set_parse(text, (size_t)n, ret) && !hostcpu_set_is_empty(ret);
}

/* Those that this process may use. */
static void read_own(struct hostcpu_set *ret)
{
	cpu_set_t set;

	*ret = (struct hostcpu_set){{0}};
	if (sched_getaffinity(0, sizeof(set), &set) < 0) {
		hostcpu_set_add(ret, 0);
		return;
	}
	for (unsigned n = 0; n < CPU_SETSIZE && n < HOSTCPU_MAX; n++) {
		if (CPU_ISSET(n, &set)) {
			hostcpu_set_add(ret, n);
		}
	}
}

void hostcpu_host_read(const char *sys, struct hostcpu_host *ret)
{
	*ret = (struct hostcpu_host){.processors = {{0}}};
	if (!read_set(sys, "cpu/online", &ret->processors)) {
		read_own(&ret->processors);
	}
	if (!read_set(sys, "node/has_memory", &ret->nodes)) {
		ret->nodes = (struct hostcpu_set){{1}};
	}
}

void hostcpu_node_processors(const char *sys, const struct hostcpu_set *nodes,
			     struct hostcpu_set *ret)
{
	struct hostcpu_host host;
	struct hostcpu_set all = {{0}}, some;
	char name[40];

	hostcpu_host_read(sys, &host);
	for (unsigned n = hostcpu_set_next(nodes, 0); n < HOSTCPU_MAX;
	     n = hostcpu_set_next(nodes, n + 1)) {
		snprintf(name, sizeof(name), "node/node%u/cpulist", n);
		if (read_set(sys, name, &some)) {
			hostcpu_set_unite(&all, &some);
		}
	}
	hostcpu_set_intersect(&all, &host.processors);
	*ret = hostcpu_set_is_empty(&all) ? host.processors : all;
}
