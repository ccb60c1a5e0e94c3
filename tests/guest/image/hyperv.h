/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest with several processors that uses the hypervisor interface as the specification says: what the parts of this image share. Processor 0
 * runs the tests and gives the others work; they take interrupts whenever they have none.
 */
#ifndef GUEST_HYPERV_H
#define GUEST_HYPERV_H

#include "abi/hv.h"

#include "guest.h"

#define PAGE_BYTES 4096u
#define VPS_MAX 4u
#define PATIENCE 600000000u /* a minute in units of 100 ns: then it is taken never to happen */
#define MILLISECOND 10000u
#define MSR_GS_BASE 0xc0000101u
#define CONTROL_FAST UINT64_C(0x10000)

/* How an interrupt's handler ends it. */
enum eoi { EOI_APIC, EOI_MSR, EOI_AUTO, EOI_ASSIST, EOI_LEFT };

struct vp {
	struct vp *self; /* at GS:0 */
	uint32_t index;
	volatile bool alive;
	void (*volatile work)(struct vp *vp);
	volatile uint64_t taken[256]; /* interrupts by vector */
	volatile uint64_t nmis, spared;
	volatile uint64_t failures;
	const char *volatile what; /* the first check that failed */
	volatile uint64_t got, want;
};

struct vp_pages {
	struct hv_message messages[HV_SYNIC_SINT_COUNT];
	uint8_t events[PAGE_BYTES];
	uint8_t assist[PAGE_BYTES];
} __attribute__((aligned(PAGE_BYTES)));

extern struct vp vps[VPS_MAX];
extern struct vp_pages vp_pages[VPS_MAX];
extern unsigned vp_count;
extern uint8_t eoi_of[256]; /* enum eoi by vector */

static inline struct vp *this_vp(void)
{
	struct vp *vp;

	__asm__ volatile("movq %%gs:0, %0" : "=r"(vp));
	return vp;
}

static inline void cpu_pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* Interrupts that wait are taken here, and nowhere else on processor 0. */
static inline void let_in(void)
{
	__asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
}

static inline void halt(void)
{
	__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}

static inline uint64_t hv_now(void)
{
	return rdmsr(HV_X64_MSR_TIME_REF_COUNT);
}

/* Waits until @cond, taking interrupts; whether it came true. */
#define WAIT(cond)                                                                                 \
	({                                                                                         \
		uint64_t end_ = hv_now() + PATIENCE;                                               \
		while (!(cond) && hv_now() < end_) {                                               \
			let_in();                                                                  \
			cpu_pause();                                                               \
		}                                                                                  \
		(cond);                                                                            \
	})

/* On processor 0, as TRY: `trap` tells. */
void try_rdmsr(uint32_t index);
void try_wrmsr(uint32_t index, uint64_t value);
/* Interrupts have had time to arrive that should not. */
void wait_for(uint64_t time_100ns);
/* A check on any processor; processor 0 reports it when it has run the work everywhere. */
void vp_check(struct vp *vp, const char *what, uint64_t got, uint64_t want);
/* Runs @work on all processors, and waits for the end; reports what failed. */
void everywhere(void (*work)(struct vp *vp));
/* Gives @vp work, and waits for its end. */
void give_work(struct vp *vp, void (*work)(struct vp *vp));
bool work_done(struct vp *vp);

/* ---- hyperv.c: hypercalls ---- */

extern uint8_t hypercall_page[PAGE_BYTES];
uint64_t hypercall(uint64_t control, uint64_t input, uint64_t output);
/* The status of a call with its input in a page of this processor's. */
uint64_t hypercall_with(uint64_t control, const void *input, size_t bytes);
uint8_t *input_page(void);

/* ---- The parts ---- */

void hyperv_identity(void);
void hyperv_hypercalls(void);
void hyperv_flushes(void);
void hyperv_time(void);
void hyperv_timers(void);
void hyperv_synic(void);
void hyperv_overlays(void);
void hyperv_apic(void);
void hyperv_ipis(void);

/* ---- hyperv_apic.c ---- */

#define APIC_ID 0x02u
#define APIC_VERSION 0x03u
#define APIC_TPR 0x08u
#define APIC_EOI 0x0bu
#define APIC_SVR 0x0fu
#define APIC_ISR 0x10u
#define APIC_IRR 0x20u
#define APIC_ICR 0x30u
#define APIC_ICR_HIGH 0x31u /* xAPIC */
#define APIC_LVT_TIMER 0x32u
#define APIC_TIMER_INITIAL 0x38u
#define APIC_TIMER_CURRENT 0x39u
#define APIC_TIMER_DIVIDE 0x3eu
#define APIC_SELF_IPI 0x3fu

static inline uint64_t apic_read(unsigned reg)
{
	return rdmsr(0x800 + reg);
}

static inline void apic_write(unsigned reg, uint64_t value)
{
	wrmsr(0x800 + reg, value);
}

/* Vector @n in the register row that begins at @row (ISR, IRR). */
static inline bool apic_bit(unsigned row, unsigned n)
{
	return (apic_read(row + n / 32) >> (n % 32)) & 1;
}

/* This processor's APIC takes interrupts, through MSRs. */
void apic_enable(void);

#endif
