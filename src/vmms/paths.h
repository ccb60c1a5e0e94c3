/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMMS_PATHS_H
#define VMMS_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Where things are when nobody says otherwise: /var/lib/virid and /run/virid for root; else virid in $XDG_STATE_HOME (~/.local/state) and in
 * $XDG_RUNTIME_DIR, or /tmp/virid-UID, which must be this user's alone. False: @error.
 */
bool paths_state(char *ret, size_t ret_size, char *error, size_t size);
bool paths_runtime(char *ret, size_t ret_size, char *error, size_t size);

/* Makes the folder and those above it; one that is there must be a folder that can be written. */
bool paths_make(const char *folder, mode_t mode, char *error, size_t size);
/* Removes a file, or a folder with all that is in it; links are removed, not followed. 0 (also when it is not there) or -errno. */
int paths_remove_tree(const char *path);

#endif
