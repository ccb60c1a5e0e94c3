/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The differential oracle: one random instruction at a time, run by the host's processor in a sandboxed child (native.c) and by an
 * engine (guest.c) from the same state, then compared (compare.c). gen_*.c make the cases; undefined.c lists what may differ.
 *
 * A case is a pure function of (mode, group, seed, number): any one can be made again alone.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <Zydis/Zydis.h>

/*
 * Address space of the instruction under test, the same in the child and in the guest. Everything lies below 2 GiB so that
 * 32-bit code and RIP-relative operands reach it.
 *
 *	DATA + 0x0000 nothing   + 0x1000 read-write, 2 pages   + 0x3000 read-only   + 0x4000 nothing
 *	CODE: slots of 64 bytes, read-execute, 4 pages; nothing after them
 */
#define ORACLE_DATA 0x10000000u
#define ORACLE_RW (ORACLE_DATA + 0x1000)
#define ORACLE_MID (ORACLE_DATA + 0x2000) /* page boundary between the two read-write pages */
#define ORACLE_RO (ORACLE_DATA + 0x3000)
#define ORACLE_GAP (ORACLE_DATA + 0x4000)
#define ORACLE_RW_BYTES 0x2000u
#define ORACLE_CODE 0x20000000u
#define ORACLE_SLOT_BYTES 64u
#define ORACLE_SLOT_START 24u /* the instruction's place in its slot; the rest is INT3 */
#define ORACLE_BATCH 256u
#define ORACLE_CODE_BYTES (ORACLE_BATCH * ORACLE_SLOT_BYTES)
#define ORACLE_CODE_END (ORACLE_CODE + ORACLE_CODE_BYTES)

/* Parts of the read-write pages that a case sets and that are compared: the start, around the middle, the end. */
#define ORACLE_WINDOWS 3
#define ORACLE_MEM_BYTES (256u + 1024u + 256u)
struct oracle_window {
	uint32_t address;
	uint32_t bytes;
	uint32_t offset; /* in struct oracle_result.mem */
};
static const struct oracle_window oracle_windows[ORACLE_WINDOWS] = {
	{ORACLE_RW, 256, 0},
	{ORACLE_MID - 512, 1024, 256},
	{ORACLE_RO - 256, 256, 1280},
};

/* Memory contents come from a pool that both sides hold: regions of integers, floats, doubles, one repeated byte. */
#define ORACLE_POOL_REGIONS 4
#define ORACLE_POOL_REGION_BYTES 16384u
#define ORACLE_POOL_BYTES (ORACLE_POOL_REGIONS * ORACLE_POOL_REGION_BYTES)

/* Offsets in the FXSAVE image. */
#define FX_FCW 0
#define FX_FSW 2
#define FX_FTW 4
#define FX_FOP 6
#define FX_FIP 8
#define FX_FDP 16
#define FX_MXCSR 24
#define FX_MXCSR_MASK 28
#define FX_ST 32
#define FX_XMM 160
#define FX_END 416

struct oracle_state {
	uint8_t fx[512] __attribute__((aligned(64)));
	uint64_t gpr[16];
	uint64_t rip;
	uint64_t rflags;
	uint64_t fs_base;
	uint64_t gs_base;
};

struct oracle_patch {
	uint32_t address; /* within one window */
	uint32_t bytes;
	uint8_t data[32];
};
#define ORACLE_PATCHES 4

struct oracle_case {
	struct oracle_state in;
	uint64_t number;
	uint8_t code[ORACLE_SLOT_BYTES - ORACLE_SLOT_START + 16];
	uint32_t address;
	uint32_t pool;	      /* offset of the contents of window 0; the others follow */
	uint8_t length;	      /* of the code */
	uint8_t instructions; /* 1, or a sequence */
	uint8_t patch_count;
	bool bad_lock; /* the decoder was asked without the leading LOCK */
	struct oracle_patch patch[ORACLE_PATCHES];
};

/* What ended the case: an exception vector (3: the INT3 after the instruction), or >= 256: something went wrong. */
#define ORACLE_VECTOR_ENGINE_EXIT 0x100u /* + enum hv_exit_kind */
#define ORACLE_VECTOR_CHILD_DIED 0x200u

struct oracle_result {
	struct oracle_state out;
	uint32_t vector;
	uint32_t error;
	uint64_t cr2;
	uint8_t mem[ORACLE_MEM_BYTES];
};

enum oracle_group {
	ORACLE_INT = 1,
	ORACLE_X87 = 2,
	ORACLE_MMX = 4,
	ORACLE_SSE = 8,
	ORACLE_ALL = 15,
};

/* Shared between the parent and the child. */
struct oracle_shared {
	volatile uint32_t count;   /* cases of this batch */
	volatile uint32_t current; /* the one that runs, for the report of a death */
	uint32_t mode;		   /* 64 or 32 */
	bool fsgsbase;
	struct oracle_case cases[ORACLE_BATCH];
	struct oracle_result results[ORACLE_BATCH];
	uint8_t pool[ORACLE_POOL_BYTES];
};

/* ---- splitmix64 ---- */
struct oracle_rng {
	uint64_t state;
};
static inline uint64_t oracle_random(struct oracle_rng *rng)
{
	uint64_t z = (rng->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}
static inline uint32_t oracle_below(struct oracle_rng *rng, uint32_t limit)
{
	return (uint32_t)(((oracle_random(rng) & 0xffffffffu) * limit) >> 32);
}
static inline bool oracle_percent(struct oracle_rng *rng, uint32_t percent)
{
	return oracle_below(rng, 100) < percent;
}

/* ---- gen_values.c: values near the edges where arithmetic goes wrong ---- */
uint64_t oracle_value_int(struct oracle_rng *rng);
uint32_t oracle_value_f32(struct oracle_rng *rng);
uint64_t oracle_value_f64(struct oracle_rng *rng);
void oracle_value_f80(struct oracle_rng *rng, uint8_t value[10]);
void oracle_value_bcd(struct oracle_rng *rng, uint8_t value[10]);
enum oracle_kind { ORACLE_KIND_INT, ORACLE_KIND_F32, ORACLE_KIND_F64, ORACLE_KIND_SAME };
void oracle_value_fill(struct oracle_rng *rng, enum oracle_kind kind, uint8_t *buf, size_t bytes);
void oracle_pool_fill(uint64_t seed, uint8_t *pool);

/* ---- gen_forms.c ---- */
struct oracle_form {
	uint16_t mnemonic;
	uint8_t map; /* 0: one byte, 1: 0F, 2: 0F38, 3: 0F3A */
	uint8_t opcode;
	uint8_t prefix; /* 0, 66, F2, F3; 1: 66 F2 */
	bool rex_w;
	bool has_modrm;
	bool mod3;
	bool fixed_rm;
	bool vex;
	uint8_t reg;
	uint8_t rm;
	uint8_t group; /* enum oracle_group */
};
struct oracle_forms {
	struct oracle_form *form;
	size_t count;
	/* Forms are sorted by mnemonic; run m is form[first[m]] .. form[first[m + 1] - 1]. */
	size_t *first;
	size_t mnemonic_count;
	size_t skipped; /* legal forms that the host or the engine does not offer */
	bool engine_offers[ZYDIS_ISA_SET_MAX_VALUE + 1];
	bool host_offers[ZYDIS_ISA_SET_MAX_VALUE + 1];
};
/* CPUID of the engine under test; the host's own is asked directly. */
typedef void oracle_cpuid_fn(void *ctx, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);
/* Enumerates the forms of @groups that host and engine both have. Exits the program when out of memory. */
void oracle_forms_init(struct oracle_forms *forms, unsigned mode, unsigned groups,
		       oracle_cpuid_fn *engine_cpuid, void *ctx);
void oracle_forms_fini(struct oracle_forms *forms);
/* May this instruction be run at all (user mode, deterministic, no change of the child itself)? */
bool oracle_acceptable(const struct oracle_forms *forms, unsigned mode,
		       const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops);
/* The pp field for a mandatory prefix. */
uint8_t oracle_vex_prefix(uint8_t prefix);
unsigned oracle_group_of(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops);
void oracle_decoder_init(ZydisDecoder *decoder, unsigned mode);

/* ---- gen_case.c ---- */
struct oracle_gen {
	struct oracle_forms *forms;
	ZydisDecoder decoder;
	unsigned mode;
	uint64_t seed;
	const uint8_t *pool;
	bool sequences;	 /* integer instructions are among the forms */
	bool below_qemu; /* without what QEMU's processor gets wrong */
};
void oracle_case_make(const struct oracle_gen *gen, uint64_t number, struct oracle_case *ret_case);
/* The case's code as it lies in its slot; @slot has ORACLE_SLOT_BYTES. */
void oracle_case_slot(const struct oracle_case *c, uint8_t *slot);
/* Contents of the windows at the start of @c. */
void oracle_case_memory(const struct oracle_case *c, const uint8_t *pool,
			uint8_t mem[ORACLE_MEM_BYTES]);
const struct oracle_form *oracle_pick_form(const struct oracle_forms *forms,
					   struct oracle_rng *rng);
/* Bytes of an instruction of form @f; what follows ModRM is random, the decoder says where it ends. */
void oracle_put_code(const struct oracle_gen *gen, const struct oracle_form *f,
		     struct oracle_rng *rng, uint8_t buf[40]);
/* gen_sequence.c: fills @c's code with a sequence of integer instructions on registers. False: try again. */
bool oracle_sequence(const struct oracle_gen *gen, struct oracle_rng *rng, struct oracle_case *c);
/* gen_steer.c: points the memory operands and branch targets of the decoded case at the areas above. False: not a usable case. */
bool oracle_steer(const struct oracle_gen *gen, struct oracle_rng *rng, struct oracle_case *c,
		  const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops);
/* The linear address of a memory operand with the case's registers. */
uint64_t oracle_effective(const struct oracle_case *c, const ZydisDecodedInstruction *insn,
			  const ZydisDecodedOperand *op);
bool oracle_patch_add(struct oracle_case *c, uint64_t address, const void *data, uint32_t bytes);

/* ---- emulated.c ---- */
/* The case, as it is now, is one that QEMU's processor gets wrong by itself. */
bool oracle_emulated_wrong(const struct oracle_case *c, const ZydisDecodedInstruction *insn,
			   const ZydisDecodedOperand *ops);

/* ---- native.c ---- */
struct oracle_native;
/* Starts the child. @code_fd is a memfd with the code slots. NULL and a message on stderr: not possible here. */
struct oracle_native *oracle_native_start(struct oracle_shared *shared, int code_fd);
/* Begins the batch in shared->cases; finish waits. False: the child died or hung at shared->current; it was started again. */
void oracle_native_submit(struct oracle_native *native);
bool oracle_native_finish(struct oracle_native *native);
void oracle_native_stop(struct oracle_native *native);

/* ---- guest.c ---- */
struct oracle_guest;
/*
 * @device: /dev/kvm, or -1 for the software engine. @delivered: exceptions go through the guest's own IDT instead of being intercepted; always
 * so with KVM. Ends the program when the engine cannot be had.
 */
struct oracle_guest *oracle_guest_create(uint8_t *code, const uint8_t *pool, unsigned mode,
					 int device, bool delivered);
void oracle_guest_destroy(struct oracle_guest *guest);
void oracle_guest_cpuid(void *guest, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);
/* The code slots were rewritten. */
void oracle_guest_code_changed(struct oracle_guest *guest);
void oracle_guest_run(struct oracle_guest *guest, const struct oracle_case *c,
		      struct oracle_result *ret);

/* ---- guest_idt.c: where exceptions are delivered to ---- */
#define ORACLE_IDT (ORACLE_DATA + 0x100000u) /* its pages; a task state segment comes first */
#define ORACLE_IDT_PAGES 3u
#define ORACLE_IDT_TABLE (ORACLE_IDT + 0x1000u)
#define ORACLE_GDT (ORACLE_IDT + 0x100u)
#define ORACLE_GDT_BYTES 16u
#define ORACLE_SEL_KERNEL 8u
struct oracle_idt_frame {
	uint64_t rip, rflags, rsp;
	uint32_t error;
};
/* Fills @pages, which are zero and lie at ORACLE_IDT. */
void oracle_idt_build(uint8_t *pages);
void oracle_idt_frame_get(const uint8_t *pages, unsigned vector, struct oracle_idt_frame *ret);

/* ---- undefined.c ---- */
/* Which parts of the outcome of one instruction the architecture leaves open; all zero: everything must agree. */
struct oracle_open {
	uint64_t rflags;
	uint64_t gpr[16];
	uint16_t fsw;
	bool memory;	   /* what was stored is not compared */
	bool f32_near;	   /* packed singles: an approximation */
	unsigned x87_ulps; /* low bits of x87 significands that may differ */
	/* The same, when the instruction ended with a fault. */
	bool fault_memory;
	bool fault_cr2;	  /* and the error code */
	bool fault_state; /* only that it faulted is compared */
	bool fault_x87;	  /* whether the change to MMX state happened */
	bool fault_flags; /* RFLAGS */
	bool fault_high;  /* upper halves of RCX, RSI and RDI */
	bool fault_first; /* which of several faults it was */
	bool one_sided;	  /* whether it faults at all */
	bool misaligned;  /* the engine must refuse it with #GP, the host may do otherwise */
	bool gp_or_ss;	  /* either */
	bool precision;	  /* MXCSR.PE with an unmasked overflow or underflow */
	const char *why;  /* of the last row that applies, or NULL */
};
void oracle_open_get(const struct oracle_case *c, const ZydisDecodedInstruction *insn,
		     const ZydisDecodedOperand *ops, struct oracle_open *ret);
/* Copies from one outcome's memory to the other's those bytes of a stored image that are left open. */
void oracle_open_images(const struct oracle_case *c, const ZydisDecodedInstruction *insn,
			const ZydisDecodedOperand *ops, const uint8_t *from, uint8_t *to);
/* Prints the table for people. */
void oracle_open_print(void);

/* ---- compare.c ---- */
/* True when both agree as far as the architecture says. */
bool oracle_agree(const struct oracle_gen *gen, const struct oracle_case *c,
		  const struct oracle_result *native, const struct oracle_result *engine);
void oracle_report(const struct oracle_gen *gen, const struct oracle_case *c,
		   const struct oracle_result *native, const struct oracle_result *engine,
		   bool everything);
/* Decodes the case's first instruction (without a bad LOCK). False: the decoder refuses it. */
bool oracle_case_decode(const struct oracle_gen *gen, const struct oracle_case *c,
			ZydisDecodedInstruction *insn, ZydisDecodedOperand *ops);

#endif
