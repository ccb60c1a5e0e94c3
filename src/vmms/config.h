/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations of VMs: what vm.json and the API call so (Decision: docs/design/0007-management-service.md). No state; any thread. */
#ifndef VMMS_CONFIG_H
#define VMMS_CONFIG_H

#include <jansson.h>
#include <stdbool.h>

#include "schema.h"

#define CONFIG_DISKS_MAX 260u
#define CONFIG_ADAPTERS_MAX 64u

/* Is the whole configuration as it has to be? Members that are not known are allowed. */
bool vm_config_check(const json_t *c, struct schema_error *error);

/*
 * A whole configuration from what a client says: defaults for what is missing, places, numbers and addresses for what has none. @id is
 * the new VM's. NULL: @error.
 */
json_t *vm_config_create(const json_t *body, const char *id, struct schema_error *error);
/*
 * @old changed by a JSON merge patch; its disks, drives and adapters are completed as above. What belongs to the service (format, revision, id, created,
 * checkpoints.parent) cannot be changed. NULL: @error.
 */
json_t *vm_config_patch(const json_t *old, const json_t *patch, struct schema_error *error);
/* When a configuration can be changed. */
enum vm_config_when {
	VM_CONFIG_ANY_TIME,
	VM_CONFIG_NO_WORKER, /* while the VM is off or saved */
	VM_CONFIG_OFF,	     /* what the guest is made of */
};
/* What changing @old to @new needs; *ret_member: the first member that needs it. */
enum vm_config_when vm_config_when(const json_t *old_config, const json_t *new_config,
				   const char **ret_member);

/* Adds @item to the configuration's list @kind ("disks", "dvds", "adapters") and completes it. NULL: @error; else borrowed. */
json_t *vm_config_add(json_t *c, const char *kind, const json_t *item, struct schema_error *error);

/* ---- Places ---- */

struct vm_config_place {
	bool ide;
	unsigned number, location;
};
/* "scsi0:3", "ide0:1" or "0:3" (SCSI). */
bool vm_config_place_parse(const char *text, struct vm_config_place *ret);
void vm_config_place_text(const json_t *item, char ret[32]);
/* Index of what is in that place in list @kind; -1: nothing. */
int vm_config_place_find(const json_t *c, const char *kind, const struct vm_config_place *place);
/* Index of the adapter with that number; -1: there is none. */
int vm_config_adapter_find(const json_t *c, json_int_t number);

#endif
