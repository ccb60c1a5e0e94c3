/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in the state folder (Decision: docs/design/0007-management-service.md). Loop thread. */
#ifndef VMMS_STORE_H
#define VMMS_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "json_file.h"
#include "vm.h"

struct vmms;

/*
 * Makes the folders, reads host.json and all VMs, and finishes removals that were interrupted. VMs that cannot be read are there, unusable. False: the
 * folder cannot be used at all; @error. *ret_first: no service has run since the machine started.
 */
bool store_open(struct vmms *v, bool *ret_first, char *error, size_t size);

/* Looks for folders that were copied in or taken away by hand; those that are in use are left alone. Also called when inotify says so. */
void store_rescan(struct vmms *v);
/* Something that lies there is perhaps not complete yet. */
bool store_is_unsettled(struct vmms *v);
/* Calls store_rescan some time after the folder of VMs changed. -errno: only on request then. */
int store_watch(struct vmms *v);
void store_unwatch(struct vmms *v);

/* One VM as its folder says, added to the others; unusable when that cannot be read. */
struct vm *store_load(struct vmms *v, const char *id);

/* vm.json is as this service wrote or read it. */
void store_stamp(struct vm *vm);
/* It is another file than that; one that is gone is not another. */
bool store_was_edited(const struct vm *vm);
/*
 * Somebody else changed vm.json of a VM that can be used: it is read again, and the VM may be unusable then; of one that runs it is said that it was changed. True: it
 * is to be looked at again later.
 */
bool store_look_at_edit(struct vm *vm);

/* A new VM: its folder appears whole. @c is complete and is taken over. NULL: @error, *ret_errno. */
struct vm *store_create(struct vmms *v, json_t *c, struct json_file_error *error, int *ret_errno);
/* Of a VM whose folder came from elsewhere: off, or saved when there is a saved state. */
void store_settle_new(struct vm *vm);
/* @c (taken over) replaces the configuration, with the next revision; durable. 0 or -errno with @error: then it is as before. -ESTALE: somebody else changed the file. */
int store_configure(struct vm *vm, json_t *c, struct json_file_error *error);
/* Begins to remove it: from now on it is removed after any crash. 0 or -errno with @error. The VM object stays. */
int store_begin_removal(struct vm *vm, bool with_disks, struct json_file_error *error);
/* Removes the rest of what store_begin_removal began; any thread. @folder: the VM's. 0 or -errno. */
int store_finish_removal(const char *folder);

/* Removes what was about to replace a configuration or a record when the service was killed. Nobody may write them now. */
void store_sweep(const struct vm *vm);

/* Reads host.json. False: @error. */
bool store_load_host(struct vmms *v, char *error, size_t size);
/* host.json: a settings object, borrowed. */
const json_t *store_host(const struct vmms *v);
/* Merges @patch into the settings; durable. 0 or -errno with @error. */
int store_set_host(struct vmms *v, const json_t *patch, struct json_file_error *error);

#endif
