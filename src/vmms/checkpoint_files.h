/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VM's own files under checkpoints, as vm.json lists them ("checkpoints.files": {"path", "parent" or null, "made", "cloned"}), and who uses which. Works on a
 * configuration that is to be written (store_configure). Loop thread.
 */
#ifndef VMMS_CHECKPOINT_FILES_H
#define VMMS_CHECKPOINT_FILES_H

#include "disk_tree.h"
#include "vm.h"

/* The list; made when it is not there. Borrowed. */
json_t *checkpoint_files(json_t *configuration);
/* Adds @path unless it is there. @parent: NULL for none of the VM's own. */
void checkpoint_files_add(json_t *configuration, const char *path, const char *parent, bool made);
/* @path and all that it lies on are below a clone's disks, too: they are used while there are clones. */
void checkpoint_files_pin(json_t *configuration, const char *path);
/* Takes @path away. */
void checkpoint_files_drop(json_t *configuration, const char *path);
/* Whatever had @path as parent has @parent (NULL: none). */
void checkpoint_files_reparent(json_t *configuration, const char *path, const char *parent);
/* The parent of @path; NULL: none, or it is not in the list. Borrowed. */
const char *checkpoint_files_parent(const json_t *configuration, const char *path);

/* Disks of @configuration whose path is @from have @to. True: there was one. */
bool checkpoint_disks_rename(json_t *configuration, const char *from, const char *to);
/* Is there a disk with this path? */
bool checkpoint_disks_use(const json_t *configuration, const char *path);
/* Does the disk take part in checkpoints? Those that are read only or temporary do not. */
bool checkpoint_disk_takes_part(const json_t *disk);

/* The list as a tree, in the same order, with what the present and the checkpoints use. malloced; *ret_count files. */
struct disk_tree_file *checkpoint_files_tree(struct vm *vm, size_t *ret_count);
/* Path of file @index of the list. Borrowed. */
const char *checkpoint_files_path(const struct vm *vm, size_t index);

/* The name, without folder, of a whole disk with the contents of @path: without what a checkpoint added. malloced. */
char *checkpoint_plain_name(const char *path);
/*
 * A name for a new file on top of @path (both as in the configuration): beside it, its name with a new GUID, .avhdx, or .avhd over what is no VHDX.
 * malloced.
 */
char *checkpoint_new_path(const char *path);

#endif
