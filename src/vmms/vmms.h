/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The management service: what it holds. Inside of src/vmms only; all of it belongs to the loop thread.
 *
 * Files: main.c options and signals, service.c its life, store.c what lies in the state folder, config*.c configurations, vm*.c VMs and their states,
 * op_*.c what is done with a VM, link.c talking to a worker, adopt.c finding workers again, policy*.c what the service does by itself, task.c threads, job.c,
 * events.c; handle_*.c requests. What api.h begins is how requests come in.
 */
#ifndef VMMS_VMMS_H
#define VMMS_VMMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/loop.h"

#define VMMS_PATH_BYTES 1024u /* of the state and runtime folders */
#define VMMS_BOOT_ID_BYTES 40u

struct audit;
struct cpu_policy;
struct engine_guide;
struct events;
struct jobs;
struct store_watch;
struct tasks;
struct vm;

struct vmms {
	struct loop *loop;
	struct tasks *tasks;
	struct jobs *jobs;
	struct events *events;
	struct store_watch *store_watch; /* NULL: none */
	struct audit *audit;		 /* of the API; NULL: none */
	struct cpu_policy *cpu;		 /* who gets how much of the host's processors */
	struct engine_guide *engines;	 /* which engine machines get */
	char state[VMMS_PATH_BYTES];	 /* folder, absolute */
	char runtime[VMMS_PATH_BYTES];	 /* folder, absolute */
	char boot_id[VMMS_BOOT_ID_BYTES];
	json_t *host; /* host.json: settings of the host */
	struct vm **vms;
	size_t vm_count;
	size_t vm_capacity;
	int lock_fd;
	bool unsettled;		 /* store.c, while it looks */
	bool first;		 /* no service has run since the machine started */
	bool stopping;		 /* the machine goes down: automatic stop actions are under way */
	void (*idle)(void *ctx); /* when stopping and no VM runs any more */
	void *idle_ctx;
};

#endif
