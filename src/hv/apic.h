/* SPDX-License-Identifier: Apache-2.0 */
/* Local APICs and the ways to them: lapic*.c, apic_route.c, apic_home.c. */
#ifndef HV_APIC_H
#define HV_APIC_H

#include <stdbool.h>
#include <stdint.h>

#include "hv/engine.h"

struct hv_partition;
struct hv_vp;

/* ---- lapic.c, apic_route.c ---- */

#define LAPIC_BASE_ENABLE UINT64_C(0x800)
#define LAPIC_BASE_X2APIC UINT64_C(0x400)
#define LAPIC_BASE_BSP UINT64_C(0x100)
#define LAPIC_BASE_RESERVED UINT64_C(0x2FF)
#define LAPIC_BASE_DEFAULT UINT64_C(0xFEE00000)

enum lapic_lvt {
	LVT_TIMER, /* register 0x32; the others follow in order */
	LVT_THERMAL,
	LVT_PERF,
	LVT_LINT0,
	LVT_LINT1,
	LVT_ERROR,
	LVT_COUNT,
};

struct lapic {
	/* Written by the owner, read by others (routing) as single words. */
	uint64_t base;
	uint32_t tpr;
	uint32_t ldr;
	uint32_t dfr;
	uint32_t svr;
	/* Written by anybody, atomically. */
	uint32_t irr[8];
	uint32_t tmr[8];
	uint32_t esr_pending;
	/* Owner only. */
	uint32_t isr[8];
	uint32_t auto_eoi[8]; /* vectors of AutoEOI SINTs */
	uint32_t esr;
	uint32_t icr_low;
	uint32_t icr_high;
	uint32_t lvt[LVT_COUNT];
	uint32_t divide;
	uint32_t initial_count;
	uint64_t timer_deadline; /* guest TSC with the VP's offset removed; 0: not armed */
	uint64_t tsc_deadline;	 /* as the guest wrote it; 0: not armed */
};

enum lapic_result { LAPIC_OK, LAPIC_FAULT };

void lapic_reset(struct hv_vp *vp, bool init);
/* x2APIC MSR 0x800 + @reg or xAPIC page register at @reg * 16 (@x2apic says which rules). FAULT: #GP. */
enum lapic_result lapic_read(struct hv_vp *vp, unsigned reg, bool x2apic, uint64_t *ret);
enum lapic_result lapic_write(struct hv_vp *vp, unsigned reg, bool x2apic, uint64_t value);
void lapic_mmio_read(struct hv_vp *vp, unsigned offset, unsigned bytes, uint64_t *ret);
void lapic_mmio_write(struct hv_vp *vp, unsigned offset, unsigned bytes, uint64_t value);
/* A value that IA32_APIC_BASE may have, whatever it has now. */
bool lapic_base_valid(const struct hv_partition *p, uint64_t value);
enum lapic_result lapic_base_write(struct hv_vp *vp, uint64_t value);
void lapic_tpr_set(struct hv_vp *vp, uint32_t tpr);
void lapic_eoi(struct hv_vp *vp);
enum lapic_result lapic_icr_write(struct hv_vp *vp, uint64_t icr, bool x2apic);
void lapic_tsc_deadline_write(struct hv_vp *vp, uint64_t value);
uint64_t lapic_tsc_deadline_read(struct hv_vp *vp);
/* Requests the vector, edge-triggered. Vectors below 16 only set ESR. [any] */
void lapic_request(struct hv_vp *vp, uint8_t vector);
/* The same in the core, edge or level: for the owner of a VP, or between apic_begin and apic_end. */
void lapic_request_here(struct hv_vp *vp, uint8_t vector, bool level);
/* The registers as they are handed over; activity aside. The owner, while nobody sends. */
void lapic_export(const struct hv_vp *vp, struct hv_engine_apic *ret);
void lapic_import(struct hv_vp *vp, const struct hv_engine_apic *a);
/* Highest requested vector above the processor priority; -1: none. */
int lapic_pending(const struct hv_vp *vp);
/* Any vector requested at all, masked or not. */
bool lapic_any_requested(const struct hv_vp *vp);
/* The vector goes to the processor: IRR to ISR, except AutoEOI. */
void lapic_accept(struct hv_vp *vp, uint8_t vector);
/* Fires the APIC timer if it is due. */
void lapic_timer_poll(struct hv_vp *vp, uint64_t guest_tsc);
/* Guest TSC of the next expiry, UINT64_MAX: none. */
uint64_t lapic_timer_deadline(const struct hv_vp *vp);
/* LINT0 takes 8259 interrupts in this state. */
bool lapic_accepts_extint(const struct hv_vp *vp);
bool lapic_enabled(const struct hv_vp *vp);
bool lapic_x2apic(const struct hv_vp *vp);
uint32_t lapic_id(const struct hv_vp *vp);
bool bitmap256_test(const uint32_t *map, uint8_t n);
int bitmap256_highest(const uint32_t *map);

/* An interrupt on its way: from an ICR, the IOAPIC or an MSI. */
struct apic_message {
	uint32_t type; /* HvX64InterruptType* */
	uint32_t destination;
	uint8_t vector;
	bool logical;
	bool level;
	bool x2apic; /* 32-bit destination rules */
};
/* Delivers to all matching VPs. [any] */
void apic_route(struct hv_partition *p, const struct apic_message *m);
/* In the core, as lapic_request_here. */
void apic_route_here(struct hv_partition *p, const struct apic_message *m);
void apic_deliver(struct hv_vp *target, uint32_t type, uint8_t vector, bool level);

/* ---- apic_home.c: whether the core or the engine has the local APICs ---- */

/* The engine has them. The owner's answer holds as long as it has the VP. */
bool apic_away(const struct hv_vp *vp);
/* Begins and ends what delivers interrupts: in between the APICs stay where they are. True: with the engine. [any] */
bool apic_begin(struct hv_partition *p);
void apic_end(struct hv_partition *p);
/* A VP is about to run, and nobody has it: the engine shall have the APICs if it can. Not while time is frozen. */
void apic_settle(struct hv_partition *p);
bool apic_settled(const struct hv_partition *p);
/* The core gets the APICs back until the next apic_settle; VPs leave the engine for that. */
void apic_gather(struct hv_partition *p);
/* A VP that was made after the others settled. */
void apic_adopt(struct hv_vp *vp);
void apic_tell_assist(struct hv_vp *vp);
void apic_tell_sint(struct hv_vp *vp, unsigned sint, uint64_t old);

#endif
