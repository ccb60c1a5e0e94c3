// SPDX-License-Identifier: Apache-2.0
/* Files under way: the name that they have until they are complete. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

char *vhd_part_name(const struct vhd_host *host, const char *path)
{
	size_t size = strlen(path) + sizeof(".part-01234567");
	char *part = malloc(size);
	uint32_t random;

	host->random(host->ctx, &random, sizeof(random));
	if (part != NULL) {
		snprintf(part, size, "%s.part-%08" PRIx32, path, random);
	}
	return part;
}

int vhd_refuse_existing(const struct vhd_host *host, const char *path, struct vhd_error *error)
{
	struct storage_file *f;
	int rc = host->open(host->ctx, path, false, false, &f);

	if (rc == -ENOENT) {
		return 0;
	}
	if (rc == 0) {
		storage_file_close(f);
	}
	return vhd_fail_errno(error, -EEXIST, path, "cannot create");
}

int vhd_publish(const struct vhd_host *host, const char *part, const char *path,
		struct vhd_error *error)
{
	int rc = host->rename(host->ctx, part, path);

	return rc == 0 ? 0
		       : vhd_fail_errno(error, rc, path, "cannot give the finished disk its name");
}
