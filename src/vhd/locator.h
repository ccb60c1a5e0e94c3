/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of parents: from what a child records to files of this host, and back. */
#ifndef VHD_LOCATOR_H
#define VHD_LOCATOR_H

#include "format.h"

#define VHD_PATH_BYTES 4096u

/* How many places vhd_locator_place knows. */
#define VHD_LOCATOR_PLACES 6u

/*
 * The @index-th place to look for a parent, best first: relative path, volume, absolute path, then files of the recorded names beside
 * the child. @child_dir is absolute and without links. False: this one names nothing that can exist here (a drive letter,
 * nothing recorded, too long); the next may.
 */
bool vhd_locator_place(const struct vhd_locator *l, const char *child_dir, unsigned index,
		       char ret[VHD_PATH_BYTES]);

/* What a child records about a parent, whose paths are both absolute and without links. All but the linkage is filled in. */
int vhd_locator_make(const char *child_dir, const char *parent, struct vhd_locator *ret,
		     struct vhd_error *error);

/* The directory of @path, absolute and without links. @path itself need not exist unless @follow: then links to it are followed too. */
int vhd_real_directory(const struct vhd_host *host, const char *path, bool follow,
		       char ret[VHD_PATH_BYTES], struct vhd_error *error);

#endif
