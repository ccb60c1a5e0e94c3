/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened, for whoever watches: the last EVENTS_KEPT events, each with a number that grows and is not used again after a restart of the
 * service. Loop thread.
 */
#ifndef VMMS_EVENTS_H
#define VMMS_EVENTS_H

#include <jansson.h>
#include <stdint.h>

#define EVENTS_KEPT 4096u

struct events;
struct job;
struct vm;
struct vmms;

struct events *events_create(void);
void events_destroy(struct events *e);

/*
 * {"id", "time", "type", "vm", "vm_name", "job", ...@extra}. @type is such as "vm.state"; @vm, @job and @extra (taken over) may be NULL.
 *
 *	vm.created vm.changed vm.removed   configuration
 *	vm.state                           "state", "critical", "reason"
 *	vm.ended                           "how", "message"
 *	vm.NAME                            what the worker says
 *	job.started job.ended              "kind", "state"
 *	host.*                             the service itself
 */
void events_publish(struct vmms *v, const char *type, const struct vm *vm, const struct job *job,
		    json_t *extra);

/* Numbers of the oldest one that is still there and of the next one that will come. */
uint64_t events_first(const struct events *e);
uint64_t events_next(const struct events *e);
/* Borrowed until the next event; NULL: not there. */
json_t *events_get(const struct events *e, uint64_t id);

/* The caller's memory; called after each event. */
struct events_watch {
	void (*came)(void *ctx);
	void *ctx;
	struct events_watch *next;
};
void events_watch(struct events *e, struct events_watch *w);
void events_unwatch(struct events *e, struct events_watch *w);

#endif
