/* SPDX-License-Identifier: Apache-2.0 */
/* What requests about files of disks may say (handle_disks.c). */
#ifndef VMMS_DISK_ASK_H
#define VMMS_DISK_ASK_H

#include "call.h"
#include "disk_work.h"
#include "schema.h"

extern const struct schema disk_ask_create[], disk_ask_resize[], disk_ask_path[],
	disk_ask_convert[], disk_ask_merge[];

/* Members of a body that was checked; NULL, and 0: not there. */
const char *disk_ask_text(const struct call *c, const char *name);
uint64_t disk_ask_number(const struct call *c, const char *name);
/* Both false after a refusal: @path is not the caller's to name; the body does not fit @schema, or names such a path. */
bool disk_ask_path_allowed(struct call *c, const char *path);
bool disk_ask_check(struct call *c, const struct schema *schema);
/* The work that a checked body asks for; what is not in it is 0. */
struct disk_work *disk_ask_work(const struct call *c, enum disk_work_kind kind);

#endif
