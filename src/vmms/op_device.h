/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes to the disks, drives and adapters of a VM. Of one that is off only the configuration changes, and the call is answered at once; of one that runs its
 * worker is asked too, as a job. Loop thread.
 */
#ifndef VMMS_OP_DEVICE_H
#define VMMS_OP_DEVICE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct call;
struct vm;

/* What is to be done; the pointers are borrowed, @config is taken over. */
struct op_device {
	const char *kind; /* "disks", "dvds", "adapters" */
	const char *word; /* of the worker's control socket: "attach", "net-connect" ... */
	json_t *config;	  /* the whole configuration afterwards; NULL: it stays */
	json_t *item; /* the disk, drive or adapter that it is about, in @config or the present one */
	const char *place;   /* of it, for the answer's Location */
	uint64_t bytes;	     /* "resize" */
	uint64_t make_bytes; /* makes the disk's file first */
	const char *make_parent;
	bool created;	   /* 201 when it is done */
	bool worker_first; /* what it does not give up stays in the configuration */
};

/* Answers the call. The VM must be in a state that VM_OP_HARDWARE allows. */
void op_device(struct call *c, struct vm *vm, const struct op_device *o);

#endif
