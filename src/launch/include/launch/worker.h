/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a worker: src/vmwp, one process for one machine, which opens nothing itself. */
#ifndef LAUNCH_WORKER_H
#define LAUNCH_WORKER_H

#include <sys/types.h>

#include "launch/disks.h"
#include "launch/nets.h"

struct hostcpu_set;

/* What the worker is told. Descriptors are the caller's, close-on-exec, -1: none. */
struct launch {
	const char *name;
	uint64_t memory_bytes;
	uint64_t processors;
	const char *kernel_path; /* for messages */
	const char *initrd_path;
	const char *cmdline;
	const char *state_path; /* for messages; NULL: none */
	const char *trace;
	const char *
		cpu; /* processor model (launch/cpu.h); NULL, "": what the engine or the state says */
	uint64_t timeout_ns;
	const struct launch_disks *disks; /* opened */
	const struct launch_nets *nets;	  /* plugged */
	int kernel;
	int initrd;
	int console_in;
	int console_out;
	int control;  /* listening socket for requests */
	int launcher; /* the worker's end of a socket pair: asks for cables (launch_keeper) */
	int kvm;      /* /dev/kvm: the processor itself runs the guest, else software does */
	int state;    /* saved state to go on from */
	int end;      /* file for how the machine ended */
	int log;      /* messages, instead of our standard error */
	int identity; /* file where the new process writes its /proc/self/stat first of all */
	int group;    /* folder of cgroup v2 that it begins in, before its first instruction */
	const struct hostcpu_set
		*affinity; /* processors that it may run on; NULL: those that we may */
	const struct hostcpu_set *nodes; /* NUMA nodes that its memory comes from; NULL: any */
	/* What the engine kvm could do without an exit and shall not: some of "apic,stimer"; NULL: nothing */
	const char *without;
	bool escape; /* Ctrl-] leaves */
	bool no_reboot;
	bool no_legacy; /* the machine has no 8259s and no 8254 */
	bool stats;
	bool count_instructions;
	bool eager;    /* all of its memory before the guest goes on */
	bool detached; /* lives on without us, in a session of its own */
};

/* With nothing to tell and no descriptors. */
extern const struct launch launch_nothing;

/* A regular file with an image, not empty, for reading, as @option names it in messages; or -1. */
int launch_open_image(const char *option, const char *path, struct launch_error *error);
/* KVM's device (/dev/kvm) for the worker, or -1: there is none, or we may not open it. */
int launch_open_kvm(const char *device, struct launch_error *error);
/* Makes a socket at @path, for its owner alone, on which a worker takes requests; or -1. */
int launch_control_listen(const char *path, struct launch_error *error);

/*
 * Starts the worker program beside this one, or where it was installed. Signals are as by default and not blocked in it. The process's id, the
 * caller's to wait for, or -1. Any thread.
 */
pid_t launch_worker(const struct launch *l, struct launch_error *error);

#endif
