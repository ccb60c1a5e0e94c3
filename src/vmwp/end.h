/* SPDX-License-Identifier: Apache-2.0 */
/* How a VM ended, for whoever started the worker: lines of key=value in a file. */
#ifndef VMWP_END_H
#define VMWP_END_H

#include "worker.h"

/* "power-off" and the like. */
const char *end_word(enum worker_end end);
/* The machine runs for the first time: from now on a saved state that it came from is used up. */
void end_ran(struct worker *w);
/* The last thing that a worker does. Any thread. */
void end_report(struct worker *w, enum worker_end end);

#endif
