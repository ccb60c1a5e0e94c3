/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CPU engine that executes a script instead of instructions: run() returns the exits that a test queued, one after the other, and
 * everything the hypervisor does to the processor is recorded. Time is a variable that the test moves.
 *
 * When the script of a VP is empty, run() kicks the VP, so that a dispatch ends with HV_DISPATCH_INTERRUPTED: "the guest has
 * done all it was told". A kick by others, a deadline that passed and an interrupt window end run() as on a real engine.
 */
#ifndef CONFORMANCE_FAKE_ENGINE_H
#define CONFORMANCE_FAKE_ENGINE_H

#include "hv/engine.h"
#include "hv/hv.h"

#define FAKE_SCRIPT_MAX 512u
#define FAKE_LOG_MAX 256u
#define FAKE_REGISTER_GROUPS 7u /* names 0x0002xxxx .. 0x0008xxxx */
#define FAKE_REGISTER_BANK 0x100u
#define FAKE_VPS_MAX 2048u
#define FAKE_MSRS 16u
#define FAKE_TIMERS 4u

struct fake_vp;

/* One step of the guest: either an exit, or (kind INTERRUPTED) a function that acts as the guest's code would. */
struct fake_step {
	struct hv_exit exit;
	void (*code)(struct fake_vp *vp, void *ctx);
	void *ctx;
};

enum fake_event_kind { FAKE_INTERRUPT, FAKE_NMI, FAKE_EXCEPTION };

/* Something that was injected. */
struct fake_event {
	enum fake_event_kind kind;
	uint8_t vector;
	bool has_error;
	uint32_t error;
	uint64_t parameter;
	uint64_t tsc; /* engine time of the injection */
};

struct fake_timer {
	bool set;
	bool fired;
	uint8_t vector;
	uint64_t deadline_tsc;
};

struct fake_vp {
	struct fake_vm *vm;
	uint32_t index;
	struct hv_vp *hv_vp; /* filled in by the fixture; whom to kick at the end of the script */
	struct hv_u128 reg[FAKE_REGISTER_GROUPS][FAKE_REGISTER_BANK];
	uint32_t locked; /* a register that cannot be set; 0: none */
	uint64_t msr[FAKE_MSRS];

	struct fake_step script[FAKE_SCRIPT_MAX];
	unsigned head;
	unsigned tail;
	bool pending;	     /* an instruction waits for complete, abandon or an exception */
	struct hv_exit last; /* the latest exit with an instruction */
	uint64_t last_rip;
	bool retry;	    /* abandoned: the guest runs into it again unless RIP moves */
	bool event_pending; /* injected, not yet delivered by run() */
	bool shadow;	    /* STI or MOV SS before */
	bool nmi_blocked;
	bool nmi_waits;	 /* inside the engine: a record in its state */
	uint32_t kicked; /* atomic */

	/* fake_apic.c */
	bool has_apic;
	struct hv_engine_apic apic;
	struct fake_timer timer[FAKE_TIMERS];
	unsigned requests[256]; /* by vector */

	/* What the hypervisor did. */
	unsigned runs;
	unsigned retries; /* of an abandoned instruction */
	unsigned completions;
	unsigned abandons;
	uint64_t values[4]; /* of the latest complete() */
	struct hv_run how;  /* of the latest run() */
	struct fake_event events[FAKE_LOG_MAX];
	unsigned event_count;
	unsigned resets;
	unsigned inits;
	uint64_t tsc_offset;
	/* By any thread, atomic. */
	uint32_t flush_all_count;
	uint32_t flush_non_global_count;
	uint32_t flush_page_count;
	uint64_t flush_pages[FAKE_LOG_MAX];
	uint32_t flush_busy; /* so many flush_done calls answer "not yet" */
};

struct fake_vm {
	struct fake_machine *machine;
	struct gmem *gmem;
	struct fake_vp *vps[FAKE_VPS_MAX];
	uint32_t exception_mask;
	int holds;     /* VPs are kept out that often */
	uint32_t held; /* all in all */
	uint32_t gpa_changes;
	uint64_t changed_gpn;
	uint64_t changed_count;
};

/* What all partitions of one test share; engine_config.clock_ctx points here. */
struct fake_machine {
	uint64_t now; /* engine TSC; atomic */
	uint64_t hz;
	bool scales;	   /* takes another rate */
	bool apics;	   /* keeps local APICs */
	bool no_deadlines; /* writes of IA32_TSC_DEADLINE do not exit */
	bool no_timers;
	struct fake_vm *vm; /* of the newest partition */
	bool fail_create;   /* vm_create and vp_create answer -ENOMEM */
	/* Something happens when the clock is looked at for the @look_in-th time from now. */
	void (*look)(void *ctx);
	void *look_ctx;
	unsigned look_in;
	unsigned vms; /* alive */
	unsigned vps;
};

extern const struct hv_engine_ops fake_engine;
extern const struct hv_engine_apic_ops fake_apic;
/* The VP is run: timers whose time has come make their requests. */
void fake_timers_look(struct fake_vp *vp);
uint64_t fake_clock(void *machine);

void fake_push(struct fake_vp *vp, const struct hv_exit *exit);
void fake_push_code(struct fake_vp *vp, void (*code)(struct fake_vp *vp, void *ctx), void *ctx);
/* The script is empty and no instruction is to be run again. */
bool fake_done(const struct fake_vp *vp);
void fake_clear_script(struct fake_vp *vp);
struct hv_u128 *fake_reg(struct fake_vp *vp, uint32_t name);

#endif
