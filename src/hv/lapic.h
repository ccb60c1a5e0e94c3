/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a local APIC, among themselves: lapic.c requests and priorities, lapic_timer.c, lapic_regs.c what the guest reads and writes. */
#ifndef HV_LAPIC_H
#define HV_LAPIC_H

#include "core.h"

#define SVR_ENABLE 0x100u
#define LVT_MASKED 0x10000u
#define LVT_MODE_EXTINT 0x700u
#define LVT_MODE_NMI 0x400u
#define LVT_MODE 0x700u
#define TIMER_MODE 0x60000u
#define TIMER_PERIODIC 0x20000u
#define TIMER_TSC_DEADLINE 0x40000u
#define ESR_SEND_ILLEGAL 0x20u
#define ESR_RECEIVE_ILLEGAL 0x40u
#define ESR_ILLEGAL_REGISTER 0x80u

/* Sets a bit of ESR, and requests the error interrupt if that is news. */
void lapic_note_error(struct hv_vp *vp, uint32_t bit);
uint32_t lapic_processor_priority(const struct hv_vp *vp);

/* Of TIMER_MODE. */
static inline uint32_t lapic_timer_mode(const struct hv_vp *vp)
{
	return vp->lapic.lvt[LVT_TIMER] & TIMER_MODE;
}

void lapic_initial_count_write(struct hv_vp *vp, uint32_t count);
uint32_t lapic_current_count(const struct hv_vp *vp);
/* The timer's part of lapic_export and lapic_import; for the latter the other registers are there. */
void lapic_timer_export(const struct hv_vp *vp, struct hv_engine_apic *a);
void lapic_timer_import(struct hv_vp *vp, const struct hv_engine_apic *a);

#endif
