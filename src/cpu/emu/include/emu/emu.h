/* SPDX-License-Identifier: Apache-2.0 */
/* The software engine: x86-64 on any host. */
#ifndef EMU_EMU_H
#define EMU_EMU_H

#include "hv/engine.h"

extern const struct hv_engine_ops emu_engine_ops;

struct x86_cpu_offer; /* x86/cpu.h */

/* What the engine can do on this host, for hv_engine_config.cpu. [any] */
void emu_cpu_offer(bool count_instructions, struct x86_cpu_offer *ret);

#endif
