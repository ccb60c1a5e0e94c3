/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMMS_PATH_CHECK_H
#define VMMS_PATH_CHECK_H

#include <jansson.h>
#include <stdbool.h>

struct call;

/*
 * May the caller have the service open all files that @config names and @old (NULL: nothing) does not? Paths that are not absolute lie in the VM's folder.
 * False: the call was refused.
 */
bool path_check_all(struct call *c, const json_t *old, const json_t *config);
/* One absolute path; "" is allowed. */
bool path_check(struct call *c, const char *path);

#endif
