// SPDX-License-Identifier: Apache-2.0
/*
 * virid-vmwp: the worker process of one running VM. Started by `virid run` (or a management
 * service) with open descriptors; it opens no file itself. Not for people: its options may change
 * without notice.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "host/log.h"
#include "worker.h"

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
		.control_fd = -1,
		.launcher_fd = -1,
		.kvm_fd = -1,
		.cpu = "",
		.state_fd = -1,
		.state_path = "",
		.end_fd = -1,
	};
	/* With its own limit glibc counts the processors in /sys when many threads allocate: not in the sandbox. */
	mallopt(M_ARENA_MAX, 4);
	if (!options_parse(argc, argv, &config)) {
		return END_USAGE;
	}
	if (config.kernel_fd < 0 || config.processors == 0 || config.memory_bytes == 0) {
		fprintf(stderr, "virid-vmwp: started by `virid run`, not by hand\n");
		return END_USAGE;
	}
	if (!config.detached) {
		/* A worker does not outlive who started it, unless he says so. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	}
	log_init("virid", config.name);
	enum worker_end end = worker_run(&config);

	free(config.storage.disks);
	free(config.storage.files);
	free(config.net.adapters);
	return (int)end;
}
