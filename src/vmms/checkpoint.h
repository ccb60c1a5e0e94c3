/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checkpoints of a VM (Decision: docs/design/0008-checkpoints.md): one record each, a file checkpoints/<ID>.json in the VM's folder:
 *
 *	{"format": 1, "id", "name", "parent": id or null, "created", "kind": "standard" or "production", "with_memory": bool, "configuration": {...}}
 *
 * The disks in the configuration are the frozen files; memory is in checkpoints/<ID>.vmrs. Loop thread.
 */
#ifndef VMMS_CHECKPOINT_H
#define VMMS_CHECKPOINT_H

#include <jansson.h>
#include <stdbool.h>

#include "json_file.h"
#include "vm.h"

#define CHECKPOINTS_MAX 1000u
#define CHECKPOINT_NAME_BYTES 100u

struct call;

/* {id: record}, borrowed: read from the folder when first asked for. What cannot be read is left out, with a line in the log. */
json_t *checkpoints_of(struct vm *vm);
/* They are read again when asked for. */
void checkpoints_forget(struct vm *vm);
/* The record of @id; NULL: there is none. */
json_t *checkpoint_find(struct vm *vm, const char *id);
/* The one that a request means by its second parameter, id or name; NULL after the call was refused. */
json_t *checkpoint_of_call(struct call *c, struct vm *vm);
/* The id of the one that the present comes from; NULL: none. */
const char *checkpoint_of_present(const struct vm *vm);

/* Writes @record (taken over), durably, in place of one with its id. 0 or -errno with @error: then all is as before. */
int checkpoint_write(struct vm *vm, json_t *record, struct json_file_error *error);
/* Forgets it durably, with its memory; disks stay. 0 or -errno with @error. */
int checkpoint_delete(struct vm *vm, const char *id, struct json_file_error *error);

/* As the API shows it; a new reference. */
json_t *checkpoint_json(const struct vm *vm, const json_t *record);
/* "checkpoints/<ID>.vmrs" and such. */
void checkpoint_name(const char *id, const char *extension, char ret[96]);

#endif
