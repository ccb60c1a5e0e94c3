/* SPDX-License-Identifier: Apache-2.0 */
/* Disks whose bytes lie in the file as they are: raw ones, and the data of a fixed VHD. */
#ifndef VHD_FLAT_H
#define VHD_FLAT_H

#include "format.h"

/* A block device's submit: the file carries out the request at the same offset. */
void vhd_flat_submit(struct block_device *b, struct io_request *r);
/* vhd_format_ops.map. */
int vhd_flat_map(struct vhd_layer *l, uint64_t offset, struct vhd_local_extent *ret,
		 struct vhd_error *error);
/* vhd_format_ops.freeze. */
int vhd_flat_freeze(struct vhd_layer *l, struct vhd_error *error);
/* How many of the disk's bytes occupy space in the file, and where the last of them end, as far as the file can tell. */
void vhd_flat_usage(struct vhd_layer *l, uint64_t *ret_allocated, uint64_t *ret_end);

#endif
