/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside op_checkpoint.c and op_checkpoint_running.c: a checkpoint that is being made, from the journal's entry to the record. It is the vm->op of
 * its VM. Loop thread, but what says at_work.
 */
#ifndef VMMS_CREATION_H
#define VMMS_CREATION_H

#include "checkpoint_disks.h"
#include "op_checkpoint.h"

struct creation {
	struct vm *vm;
	struct job *job;
	void (*then)(struct vm *vm, struct job *j);
	char id[GUID_TEXT_BYTES];
	json_t *record; /* the checkpoint's, as it will be */
	enum checkpoint_kind kind;
	bool with_memory;
	bool at_work;  /* a thread has it */
	bool ended;    /* the worker went meanwhile */
	bool frozen;   /* the guest's file systems are */
	bool switched; /* the present writes the new files */
	bool written;  /* memory is complete */
	unsigned long long pause_ns;
	char state_new[VM_PATH_BYTES]; /* of memory while it is written, and then */
	char state[VM_PATH_BYTES];
	char saved[VM_PATH_BYTES]; /* a saved VM's state, to be linked; "": none */
	int state_fd;
	struct checkpoint_disks disks;
	bool failed; /* of the thread */
	struct checkpoint_failure failure;
};

/* Lets go of it. Files and the journal stay as they are. */
void creation_forget(struct creation *n);
/* The guest's file systems go on, if they stand still. */
void creation_thaw(struct creation *n);
/* Nothing has changed: what was begun goes, and the job ends with that. */
void creation_give_up(struct creation *n, enum api_error code, const char *text);
/* The disks have new tops already, but the checkpoint does not come to be; the files find together again. The job ends. */
void creation_lose(struct creation *n, enum api_error code, const char *text);
/* All is there: records are written, and the job ends or goes on with @then. */
void creation_finish(struct creation *n);
/* The present writes the new files: that has to be known before anything else. False: it could not be written. */
bool creation_commit_switch(struct creation *n);

/* ---- op_checkpoint_running.c ---- */

/* The worker makes it, and says when what is there. */
void creation_begin_running(struct creation *n);

#endif
