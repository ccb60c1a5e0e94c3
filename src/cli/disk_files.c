// SPDX-License-Identifier: Apache-2.0
/* Names of disks: what they say about the format, and what lies beside them. */
#include <string.h>
#include <strings.h>

#include "disk.h"
#include "lib/bits.h"

#define PART_SUFFIX ".part-01234567"

static const char *extension_of(const char *path)
{
	const char *name = strrchr(path, '/');
	const char *dot = strrchr(name != NULL ? name : path, '.');

	return dot != NULL ? dot : "";
}

bool disk_format_of_name(const char *path, enum vhd_format *ret)
{
	static const struct {
		const char *extension;
		enum vhd_format format;
	} known[] = {
		{".vhd", VHD_VHD_DYNAMIC},
		{".vhdx", VHD_VHDX_DYNAMIC},
		{".avhd", VHD_VHD_DIFFERENCING},
		{".avhdx", VHD_VHDX_DIFFERENCING},
		{".raw", VHD_RAW},
		{".img", VHD_RAW},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcasecmp(extension_of(path), known[i].extension) == 0) {
			*ret = known[i].format;
			return true;
		}
	}
	return false;
}

void disk_directory_of(const char *path, char ret[DISK_PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL) {
		snprintf(ret, DISK_PATH_MAX, ".");
	} else {
		snprintf(ret, DISK_PATH_MAX, "%.*s", (int)(slash == path ? 1 : slash - path), path);
	}
}

struct leftovers {
	struct disk_session *session;
	const char *target; /* its name without the directory */
	char directory[DISK_PATH_MAX];
};

/* Is @name what a disk @target is called until it is complete? */
static bool is_part_of(const char *name, const char *target)
{
	size_t prefix = strlen(target), suffix = strlen(PART_SUFFIX);

	return strlen(name) == prefix + suffix && strncmp(name, target, prefix) == 0 &&
	       strncmp(name + prefix, ".part-", 6) == 0 &&
	       strspn(name + prefix + 6, "0123456789abcdef") == suffix - 6;
}

/* Whoever is still at work on it holds a lock. */
static bool remove_leftover(void *ctx, const char *name)
{
	const struct leftovers *l = ctx;
	const struct vhd_host *host = &l->session->below;
	char path[2 * DISK_PATH_MAX];
	struct storage_file *f;

	if (is_part_of(name, l->target)) {
		snprintf(path, sizeof(path), "%s/%s", l->directory, name);
		if (host->open(host->ctx, path, true, false, &f) == 0) {
			host->remove(host->ctx, path);
			storage_file_close(f);
		}
	}
	return true;
}

void disk_remove_leftovers(struct disk_session *s, const char *target)
{
	const char *slash = strrchr(target, '/');
	struct leftovers l = {.session = s, .target = slash != NULL ? slash + 1 : target};

	disk_directory_of(target, l.directory);
	/* It is a courtesy: what cannot be removed is in nobody's way. */
	(void)backend_directory.list(backend_directory.ctx, l.directory, remove_leftover, &l);
}
