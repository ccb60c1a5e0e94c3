/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VHD_CHAIN_H
#define VHD_CHAIN_H

#include "format.h"

/* Opens one file, without parents. */
int vhd_open_one(const struct vhd_host *host, const char *path, uint32_t flags,
		 struct vhd_disk **ret, struct vhd_error *error);
/* Opens the parents of @top, however many there are. On failure some are attached; vhd_close closes them. */
int vhd_attach_parents(struct vhd_disk *top, uint32_t flags, struct vhd_error *error);
/* The path by which a child knows its parent best, as recorded. */
const char *vhd_recorded_path(const struct vhd_locator *l);

#endif
