/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What blocks about starting a machine and changing one that runs: opening files, plugging adapters in, the process. Plain values go in and come out, so
 * that it can be done on any thread.
 */
#ifndef VMMS_MACHINE_H
#define VMMS_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "hostcpu/set.h"
#include "launch/error.h"
#include "launch/packet.h"

enum machine_engine { MACHINE_ENGINE_AUTO, MACHINE_ENGINE_EMU, MACHINE_ENGINE_KVM };

enum machine_disk_kind { MACHINE_SCSI, MACHINE_DVD, MACHINE_IDE };

struct machine_disk {
	enum machine_disk_kind kind;
	unsigned number, location;
	char *path; /* absolute, or "" */
	bool read_only, raw, temporary;
	uint64_t iops;
};

struct machine_adapter {
	unsigned number;
	char *text; /* adapter_text.h */
};

/* All of it is the plan's own. */
struct machine_plan {
	char *name;
	enum machine_engine engine;
	struct engine_guide *engines; /* the service's: outlives the plan */
	uint64_t memory_bytes;
	uint64_t processors;
	char *model; /* of its processors; "": the usual one */
	int group; /* folder of cgroup v2 that the worker begins in; -1: none; closed with the plan */
	struct hostcpu_set affinity,
		nodes;			 /* processors, and NUMA nodes of its memory; empty: any */
	char *kernel, *initrd, *cmdline; /* initrd: "" for none */
	struct machine_disk *disks;
	size_t disk_count;
	struct machine_adapter *adapters;
	size_t adapter_count;
	char *run_folder; /* made if it is not there */
	char *state_file; /* saved state to go on from; NULL: none */
};

void machine_plan_free(struct machine_plan *p);

/* Room for the engine of a machine and the sentence why it is that one. */
#define MACHINE_ENGINE_BYTES 8u
#define MACHINE_REASON_BYTES 480u

struct machine_process {
	pid_t pid;
	uint64_t start_time;
	int pidfd;
	int launcher;			   /* keeper.h */
	char engine[MACHINE_ENGINE_BYTES]; /* "emu", "kvm"; "": not known */
	char engine_reason[MACHINE_REASON_BYTES];
};

/* Opens everything and starts a detached worker. False: nothing is left behind; @error. */
bool machine_start(const struct machine_plan *p, struct machine_process *ret,
		   struct launch_error *error);

/*
 * A request to a running machine about @d ("attach", "medium", "detach", "resize" with @bytes), with its files opened (those of attach and medium). NULL:
 * @error. For link_ask.
 */
struct packet *machine_disk_request(const char *word, const struct machine_disk *d, uint64_t bytes,
				    struct launch_error *error);
/* The same for an adapter that is plugged in: "net-attach", "net-connect", "net-detach". @name and @processors: the machine's. */
struct packet *machine_adapter_request(const char *word, const char *name, uint64_t processors,
				       const struct machine_adapter *a, struct launch_error *error);

#endif
