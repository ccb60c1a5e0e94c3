// SPDX-License-Identifier: Apache-2.0
/*
 * The one list of what the architecture leaves undefined, or where vendors differ. A row applies to a mnemonic under a condition;
 * everything no row mentions must be equal bit for bit.
 */
#include <stdio.h>
#include <string.h>

#include "lib/bits.h"
#include "oracle.h"
#include "x86/arch.h"

#define CF X86_CF
#define PF X86_PF
#define AF X86_AF
#define ZF X86_ZF
#define SF X86_SF
#define OF X86_OF

#define FSW_C0 0x0100
#define FSW_C1 0x0200
#define FSW_C2 0x0400
#define FSW_C3 0x4000

enum when {
	ALWAYS,
	COUNT_ONE, /* shift count after masking */
	COUNT_MANY,
	COUNT_SIZE,	   /* count at least the operand size */
	COUNT_BEYOND,	   /* count above the operand size */
	SOURCE_ZERO_32,	   /* BSF, BSR of zero with a 32-bit destination */
	FAULTED,	   /* the instruction ended with a fault on both sides */
	FAULTED_MM,	   /* the same, and the source is an MMX register */
	FAULTED_80,	   /* the same, and the destination has 80 bits */
	ONE_SIDED,	   /* one side ended with a fault, the other did not */
	ONE_SIDED_16,	   /* the same, and the operand size is 16 bits */
	ONE_SIDED_X87,	   /* the same, and an x87 exception is unmasked */
	MISALIGNED,	   /* 16-byte operand, and the engine said #GP */
	PUSHED_SEGMENT_32, /* PUSH of a segment register in 32-bit code */
};

enum what {
	FLAGS = 0,
	DEST = 1,	/* the first operand's register, or memory */
	DEST_HIGH = 2,	/* bits 63:32 of the first operand's register */
	F32_NEAR = 4,	/* packed singles of the destination are approximations */
	MEMORY = 8,	/* what was stored */
	CR2 = 16,	/* which byte faulted */
	STATE = 32,	/* everything but the kind of ending */
	X87_STATE = 64, /* TOP, tags and registers */
	FIRST = 128,	/* which of several faults it is */
};

static const struct row {
	ZydisMnemonic mnemonic;
	enum when when;
	uint32_t flags; /* of RFLAGS */
	unsigned what;
	const char *why;
} rows[] = {
#define LOGIC "SDM: AF is undefined after a logical operation"
	{ZYDIS_MNEMONIC_AND, ALWAYS, AF, FLAGS, LOGIC},
	{ZYDIS_MNEMONIC_OR, ALWAYS, AF, FLAGS, LOGIC},
	{ZYDIS_MNEMONIC_XOR, ALWAYS, AF, FLAGS, LOGIC},
	{ZYDIS_MNEMONIC_TEST, ALWAYS, AF, FLAGS, LOGIC},
#define SHIFT_AF "SDM: AF is undefined after a shift by a count other than 0"
#define SHIFT_OF "SDM: OF is defined for 1-bit shifts only"
#define SHIFT_CF "SDM: CF is undefined when the count reaches the operand size"
	{ZYDIS_MNEMONIC_SHL, COUNT_ONE, AF, FLAGS, SHIFT_AF},
	{ZYDIS_MNEMONIC_SHL, COUNT_MANY, AF | OF, FLAGS, SHIFT_OF},
	{ZYDIS_MNEMONIC_SHL, COUNT_SIZE, CF, FLAGS, SHIFT_CF},
	{ZYDIS_MNEMONIC_SHR, COUNT_ONE, AF, FLAGS, SHIFT_AF},
	{ZYDIS_MNEMONIC_SHR, COUNT_MANY, AF | OF, FLAGS, SHIFT_OF},
	{ZYDIS_MNEMONIC_SHR, COUNT_SIZE, CF, FLAGS, SHIFT_CF},
	{ZYDIS_MNEMONIC_SAR, COUNT_ONE, AF, FLAGS, SHIFT_AF},
	{ZYDIS_MNEMONIC_SAR, COUNT_MANY, AF | OF, FLAGS, SHIFT_OF},
	{ZYDIS_MNEMONIC_SAR, COUNT_SIZE, CF, FLAGS, SHIFT_CF},
	{ZYDIS_MNEMONIC_ROL, COUNT_MANY, OF, FLAGS, SHIFT_OF},
	{ZYDIS_MNEMONIC_ROR, COUNT_MANY, OF, FLAGS, SHIFT_OF},
	{ZYDIS_MNEMONIC_RCL, COUNT_MANY, OF, FLAGS, SHIFT_OF},
	{ZYDIS_MNEMONIC_RCR, COUNT_MANY, OF, FLAGS, SHIFT_OF},
	{ZYDIS_MNEMONIC_SHLD, COUNT_ONE, AF, FLAGS, SHIFT_AF},
	{ZYDIS_MNEMONIC_SHLD, COUNT_MANY, AF | OF, FLAGS, SHIFT_OF},
	{ZYDIS_MNEMONIC_SHLD, COUNT_BEYOND, X86_ARITH, DEST,
	 "SDM: result and flags undefined, count above 16"},
	{ZYDIS_MNEMONIC_SHRD, COUNT_ONE, AF, FLAGS, SHIFT_AF},
	{ZYDIS_MNEMONIC_SHRD, COUNT_MANY, AF | OF, FLAGS, SHIFT_OF},
	{ZYDIS_MNEMONIC_SHRD, COUNT_BEYOND, X86_ARITH, DEST,
	 "SDM: result and flags undefined, count above 16"},
#define MULTIPLY "SDM: SF, ZF, AF and PF are undefined"
	{ZYDIS_MNEMONIC_MUL, ALWAYS, SF | ZF | AF | PF, FLAGS, MULTIPLY},
	{ZYDIS_MNEMONIC_IMUL, ALWAYS, SF | ZF | AF | PF, FLAGS, MULTIPLY},
	{ZYDIS_MNEMONIC_DIV, ALWAYS, X86_ARITH, FLAGS, "SDM: all arithmetic flags are undefined"},
	{ZYDIS_MNEMONIC_IDIV, ALWAYS, X86_ARITH, FLAGS, "SDM: all arithmetic flags are undefined"},
#define SCAN "SDM: CF, OF, SF, AF and PF are undefined"
#define SCAN_HIGH "zero source: low half kept; vendors differ whether the upper half is cleared"
	{ZYDIS_MNEMONIC_BSF, ALWAYS, CF | OF | SF | AF | PF, FLAGS, SCAN},
	{ZYDIS_MNEMONIC_BSR, ALWAYS, CF | OF | SF | AF | PF, FLAGS, SCAN},
	{ZYDIS_MNEMONIC_BSF, SOURCE_ZERO_32, 0, DEST_HIGH, SCAN_HIGH},
	{ZYDIS_MNEMONIC_BSR, SOURCE_ZERO_32, 0, DEST_HIGH, SCAN_HIGH},
	{ZYDIS_MNEMONIC_LZCNT, ALWAYS, OF | SF | AF | PF, FLAGS,
	 "SDM: OF, SF, AF and PF are undefined"},
	{ZYDIS_MNEMONIC_TZCNT, ALWAYS, OF | SF | AF | PF, FLAGS,
	 "SDM: OF, SF, AF and PF are undefined"},
#define BMI "SDM: AF and PF (BEXTR: SF too) are undefined"
	{ZYDIS_MNEMONIC_ANDN, ALWAYS, AF | PF, FLAGS, BMI},
	{ZYDIS_MNEMONIC_BEXTR, ALWAYS, AF | SF | PF, FLAGS, BMI},
	{ZYDIS_MNEMONIC_BLSI, ALWAYS, AF | PF, FLAGS, BMI},
	{ZYDIS_MNEMONIC_BLSMSK, ALWAYS, AF | PF, FLAGS, BMI},
	{ZYDIS_MNEMONIC_BLSR, ALWAYS, AF | PF, FLAGS, BMI},
	{ZYDIS_MNEMONIC_BZHI, ALWAYS, AF | PF, FLAGS, BMI},
#define BIT_TEST "SDM: OF, SF, AF and PF are undefined"
	{ZYDIS_MNEMONIC_BT, ALWAYS, OF | SF | AF | PF, FLAGS, BIT_TEST},
	{ZYDIS_MNEMONIC_BTS, ALWAYS, OF | SF | AF | PF, FLAGS, BIT_TEST},
	{ZYDIS_MNEMONIC_BTR, ALWAYS, OF | SF | AF | PF, FLAGS, BIT_TEST},
	{ZYDIS_MNEMONIC_BTC, ALWAYS, OF | SF | AF | PF, FLAGS, BIT_TEST},
#define DECIMAL "SDM: the other flags are undefined after decimal adjustment"
	{ZYDIS_MNEMONIC_AAA, ALWAYS, OF | SF | ZF | PF, FLAGS, DECIMAL},
	{ZYDIS_MNEMONIC_AAS, ALWAYS, OF | SF | ZF | PF, FLAGS, DECIMAL},
	{ZYDIS_MNEMONIC_AAD, ALWAYS, OF | AF | CF, FLAGS, DECIMAL},
	{ZYDIS_MNEMONIC_AAM, ALWAYS, OF | AF | CF, FLAGS, DECIMAL},
	{ZYDIS_MNEMONIC_DAA, ALWAYS, OF, FLAGS, DECIMAL},
	{ZYDIS_MNEMONIC_DAS, ALWAYS, OF, FLAGS, DECIMAL},
	{ZYDIS_MNEMONIC_RCPPS, ALWAYS, 0, F32_NEAR,
	 "approximation: relative error below 1.5 * 2^-12, vendors differ"},
	{ZYDIS_MNEMONIC_RCPSS, ALWAYS, 0, F32_NEAR,
	 "approximation: relative error below 1.5 * 2^-12, vendors differ"},
	{ZYDIS_MNEMONIC_RSQRTPS, ALWAYS, 0, F32_NEAR,
	 "approximation: relative error below 1.5 * 2^-12, vendors differ"},
	{ZYDIS_MNEMONIC_RSQRTSS, ALWAYS, 0, F32_NEAR,
	 "approximation: relative error below 1.5 * 2^-12, vendors differ"},
#define MASKMOV "whether bytes that are masked off can fault is up to the processor"
	{ZYDIS_MNEMONIC_MASKMOVQ, FAULTED, 0, STATE, MASKMOV},
	{ZYDIS_MNEMONIC_MASKMOVDQU, FAULTED, 0, STATE, MASKMOV},
	{ZYDIS_MNEMONIC_MASKMOVQ, ONE_SIDED, 0, STATE, MASKMOV},
	{ZYDIS_MNEMONIC_MASKMOVDQU, ONE_SIDED, 0, STATE, MASKMOV},
	{ZYDIS_MNEMONIC_ARPL, FAULTED, 0, CR2 | FIRST,
	 "whether its read counts as a write is up to the processor"},
	{ZYDIS_MNEMONIC_ARPL, ONE_SIDED, 0, STATE,
	 "whether an unchanged destination must be writable is up to the processor"},
	{ZYDIS_MNEMONIC_PUSH, PUSHED_SEGMENT_32, 0, DEST,
	 "SDM: the upper half is written as 0 or left alone"},
#define CONVERT                                                                                    \
	"an unmasked SSE exception: whether the change to MMX state came before it is up to the "  \
	"processor"
	{ZYDIS_MNEMONIC_CVTPI2PS, FAULTED, 0, X87_STATE, CONVERT},
	{ZYDIS_MNEMONIC_CVTPI2PD, FAULTED, 0, X87_STATE, CONVERT},
	{ZYDIS_MNEMONIC_CVTPS2PI, FAULTED, 0, X87_STATE, CONVERT},
	{ZYDIS_MNEMONIC_CVTPD2PI, FAULTED, 0, X87_STATE, CONVERT},
	{ZYDIS_MNEMONIC_CVTTPS2PI, FAULTED, 0, X87_STATE, CONVERT},
	{ZYDIS_MNEMONIC_CVTTPD2PI, FAULTED, 0, X87_STATE, CONVERT},
#define SHA_ALIGN "SDM and APM: a misaligned operand is #GP; Zen 5 reads it"
	{ZYDIS_MNEMONIC_SHA1MSG1, MISALIGNED, 0, STATE, SHA_ALIGN},
	{ZYDIS_MNEMONIC_SHA1MSG2, MISALIGNED, 0, STATE, SHA_ALIGN},
	{ZYDIS_MNEMONIC_SHA1NEXTE, MISALIGNED, 0, STATE, SHA_ALIGN},
	{ZYDIS_MNEMONIC_SHA1RNDS4, MISALIGNED, 0, STATE, SHA_ALIGN},
	{ZYDIS_MNEMONIC_SHA256MSG1, MISALIGNED, 0, STATE, SHA_ALIGN},
	{ZYDIS_MNEMONIC_SHA256MSG2, MISALIGNED, 0, STATE, SHA_ALIGN},
	{ZYDIS_MNEMONIC_SHA256RNDS2, MISALIGNED, 0, STATE, SHA_ALIGN},
	{ZYDIS_MNEMONIC_MOVSXD, ONE_SIDED_16, 0, STATE,
	 "SDM: a 16-bit operand is read as 16 bits; AMD's processors read 32"},
#define ANY_FIRST "several reasons to fault at once: which is found first is up to the processor"
	{ZYDIS_MNEMONIC_BOUND, FAULTED, 0, FIRST, ANY_FIRST},
	{ZYDIS_MNEMONIC_CMPSB, FAULTED, 0, FIRST, ANY_FIRST},
	{ZYDIS_MNEMONIC_CMPSW, FAULTED, 0, FIRST, ANY_FIRST},
	{ZYDIS_MNEMONIC_CMPSD, FAULTED, 0, FIRST, ANY_FIRST},
	{ZYDIS_MNEMONIC_CMPSQ, FAULTED, 0, FIRST, ANY_FIRST},
#define STORE_MM                                                                                   \
	"a store that faults: whether the change to MMX state came before it is up to the "        \
	"processor"
	{ZYDIS_MNEMONIC_MOVD, FAULTED_MM, 0, X87_STATE, STORE_MM},
	{ZYDIS_MNEMONIC_MOVQ, FAULTED_MM, 0, X87_STATE, STORE_MM},
	{ZYDIS_MNEMONIC_MOVNTQ, FAULTED_MM, 0, X87_STATE, STORE_MM},
#define STORE_X87                                                                                  \
	"an unmasked exception: whether the memory that is then not written must be there is up "  \
	"to the processor"
	{ZYDIS_MNEMONIC_FST, ONE_SIDED_X87, 0, STATE, STORE_X87},
	{ZYDIS_MNEMONIC_FSTP, ONE_SIDED_X87, 0, STATE, STORE_X87},
	{ZYDIS_MNEMONIC_FIST, ONE_SIDED_X87, 0, STATE, STORE_X87},
	{ZYDIS_MNEMONIC_FISTP, ONE_SIDED_X87, 0, STATE, STORE_X87},
	{ZYDIS_MNEMONIC_FISTTP, ONE_SIDED_X87, 0, STATE, STORE_X87},
	{ZYDIS_MNEMONIC_FBSTP, ONE_SIDED_X87, 0, STATE, STORE_X87},
#define MULTI_STORE                                                                                \
	"several accesses: which faults first, and what was stored before, is up to the processor"
	{ZYDIS_MNEMONIC_FXSAVE, FAULTED, 0, MEMORY | CR2, MULTI_STORE},
	{ZYDIS_MNEMONIC_FXSAVE64, FAULTED, 0, MEMORY | CR2, MULTI_STORE},
	{ZYDIS_MNEMONIC_FXRSTOR, FAULTED, 0, STATE, MULTI_STORE},
	{ZYDIS_MNEMONIC_FXRSTOR64, FAULTED, 0, STATE, MULTI_STORE},
	{ZYDIS_MNEMONIC_FSTP, FAULTED_80, 0, MEMORY, MULTI_STORE},
	{ZYDIS_MNEMONIC_FBSTP, FAULTED_80, 0, MEMORY, MULTI_STORE},
	{ZYDIS_MNEMONIC_FNSAVE, FAULTED, 0, MEMORY | CR2, MULTI_STORE},
	{ZYDIS_MNEMONIC_FNSTENV, FAULTED, 0, MEMORY | CR2, MULTI_STORE},
	{ZYDIS_MNEMONIC_FRSTOR, FAULTED, 0, STATE, MULTI_STORE},
	{ZYDIS_MNEMONIC_FLDENV, FAULTED, 0, CR2, MULTI_STORE},
	{ZYDIS_MNEMONIC_ENTER, FAULTED, 0, MEMORY | CR2, MULTI_STORE},
	{ZYDIS_MNEMONIC_PUSHA, FAULTED, 0, MEMORY | CR2, MULTI_STORE},
	{ZYDIS_MNEMONIC_PUSHAD, FAULTED, 0, MEMORY | CR2, MULTI_STORE},
	{ZYDIS_MNEMONIC_POPA, FAULTED, 0, STATE, MULTI_STORE},
	{ZYDIS_MNEMONIC_POPAD, FAULTED, 0, STATE, MULTI_STORE},
};

/* x87: condition codes that an instruction leaves undefined. C1 is defined for all (rounding, stack over- or underflow). */
static const struct x87_row {
	ZydisMnemonic mnemonic;
	uint16_t fsw;
	bool near;
	const char *why;
} x87_rows[] = {
#define CC (FSW_C0 | FSW_C2 | FSW_C3)
#define CC_WHY "SDM: C0, C2 and C3 are undefined"
	{ZYDIS_MNEMONIC_FSIN, FSW_C0 | FSW_C1 | FSW_C3, true,
	 "transcendental: the last places differ between vendors"},
	{ZYDIS_MNEMONIC_FCOS, FSW_C0 | FSW_C1 | FSW_C3, true,
	 "transcendental: the last places differ between vendors"},
	{ZYDIS_MNEMONIC_FSINCOS, FSW_C0 | FSW_C1 | FSW_C3, true,
	 "transcendental: the last places differ between vendors"},
	{ZYDIS_MNEMONIC_FPTAN, FSW_C0 | FSW_C1 | FSW_C3, true,
	 "transcendental: the last places differ between vendors"},
	{ZYDIS_MNEMONIC_FPATAN, CC | FSW_C1, true,
	 "transcendental: the last places differ between vendors"},
	{ZYDIS_MNEMONIC_F2XM1, CC | FSW_C1, true,
	 "transcendental: the last places differ between vendors"},
	{ZYDIS_MNEMONIC_FYL2X, CC | FSW_C1, true,
	 "transcendental: the last places differ between vendors"},
	{ZYDIS_MNEMONIC_FYL2XP1, CC | FSW_C1, true,
	 "transcendental: the last places differ between vendors"},
	/* These define their condition codes, every other x87 instruction is under CC_WHY. */
	{ZYDIS_MNEMONIC_FPREM, 0, false, ""},
	{ZYDIS_MNEMONIC_FPREM1, 0, false, ""},
	{ZYDIS_MNEMONIC_FXAM, 0, false, ""},
	{ZYDIS_MNEMONIC_FTST, 0, false, ""},
	{ZYDIS_MNEMONIC_FCOM, 0, false, ""},
	{ZYDIS_MNEMONIC_FCOMP, 0, false, ""},
	{ZYDIS_MNEMONIC_FCOMPP, 0, false, ""},
	{ZYDIS_MNEMONIC_FUCOM, 0, false, ""},
	{ZYDIS_MNEMONIC_FUCOMP, 0, false, ""},
	{ZYDIS_MNEMONIC_FUCOMPP, 0, false, ""},
	{ZYDIS_MNEMONIC_FICOM, 0, false, ""},
	{ZYDIS_MNEMONIC_FICOMP, 0, false, ""},
	{ZYDIS_MNEMONIC_FLDENV, 0, false, ""},
	{ZYDIS_MNEMONIC_FRSTOR, 0, false, ""},
	{ZYDIS_MNEMONIC_FXRSTOR, 0, false, ""},
	{ZYDIS_MNEMONIC_FXRSTOR64, 0, false, ""},
	{ZYDIS_MNEMONIC_FNINIT, 0, false, ""},
	{ZYDIS_MNEMONIC_FNSAVE, 0, false, ""},
	{ZYDIS_MNEMONIC_FXSAVE, 0, false, ""},
	{ZYDIS_MNEMONIC_FXSAVE64, 0, false, ""},
};

/* Bytes of a stored image that the architecture or the vendor leaves open. */
static const struct image_row {
	ZydisMnemonic mnemonic;
	uint16_t operand_bytes; /* 0: any */
	uint16_t first;
	uint16_t bytes;
	const char *why;
} image_rows[] = {
#define POINTERS                                                                                   \
	"last instruction and operand pointers: recorded at different moments by the vendors"
	{ZYDIS_MNEMONIC_FXSAVE, 0, FX_FOP, 18, POINTERS},
	{ZYDIS_MNEMONIC_FXSAVE64, 0, FX_FOP, 18, POINTERS},
	{ZYDIS_MNEMONIC_FXSAVE, 0, FX_MXCSR_MASK, 4, "the host's own mask"},
	{ZYDIS_MNEMONIC_FXSAVE64, 0, FX_MXCSR_MASK, 4, "the host's own mask"},
	{ZYDIS_MNEMONIC_FXSAVE, 0, FX_END, 96, "reserved: written by some processors"},
	{ZYDIS_MNEMONIC_FXSAVE64, 0, FX_END, 96, "reserved: written by some processors"},
	{ZYDIS_MNEMONIC_FNSTENV, 28, 12, 16, POINTERS},
	{ZYDIS_MNEMONIC_FNSTENV, 14, 6, 8, POINTERS},
	{ZYDIS_MNEMONIC_FNSAVE, 108, 12, 16, POINTERS},
	{ZYDIS_MNEMONIC_FNSAVE, 94, 6, 8, POINTERS},
};

static uint64_t operand_value(const struct oracle_case *c, const ZydisDecodedInstruction *insn,
			      const ZydisDecodedOperand *op)
{
	if (op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		return op->imm.value.u;
	}
	if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && op->reg.value == ZYDIS_REGISTER_CL) {
		return c->in.gpr[X86_RCX];
	}
	(void)insn;
	return 1;
}

static unsigned shift_count(const struct oracle_case *c, const ZydisDecodedInstruction *insn,
			    const ZydisDecodedOperand *ops)
{
	bool is_double =
		insn->mnemonic == ZYDIS_MNEMONIC_SHLD || insn->mnemonic == ZYDIS_MNEMONIC_SHRD;
	uint64_t value = operand_value(c, insn, &ops[is_double ? 2 : 1]);

	return (unsigned)(value & (ops[0].size == 64 ? 63 : 31));
}

static bool from_mm(const ZydisDecodedOperand *ops)
{
	return ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       ZydisRegisterGetClass(ops[1].reg.value) == ZYDIS_REGCLASS_MMX;
}

static bool is_misaligned(const struct oracle_case *c, const ZydisDecodedInstruction *insn,
			  const ZydisDecodedOperand *ops)
{
	for (unsigned i = 0; i < insn->operand_count_visible; i++) {
		if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
			return (oracle_effective(c, insn, &ops[i]) & 15) != 0;
		}
	}
	return false;
}

static bool applies(enum when when, const struct oracle_case *c,
		    const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops)
{
	switch (when) {
	case COUNT_ONE:
		return shift_count(c, insn, ops) == 1;
	case COUNT_MANY:
		return shift_count(c, insn, ops) > 1;
	case COUNT_SIZE:
		return shift_count(c, insn, ops) >= ops[0].size;
	case COUNT_BEYOND:
		return shift_count(c, insn, ops) > ops[0].size;
	case SOURCE_ZERO_32:
		return insn->operand_width == 32;
	case PUSHED_SEGMENT_32:
		return insn->machine_mode != ZYDIS_MACHINE_MODE_LONG_64 &&
		       ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		       ZydisRegisterGetClass(ops[0].reg.value) == ZYDIS_REGCLASS_SEGMENT;
	case FAULTED_MM:
		return from_mm(ops);
	case FAULTED_80:
		return ops[0].size == 80;
	case ONE_SIDED_16:
		return insn->operand_width == 16;
	case ONE_SIDED_X87:
		return (~load_le16(c->in.fx + FX_FCW) & 0x3f) != 0;
	case MISALIGNED:
		return is_misaligned(c, insn, ops);
	case ALWAYS:
	case FAULTED: /* the comparison looks whether it did */
	case ONE_SIDED:
		return true;
	}
	return true;
}

static void open_dest(const ZydisDecodedOperand *dest, uint64_t bits, struct oracle_open *ret)
{
	if (dest->type == ZYDIS_OPERAND_TYPE_REGISTER &&
	    ZydisRegisterGetClass(dest->reg.value) != ZYDIS_REGCLASS_SEGMENT) {
		ZyanI8 id = ZydisRegisterGetId(dest->reg.value);

		if (id >= 0 && id < 16) {
			ret->gpr[id] |= bits;
		}
	} else {
		ret->memory = true;
	}
}

static void open_x87(const ZydisDecodedInstruction *insn, struct oracle_open *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(x87_rows); i++) {
		if (x87_rows[i].mnemonic == insn->mnemonic) {
			ret->fsw = x87_rows[i].fsw;
			ret->x87_ulps = x87_rows[i].near ? 8 : 0;
			return;
		}
	}
	if (insn->meta.isa_set == ZYDIS_ISA_SET_X87 ||
	    insn->meta.isa_set == ZYDIS_ISA_SET_SSE3X87) {
		ret->fsw = CC;
	}
}

#define ANY_ALIGNMENT                                                                              \
	"misaligned and not canonical, or two addresses not canonical, at once: which of the two " \
	"is found first is up to the "                                                             \
	"processor"
#define ANY_PRECISION                                                                              \
	"unmasked overflow or underflow: whether PE is set too differs between vendors"
#define ANY_UPPER_HALF                                                                             \
	"faults in the upper half of the address space: the host's kernel hides whether a page "   \
	"is there"

#define ANY_MM "MXCSR bit 17, the misaligned exception mask, exists on one vendor's processors only"

#define STRING_HIGH                                                                                \
	"32-bit addresses in 64-bit mode, and a repetition that ends before its first element: "   \
	"whether the upper halves of RCX, RSI and RDI are cleared differs between vendors"
#define STRING_FLAGS                                                                               \
	"a repetition that faults: SDM restores the flags, AMD leaves those of the last element"

static void open_string(const struct oracle_case *c, const ZydisDecodedInstruction *insn,
			struct oracle_open *ret)
{
	const ZydisInstructionAttributes repetition =
		ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;
	bool repeated = (insn->attributes & repetition) != 0;

	if (insn->meta.category != ZYDIS_CATEGORY_STRINGOP) {
		return;
	}
	ret->fault_flags = repeated;
	if (repeated && insn->machine_mode == ZYDIS_MACHINE_MODE_LONG_64 &&
	    insn->address_width == 32) {
		ret->fault_high = true;
		if ((uint32_t)c->in.gpr[X86_RCX] == 0) {
			ret->gpr[X86_RCX] = ret->gpr[X86_RSI] = ret->gpr[X86_RDI] = UINT64_MAX
										    << 32;
		}
	}
}

/* What is open for every instruction. */
static void open_any(const struct oracle_case *c, const ZydisDecodedInstruction *insn,
		     const ZydisDecodedOperand *ops, struct oracle_open *ret)
{
	for (unsigned i = 0; i < insn->operand_count_visible; i++) {
		if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY && ops[i].size == 128) {
			uint64_t at = oracle_effective(c, insn, &ops[i]);

			ret->gp_or_ss =
				(at & 15) != 0 && (uint64_t)((int64_t)(at << 16) >> 16) != at;
		}
	}
	/* CALL of a non-canonical address with a non-canonical stack. */
	ret->gp_or_ss |= insn->mnemonic == ZYDIS_MNEMONIC_CALL;
	ret->precision = true;
}

void oracle_open_get(const struct oracle_case *c, const ZydisDecodedInstruction *insn,
		     const ZydisDecodedOperand *ops, struct oracle_open *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];

		if (row->mnemonic != insn->mnemonic || !applies(row->when, c, insn, ops)) {
			continue;
		}
		ret->why = row->why;
		if (row->when == FAULTED || row->when == FAULTED_MM || row->when == FAULTED_80) {
			ret->fault_memory |= (row->what & MEMORY) != 0;
			ret->fault_cr2 |= (row->what & CR2) != 0;
			ret->fault_state |= (row->what & STATE) != 0;
			ret->fault_x87 |= (row->what & X87_STATE) != 0;
			ret->fault_first |= (row->what & FIRST) != 0;
			continue;
		}
		if (row->when == ONE_SIDED || row->when == ONE_SIDED_16 ||
		    row->when == ONE_SIDED_X87) {
			ret->one_sided = true;
			continue;
		}
		if (row->when == MISALIGNED) {
			ret->misaligned = true;
			continue;
		}
		ret->rflags |= row->flags;
		if ((row->what & DEST) != 0) {
			open_dest(&ops[0], UINT64_MAX, ret);
		}
		if ((row->what & DEST_HIGH) != 0) {
			open_dest(&ops[0], UINT64_MAX << 32, ret);
		}
		ret->f32_near |= (row->what & F32_NEAR) != 0;
	}
	open_x87(insn, ret);
	open_string(c, insn, ret);
	open_any(c, insn, ops, ret);
}

static void close_range(uint8_t *to, const uint8_t *from, uint64_t first, uint32_t bytes)
{
	for (unsigned w = 0; w < ORACLE_WINDOWS; w++) {
		const struct oracle_window *win = &oracle_windows[w];

		for (uint32_t i = 0; i < bytes; i++) {
			uint64_t at = first + i - win->address;

			if (at < win->bytes) {
				to[win->offset + at] = from[win->offset + at];
			}
		}
	}
}

void oracle_open_images(const struct oracle_case *c, const ZydisDecodedInstruction *insn,
			const ZydisDecodedOperand *ops, const uint8_t *from, uint8_t *to)
{
	for (size_t i = 0; i < ARRAY_LEN(image_rows); i++) {
		const struct image_row *row = &image_rows[i];

		if (row->mnemonic == insn->mnemonic && ops[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    (row->operand_bytes == 0 || row->operand_bytes == ops[0].size / 8)) {
			close_range(to, from, oracle_effective(c, insn, &ops[0]) + row->first,
				    row->bytes);
		}
	}
}

void oracle_open_print(void)
{
	for (size_t i = 0; i < ARRAY_LEN(image_rows); i++) {
		printf("%-12s image bytes %u..%u  %s\n",
		       ZydisMnemonicGetString(image_rows[i].mnemonic), image_rows[i].first,
		       image_rows[i].first + image_rows[i].bytes - 1, image_rows[i].why);
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		printf("%-12s flags %03x what %03x  %s\n", ZydisMnemonicGetString(rows[i].mnemonic),
		       rows[i].flags, rows[i].what, rows[i].why);
	}
	printf("%-12s %s\n%-12s %s\n%-12s %s\n", "(any)", ANY_ALIGNMENT, "(any)", ANY_PRECISION,
	       "(any)", ANY_UPPER_HALF);
	printf("%-12s %s\n", "(any)", ANY_MM);
	printf("%-12s %s\n%-12s %s\n", "(string)", STRING_HIGH, "(string)", STRING_FLAGS);
	printf("%-12s status word %04x  %s\n", "(x87)", CC, CC_WHY);
	for (size_t i = 0; i < ARRAY_LEN(x87_rows); i++) {
		if (x87_rows[i].fsw != 0) {
			printf("%-12s status word %04x  %s\n",
			       ZydisMnemonicGetString(x87_rows[i].mnemonic), x87_rows[i].fsw,
			       x87_rows[i].why);
		}
	}
}
