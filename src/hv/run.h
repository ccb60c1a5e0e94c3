/* SPDX-License-Identifier: Apache-2.0 */
/* VP dispatch among itself: run.c the loop, event.c what is on its way into the guest, exit.c what comes out of it. The VP's owner calls. */
#ifndef HV_RUN_H
#define HV_RUN_H

#include "core.h"

/* What dispatch does next: another round, or something for the parent. */
enum step {
	STEP_AGAIN,
	STEP_INTERCEPT,
	STEP_BLOCKED,
	STEP_INTERRUPTED,
	STEP_SUSPENDED,
};

/* The request @bit is there, and is taken. *ret_all: the word with it. */
static inline bool take_request(struct hv_vp *vp, uint32_t bit, uint32_t *ret_all)
{
	if (!vp_request_test(vp, bit)) {
		return false;
	}
	*ret_all = __atomic_fetch_and(&vp->requests, ~bit, __ATOMIC_SEQ_CST);
	return true;
}

/* ---- event.c ---- */

/* The 8259 wants the VP, and the VP listens. */
bool event_extint_waits(const struct hv_vp *vp);
/* The vector that the core would inject now, priorities considered; -1: none. */
int event_pending(const struct hv_vp *vp);
/* Something ends a HLT, or the idle state. */
bool event_wakes(struct hv_vp *vp);
/* Gives an NMI that is wanted to the engine, or asks for a window (@how). */
void event_inject_nmi(struct hv_vp *vp, struct hv_run *how);
/* Gives at most one interrupt to the engine and asks for a window if more wait. AGAIN: nothing for the parent to do. */
enum step event_inject_interrupts(struct hv_vp *vp, struct hv_run *how, struct hv_message *message);

/* ---- exit.c ---- */

/* Answers vp->exit, or makes the @message that asks the parent. */
enum step exit_answer(struct hv_vp *vp, struct hv_message *message);

#endif
