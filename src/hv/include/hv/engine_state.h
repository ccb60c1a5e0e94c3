/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What engines understand of each other's saved state (hv_engine_ops.save): the core saves all named registers itself and restores them
 * first, so what an engine must take from another one is the exact FPU state and the events on their way. An engine may write further
 * records for itself; readers skip those that they do not know.
 */
#ifndef HV_ENGINE_STATE_H
#define HV_ENGINE_STATE_H

#include "lib/state.h"

/*
 * Version 1: u16 FCW, u16 FSW, u8 FTW (one bit per physical register, set: not empty), u16 FOP, u16 FCS, u16 FDS, u64 FIP, u64 FDP, u32 MXCSR,
 * 8 physical registers of 10 bytes, 16 XMM registers of 16 bytes.
 */
#define HV_ENGINE_STATE_FPU STATE_TAG('F', 'P', 'U', ' ')
#define HV_ENGINE_STATE_FPU_VERSION 1

/*
 * Version 1: u8 HV_ENGINE_EVENT_*, then two events, what the parent has injected and what the guest has raised, each: u8 vector, u8 has an error
 * code, u8 software, u8 external, u32 error code, u64 parameter (CR2, or bits of DR6).
 */
#define HV_ENGINE_STATE_EVENTS STATE_TAG('E', 'V', 'T', ' ')
#define HV_ENGINE_STATE_EVENTS_VERSION 1
#define HV_ENGINE_EVENT_SHADOW 0x01u	  /* interrupts wait for one instruction */
#define HV_ENGINE_EVENT_SHADOW_SS 0x02u	  /* and so do debug traps: MOV SS, POP SS */
#define HV_ENGINE_EVENT_NMI_BLOCKED 0x04u /* until IRET */
#define HV_ENGINE_EVENT_INJECTED 0x08u	  /* the first event is delivered next */
#define HV_ENGINE_EVENT_FAULTED 0x10u	  /* the second one is */

/* An NMI waits for the end of another one, or of what is on its way in. The core takes it over (hv_engine_ops.inject_nmi): engines only write the record. */
#define HV_ENGINE_STATE_NMI STATE_TAG('N', 'M', 'I', ' ')

#endif
