// SPDX-License-Identifier: Apache-2.0
#include "holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 64 /* /proc/PID/fdinfo/FD */

/* Does descriptor @name of @pid hold a lock? Its description in /proc lists them as lines "lock:". */
static bool holds_lock(int pid, const char *name)
{
	char path[PATH_BYTES], line[256];
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.10s", pid, name);
	FILE *f = fopen(path, "re");

	if (f == NULL) {
		return false;
	}
	while (!found && fgets(line, sizeof(line), f) != NULL) {
		found = strncmp(line, "lock:", 5) == 0;
	}
	fclose(f);
	return found;
}

static bool process_holds(int pid, const struct stat *file)
{
	char path[PATH_BYTES];
	struct dirent *entry;
	struct stat st;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *dir = opendir(path);

	if (dir == NULL) {
		return false; /* not ours to see, or gone */
	}
	while (!found && (entry = readdir(dir)) != NULL) {
		found = fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 &&
			st.st_dev == file->st_dev && st.st_ino == file->st_ino &&
			holds_lock(pid, entry->d_name);
	}
	closedir(dir);
	return found;
}

int backend_lock_holder(int fd)
{
	struct dirent *entry;
	struct stat file;
	int holder = 0;
	DIR *dir = opendir("/proc");

	if (dir == NULL) {
		return 0;
	}
	while (fstat(fd, &file) == 0 && holder == 0 && (entry = readdir(dir)) != NULL) {
		int pid = atoi(entry->d_name);

		if (pid > 0 && process_holds(pid, &file)) {
			holder = pid;
		}
	}
	closedir(dir);
	return holder;
}
