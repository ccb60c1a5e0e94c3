/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files a caller may have the service open as disks. The service has more rights than most of its callers: what it opens for them lies in its own folder
 * of VMs, or in one of the "disk_folders" of host.json, where only people who are trusted can write. Who owns the service (its user, and root) may name
 * any file: they can open it themselves.
 */
#ifndef VMMS_DISK_PATHS_H
#define VMMS_DISK_PATHS_H

#include <stdbool.h>
#include <stddef.h>

struct caller;
struct vmms;

/*
 * Is the absolute @path (which need not be there; its folder must) allowed for @caller? Links are followed first. False: @error says what is
 * allowed. Loop thread; looks at the file system.
 */
bool disk_path_allowed(const struct vmms *v, const struct caller *caller, const char *path,
		       char *error, size_t size);

#endif
