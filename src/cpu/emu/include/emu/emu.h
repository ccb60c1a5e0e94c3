/* SPDX-License-Identifier: Apache-2.0 */
/* The software engine: x86-64 on any host. */
#ifndef EMU_EMU_H
#define EMU_EMU_H

#include "hv/engine.h"

extern const struct hv_engine_ops emu_engine_ops;

#endif
