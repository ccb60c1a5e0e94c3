/* SPDX-License-Identifier: Apache-2.0 */
/* Inside cpu_*.c: what there is, and who claims how much. */
#ifndef VMMS_CPU_PARTS_H
#define VMMS_CPU_PARTS_H

#include "cpu_policy.h"
#include "cpu_settings.h"
#include "host/loop.h"
#include "hostcpu/groups.h"
#include "hostcpu/host.h"

struct cpu_policy {
	struct vmms *vmms;
	struct hostcpu_groups groups;
	struct loop_timer sweep;
};

void cpu_capacity_of(const struct cpu_policy *p, struct hostcpu_host *ret_host,
		     struct hostcpu_capacity *ret);
/* The claim's set is its affinity, or the processors of its nodes. */
void cpu_settings_of(const json_t *config, struct cpu_settings *ret);
/* The claims of all that run but @but (may be NULL), malloced; @ret_vms too, if wanted. */
struct hostcpu_claim *cpu_claims_of(const struct vmms *v, const struct vm *but, size_t *ret_count,
				    struct vm ***ret_vms);
/* Why weight, reserve and limit of @vm do not act; NULL: they do. */
const char *cpu_inaction(const struct vm *vm);

#endif
