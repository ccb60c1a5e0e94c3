/* SPDX-License-Identifier: Apache-2.0 */
/* What processors the engines can give to guests on this host. */
#ifndef ENGINES_CPUS_H
#define ENGINES_CPUS_H

#include "engines/engines.h"
#include "x86/cpu.h"

/* Of KVM on @device: false when it cannot be opened or does not tell. Any thread; blocks shortly. */
bool engines_cpu_offer(enum engines_engine engine, const char *device, struct x86_cpu_offer *ret);

#endif
