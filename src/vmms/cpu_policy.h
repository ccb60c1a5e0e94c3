/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who gets how much of the host's processors, while VMs run: a group of cgroup v2 for each worker, weights that are set anew whenever one comes, goes or is changed,
 * and admission of reserves. Where the host does not delegate groups, processors and NUMA nodes are chosen by other means, and weight, reserve and limit do not
 * act; that is said. Loop thread.
 */
#ifndef VMMS_CPU_POLICY_H
#define VMMS_CPU_POLICY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "hostcpu/text.h"
#include "machine.h"

struct cpu_policy;
struct vm;
struct vmms;

/* Looks at what the host delegates. */
struct cpu_policy *cpu_policy_create(struct vmms *v);
/* The groups of machines that run on stay. */
void cpu_policy_destroy(struct cpu_policy *p);
/* Removes groups that nobody is in and that nobody wants. When the workers have been found again. */
void cpu_policy_sweep(struct vmms *v);

/* Could @vm run with @config? False: not with what is reserved, or not on the processors or nodes of this host; @why. */
bool cpu_policy_admits(const struct vm *vm, const json_t *config, char *why, size_t size);
/* @vm is about to have a worker: what that begins with goes into @plan. */
void cpu_policy_begin(struct vm *vm, struct machine_plan *plan);
/* Its worker was found again, wherever it is. */
void cpu_policy_adopt(struct vm *vm);
/* Its configuration was changed: acts at once on one that runs. */
void cpu_policy_change(struct vm *vm);
/* It has no worker any more, or has not got one. */
void cpu_policy_end(struct vm *vm);

/* {"acts", "reason", ...} of the host, and of @vm; new references. */
json_t *cpu_policy_host_json(const struct vmms *v);
json_t *cpu_policy_vm_json(const struct vm *vm);
/* What its group used; false: it has none. */
bool cpu_policy_usage(const struct vm *vm, struct hostcpu_usage *ret);

#endif
