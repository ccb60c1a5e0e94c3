/* SPDX-License-Identifier: Apache-2.0 */
/* One VM as the service knows it: its configuration, its state, and the one operation that goes on. Loop thread. */
#ifndef VMMS_VM_H
#define VMMS_VM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "host/loop.h"
#include "job.h"
#include "lib/guid.h"
#include "machine.h"

#define VM_REASON_BYTES 1600u
#define VM_PATH_BYTES 1200u /* of the files that are the service's own */
#define VM_FORMAT 1u

struct link;
struct keeper;
struct vmms;

/* As Hyper-V names them. */
enum vm_state {
	VM_OFF,
	VM_STARTING,
	VM_RUNNING,
	VM_PAUSING,
	VM_PAUSED,
	VM_RESUMING,
	VM_SAVING,
	VM_SAVED,
	VM_RESTORING,
	VM_STOPPING,
	VM_STATES,
};

/* The process that runs it. */
struct vm_worker {
	pid_t pid;	     /* 0: none */
	uint64_t start_time; /* /proc/PID/stat: with the pid, this process and no other */
	int pidfd;
	struct link *link;	    /* its control socket */
	struct keeper *keeper;	    /* its cables */
	uint64_t since_ns;	    /* host_now_ns when its uptime was 0 */
	uint64_t cpu_ns, cpu_at_ns; /* used up to the last look, and when that was */
	double cpu_percent;
	json_t *stats; /* of the worker's last answer; NULL: none */
	uint64_t stats_asked_ns;
	char engine[MACHINE_ENGINE_BYTES]; /* "": not known */
	char engine_reason[MACHINE_REASON_BYTES];
};

/* Its part of the host's processors (cpu_policy.c), from before it has a worker until that is gone. */
struct vm_cpu {
	bool claims;
	bool grouped;	   /* it has a group of cgroup v2 */
	unsigned weight;   /* of the group; 0: not told yet */
	char trouble[240]; /* why its settings do not act; "": they do */
};

/* Its summary while it does not run, and what that was made from. */
struct vm_described {
	json_t *summary; /* NULL: none */
	json_t *configuration, *ended;
	enum vm_state state;
};

/* Which vm.json is known. */
struct vm_stamp {
	bool known;
	uint64_t device, file, bytes, changed_ns;
};

/* How a worker ended. */
struct vm_end {
	char how[24]; /* "power-off", "turned-off", "saved", "crash", "host-failure", "killed" ... */
	char message[600]; /* "": nothing to say */
	bool ran;	   /* the guest ran at all: a saved state it was restored from is used up */
};

struct vm {
	struct vmms *vmms;
	char id[GUID_TEXT_BYTES]; /* upper case */
	json_t *configuration;	  /* vm.json; of one that cannot be used just {"name"} */
	struct vm_stamp stamp;
	bool unusable; /* vm.json cannot be read: @reason says why */
	bool too_new;  /* because a newer version wrote it */
	enum vm_state state;
	bool critical;
	char reason[VM_REASON_BYTES]; /* why it is critical or unusable; else "" */
	bool has_saved;		      /* saved.vmrs is there, and good */
	bool wanted; /* somebody wanted it to run, and it has not ended by itself or by somebody */
	json_t *ended;	 /* how it ended last: {"how", "time", "message"}; NULL: not yet */
	struct job *job; /* the one operation; NULL: none */
	struct vm_worker worker;
	struct vm_cpu cpu;
	struct loop_timer timer;	 /* of the operation */
	struct loop_timer restart_timer; /* policy.c */
	struct loop_timer tidy_timer;	 /* op_tidy.c */
	unsigned tidy_failures;		 /* in a row */
	bool tidying; /* all that its operation has left to do can be left for later (op_tidy.c) */
	struct job_watch start_watch;
	unsigned restarts;     /* in a row, by automatic recovery */
	bool recovering;       /* automatic recovery is at work */
	uint64_t ran_ns;       /* how long the last worker ran */
	const char *heartbeat; /* a constant: "none", "ok", "lost" */
	json_t *checkpoints;   /* checkpoint.h; NULL: not looked at yet */
	json_t *guest;	       /* what the guest says of itself: {key: text}; NULL: nothing */
	json_t *addresses;     /* of the guest, as it says; NULL: it does not */
	/* Of the operation, when the worker is gone and the state is set: ends the job. NULL: the job fails. */
	void (*on_end)(struct vm *vm, const struct vm_end *end);
	/* Of the operation: each event of the worker, after everybody else. NULL: nobody. */
	void (*on_event)(struct vm *vm, const char *name, const char *text);
	void *op;	/* of the operation */
	void *live;	/* checkpoint_live.c */
	void *settling; /* vm_settle.c */
	const char *
		info; /* what its worker said last, while vm_settle calls who waited for it; else NULL */
	struct vm_described described;
	void *then; /* malloced: what follows it (handle_checkpoints.c) */
};

/* ---- vm.c ---- */

const char *vm_name(const struct vm *vm);
const char *vm_state_name(enum vm_state s);
bool vm_state_parse(const char *name, enum vm_state *ret);
json_int_t vm_revision(const struct vm *vm);
/* "STATE/vms/ID/name" or of the runtime folder; false: too long. */
void vm_path(const struct vm *vm, const char *name, char ret[VM_PATH_BYTES]);
void vm_run_path(const struct vm *vm, const char *name, char ret[VM_PATH_BYTES]);
/* Tells everybody, and writes it down. */
void vm_set_state(struct vm *vm, enum vm_state s);
/* NULL or "": over. */
void vm_set_critical(struct vm *vm, const char *reason);
/* There is a process that runs it. */
bool vm_is_active(const struct vm *vm);

/* ---- vm_table.c ---- */

/* A new one among all, off and without a configuration. NULL: no memory. */
struct vm *vm_add(struct vmms *v, const char *id);
/* Forgets it; no operation may go on. */
void vm_remove(struct vm *vm);
struct vm *vm_find_id(struct vmms *v, const char *id);
/* A VM whose disks stand on files of @vm, also by way of others; NULL: none. */
const struct vm *vm_clone_of(const struct vm *vm);
/* The VM that a client means by an id or a name; NULL after the call was refused: none, or several with their candidates. */
struct vm *vm_of_call(struct call *c);
/* For api_hooks. */
void vm_each(struct vmms *v, const char *text,
	     bool (*fn)(void *ctx, const char *id, const char *name), void *ctx);

/* ---- vm_json.c ---- */

/* As in a list, and with everything; new references. */
json_t *vm_summary(struct vm *vm); /* nobody changes it */
json_t *vm_details(struct vm *vm);
void vm_forget_description(struct vm *vm);

/* ---- vm_stats.c ---- */

/* What its worker counted a little ago, borrowed; NULL: nothing yet. Asks for newer. */
const json_t *vm_stats(struct vm *vm);
/* The worker's answer to "stats". */
void vm_stats_take(struct vm *vm, const char *answer);

/* ---- vm_operation.c ---- */

enum vm_op {
	VM_OP_START,
	VM_OP_STOP,
	VM_OP_SHUTDOWN,
	VM_OP_SAVE,
	VM_OP_PAUSE,
	VM_OP_RESUME,
	VM_OP_RESET,
	VM_OP_REMOVE_SAVED_STATE,
	VM_OP_RENAME,
	VM_OP_SET,
	VM_OP_HARDWARE, /* what the guest is made of: disks, adapters */
	VM_OP_REMOVE,
	VM_OP_COPY, /* export, clone */
	VM_OP_CONSOLE,
	VM_OP_CHECKPOINT,
	VM_OP_APPLY,
	VM_OP_EXPORT_CHECKPOINT,
	VM_OPS,
};

/* Why @op cannot be now, in words for a person; false: it can. */
bool vm_op_refused(const struct vm *vm, enum vm_op op, char *why, size_t size);
/* The same for a request, with If-Match: true: it can; else the call was refused. */
bool vm_op_allowed(struct call *c, struct vm *vm, enum vm_op op);
/* Begins the operation of a request: its job, or NULL after the call was refused. The caller answers. */
struct job *vm_op_begin(struct call *c, struct vm *vm, enum vm_op op);
const char *vm_op_name(enum vm_op op);

/* ---- vm_record.c ---- */

/* state.json: what has to be known after the service was killed. */
void vm_record_write(struct vm *vm, bool durable);
/* Takes what was written down; @vm is as after the scan. The worker is not looked for. */
void vm_record_take(struct vm *vm, const json_t *record);

#endif
