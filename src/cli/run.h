/* SPDX-License-Identifier: Apache-2.0 */
/* Inside `virid run`: what its command line says. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "launch/disks.h"
#include "launch/nets.h"

enum run_engine { RUN_AUTO, RUN_EMU, RUN_KVM };

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
	bool no_legacy;
	bool stats;
	bool count_instructions;
	enum run_engine engine;
	char without[32]; /* "kvm,apic=core,..": launch.without */
	const char *cpu;  /* processor model; "": the engine's usual one */
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

/* Something is to be traced that only the software engine sees. */
bool run_traces_processor(const struct run_options *o);

/*
 * Which engine runs the machine, that goes on from the state @state_fd (-1: none): *ret_kvm is the open device, or -1 for the software engine. False after a
 * message: what was asked for cannot be had.
 */
bool run_engine_open(const struct run_options *o, int state_fd, int *ret_kvm);

#endif
