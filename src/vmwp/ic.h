/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The integration components (vsp/ic) in the worker: offered to every VM, served on the loop thread. All of it belongs to that thread; a
 * machine that stands still is asked nothing.
 */
#ifndef VMWP_IC_H
#define VMWP_IC_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/state.h"
#include "vsp/ic.h"

struct worker;

/* Offers them on this boot's bus. -errno. */
int ic_offer(struct worker *w);
/* Serves them; when to be called again (host_now_ns). */
uint64_t ic_poll(struct worker *w);
/* The bus is gone: whoever waits for the guest hears so. */
void ic_withdraw(struct worker *w);

/* The machine goes on after it stood still, or after a restore: its clock is set. */
void ic_time_jump(struct worker *w);

void ic_save(struct worker *w, struct state_writer *out);
/* From the run of records that ic_save was part of; a state without them is one of a machine without components. False: torn. */
bool ic_restore(struct worker *w, const struct state_reader *run);

/* "none", "ok" or "lost" */
const char *ic_heartbeat_word(struct worker *w);

/*
 * Asks the guest to shut down through its component; without one, and for VSP_IC_POWER_OFF only, presses the power button: then *ret_pressed
 * is true, and @done is not called. NULL: on its way; else why not.
 */
const char *ic_shutdown(struct worker *w, const struct vsp_ic_shutdown *how,
			struct vsp_ic_done done, bool *ret_pressed);
/* Production checkpoints: has the guest stop its file systems, for at most @hold_ns, and lets them go on. NULL: on its way; else why not. */
const char *ic_freeze(struct worker *w, uint64_t hold_ns, struct vsp_ic_done done);
const char *ic_thaw(struct worker *w, struct vsp_ic_done done);

/* The components themselves; NULL: between two boots. */
struct vsp_ic *ic_components(struct worker *w);
/* What -errno of a function that asks means, for @kind; NULL for 0. */
const char *ic_why(enum vsp_ic_kind kind, int error);

#endif
