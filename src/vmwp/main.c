// SPDX-License-Identifier: Apache-2.0
/*
 * virid-vmwp: the worker process of one running VM. Started by `virid run` (or a management
 * service) with open descriptors; it opens no file itself. Not for people: its options may change
 * without notice.
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "host/log.h"
#include "worker.h"

enum worker_option {
	OPT_NAME = 1,
	OPT_MEMORY,
	OPT_PROCESSORS,
	OPT_KERNEL,
	OPT_KERNEL_PATH,
	OPT_INITRD,
	OPT_INITRD_PATH,
	OPT_CMDLINE,
	OPT_CONSOLE_IN,
	OPT_CONSOLE_OUT,
	OPT_ESCAPE,
	OPT_TIMEOUT,
	OPT_NO_REBOOT,
	OPT_STATS,
	OPT_COUNT,
	OPT_TRACE,
	OPT_STARTED,
};

static const struct option options[] = {
	{"name", required_argument, NULL, OPT_NAME},
	{"memory-bytes", required_argument, NULL, OPT_MEMORY},
	{"processors", required_argument, NULL, OPT_PROCESSORS},
	{"kernel-fd", required_argument, NULL, OPT_KERNEL},
	{"kernel-path", required_argument, NULL, OPT_KERNEL_PATH},
	{"initrd-fd", required_argument, NULL, OPT_INITRD},
	{"initrd-path", required_argument, NULL, OPT_INITRD_PATH},
	{"cmdline", required_argument, NULL, OPT_CMDLINE},
	{"console-in-fd", required_argument, NULL, OPT_CONSOLE_IN},
	{"console-out-fd", required_argument, NULL, OPT_CONSOLE_OUT},
	{"escape", no_argument, NULL, OPT_ESCAPE},
	{"timeout-ns", required_argument, NULL, OPT_TIMEOUT},
	{"no-reboot", no_argument, NULL, OPT_NO_REBOOT},
	{"stats", no_argument, NULL, OPT_STATS},
	{"count-instructions", no_argument, NULL, OPT_COUNT},
	{"trace", required_argument, NULL, OPT_TRACE},
	{"started-ns", required_argument, NULL, OPT_STARTED},
	{0},
};

static bool set_option(struct worker_config *c, int opt, char *arg)
{
	switch ((enum worker_option)opt) {
	case OPT_NAME:
		c->name = arg;
		return true;
	case OPT_MEMORY:
		c->memory_bytes = strtoull(arg, NULL, 10);
		return true;
	case OPT_PROCESSORS:
		c->processors = (uint32_t)strtoul(arg, NULL, 10);
		return true;
	case OPT_KERNEL:
		c->kernel_fd = atoi(arg);
		return true;
	case OPT_KERNEL_PATH:
		c->kernel_path = arg;
		return true;
	case OPT_INITRD:
		c->initrd_fd = atoi(arg);
		return true;
	case OPT_INITRD_PATH:
		c->initrd_path = arg;
		return true;
	case OPT_CMDLINE:
		c->cmdline = arg;
		return true;
	case OPT_CONSOLE_IN:
		c->console_in_fd = atoi(arg);
		return true;
	case OPT_CONSOLE_OUT:
		c->console_out_fd = atoi(arg);
		return true;
	case OPT_ESCAPE:
		c->console_escape = true;
		return true;
	case OPT_TIMEOUT:
		c->timeout_ns = strtoull(arg, NULL, 10);
		return true;
	case OPT_NO_REBOOT:
		c->no_reboot = true;
		return true;
	case OPT_STATS:
		c->stats = true;
		return true;
	case OPT_COUNT:
		c->count_instructions = true;
		return true;
	case OPT_TRACE:
		c->trace = arg;
		return true;
	case OPT_STARTED:
		c->started_ns = strtoull(arg, NULL, 10);
		return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	struct worker_config config = {
		.name = "vm",
		.processors = 1,
		.kernel_fd = -1,
		.initrd_fd = -1,
		.kernel_path = "",
		.initrd_path = "",
		.cmdline = "",
		.console_in_fd = -1,
		.console_out_fd = -1,
	};
	int opt;

	/* A worker never outlives who started it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* With its own limit glibc counts the processors in /sys when many threads allocate: not in the sandbox. */
	mallopt(M_ARENA_MAX, 4);
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (!set_option(&config, opt, optarg)) {
			return END_USAGE;
		}
	}
	if (optind != argc || config.kernel_fd < 0 || config.processors == 0 ||
	    config.memory_bytes == 0) {
		fprintf(stderr, "virid-vmwp: started by `virid run`, not by hand\n");
		return END_USAGE;
	}
	log_init("virid", config.name);
	return (int)worker_run(&config);
}
