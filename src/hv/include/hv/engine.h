/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CPU engine: knows how to run guest instructions of one VP and nothing about partitions, hypercalls or SINTs.
 * The hypervisor core owns: CPUID answers, local APIC (xAPIC page, x2APIC MSRs, CR8/TPR), TSC deadline, all MSRs in 0x40000000..,
 * the APIC base MSR, the TSC's offset. An engine may keep the local APICs (struct hv_engine_apic_ops). The engine owns: the architectural registers and the MSRs that only store or steer
 * the processor (EFER, STAR.., FS/GS base, SYSENTER.., PAT, MTRRs, MISC_ENABLE, SPEC_CTRL, ARCH_CAPABILITIES ..).
 *
 * Threads: an engine VP runs on one thread at a time. Functions marked [any] may be called from any thread at any time;
 * all others only by the thread that owns the VP while it is not inside run().
 */
#ifndef HV_ENGINE_H
#define HV_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gmem/gmem.h"

struct x86_cpu;
struct hv_engine_vm; /* the engine's part of a partition */
struct hv_engine_vp;

struct hv_u128 {
	uint64_t lo;
	uint64_t hi;
};

enum hv_exit_kind {
	HV_EXIT_INTERRUPTED, /* kicked, deadline reached, or nothing: look around and run again */
	HV_EXIT_PORT,
	HV_EXIT_MEMORY, /* access to a GPA that is unmapped or lacks the right */
	HV_EXIT_MSR,	/* RDMSR/WRMSR of a register the engine does not own */
	HV_EXIT_CR8,	/* MOV to/from CR8 */
	HV_EXIT_CPUID,
	HV_EXIT_HYPERCALL, /* VMCALL or VMMCALL, at any CPL and mode; RIP still at the instruction */
	HV_EXIT_HALT,	   /* HLT retired: RIP is after it */
	HV_EXIT_INTERRUPT_WINDOW, /* asked for with want_*_window and now open */
	HV_EXIT_EXCEPTION,	  /* an exception whose intercept bit is set; not delivered yet */
	HV_EXIT_TRIPLE_FAULT,
	HV_EXIT_IRET_NMI, /* NMI blocking ended (only when an NMI is wanted) */
	HV_EXIT_FAILED,	  /* the engine cannot go on; .failed.what says why, for the log */
	HV_EXIT_EOI,	  /* an engine with the local APIC: a level-triggered interrupt was ended */
};

#define HV_ACCESS_READ 0
#define HV_ACCESS_WRITE 1
#define HV_ACCESS_EXECUTE 2

struct hv_exit {
	enum hv_exit_kind kind;
	uint8_t insn_bytes; /* length of the instruction at RIP for PORT, MSR, CPUID, HYPERCALL, CR8, EXCEPTION by INT3 and INTO; else 0 */
	union {
		/* One element of IN, OUT, INS, OUTS (the engine itself does string addressing and repetition). */
		struct {
			uint16_t port;
			uint8_t bytes; /* 1, 2, 4 */
			bool write;
			bool string;
			bool rep;
			uint32_t data; /* of a write, zero-extended */
		} port;
		struct {
			uint64_t gpa;
			uint64_t gva;	/* linear address */
			uint8_t bytes;	/* 1..8; never crosses a page */
			uint8_t access; /* HV_ACCESS_* */
			bool mapped;	/* a page is there but lacks the right */
			bool gva_valid; /* false for page-table walks */
			uint64_t data;	/* of a write */
		} memory;
		struct {
			uint32_t index;
			bool write;
			uint64_t data;
		} msr;
		struct {
			bool write;
			uint64_t data;
		} cr8;
		struct {
			uint32_t leaf;
			uint32_t subleaf;
		} cpuid;
		struct {
			uint8_t vector;
			bool has_error;
			uint32_t error;
			uint64_t parameter; /* CR2 for #PF, DR6 bits for #DB */
		} exception;
		struct {
			const char *what; /* static text */
		} failed;
		struct {
			uint8_t vector;
		} eoi;
	};
};

struct hv_run {
	uint64_t
		deadline_tsc; /* engine time (tsc()); return HV_EXIT_INTERRUPTED soon after; UINT64_MAX: none */
	bool want_interrupt_window; /* exit when RFLAGS.IF is set and no shadow is active, before the next instruction */
	bool want_nmi_window; /* exit when an NMI could be taken */
};

/* Rates that differ by less than one part in so many are the same: guests correct more than that by themselves (250 ppm). */
#define HV_ENGINE_TSC_TOLERANCE 4000u

static inline bool hv_engine_same_rate(uint64_t a_hz, uint64_t b_hz)
{
	uint64_t apart = a_hz > b_hz ? a_hz - b_hz : b_hz - a_hz;

	return apart <= b_hz / HV_ENGINE_TSC_TOLERANCE;
}

struct hv_engine_config {
	struct gmem *gmem; /* lives as long as the VM */
	uint32_t vp_max;   /* upper bound of VP indexes */
	/* Real-time clock of the engine: guest TSC ticks since some origin, monotonic, [any]. */
	uint64_t (*clock)(void *ctx);
	void *clock_ctx;
	uint64_t clock_hz;
	/*
	 * What the guest is to find in CPUID, for engines whose processor answers CPUID itself and cannot exit (all others ask with
	 * HV_EXIT_CPUID). Such an engine asks for every leaf right before the VP's first instruction, on its thread; what changes later (but
	 * for OSXSAVE, which follows CR4) the guest does not see, and intercepts of CPUID do not take place. NULL: its own cpuid() answers.
	 */
	void (*cpuid)(void *ctx, uint32_t vp_index, uint32_t leaf, uint32_t subleaf,
		      uint32_t regs[4]);
	void *cpuid_ctx;
	/* The guest's processor, of what the engine offers (x86/cpu.h); NULL: the engine's usual one. Copied. */
	const struct x86_cpu *cpu;
	int device_fd; /* the system's own hypervisor, for an engine that works through it */
	/* That hypervisor's dirty log as bitmaps even where it offers rings: tests. */
	bool without_dirty_ring;
	uint32_t without; /* HV_WITHOUT_*: what the core does itself even if the engine could */
	bool moves_apics; /* set by the core: it hands the APICs over to an engine that has hv_engine_apic_ops */
	/* Gives the processor away while one VP waits for another (@round counts from 0); NULL: the engine spins. [any] */
	void (*relax)(void *ctx, unsigned round);
	void *relax_ctx;
	bool count_instructions; /* tsc() counts instructions of VP 0 instead: deterministic tests */
	const char *trace;	 /* engine trace selection or NULL */
	void (*trace_line)(void *ctx, const char *line);
	void *trace_ctx;
};

#define HV_WITHOUT_APICS 0x1u  /* struct hv_engine_apic_ops */
#define HV_WITHOUT_TIMERS 0x2u /* timer_set, timer_end */
#define HV_WITHOUT_PLACES 0x4u /* overlay pages in the guest's own */

/* ---- Local APICs that the engine keeps ---- */

/* Ticks of the APIC timer in a second. Decision: what KVM has, so that states move. An engine that keeps APICs has no other. */
#define HV_APIC_HZ UINT64_C(1000000000)
/* In states that do not tell of it; what goes on from one keeps it, with the APICs in the core. */
#define HV_APIC_HZ_BEFORE UINT64_C(200000000)

enum hv_engine_activity {
	HV_ACTIVITY_RUNNING,
	HV_ACTIVITY_HALTED,
	HV_ACTIVITY_WAITS_FOR_SIPI,
};

/* A local APIC as core and engine hand it over: registers as the guest reads them, and what the processor is doing. */
struct hv_engine_apic {
	uint64_t base; /* MSR IA32_APIC_BASE */
	uint32_t tpr;
	uint32_t ldr;
	uint32_t dfr;
	uint32_t svr;
	uint32_t irr[8];
	uint32_t tmr[8];
	uint32_t isr[8];
	uint32_t esr;
	uint32_t icr_low;
	uint32_t icr_high;
	uint32_t lvt[6]; /* timer, thermal, performance, LINT0, LINT1, error */
	uint32_t divide;
	uint32_t initial_count;
	uint32_t current_count;
	uint64_t tsc_deadline; /* as the guest wrote it; 0: not armed */
	enum hv_engine_activity activity;
};

struct hv_engine_message {
	uint32_t type; /* as in an interrupt command register */
	uint32_t destination;
	uint8_t vector;
	bool logical;
	bool level;
};

/*
 * While an engine has the APICs it also halts, takes INIT and SIPI, and serves the MSRs IA32_APIC_BASE, IA32_TSC_DEADLINE, x2APIC's and
 * HV_X64_MSR_EOI, _ICR and _TPR, which msr_get() and msr_set() then reach; accesses of the guest do not exit, HLT neither. inject_interrupt()
 * is for interrupts of the 8259 only, and can_interrupt() says whether LINT0 lets them in.
 */
struct hv_engine_apic_ops {
	/* From the core to the engine, and back. The VP is outside run(); no VP of the VM runs. The TSC's offset is set. */
	void (*give)(struct hv_engine_vp *vp, const struct hv_engine_apic *state);
	void (*take)(struct hv_engine_vp *vp, struct hv_engine_apic *ret_state);
	enum hv_engine_activity (*activity)(struct hv_engine_vp *vp);
	void (*set_activity)(struct hv_engine_vp *vp, enum hv_engine_activity activity);
	/* A fixed, edge-triggered interrupt, or any message; the VPs that take them need not leave run(). [any] */
	void (*request)(struct hv_engine_vp *vp, uint8_t vector);
	void (*message)(struct hv_engine_vm *vm, const struct hv_engine_message *m);
	/* The vector of a SINT ends itself: @sint's was @vector, and is from now on if @on. */
	void (*auto_eoi)(struct hv_engine_vp *vp, unsigned sint, uint8_t vector, bool on);
	/* Where the VP assist page is (HV_X64_MSR_VP_ASSIST_PAGE): the engine may offer to leave out EOIs there. */
	void (*assist)(struct hv_engine_vp *vp, uint64_t msr);
	/*
	 * Timers of the engine's own, @n below HV_SYNIC_STIMER_COUNT: one requests @vector of the VP soon after tsc() has reached @deadline_tsc, without an
	 * exit, and never before. It takes the place of the one that @n was. False: not at present, and the old one goes on; run() gets a deadline
	 * instead. NULL: the engine has none.
	 */
	bool (*timer_set)(struct hv_engine_vp *vp, unsigned n, uint8_t vector,
			  uint64_t deadline_tsc);
	/* It ends. True: it has made its request. */
	bool (*timer_end)(struct hv_engine_vp *vp, unsigned n);
	/* As of the VP's last exit, cheap. */
	uint8_t (*cr8)(const struct hv_engine_vp *vp);
	uint64_t (*base)(const struct hv_engine_vp *vp);
};

/*
 * Register names are the HV register names (abi/hv.h HvX64Register*, HvRegister*): GPRs 0x00020000.., RIP, RFLAGS, XMM, FP MMX,
 * control and debug registers, segments (128-bit HV_X64_SEGMENT_REGISTER), tables, and the MSR-backed ones (EFER, KernelGsBase, ...).
 */
struct hv_engine_ops {
	const char *name;

	/* -ENOMEM, -ENOTSUP. */
	int (*vm_create)(const struct hv_engine_config *config, struct hv_engine_vm **ret_vm);
	void (*vm_destroy)(struct hv_engine_vm *vm);

	/* Registers as after RESET (CS:RIP F000:FFF0). @apic_id is only for the engine's own use in logs. */
	int (*vp_create)(struct hv_engine_vm *vm, uint32_t index, struct hv_engine_vp **ret_vp);
	void (*vp_destroy)(struct hv_engine_vp *vp);
	/* @init false: RESET; true: INIT (keeps FPU, MTRRs, CR0.CD/NW as the SDM says). */
	void (*vp_reset)(struct hv_engine_vp *vp, bool init);

	void (*run)(struct hv_engine_vp *vp, const struct hv_run *how, struct hv_exit *ret_exit);
	/* Makes a run() in progress, or else the next one, return soon. [any] */
	void (*kick)(struct hv_engine_vp *vp);

	/*
	 * After an exit with a pending instruction (PORT, MEMORY, MSR, CR8, CPUID): finishes it. @values[0] is the data read (ignored
	 * for writes); for CPUID values are EAX EBX ECX EDX; RIP moves on (or the string instruction's next element).
	 * For HYPERCALL: RIP moves past the instruction, values are ignored. An execute MEMORY exit cannot be completed.
	 */
	void (*complete)(struct hv_engine_vp *vp, const uint64_t values[4]);
	/* The pending instruction is dropped; nothing retired; RIP stays. (An intercept's handler then changed registers itself.) */
	void (*abandon)(struct hv_engine_vp *vp);
	/* Queues an exception that is delivered before the next instruction; drops a pending instruction. #PF: @parameter is CR2. */
	void (*inject_exception)(struct hv_engine_vp *vp, uint8_t vector, bool has_error,
				 uint32_t error, uint64_t parameter);
	/* True when a maskable interrupt (IF, shadow) / an NMI (not blocked) could be delivered right now. */
	bool (*can_interrupt)(struct hv_engine_vp *vp);
	bool (*can_nmi)(struct hv_engine_vp *vp);
	/* Precondition: can_interrupt / can_nmi. Delivered before the next instruction; ends a HLT. */
	void (*inject_interrupt)(struct hv_engine_vp *vp, uint8_t vector);
	void (*inject_nmi)(struct hv_engine_vp *vp);

	/*
	 * Engines whose processor keeps CR8 itself; both NULL: every MOV to or from CR8 exits. The core sets it before each run() and takes
	 * over what it is afterwards; run() returns when it was lowered.
	 */
	void (*set_cr8)(struct hv_engine_vp *vp, uint8_t value);
	uint8_t (*get_cr8)(struct hv_engine_vp *vp);
	/* For engines that can keep the local APICs of this VM; NULL, or NULL: the core does. [any] */
	const struct hv_engine_apic_ops *(*apic)(struct hv_engine_vm *vm);
	/* While the core has the local APICs: the guest's writes of IA32_TSC_DEADLINE exit, so that it can have that timer. NULL: they do. [any] */
	bool (*deadline_exits)(struct hv_engine_vm *vm);

	/* False: unknown name, or (set) a value the processor refuses. */
	bool (*reg_get)(struct hv_engine_vp *vp, uint32_t name, struct hv_u128 *ret_value);
	bool (*reg_set)(struct hv_engine_vp *vp, uint32_t name, const struct hv_u128 *value);
	/* MSRs that the engine owns, as RDMSR / WRMSR by the guest would; false: not owned or #GP. For loaders, save and restore. */
	bool (*msr_get)(struct hv_engine_vp *vp, uint32_t index, uint64_t *ret_value);
	bool (*msr_set)(struct hv_engine_vp *vp, uint32_t index, uint64_t value);
	/* What the engine's processor offers; hypervisor leaves and APIC facts are the core's. [any] */
	void (*cpuid)(struct hv_engine_vm *vm, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);
	/* Everything not reachable by reg_get/msr_get: FPU/XSAVE image, shadows, pending event. Tagged records (lib/state.h). */
	size_t (*save)(struct hv_engine_vp *vp, void *buf, size_t bytes); /* returns bytes needed */
	bool (*restore)(struct hv_engine_vp *vp, const void *buf, size_t bytes);

	/* Guest TSC before the VP's offset. [any] */
	uint64_t (*tsc)(struct hv_engine_vm *vm);
	uint64_t (*tsc_hz)(struct hv_engine_vm *vm);
	/*
	 * From now on tsc() and the guest's TSC tick at @hz (a state came from where they did), or as near as the engine can: tsc_hz() tells.
	 * tsc() jumps. No VP is inside run(); VPs' offsets are set anew afterwards. False, and nothing changed: not within
	 * HV_ENGINE_TSC_TOLERANCE of @hz. NULL: the rate is fixed.
	 */
	bool (*set_tsc_hz)(struct hv_engine_vm *vm, uint64_t hz);
	/* guest TSC = tsc() + offset, for RDTSC, RDTSCP and MSR 0x10 reads inside the engine. [owner thread] */
	void (*set_tsc_offset)(struct hv_engine_vp *vp, uint64_t offset);

	/*
	 * Cached translations. Requests are asynchronous; when flush_done() answers true the VP runs nothing under an old
	 * translation any more (a VP outside run() is done at once). [any]
	 */
	void (*flush_all)(struct hv_engine_vp *vp, bool non_global_only);
	void (*flush_page)(struct hv_engine_vp *vp, uint64_t gva);
	bool (*flush_done)(struct hv_engine_vp *vp);
	/*
	 * No VP runs guest code from hold(true) on until hold(false), on the same thread. Calls nest; gpa_changed and code_written may come between,
	 * nothing else of this table. [any but within run()] With such an engine overlay pages stand in the guest's own (Decision: docs/design/0009). NULL:
	 * they are pages of their own.
	 */
	void (*hold)(struct hv_engine_vm *vm, bool on);
	/* The GPA map of [@gpn, @gpn + @count) changed (gmem): every VP drops host pointers; flush_done() as above. [any] */
	void (*gpa_changed)(struct hv_engine_vm *vm, uint64_t gpn, uint64_t count);
	/* Guest memory with GMEM_CODE was written by somebody else than a VP (gmem_watch). [any] */
	void (*code_written)(struct hv_engine_vm *vm, uint64_t gpa, size_t bytes);

	/*
	 * The dirty log: which pages VPs wrote, together with what others wrote through gmem. The map may change meanwhile, and nothing of it is
	 * lost: pages that are mapped anew, covered or uncovered count as written. One thread at a time, which runs no VP.
	 *
	 * dirty_start: from now on VPs' writes are kept; what was written before is not known (gmem_dirty_all). -errno of the host: nothing
	 * changed. NULL, as dirty_stop: they are always kept.
	 * dirty_take: gmem_dirty_take() of [@first_gpn, + @count), with all that VPs wrote before the call. A write that comes after the return
	 * is in the next one; one that comes meanwhile is in this or the next, and in this one's page when that is read afterwards.
	 * NULL: the VPs write through gmem.
	 */
	int (*dirty_start)(struct hv_engine_vm *vm);
	void (*dirty_take)(struct hv_engine_vm *vm, uint64_t first_gpn, uint64_t count,
			   uint64_t *bitmap);
	void (*dirty_stop)(struct hv_engine_vm *vm);

	/* Page walk of @gva with the VP's current paging mode; access HV_ACCESS_*, user: CPL3 rights. False: *ret_error is the #PF code. */
	bool (*translate)(struct hv_engine_vp *vp, uint64_t gva, unsigned access, bool user,
			  uint64_t *ret_gpa, uint32_t *ret_error);
	/* Bit n: exception vector n exits as HV_EXIT_EXCEPTION. */
	void (*intercept_exceptions)(struct hv_engine_vm *vm, uint32_t mask);

	/* Retired instructions so far. [any, approximate while running] */
	uint64_t (*instructions)(struct hv_engine_vp *vp);
	/* How often the processor came back from the guest with what the engine answers by itself, inside run(). NULL: never. [any, approximate likewise] */
	uint64_t (*own_exits)(struct hv_engine_vp *vp);
	/*
	 * Every VP is idle and time does not pass by itself (instructions are counted): moves tsc() on by @ticks.
	 * False, and nothing happens, when time is real. NULL: always real. [any]
	 */
	bool (*skip)(struct hv_engine_vm *vm, uint64_t ticks);
	/* tsc() when a VP of this VM first ran with CPL 3; 0: not yet. [any] */
	uint64_t (*first_user)(struct hv_engine_vm *vm);
	/*
	 * The trapping instruction for the hypercall page and its length ("vmcall": 0F 01 C1). As long as those of all other engines: a VP whose state goes
	 * to one of them may be about to return.
	 */
	unsigned (*hypercall_insn)(struct hv_engine_vm *vm, uint8_t bytes[8]);
};

#endif
