// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cache.h"
#include "lib/bits.h"

#define FNV_START UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)
/* Raised when the measurement or what the engine needs changes. */
#define MEASUREMENT "1 " VIRID_VERSION

/* FNV-1a of @text and its end. */
static uint64_t add(uint64_t hash, const char *text)
{
	do {
		hash = (hash ^ (uint8_t)*text) * FNV_PRIME;
	} while (*text++ != '\0');
	return hash;
}

/* The lines about the first processor that say which one it is. */
static uint64_t add_processor(uint64_t hash)
{
	static const char *const names[] = {"vendor_id", "cpu family", "model", "stepping",
					    "microcode", "flags",      "bugs"};
	FILE *f = fopen("/proc/cpuinfo", "re");
	char *line = NULL;
	size_t size = 0;

	while (f != NULL && getline(&line, &size, f) > 1) { /* an empty line ends a processor */
		for (size_t i = 0; i < ARRAY_LEN(names); i++) {
			if (strncmp(line, names[i], strlen(names[i])) == 0) {
				hash = add(hash, line);
				break;
			}
		}
	}
	free(line);
	if (f != NULL) {
		fclose(f);
	}
	return hash;
}

/* The same whatever the order in which a folder lists its files: the sum of their hashes. */
static uint64_t add_parameters(uint64_t hash, const char *folder)
{
	DIR *d = opendir(folder);
	uint64_t sum = 0;

	for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
		char value[256];
		int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		ssize_t n = fd < 0 ? -1 : read(fd, value, sizeof(value) - 1);

		if (n >= 0) {
			value[n] = '\0';
			sum += add(add(FNV_START, e->d_name), value);
		}
		if (fd >= 0) {
			close(fd);
		}
	}
	if (d != NULL) {
		closedir(d);
	}
	return (hash ^ sum) * FNV_PRIME;
}

uint64_t engines_host_key(void)
{
	struct utsname u;
	uint64_t hash = add(FNV_START, MEASUREMENT);

	if (uname(&u) == 0) {
		hash = add(add(add(hash, u.release), u.version), u.machine);
	}
	hash = add_processor(hash);
	hash = add_parameters(hash, "/sys/module/kvm/parameters");
	hash = add_parameters(hash, "/sys/module/kvm_intel/parameters");
	return add_parameters(hash, "/sys/module/kvm_amd/parameters");
}
