/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VHD_CHAIN_H
#define VHD_CHAIN_H

#include "format.h"

/* Opens one file, without parents. */
int vhd_open_one(const struct vhd_host *host, const char *path, uint32_t flags,
		 struct vhd_disk **ret, struct vhd_error *error);
/* The same with its file, which is taken over, also on failure. */
int vhd_open_file(const struct vhd_host *host, const char *path, struct storage_file *f,
		  uint32_t flags, struct vhd_disk **ret, struct vhd_error *error);
/*
 * @parent, open, is below @child from now on, and is the child's. No request may be in flight. A guest sees the same disk whichever file of the
 * chain is on top: what identifies it comes from the bottom.
 */
void vhd_join(struct vhd_disk *child, struct vhd_disk *parent);
/* Opens the parents of @top, however many there are. On failure some are attached; vhd_close closes them. */
int vhd_attach_parents(struct vhd_disk *top, uint32_t flags, struct vhd_error *error);
/* The path by which a child knows its parent best, as recorded. */
const char *vhd_recorded_path(const struct vhd_locator *l);

#endif
