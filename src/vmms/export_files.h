/* SPDX-License-Identifier: Apache-2.0 */
/* The part of an export that blocks: the files of a VM, or of a checkpoint of one, as a VM's folder somewhere else. Plain values in and out. */
#ifndef VMMS_EXPORT_FILES_H
#define VMMS_EXPORT_FILES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "tree_copy.h"
#include "vm.h"

#define EXPORT_PATH_BYTES 4096

struct moved;

struct export_files {
	char source[VM_PATH_BYTES];	    /* the VM's folder */
	char target[EXPORT_PATH_BYTES];	    /* appears when it is whole */
	char grown[EXPORT_PATH_BYTES + 64]; /* until then */
	json_t *config;			    /* what vm.json becomes */
	json_t *checkpoints;		    /* {id: record} */
	bool merged;			    /* each disk becomes one file */
	char state[96];	       /* in the VM's folder: becomes saved.vmrs when it is there */
	struct tree_copy copy; /* its job is set; how it went */
	struct moved *files;   /* the rest is for itself */
	size_t count;
};

/* Any thread; false: @x->copy says why, and nothing is left. */
bool export_files(struct export_files *x);
void export_files_fini(struct export_files *x);

#endif
