// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "engines/engines.h"

/* A load between a boot, which is mostly kernel, and an application: so much of each for one exit. */
#define MIX_KERNEL 10000.0
#define MIX_USER 10000.0

const char *engines_name(enum engines_engine engine)
{
	return engine == ENGINES_KVM ? "kvm" : "emu";
}

const char *engines_state_name(enum engines_kvm_state state)
{
	static const char *const names[] = {
		[ENGINES_KVM_WORKS] = "works",	       [ENGINES_KVM_ABSENT] = "absent",
		[ENGINES_KVM_FORBIDDEN] = "forbidden", [ENGINES_KVM_LACKS] = "lacks",
		[ENGINES_KVM_FAILED] = "failed",
	};

	return names[state];
}

/* Nanoseconds that the mix takes; every rate is above 0. */
static double mix_ns(const struct engines_rates *r)
{
	return MIX_KERNEL * 1e9 / (double)r->kernel_ips + MIX_USER * 1e9 / (double)r->user_ips +
	       (double)r->exit_ns;
}

static bool complete(const struct engines_rates *r)
{
	return r->kernel_ips > 0 && r->user_ips > 0 && r->exit_ns > 0;
}

static void compare(const struct engines_report *r, struct engines_choice *c)
{
	double kvm = mix_ns(&r->kvm), emu = mix_ns(&r->emu);
	bool faster = kvm < emu;

	c->engine = faster ? ENGINES_KVM : ENGINES_EMU;
	snprintf(c->reason, sizeof(c->reason),
		 "KVM runs %.1f million instructions a second in kernel mode, %.1f million in user "
		 "mode "
		 "and takes %.1f us for a port access; the software engine %.1f million, %.1f "
		 "million and "
		 "%.1f us: %s is %.3g times as fast",
		 (double)r->kvm.kernel_ips / 1e6, (double)r->kvm.user_ips / 1e6,
		 (double)r->kvm.exit_ns / 1e3, (double)r->emu.kernel_ips / 1e6,
		 (double)r->emu.user_ips / 1e6, (double)r->emu.exit_ns / 1e3,
		 faster ? "KVM" : "the software engine", faster ? emu / kvm : kvm / emu);
}

static void explain_lack(const struct engines_report *r, struct engines_choice *c)
{
	int n = snprintf(c->reason, sizeof(c->reason), "this host's KVM lacks %s", r->detail);

	if (complete(&r->kvm) && complete(&r->emu)) {
		snprintf(
			c->reason + n, sizeof(c->reason) - (size_t)n,
			"; it runs %.1f million instructions a second in kernel mode, the software "
			"engine %.1f million",
			(double)r->kvm.kernel_ips / 1e6, (double)r->emu.kernel_ips / 1e6);
	}
}

void engines_choose(const struct engines_report *r, struct engines_choice *ret_choice)
{
	ret_choice->engine = ENGINES_EMU;
	switch (r->kvm_state) {
	case ENGINES_KVM_ABSENT:
		snprintf(ret_choice->reason, sizeof(ret_choice->reason), "this host has no KVM: %s",
			 r->detail);
		return;
	case ENGINES_KVM_FORBIDDEN:
		snprintf(ret_choice->reason, sizeof(ret_choice->reason),
			 "KVM may not be used: %s; its group may (usually kvm)", r->detail);
		return;
	case ENGINES_KVM_LACKS:
		explain_lack(r, ret_choice);
		return;
	case ENGINES_KVM_FAILED:
		snprintf(ret_choice->reason, sizeof(ret_choice->reason),
			 "KVM could not run a tiny guest: %s", r->detail);
		return;
	case ENGINES_KVM_WORKS:
		break;
	}
	if (!complete(&r->kvm)) {
		snprintf(ret_choice->reason, sizeof(ret_choice->reason), "KVM was not measured");
	} else if (!complete(&r->emu)) {
		ret_choice->engine = ENGINES_KVM;
		snprintf(ret_choice->reason, sizeof(ret_choice->reason),
			 "KVM works, and the software engine could not be measured");
	} else {
		compare(r, ret_choice);
	}
}
