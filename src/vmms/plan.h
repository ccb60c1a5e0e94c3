/* SPDX-License-Identifier: Apache-2.0 */
/* From a VM's configuration to plain values that may leave the loop thread. */
#ifndef VMMS_PLAN_H
#define VMMS_PLAN_H

#include <jansson.h>

#include "machine.h"
#include "vm.h"

/* What starting @vm takes; @state_file: a path, or NULL. machine_plan_free. */
struct machine_plan *plan_vm(const struct vm *vm, const char *state_file);
/* One disk or drive ("disks", "dvds") of @vm; its path is malloced. */
void plan_disk(const struct vm *vm, const char *kind, const json_t *item, struct machine_disk *ret);
void plan_adapter(const json_t *item, struct machine_adapter *ret);
/* The absolute path that a path of the configuration means; malloced. */
char *plan_path(const struct vm *vm, const char *path);

#endif
