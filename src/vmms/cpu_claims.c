// SPDX-License-Identifier: Apache-2.0
/* What there is of the host's processors, who claims it, and whether there is room for one more. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu_parts.h"
#include "lib/check.h"
#include "vm.h"
#include "vmms.h"

/* ---- What there is ---- */

void cpu_capacity_of(const struct cpu_policy *p, struct hostcpu_host *ret_host,
		     struct hostcpu_capacity *ret)
{
	hostcpu_host_read(HOSTCPU_SYS, ret_host);
	hostcpu_groups_capacity(&p->groups, &ret_host->processors, ret);
}

/* Its affinity, or the processors of its nodes. */
static void take_nodes(struct cpu_settings *s)
{
	if (hostcpu_set_is_empty(&s->claim.set) && !hostcpu_set_is_empty(&s->nodes)) {
		hostcpu_node_processors(HOSTCPU_SYS, &s->nodes, &s->claim.set);
	}
}

void cpu_settings_of(const json_t *config, struct cpu_settings *ret)
{
	cpu_settings_read(config, ret);
	take_nodes(ret);
}

struct hostcpu_claim *cpu_claims_of(const struct vmms *v, const struct vm *but, size_t *ret_count,
				    struct vm ***ret_vms)
{
	struct hostcpu_claim *claims = calloc(v->vm_count + 1, sizeof(*claims));
	struct vm **vms = calloc(v->vm_count + 1, sizeof(struct vm *));
	size_t count = 0;

	CHECK(claims != NULL && vms != NULL);
	for (size_t i = 0; i < v->vm_count && count < HOSTCPU_CLAIMS_MAX; i++) {
		struct vm *vm = v->vms[i];

		if (vm != but && vm->cpu.claims) {
			struct cpu_settings s;

			cpu_settings_of(vm->configuration, &s);
			vms[count] = vm;
			claims[count++] = s.claim;
		}
	}
	*ret_count = count;
	if (ret_vms != NULL) {
		*ret_vms = vms;
	} else {
		free(vms);
	}
	return claims;
}

const char *cpu_inaction(const struct vm *vm)
{
	const struct cpu_policy *p = vm->vmms->cpu;

	return !p->groups.acts		    ? p->groups.reason
	       : vm->cpu.trouble[0] != '\0' ? vm->cpu.trouble
					    : NULL;
}

/* ---- Admission ---- */

static bool refuse_list(char *why, size_t size, const char *member, const struct hostcpu_set *found,
			const char *what, const struct hostcpu_set *there)
{
	char text[2][HOSTCPU_LIST_BYTES];

	hostcpu_set_format(found, text[0]);
	hostcpu_set_format(there, text[1]);
	snprintf(why, size, "processors.%s: found %.100s; expected some of %s %.100s", member,
		 text[0], what, text[1]);
	return false;
}

static bool is_there(const struct cpu_settings *s, const struct hostcpu_host *host,
		     const struct hostcpu_capacity *c, char *why, size_t size)
{
	struct hostcpu_set both = s->claim.set;

	hostcpu_set_intersect(&both, &c->set);
	if (!hostcpu_set_is_empty(&s->claim.set) && hostcpu_set_is_empty(&both)) {
		return refuse_list(why, size, "affinity", &s->claim.set, "this host's processors",
				   &c->set);
	}
	/* Memory comes from these alone, so they have to be there. */
	if (!hostcpu_set_is_within(&s->nodes, &host->nodes)) {
		return refuse_list(why, size, "numa_nodes", &s->nodes,
				   "this host's nodes with memory", &host->nodes);
	}
	return true;
}

bool cpu_policy_admits(const struct vm *vm, const json_t *config, char *why, size_t size)
{
	const struct cpu_policy *p = vm->vmms->cpu;
	struct hostcpu_host host;
	struct hostcpu_capacity capacity;
	struct hostcpu_refusal r;
	struct cpu_settings s;
	char where[HOSTCPU_LIST_BYTES];
	size_t count;

	cpu_settings_of(config, &s);
	cpu_capacity_of(p, &host, &capacity);
	if (!is_there(&s, &host, &capacity, why, size)) {
		return false;
	}
	if (!p->groups.acts) {
		return true; /* a reserve that does not act is none */
	}
	struct hostcpu_claim *claims = cpu_claims_of(vm->vmms, vm, &count, NULL);
	bool ok = hostcpu_admits(claims, count, &s.claim, &capacity, &r);

	free(claims);
	if (!ok) {
		hostcpu_set_format(&r.set, where);
		snprintf(why, size,
			 "%s reserves %" PRIu64 " %% of a processor (%u virtual processors, %u %% "
			 "each), and of the %" PRIu64
			 " %% of processors %.100s others have reserved %" PRIu64 " %%: %" PRIu64
			 " %% are left; stop other VMs, or give one of them a smaller "
			 "reserve (virid vm set --cpu-reserve)",
			 vm_name(vm), hostcpu_reserved(&s.claim), s.claim.processors,
			 s.claim.reserve_percent, r.available, where, r.reserved,
			 r.reserved < r.available ? r.available - r.reserved : 0);
	}
	return ok;
}

/* ---- Showing ---- */

json_t *cpu_policy_host_json(const struct vmms *v)
{
	const struct cpu_policy *p = v->cpu;
	struct hostcpu_host host;
	struct hostcpu_capacity capacity;
	char processors[HOSTCPU_LIST_BYTES], nodes[HOSTCPU_LIST_BYTES];
	size_t count;
	struct hostcpu_claim *claims = cpu_claims_of(v, NULL, &count, NULL);

	cpu_capacity_of(p, &host, &capacity);
	hostcpu_set_format(&capacity.set, processors);
	hostcpu_set_format(&host.nodes, nodes);
	json_t *o = json_pack("{s:b, s:s?, s:s?, s:s, s:s, s:I, s:I}", "acts", p->groups.acts,
			      "reason", p->groups.acts ? NULL : p->groups.reason, "group",
			      p->groups.acts ? p->groups.folder : NULL, "processors", processors,
			      "numa_nodes", nodes, "capacity_percent",
			      (json_int_t)capacity.hundredths, "reserved_percent",
			      p->groups.acts ? (json_int_t)hostcpu_reserved_all(claims, count) : 0);

	free(claims);
	CHECK(o != NULL);
	return o;
}

json_t *cpu_policy_vm_json(const struct vm *vm)
{
	const char *why = cpu_inaction(vm);
	json_t *o = json_pack("{s:b, s:s?}", "acts", why == NULL, "reason", why);

	CHECK(o != NULL);
	return o;
}

bool cpu_policy_usage(const struct vm *vm, struct hostcpu_usage *ret)
{
	return vm->cpu.grouped && hostcpu_group_usage(&vm->vmms->cpu->groups, vm->id, ret);
}
