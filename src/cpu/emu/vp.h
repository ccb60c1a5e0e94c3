/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software engine's VP, shared by the files of this folder and by nobody else.
 *
 * How code runs: block.c decodes guest code with Zydis into blocks of struct emu_insn (decode.c + lift_*.c choose a handler
 * and fill the operands); run.c enters a block; each handler does its work and continues with the next one.
 *
 * Handler protocol: fn(vp, i) ends with EMU_NEXT(vp, i) when the instruction retired and the next one of the block follows, or returns
 * emu_leave(vp, i) when the instruction did not retire (fault recorded in vp->fault, or exit recorded in vp->exit): no architectural
 * state may have changed by then. Instructions that change RIP or the mode of execution end a block (lifter sets EMU_I_END) and return
 * emu_goto(vp, i, rip) / emu_end(vp, i), which count the instruction as retired.
 * RIP of instruction i is vp->r[EMU_REG_BASE] + i->offset; vp->rip is only valid outside of blocks.
 */
#ifndef EMU_VP_H
#define EMU_VP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gmem/gmem.h"
#include "hv/engine.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "x86/arch.h"
#include "x86/msrs.h"

struct emu_vp;
struct emu_insn;
struct emu_block;

typedef const struct emu_insn *emu_fn(struct emu_vp *vp, const struct emu_insn *i);

/* Indexes into vp->r beyond the 16 general registers. */
#define EMU_REG_NONE 16 /* always 0 */
#define EMU_REG_BASE                                                                               \
	17 /* RIP of the running block's first instruction: RIP-relative operands use it as base */
#define EMU_REG_4K                                                                                 \
	18 /* always 4096: index of RIP-relative operands whose displacement from the block's start overflows */
#define EMU_REG_SLOTS 19

/* struct emu_insn flags */
#define EMU_I_SLOWADDR                                                                             \
	0x01u /* effective address needs emu_address_slow: FS/GS, legacy segmentation, 16/32-bit wrap */
#define EMU_I_LOCK 0x02u
#define EMU_I_END 0x04u	  /* last instruction of its block */
#define EMU_I_REP 0x08u	  /* F3 */
#define EMU_I_REPNE 0x10u /* F2 */
#define EMU_I_EXIT                                                                                 \
	0x20u /* conditional jump: disp is the number of instructions behind it in the block */

/*
 * One decoded instruction. 8-bit register operands are byte offsets into vp->r (AH = 1, BL = 24 ..): use emu_r8().
 * Lifters other than the integer one may use rd, rs, aux, imm as they like.
 */
struct emu_insn {
	emu_fn *fn;
	uint64_t imm;
	int32_t disp; /* with EMU_REG_BASE as base, already counted from the block's first instruction */
	uint16_t offset; /* of the instruction from the block's first */
	uint8_t flags;
	uint8_t bytes; /* length, 1..15 */
	uint8_t rd;
	uint8_t rs;
	uint8_t base; /* index into vp->r */
	uint8_t index;
	uint8_t scale; /* shift 0..3 */
	uint8_t seg;   /* enum x86_seg of the memory operand */
	uint8_t asize; /* address size in bytes: 2, 4, 8 */
	uint8_t osize; /* operand size in bytes: 1, 2, 4, 8 */
	uint64_t aux;  /* free for the handler: chain pointers, second immediate */
};
_Static_assert(sizeof(struct emu_insn) == 40, "emu_insn grew");

union emu_xmm {
	uint8_t u8[16];
	uint16_t u16[8];
	uint32_t u32[4];
	uint64_t u64[2];
	float f32[4];
	double f64[2];
} __attribute__((aligned(16)));

/* x87, MMX, SSE: owned by fpu files. st[] are physical registers R0..R7; ST(k) = st[(top + k) & 7]; MMn = low 8 bytes of st[n]. */
struct emu_fpu {
	uint8_t st[8][16]; /* 80-bit extended in the first 10 bytes, rest 0 */
	uint16_t fcw;
	uint16_t fsw; /* with TOP in bits 13:11 */
	uint8_t ftw;  /* abridged: bit n set = register n not empty */
	uint16_t fop;
	uint16_t fcs, fds; /* selectors */
	uint64_t fip, fdp;
	uint32_t mxcsr;
	union emu_xmm xmm[16];
	/* no state: what a slow load of 16 bytes found; where the host's MXCSR passes through */
	union emu_xmm operand;
	uint32_t host_mxcsr;
	bool host_live; /* the host's MXCSR collects the guest's flags: emu_fpu_sync() */
};

enum emu_event {
	EMU_EVENT_NONE,
	EMU_EVENT_FAULT, /* vp->fault is to be delivered */
	EMU_EVENT_EXIT,	 /* vp->exit is to be returned from run() */
};

struct emu_fault {
	uint8_t vector;
	bool has_error;
	bool software; /* INT n, INT3, INTO: return address is the next instruction, DPL check */
	bool external; /* hardware interrupt or NMI */
	uint32_t error;
	uint64_t parameter; /* CR2 for #PF, DR6 bits for #DB */
};

/* Software TLB: direct mapped, one table per access mode. A tag is the page's linear address; EMU_TLB_NONE never matches. */
#define EMU_TLB_BITS 10
#define EMU_TLB_ENTRIES (1u << EMU_TLB_BITS)
#define EMU_TLB_NONE 1u
enum emu_tlb_mode {
	EMU_TLB_USER,	   /* CPL 3 */
	EMU_TLB_KERNEL,	   /* CPL 0-2: user pages are refused if CR4.SMAP is set */
	EMU_TLB_KERNEL_AC, /* CPL 0-2 with CR4.SMAP and EFLAGS.AC: user pages accessible */
	EMU_TLB_MODES,
};
struct emu_tlb_entry {
	uint64_t tag_r;
	uint64_t tag_w; /* only when stores need no question: dirty bit set, no code in the page */
	uint64_t tag_x;
	uintptr_t addend; /* host pointer = linear address + addend */
	uint64_t gpn;
	bool global;
	bool listed;	   /* in the list of slots that a flush has to look at */
	uint8_t page_bits; /* of the guest's page: 12, 21, 22, 30 */
};

struct emu_vm;

struct emu_vp {
	/* hot */
	uint64_t r[EMU_REG_SLOTS];
	uint64_t lf_result, lf_carry; /* lazy arithmetic flags, see flags.h */
	struct emu_tlb_entry
		*tlb; /* table of the current access mode; never matches while vp->careful is set */
	_Atomic uint32_t
		attention; /* EMU_ATTENTION_*: set by kick and by requests; looked at between blocks */
	int64_t budget; /* instructions until the next look at the clock; a block takes its count off when it is entered */
	int64_t refill; /* what budget was set to */
	_Atomic uint64_t
		retired; /* instructions retired up to the last refill; emu_retired() is exact */
	const struct emu_block *block; /* running block */
	struct emu_cache *cache;       /* decoded blocks, block.c */
	uint64_t slow;		       /* result of a slow path: value loaded, address */
	struct emu_tlb_entry *tlbs;    /* EMU_TLB_MODES tables, and one that never matches */
	uint8_t tlb_mode;	       /* enum emu_tlb_mode in force */
	bool careful; /* alignment checks or data breakpoints are on: every access takes the slow path */
	bool stepping; /* one instruction (or one element of a string instruction) at a time */
	bool untraced; /* the current instruction (SYSCALL) took TF away before it counted */
	bool noncanonical; /* the recorded #GP(0) is #SS(0) if the operand's segment is SS: emu_leave decides */
	uint8_t debug_hits; /* data breakpoints touched by the current instruction (DR6 bits 0..3) */
	uint64_t rip;
	uint32_t flags; /* RFLAGS without the arithmetic flags, bit 1 set */
	uint8_t cpl;
	uint8_t mode; /* enum emu_mode: code size and addressing of CS */
	uint8_t flat; /* bit n: legacy code may read and write segment n anywhere in 4 GiB, base 0 */
	bool shadow;  /* interrupt shadow (STI, MOV SS, POP SS) covers the next instruction */
	bool shadow_ss; /* it came from MOV/POP SS: debug traps wait too */

	struct x86_segment seg[X86_SEG_COUNT];
	struct x86_table gdtr, idtr;
	uint64_t cr0, cr2, cr3, cr4, efer, xcr0;
	uint64_t pdpte[4]; /* PAE paging: loaded with CR3 */
	uint64_t dr[8];	   /* 0-3, 6, 7 */
	struct x86_msrs msr;
	struct emu_fpu fpu;

	/* pending event of the instruction that did not retire */
	enum emu_event event;
	struct emu_fault fault;
	struct hv_exit exit;
	bool pending; /* the last exit waits for complete() or abandon() */
	bool paused;  /* a string instruction stopped between elements */
	bool nmi_blocked;
	bool injected; /* inject_* queued vp->inject for delivery */
	struct emu_fault inject;

	/*
	 * Replay: accesses of the current instruction that the parent already answered. The instruction runs again from its start and
	 * finds them in order (emu_answer); cleared when it retires.
	 */
	struct emu_replay {
		uint64_t key; /* kind and address */
		uint64_t data;
	} replay[24];
	uint8_t replay_count, replay_next;

	uint64_t tsc_offset;
	struct hv_run how;
	uint32_t index;
	struct emu_vm *vm;
	_Atomic bool in_guest; /* between entry and exit of run(): requests must be waited for */
	struct emu_requests
		*requests; /* flushes and code invalidations from other threads, remote.c */
	uint16_t tlb_list[EMU_TLB_MODES *
			  EMU_TLB_ENTRIES]; /* slots filled since they were last flushed */
	uint32_t tlb_listed;
	uint32_t pauses; /* PAUSE instructions so far */
	uint64_t
		tlb_large; /* large pages seen since the last full flush: bit (address / 2 MiB) mod 63, bit 63: a 1 GiB page */
	uint64_t
		atomic_gpa; /* code page that the locked access in progress writes to, or EMU_NO_GPA */
};

#define EMU_NO_GPA (~UINT64_C(0))

#define EMU_ATTENTION_KICK 1u
#define EMU_ATTENTION_REQUEST 2u
#define EMU_ATTENTION_STOP                                                                         \
	4u /* come back to the run loop: something that it decides on changed (owner thread) */

struct emu_vm {
	struct hv_engine_config config;
	struct gmem *gmem;
	uint64_t tsc_hz; /* of tsc(); config.clock_hz unless a state came with another rate */
	_Atomic(struct emu_vp *) *vps; /* config.vp_max of them; NULL: not created */
	_Atomic uint32_t vp_top;       /* one more than the highest index ever created */
	_Atomic uint32_t exceptions;   /* intercepted vectors */
	_Atomic uint32_t
		vps_lock; /* held while somebody else's VP is used: it is not destroyed meanwhile */
	_Atomic uint32_t split_lock; /* held around locked accesses that host atomics cannot do */
	_Atomic uint64_t skipped;    /* counted instructions: time that passed while nothing ran */
	_Atomic uint64_t first_user; /* clock when a VP first got to CPL 3; 0: not yet */
	struct x86_cpu cpu;	     /* what the guest finds */
	struct emu_code *code;	     /* which lines of guest memory hold decoded code, code.c */
};

enum emu_mode {
	EMU_MODE_REAL, /* real or virtual-8086, 16-bit */
	EMU_MODE_16,   /* protected 16-bit code segment */
	EMU_MODE_32,
	EMU_MODE_64,
};

/* ---- Memory: mem.h ---- */

/* ---- Flags, flags.h ---- */
/* Full RFLAGS now. */
uint64_t emu_flags_get(const struct emu_vp *vp);
/* Sets arithmetic and all other flags from @value (bit 1 forced, reserved cleared); no privilege rules. Refreshes the access mode (AC). */
void emu_flags_set(struct emu_vp *vp, uint64_t value);

/* ---- Events ---- */
/* Record an exception; always returns false so that a helper can `return emu_raise(...)`. */
bool emu_raise(struct emu_vp *vp, uint8_t vector);
bool emu_raise_error(struct emu_vp *vp, uint8_t vector, uint32_t error);
bool emu_raise_page_fault(struct emu_vp *vp, uint64_t la, uint32_t error);
/*
 * Record an exit (vp->exit's payload filled in by the caller); returns false. Followed by emu_leave() the instruction did not retire and is
 * run again after complete(); followed by emu_end() it did (HLT). Likewise emu_raise() followed by emu_end() is a trap: RIP is the next one.
 */
bool emu_exit(struct emu_vp *vp, enum hv_exit_kind kind);
/*
 * The @count values that complete() was given for the current instruction's next exit of this kind and @address (MSR index, port, leaf..).
 * False: not answered yet; the caller fills vp->exit, emu_exit(), emu_leave(). CPUID has 4 values, all others 1.
 */
bool emu_answer(struct emu_vp *vp, enum hv_exit_kind kind, uint64_t address, unsigned count,
		uint64_t *ret_values);
/*
 * Ends the handler of an instruction that did not retire: saves RIP, uncounts the rest of the block, returns NULL. Also for a string
 * instruction that pauses between elements: no event recorded, registers updated, RIP stays.
 */
const struct emu_insn *emu_leave(struct emu_vp *vp, const struct emu_insn *i);
/* The instruction retired; go on at @rip (already masked to the code size) through the block cache. */
const struct emu_insn *emu_goto(struct emu_vp *vp, const struct emu_insn *i, uint64_t rip);
/* The instruction retired and changed something the decoder or the run loop has to see; vp->rip = next instruction. */
const struct emu_insn *emu_end(struct emu_vp *vp, const struct emu_insn *i);
/* RIP of @i and of the instruction after it, masked to the code size. */
uint64_t emu_insn_rip(const struct emu_vp *vp, const struct emu_insn *i);
uint64_t emu_insn_next_rip(const struct emu_vp *vp, const struct emu_insn *i);

/*
 * How a handler goes on with the next instruction: it returns it to the driving loop, or, in files that define EMU_HOT before the first
 * include, jumps there with a tail call. In those files no handler may have a local whose address escapes: the call would be a real one and
 * the host's stack would grow (emu_tail_test looks at the object code).
 */
#if defined(EMU_THREADED) && defined(EMU_HOT)
#define EMU_NEXT(vp, i) return (i)[1].fn((vp), (i) + 1)
#define EMU_CONTINUE(vp, i) return (i)->fn((vp), (i))
#else
#define EMU_NEXT(vp, i) return (i) + 1
#define EMU_CONTINUE(vp, i) return (i)
#endif

/* Instructions retired so far, including the running block. Owner thread. */
static inline uint64_t emu_retired(const struct emu_vp *vp)
{
	return atomic_load_explicit(&vp->retired, memory_order_relaxed) +
	       (uint64_t)(vp->refill - vp->budget);
}
/* Engine time: the host's clock, or the instructions of VP 0. Any thread. */
uint64_t emu_clock(struct emu_vm *vm);
/* The TSC: engine time plus the VP's offset. When instructions are the clock, _at is exact within a block. */
uint64_t emu_tsc(struct emu_vp *vp);
uint64_t emu_tsc_at(struct emu_vp *vp, const struct emu_insn *i);
/* Resets @vp's TLB and block cache wholesale (VP reset, restore). */
void emu_drop_all(struct emu_vp *vp);

/* ---- Mode, sys files ---- */
/*
 * Recomputes what depends on CPL and mode: vp->mode, then emu_tlb_select() (mem.h). Call after any change of CS, SS, CR0, CR4, EFER, DR7,
 * EFLAGS.VM/AC, and end the block (emu_end). Does not flush.
 */
void emu_mode_update(struct emu_vp *vp);
/*
 * Delivers @fault through the IDT; handles double and triple faults (then emu_exit(HV_EXIT_TRIPLE_FAULT)). vp->rip is the return address.
 * The run loop has already looked at the exception intercepts. Leaves vp->event as EMU_EVENT_NONE or EMU_EVENT_EXIT.
 */
void emu_deliver(struct emu_vp *vp, const struct emu_fault *fault);
/*
 * Page walk of @la in the current paging mode. @access HV_ACCESS_*, @tlb_mode gives the rights to apply. On success: GPA, whether the
 * translation is global, and whether a later store to it needs a walk (D bit clear or not writable). Sets A (and D for writes).
 * False: fault or exit recorded. CR0.PG clear: identity.
 */
struct emu_walk {
	uint64_t gpa;
	bool global;
	bool writable; /* page rights allow a write in this mode and the D bit is set */
	uint8_t page_bits; /* size of the page that maps @la: 12, 21, 22 or 30 (INVLPG drops all of it) */
	bool executable;
	bool readable;
};
bool emu_walk(struct emu_vp *vp, uint64_t la, unsigned access, enum emu_tlb_mode tlb_mode,
	      struct emu_walk *ret);
void emu_tlb_flush(struct emu_vp *vp, bool non_global_only); /* this VP, on its own thread */
void emu_tlb_flush_page(struct emu_vp *vp, uint64_t la);

/*
 * ---- Lifters: one per group. Given the decoded instruction, fill in @i (fn, operands; address fields are already filled in by decode.c
 * for the explicit memory operand) and return true; false: not mine. The integer lifter is asked first, then system, x87, SIMD.
 * Unclaimed instructions raise #UD. See decode.h for struct emu_decoded.
 */

#endif
