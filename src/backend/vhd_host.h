/* SPDX-License-Identifier: Apache-2.0 */
/* What both kinds of vhd_host share. */
#ifndef BACKEND_VHD_HOST_H
#define BACKEND_VHD_HOST_H

#include <stddef.h>
#include <stdint.h>

struct storage_file;

void backend_host_random(void *ctx, void *buf, size_t bytes);
int64_t backend_host_now_s(void *ctx);
void backend_host_unclaim(void *ctx, struct storage_file *f);

#endif
