/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual processors, and the VP assist page that each has. */
#ifndef HV_VP_H
#define HV_VP_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/hv.h"
#include "apic.h"
#include "hv/engine.h"
#include "overlay.h"
#include "synic.h"

struct hv_partition;

/* ---- vpassist.c ---- */

struct vp_assist {
	struct hv_overlay overlay;
	bool armed; /* the page says NoEoiRequired for @vector */
	uint8_t vector;
};
void vp_assist_write(struct hv_vp *vp, uint64_t value, bool *ret_ok);
/* Called when @vector was just accepted: offers the guest to leave out the EOI. */
void vp_assist_arm(struct hv_vp *vp, uint8_t vector);
/* Finds out whether the guest made use of the offer; takes it back when other interrupts wait. */
void vp_assist_sync(struct hv_vp *vp);
/* Takes it back in any case. */
void vp_assist_withdraw(struct hv_vp *vp);

/* ---- VPs: vp.c, regs.c, run.c ---- */

/* Bits of vp->requests. */
#define REQUEST_NMI 0x01u
#define REQUEST_INIT 0x02u
#define REQUEST_SIPI 0x04u
#define REQUEST_KICK 0x08u
#define REQUEST_SIPI_VECTOR_SHIFT 24

struct hv_vp {
	struct hv_partition *partition;
	struct hv_engine_vp *engine;
	uint32_t index;
	void *cookie;

	/* Shared words. */
	uint32_t owned;	  /* 1: a dispatcher or a register access has the VP */
	uint32_t running; /* inside engine run() */
	uint32_t blocked; /* the dispatcher was told to sleep */
	uint32_t requests;
	uint32_t explicit_suspend;
	uint32_t wanted; /* others that want to have the VP: its dispatcher gives way */

	/* Owner only from here on. */
	bool startup_suspend;	    /* waits for INIT-SIPI */
	bool halted;		    /* HLT */
	bool idle;		    /* HV_X64_MSR_GUEST_IDLE */
	bool dead;		    /* triple fault; only INIT helps */
	int16_t extint_vector;	    /* 8259 vector that the parent gave; -1: none */
	bool intercept;		    /* an intercept message waits for its answer */
	struct hv_exit exit;	    /* what it was */
	bool message_ready;	    /* notification to hand to the parent */
	struct hv_message *message; /* in its own page */

	uint64_t tsc_offset;  /* guest wrote IA32_TSC */
	uint64_t tsc_applied; /* offset that the engine knows */
	uint64_t runtime;     /* engine TSC ticks inside run() */

	struct lapic lapic;
	struct synic synic;
	struct vp_assist assist;
	uint8_t *call_input; /* pages for hypercall parameters */
	uint8_t *call_output;
	uint64_t *call_counts; /* page: HV_STATS_CALLS counters */
	uint64_t exits[16];    /* by kind; anybody reads them */
};

/* Of a counter that one thread moves and others read. */
static inline void counter_add(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

static inline bool vp_request_test(const struct hv_vp *vp, uint32_t bits)
{
	return (__atomic_load_n(&vp->requests, __ATOMIC_SEQ_CST) & bits) != 0;
}

uint16_t vp_create(struct hv_partition *p, uint32_t index);
/* The VP is not dispatched by anybody. */
void vp_destroy(struct hv_vp *vp);
/* NULL: no such VP. [any] */
struct hv_vp *vp_find(struct hv_partition *p, uint32_t index);
/* Sets request bits and makes the VP look at them. [any] */
void vp_request(struct hv_vp *vp, uint32_t bits);
/* Work was made for the VP: gets it out of the engine or its dispatcher out of sleep. [any] */
void vp_notify(struct hv_vp *vp);
void vp_acquire(struct hv_vp *vp);
bool vp_try_acquire(struct hv_vp *vp);
void vp_release(struct hv_vp *vp);
/* Gets the VP from its dispatcher. The caller has no other that its dispatcher runs. */
void vp_claim(struct hv_vp *vp);
/* All VPs of the partition; apic_lock is held. */
void vp_claim_all(struct hv_partition *p);
void vp_release_all(struct hv_partition *p);
/* The same for the dispatcher of @owned (NULL: nobody's). False: somebody wants that one, so give way and try again. */
bool vp_claim_for(struct hv_vp *vp, const struct hv_vp *owned);
/* INIT and SIPI as the VP's thread carries them out; the first: those that were requested. */
void vp_take_init_sipi(struct hv_vp *vp);
void vp_do_init(struct hv_vp *vp);
void vp_do_sipi(struct hv_vp *vp, uint8_t vector);
void vp_set_initial_context(struct hv_vp *vp, const struct hv_initial_vp_context *context);
void vp_tsc_apply(struct hv_vp *vp);
/* Waits for a startup message or call. */
bool vp_waits_for_start(const struct hv_vp *vp);
uint64_t vp_runtime_100ns(const struct hv_vp *vp);

/*
 * Registers by name; the caller has the VP. Not @by_parent: the guest's own rights hold. Status: SUCCESS, INVALID_REGISTER_VALUE,
 * INVALID_PARAMETER (unknown name, or not for the guest).
 */
uint16_t vp_register_get(struct hv_vp *vp, uint32_t name, bool by_parent, struct hv_u128 *ret);
uint16_t vp_register_set(struct hv_vp *vp, uint32_t name, bool by_parent,
			 const struct hv_u128 *value);
/* Registers that the engine certainly has. */
uint64_t vp_reg(struct hv_vp *vp, uint32_t name);
void vp_reg_set(struct hv_vp *vp, uint32_t name, uint64_t value);

#endif
