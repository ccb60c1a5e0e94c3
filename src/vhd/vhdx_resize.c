// SPDX-License-Identifier: Apache-2.0
/* Resizing. */
#include <errno.h>

#include "vhdx.h"

int vhdx_resize(struct vhd_layer *l, uint64_t bytes, struct vhd_error *error)
{
	return vhd_fail(error, VHD_NOT_POSSIBLE, "%s: cannot be resized yet", l->file->name);
}
