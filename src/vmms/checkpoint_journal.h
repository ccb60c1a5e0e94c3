/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operation.json: what goes on with a VM's checkpoints, so that it can be finished or undone after a crash.
 *
 *	{"format": 1, "kind": "checkpoint" | "apply" | "merge" (of the file that is written), "id": the checkpoint, "record": its record (checkpoint), "disks": [{"old", "new"}]}
 *	{"format": 1, "kind": "forget", "ids": checkpoints that go, those that come from others first}
 *
 * Loop thread.
 */
#ifndef VMMS_CHECKPOINT_JOURNAL_H
#define VMMS_CHECKPOINT_JOURNAL_H

#include "json_file.h"
#include "vm.h"

/* Durable. @o is taken over. 0 or -errno with @error. */
int journal_write(struct vm *vm, json_t *o, struct json_file_error *error);
/* It is done. */
void journal_end(struct vm *vm);
bool journal_is_there(const struct vm *vm);
/* What goes on; a new reference, NULL: nothing. */
json_t *journal_read(const struct vm *vm);

#endif
