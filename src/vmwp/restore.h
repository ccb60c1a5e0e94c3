/* SPDX-License-Identifier: Apache-2.0 */
/* Going on from a saved state: its memory before the sandbox, its devices into the first machine. Loop thread. */
#ifndef VMWP_RESTORE_H
#define VMWP_RESTORE_H

#include <stdbool.h>
#include <stddef.h>

struct worker;

/* Opens the state that the options name (if any), and loads its memory or begins with that. False: why not is on the log. */
bool restore_open(struct worker *w);
/* The devices' records of the state that was opened; NULL: there is none. */
const void *restore_records(const struct worker *w, size_t *ret_bytes);
/* The machine that is made next goes on from it. */
bool restore_pending(const struct worker *w);
/* Into the machine that was just made. False: why not is on the log. */
bool restore_devices(struct worker *w);
/* Memory still comes. */
bool restore_loading(const struct worker *w);
/* When woken: tells that loading ended. A damaged file ends the process. */
void restore_poll(struct worker *w);
/* Waits until all memory is there. */
void restore_finish(struct worker *w);
/* Nobody touches guest memory: lets go of the state. */
void restore_close(struct worker *w);
/* Before the kernel gets [@start, @start + @bytes) of memory: if it is the guest's, it is there after this. Any thread. @ctx: the worker. */
void restore_touch(void *ctx, const void *start, size_t bytes);

#endif
