// SPDX-License-Identifier: Apache-2.0
#include "disk_make.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "backend/backend.h"
#include "vhd/vhd.h"

#define DEPTH 16

static bool is_vhd(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot != NULL && (strcasecmp(dot, ".vhd") == 0 || strcasecmp(dot, ".avhd") == 0);
}

static bool is_vhdx(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot != NULL && (strcasecmp(dot, ".vhdx") == 0 || strcasecmp(dot, ".avhdx") == 0);
}

int disk_make(const char *path, uint64_t bytes, const char *parent, struct disk_make_error *error)
{
	struct vhd_create create = {.bytes = bytes, .parent = parent};
	struct vhd_error why = {""};
	struct vhd_host host;
	struct backend *b;

	if (!is_vhd(path) && !is_vhdx(path)) {
		snprintf(error->text, sizeof(error->text),
			 "%.400s: expected a name that ends in .vhdx or .vhd", path);
		return VHD_INVALID_ARGUMENT;
	}
	if (is_vhd(path)) {
		create.format = parent == NULL ? VHD_VHD_DYNAMIC : VHD_VHD_DIFFERENCING;
	} else {
		create.format = parent == NULL ? VHD_VHDX_DYNAMIC : VHD_VHDX_DIFFERENCING;
	}
	int r = backend_create(DEPTH, &b);

	if (r < 0) {
		snprintf(error->text, sizeof(error->text), "%.400s: %s", path, strerror(-r));
		return r;
	}
	backend_vhd_host(b, &host);
	r = vhd_create(&host, path, &create, &why);
	backend_destroy(b);
	snprintf(error->text, sizeof(error->text), "%s", why.text);
	return r;
}
