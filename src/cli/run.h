/* SPDX-License-Identifier: Apache-2.0 */
/* Inside `virid run`: what its command line says. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "launch/disks.h"
#include "launch/nets.h"

struct run_options {
	const char *kernel;
	const char *initrd;
	const char *cmdline;
	uint64_t memory_bytes;
	uint64_t processors;
	const char *console; /* "stdio", "none" or "file:PATH" */
	const char *name;
	const char *control; /* path of the socket; NULL: none */
	uint64_t timeout_ns;
	bool no_reboot;
	bool stats;
	bool count_instructions;
	bool kvm; /* the processor runs the guest */
	const char *trace;
	struct launch_disks disks;
	struct launch_nets nets;
	const char *restore; /* path of a saved state; NULL: none */
	bool eager;
	bool help;
};

extern const char run_help_text[];

/* Takes the command line; false after a message. What it has no word about has its default. */
bool run_options_parse(int argc, char **argv, struct run_options *ret);

#endif
