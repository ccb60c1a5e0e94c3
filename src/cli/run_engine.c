// SPDX-License-Identifier: Apache-2.0
/* `virid run --engine`: which one runs the guest. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "engines/engines.h"
#include "launch/cpu.h"
#include "launch/worker.h"
#include "run.h"

/* KVM's device; another one is for tests. */
static const char *device(void)
{
	const char *other = getenv("VIRID_KVM_DEVICE");

	return other != NULL && *other != '\0' ? other : ENGINES_KVM_DEVICE;
}

/* What only the software engine does, or NULL. */
static const char *needs_emu(const struct run_options *o, int state_fd)
{
	if (o->count_instructions) {
		return "only the software engine counts instructions";
	}
	if (run_traces_processor(o)) {
		return "only the software engine traces cpuid and exception";
	}
	return launch_cpu_emu_reason(o->cpu, state_fd);
}

static void choose(const struct run_options *o, int state_fd, struct engines_choice *ret)
{
	const char *reason = needs_emu(o, state_fd);
	struct engines_report r;
	char path[4096];

	if (reason != NULL) {
		ret->engine = ENGINES_EMU;
		snprintf(ret->reason, sizeof(ret->reason), "%s", reason);
		return;
	}
	/* What another device does is not this host's. */
	bool keeps =
		strcmp(device(), ENGINES_KVM_DEVICE) == 0 && engines_cache_path(path, sizeof(path));

	engines_probe(device(), keeps ? path : NULL, false, &r);
	engines_choose(&r, ret);
}

/* A device that went away since it was looked at is no reason not to run. */
static int open_suiting(const struct run_options *o, int state_fd)
{
	struct engines_choice c;
	struct launch_error why;
	int kvm = -1;

	choose(o, state_fd, &c);
	if (c.engine == ENGINES_KVM) {
		kvm = launch_open_kvm(device(), &why);
	}
	if (o->stats) {
		fprintf(stderr, "stats: engine %s: %s\n", kvm >= 0 ? "kvm" : "emu",
			c.engine == ENGINES_KVM && kvm < 0 ? why.text : c.reason);
	}
	return kvm;
}

bool run_engine_open(const struct run_options *o, int state_fd, int *ret_kvm)
{
	struct launch_error error;

	if (o->engine == RUN_AUTO) {
		*ret_kvm = open_suiting(o, state_fd);
		return true;
	}
	if (o->engine == RUN_EMU) {
		return true;
	}
	*ret_kvm = launch_open_kvm(device(), &error);
	if (*ret_kvm < 0) {
		complain("--engine kvm: %s", error.text);
	}
	return *ret_kvm >= 0;
}
