// SPDX-License-Identifier: Apache-2.0
/* Files that were about to replace others when the service was killed (json/file.h): nobody else writes them, and nobody reads them. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"
#include "lib/bits.h"
#include "store.h"

static bool is_unfinished(const char *name)
{
	static const char end[] = ".json.new";
	size_t n = strlen(name);

	return n >= sizeof(end) && strcmp(name + n - (sizeof(end) - 1), end) == 0;
}

static void sweep(const char *path)
{
	DIR *d = opendir(path);

	for (const struct dirent *e = d == NULL ? NULL : readdir(d); e != NULL; e = readdir(d)) {
		if (is_unfinished(e->d_name) && unlinkat(dirfd(d), e->d_name, 0) < 0) {
			log_line("%s/%s: %s", path, e->d_name, strerror(errno));
		}
	}
	if (d != NULL) {
		closedir(d);
	}
}

void store_sweep(const struct vm *vm)
{
	static const char *const folders[] = {"", "checkpoints"};
	char path[VM_PATH_BYTES];

	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		vm_path(vm, folders[i], path);
		sweep(path);
	}
}
