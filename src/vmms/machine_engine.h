/* SPDX-License-Identifier: Apache-2.0 */
/* The engine of a machine that is started: which, why, and where that is written down for a service that comes later. */
#ifndef VMMS_MACHINE_ENGINE_H
#define VMMS_MACHINE_ENGINE_H

#include "machine.h"

/*
 * What the configuration asks for, or what suits this host (may measure) and the saved state that it goes on from (@state_fd; -1: none). *ret_kvm: the open device, -1: the software engine. The engine and the reason go into @ret.
 * False: KVM is asked for and cannot be had; @error.
 */
bool machine_engine_open(const struct machine_plan *p, int state_fd, int *ret_kvm,
			 struct machine_process *ret, struct launch_error *error);

/* Writes the engine and the reason into the empty file @fd: "kvm\nREASON\n". 0 or -errno. */
int machine_engine_write(int fd, const struct machine_process *process);
/* What such a file's @text says; untouched when it says nothing that can be. */
void machine_engine_parse(const char *text, size_t bytes, struct machine_process *ret);
/* Of the file @path; untouched without one. */
void machine_engine_read(const char *path, struct machine_process *ret);

#endif
