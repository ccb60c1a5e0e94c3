// SPDX-License-Identifier: Apache-2.0
/* Walks the opcode maps and keeps the forms that may be run: legal in user mode, deterministic, offered by both sides. */
#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "oracle.h"

enum cpuid_word { C1_ECX, C1_EDX, C7_EBX, C7_ECX, CX1_ECX, CX1_EDX, C_ALWAYS };

/* Instruction sets that are tested, and the CPUID bit that says they are there. */
static const struct isa {
	ZydisISASet set;
	uint8_t group; /* 0: by the operands */
	enum cpuid_word word;
	uint8_t bit;
} isas[] = {
	{ZYDIS_ISA_SET_I86, ORACLE_INT, C_ALWAYS, 0},
	{ZYDIS_ISA_SET_I186, ORACLE_INT, C_ALWAYS, 0},
	{ZYDIS_ISA_SET_I286REAL, ORACLE_INT, C_ALWAYS, 0},
	{ZYDIS_ISA_SET_I286PROTECTED, ORACLE_INT, C_ALWAYS, 0},
	{ZYDIS_ISA_SET_I386, ORACLE_INT, C_ALWAYS, 0},
	{ZYDIS_ISA_SET_I486REAL, ORACLE_INT, C_ALWAYS, 0},
	{ZYDIS_ISA_SET_I486, ORACLE_INT, C_ALWAYS, 0},
	{ZYDIS_ISA_SET_PENTIUMREAL, ORACLE_INT, C1_EDX, 8},
	{ZYDIS_ISA_SET_PPRO, ORACLE_INT, C1_EDX, 15},
	{ZYDIS_ISA_SET_CMOV, ORACLE_INT, C1_EDX, 15},
	{ZYDIS_ISA_SET_FAT_NOP, ORACLE_INT, C1_EDX, 15},
	{ZYDIS_ISA_SET_PAUSE, ORACLE_INT, C_ALWAYS, 0},
	{ZYDIS_ISA_SET_PREFETCH_NOP, ORACLE_INT, CX1_ECX, 8},
	{ZYDIS_ISA_SET_LAHF, ORACLE_INT, CX1_ECX, 0},
	{ZYDIS_ISA_SET_LONGMODE, ORACLE_INT, CX1_EDX, 29},
	{ZYDIS_ISA_SET_CMPXCHG16B, ORACLE_INT, C1_ECX, 13},
	{ZYDIS_ISA_SET_MOVBE, ORACLE_INT, C1_ECX, 22},
	{ZYDIS_ISA_SET_POPCNT, ORACLE_INT, C1_ECX, 23},
	{ZYDIS_ISA_SET_LZCNT, ORACLE_INT, CX1_ECX, 5},
	{ZYDIS_ISA_SET_BMI1, ORACLE_INT, C7_EBX, 3},
	{ZYDIS_ISA_SET_BMI2, ORACLE_INT, C7_EBX, 8},
	{ZYDIS_ISA_SET_ADOX_ADCX, ORACLE_INT, C7_EBX, 19},
	{ZYDIS_ISA_SET_RDWRFSGS, ORACLE_INT, C7_EBX, 0},
	{ZYDIS_ISA_SET_CLFSH, ORACLE_INT, C1_EDX, 19},
	{ZYDIS_ISA_SET_CLFLUSHOPT, ORACLE_INT, C7_EBX, 23},
	{ZYDIS_ISA_SET_CLWB, ORACLE_INT, C7_EBX, 24},
	{ZYDIS_ISA_SET_X87, ORACLE_X87, C1_EDX, 0},
	{ZYDIS_ISA_SET_FCMOV, ORACLE_X87, C1_EDX, 15},
	{ZYDIS_ISA_SET_SSE3X87, ORACLE_X87, C1_ECX, 0},
	{ZYDIS_ISA_SET_FXSAVE, ORACLE_X87, C1_EDX, 24},
	{ZYDIS_ISA_SET_FXSAVE64, ORACLE_X87, C1_EDX, 24},
	{ZYDIS_ISA_SET_PENTIUMMMX, ORACLE_MMX, C1_EDX, 23},
	{ZYDIS_ISA_SET_SSE, 0, C1_EDX, 25},
	{ZYDIS_ISA_SET_SSEMXCSR, ORACLE_SSE, C1_EDX, 25},
	{ZYDIS_ISA_SET_SSE_PREFETCH, ORACLE_INT, C1_EDX, 25},
	{ZYDIS_ISA_SET_SSE2, 0, C1_EDX, 26},
	{ZYDIS_ISA_SET_SSE2MMX, ORACLE_MMX, C1_EDX, 26},
	{ZYDIS_ISA_SET_SSE3, ORACLE_SSE, C1_ECX, 0},
	{ZYDIS_ISA_SET_SSSE3, ORACLE_SSE, C1_ECX, 9},
	{ZYDIS_ISA_SET_SSSE3MMX, ORACLE_MMX, C1_ECX, 9},
	{ZYDIS_ISA_SET_SSE4, ORACLE_SSE, C1_ECX, 19},
	{ZYDIS_ISA_SET_SSE42, ORACLE_SSE, C1_ECX, 20},
	{ZYDIS_ISA_SET_AES, ORACLE_SSE, C1_ECX, 25},
	{ZYDIS_ISA_SET_PCLMULQDQ, ORACLE_SSE, C1_ECX, 1},
	{ZYDIS_ISA_SET_SHA, ORACLE_SSE, C7_EBX, 29},
	{ZYDIS_ISA_SET_GFNI, ORACLE_SSE, C7_ECX, 8},
};

/* Instructions that have table tests or guests instead, because the child may not or cannot run them faithfully. */
static const struct {
	ZydisMnemonic mnemonic;
	const char *why;
} excluded[] = {
	{ZYDIS_MNEMONIC_CPUID, "the answer is the hypervisor's"},
	{ZYDIS_MNEMONIC_RDTSC, "time"},
	{ZYDIS_MNEMONIC_RDPMC, "time"},
	{ZYDIS_MNEMONIC_INT, "enters the host's kernel"},
	{ZYDIS_MNEMONIC_INT1, "indistinguishable from a single step for the host's kernel"},
	{ZYDIS_MNEMONIC_INT3, "ends a case"},
	{ZYDIS_MNEMONIC_INTO, "host signal differs"},
	{ZYDIS_MNEMONIC_SYSCALL, "enters the host's kernel"},
	{ZYDIS_MNEMONIC_SYSENTER, "enters the host's kernel"},
	{ZYDIS_MNEMONIC_SYSRET, "vendors differ at CPL 3"},
	{ZYDIS_MNEMONIC_SYSEXIT, "vendors differ at CPL 3"},
	{ZYDIS_MNEMONIC_IRET, "segment loads"},
	{ZYDIS_MNEMONIC_IRETD, "segment loads"},
	{ZYDIS_MNEMONIC_IRETQ, "segment loads"},
	{ZYDIS_MNEMONIC_LDS, "segment loads"},
	{ZYDIS_MNEMONIC_LES, "segment loads"},
	{ZYDIS_MNEMONIC_LFS, "segment loads"},
	{ZYDIS_MNEMONIC_LGS, "segment loads"},
	{ZYDIS_MNEMONIC_LSS, "segment loads"},
	{ZYDIS_MNEMONIC_LAR, "reads the host's descriptor table"},
	{ZYDIS_MNEMONIC_LSL, "reads the host's descriptor table"},
	{ZYDIS_MNEMONIC_VERR, "reads the host's descriptor table"},
	{ZYDIS_MNEMONIC_VERW, "reads the host's descriptor table"},
	{ZYDIS_MNEMONIC_SGDT, "the host's kernel emulates it under UMIP"},
	{ZYDIS_MNEMONIC_SIDT, "the host's kernel emulates it under UMIP"},
	{ZYDIS_MNEMONIC_SLDT, "the host's kernel emulates it under UMIP"},
	{ZYDIS_MNEMONIC_STR, "the host's kernel emulates it under UMIP"},
	{ZYDIS_MNEMONIC_SMSW, "the host's kernel emulates it under UMIP"},
	{ZYDIS_MNEMONIC_CLI, "the host's kernel may emulate it"},
	{ZYDIS_MNEMONIC_STI, "the host's kernel may emulate it"},
	{ZYDIS_MNEMONIC_RSM, "vendors and virtualization differ"},
	{ZYDIS_MNEMONIC_INVD, "privileged cache control is intercepted by hypervisors"},
	{ZYDIS_MNEMONIC_WBINVD, "privileged cache control is intercepted by hypervisors"},
	{ZYDIS_MNEMONIC_UD0, "vendors disagree whether it has a ModRM byte"},
	{ZYDIS_MNEMONIC_UD1, "vendors disagree whether it has a ModRM byte"},
	{ZYDIS_MNEMONIC_XGETBV, "depends on the host's enabled state"},
	{ZYDIS_MNEMONIC_SWAPGS, "vendors order #UD and #GP differently"},
	{ZYDIS_MNEMONIC_BSWAP, NULL}, /* the 16-bit form alone, see below */
};

static uint32_t word_of(enum cpuid_word word, oracle_cpuid_fn *cpuid, void *ctx)
{
	static const struct {
		uint32_t leaf;
		uint8_t reg;
	} where[] = {
		[C1_ECX] = {1, 2}, [C1_EDX] = {1, 3},		[C7_EBX] = {7, 1},
		[C7_ECX] = {7, 2}, [CX1_ECX] = {0x80000001, 2}, [CX1_EDX] = {0x80000001, 3},
	};
	uint32_t regs[4] = {0};

	if (word == C_ALWAYS) {
		return UINT32_MAX;
	}
	cpuid(ctx, where[word].leaf, 0, regs);
	return regs[where[word].reg];
}

static void host_cpuid(void *ctx, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	(void)ctx;
	regs[0] = regs[1] = regs[2] = regs[3] = 0;
	(void)__get_cpuid_count(leaf, subleaf, &regs[0], &regs[1], &regs[2], &regs[3]);
}

static const struct isa *isa_find(ZydisISASet set)
{
	for (size_t i = 0; i < ARRAY_LEN(isas); i++) {
		if (isas[i].set == set) {
			return &isas[i];
		}
	}
	return NULL;
}

static bool has_mm_operand(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops)
{
	for (unsigned i = 0; i < insn->operand_count_visible; i++) {
		if (ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    ops[i].reg.value >= ZYDIS_REGISTER_MM0 &&
		    ops[i].reg.value <= ZYDIS_REGISTER_MM7) {
			return true;
		}
	}
	return false;
}

unsigned oracle_group_of(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops)
{
	const struct isa *isa = isa_find(insn->meta.isa_set);

	if (isa == NULL) {
		return 0;
	}
	if (has_mm_operand(insn, ops)) {
		return ORACLE_MMX;
	}
	return isa->group != 0 ? isa->group : ORACLE_SSE;
}

static bool is_excluded(ZydisMnemonic mnemonic)
{
	for (size_t i = 0; i < ARRAY_LEN(excluded); i++) {
		if (excluded[i].mnemonic == mnemonic) {
			return excluded[i].why != NULL;
		}
	}
	return false;
}

static bool loads_segment(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops)
{
	for (unsigned i = 0; i < insn->operand_count_visible; i++) {
		if (ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    ZydisRegisterGetClass(ops[i].reg.value) == ZYDIS_REGCLASS_SEGMENT &&
		    (ops[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) {
			return true;
		}
	}
	return false;
}

static bool touches_system_register(const ZydisDecodedInstruction *insn,
				    const ZydisDecodedOperand *ops)
{
	for (unsigned i = 0; i < insn->operand_count_visible; i++) {
		if (ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER) {
			ZydisRegisterClass class = ZydisRegisterGetClass(ops[i].reg.value);

			if (class == ZYDIS_REGCLASS_CONTROL || class == ZYDIS_REGCLASS_DEBUG ||
			    class == ZYDIS_REGCLASS_TEST) {
				return true;
			}
		}
	}
	return false;
}

static bool is_near_branch(const ZydisDecodedInstruction *insn)
{
	return insn->meta.branch_type == ZYDIS_BRANCH_TYPE_SHORT ||
	       insn->meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR;
}

static bool has_rep(const ZydisDecodedInstruction *insn)
{
	for (unsigned i = 0; i < insn->raw.prefix_count; i++) {
		if (insn->raw.prefixes[i].value == 0xf2 || insn->raw.prefixes[i].value == 0xf3) {
			return true;
		}
	}
	return false;
}

/* Encodings that one vendor's processors take for another instruction. */
static bool vendors_differ(const ZydisDecodedInstruction *insn)
{
	switch ((int)insn->mnemonic) {
	case ZYDIS_MNEMONIC_LOOPE:
	case ZYDIS_MNEMONIC_LOOPNE:
		/* Reserved: Intel's take ZF's sense from the prefix, AMD's from the opcode. */
		return has_rep(insn);
	case ZYDIS_MNEMONIC_PAUSE:
		/* F3 90 with REX.B: PAUSE for Intel's, XCHG with R8 for AMD's. */
		return insn->raw.rex.B != 0;
	case ZYDIS_MNEMONIC_NOP:
		/* The PREFETCH group's register form: no operation for Intel's, #UD for AMD's. */
		return insn->opcode_map == ZYDIS_OPCODE_MAP_0F && insn->opcode == 0x0d &&
		       insn->raw.modrm.mod == 3;
	default:
		return false;
	}
}

bool oracle_acceptable(const struct oracle_forms *forms, unsigned mode,
		       const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops)
{
	bool bmi = insn->meta.isa_set == ZYDIS_ISA_SET_BMI1 ||
		   insn->meta.isa_set == ZYDIS_ISA_SET_BMI2;

	if ((insn->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
	     !(bmi && insn->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX)) ||
	    isa_find(insn->meta.isa_set) == NULL || is_excluded(insn->mnemonic) ||
	    insn->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR || loads_segment(insn, ops) ||
	    touches_system_register(insn, ops)) {
		return false;
	}
	if (insn->mnemonic == ZYDIS_MNEMONIC_BSWAP && insn->operand_width == 16) {
		return false; /* the result is undefined */
	}
	/* 66 before a near branch: one vendor ignores it in 64-bit mode, the other truncates RIP. */
	if (is_near_branch(insn) && (insn->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) != 0) {
		return false;
	}
	if (vendors_differ(insn)) {
		return false;
	}
	if (mode == 32 && insn->address_width == 16) {
		return false; /* 64 KiB at address 0 is out of reach for the child */
	}
	return forms->engine_offers[insn->meta.isa_set] && forms->host_offers[insn->meta.isa_set];
}

void oracle_decoder_init(ZydisDecoder *decoder, unsigned mode)
{
	if (mode == 64) {
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	} else if (mode == 16) {
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_COMPAT_16, ZYDIS_STACK_WIDTH_32);
	} else {
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32);
	}
	ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
	ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
}

static void form_add(struct oracle_forms *forms, size_t *room, const struct oracle_form *form)
{
	if (forms->count == *room) {
		struct oracle_form *bigger;

		*room = *room == 0 ? 4096 : *room * 2;
		bigger = realloc(forms->form, *room * sizeof(*bigger));
		if (bigger == NULL) {
			fprintf(stderr, "oracle: out of memory\n");
			exit(1);
		}
		forms->form = bigger;
	}
	forms->form[forms->count++] = *form;
}

uint8_t oracle_vex_prefix(uint8_t prefix)
{
	return prefix == 0x66 ? 1 : prefix == 0xf3 ? 2 : prefix == 0xf2 ? 3 : 0;
}

static unsigned form_bytes(const struct oracle_form *f, uint8_t *buf)
{
	unsigned n = 0;

	if (f->vex) {
		buf[n++] = 0xc4;
		buf[n++] = 0xe0 | f->map;
		buf[n++] = (uint8_t)((f->rex_w ? 0x80 : 0) | 0x78 | oracle_vex_prefix(f->prefix));
		buf[n++] = f->opcode;
		buf[n++] = (uint8_t)((f->mod3 ? 0xc0 : 0) | f->reg << 3 | f->rm);
		return n;
	}
	if (f->prefix == 1) {
		buf[n++] = 0x66;
		buf[n++] = 0xf2;
	} else if (f->prefix != 0) {
		buf[n++] = f->prefix;
	}
	if (f->rex_w) {
		buf[n++] = 0x48;
	}
	if (f->map != 0) {
		buf[n++] = 0x0f;
	}
	if (f->map >= 2) {
		buf[n++] = f->map == 2 ? 0x38 : 0x3a;
	}
	buf[n++] = f->opcode;
	if (f->has_modrm) {
		buf[n++] = (uint8_t)((f->mod3 ? 0xc0 : 0) | f->reg << 3 | f->rm);
	}
	return n;
}

struct walk {
	struct oracle_forms *forms;
	const ZydisDecoder *decoder;
	size_t room;
	unsigned mode;
	unsigned groups;
};

/* Tries one form; returns whether its opcode takes a ModRM byte at all. */
static bool form_try(struct walk *w, struct oracle_form *f)
{
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	uint8_t buf[24] = {0};

	(void)form_bytes(f, buf);
	if (ZYAN_FAILED(ZydisDecoderDecodeFull(w->decoder, buf, 15, &insn, ops))) {
		return true;
	}
	f->group = (uint8_t)oracle_group_of(&insn, ops);
	if ((f->group & w->groups) != 0) {
		f->mnemonic = (uint16_t)insn.mnemonic;
		if ((insn.attributes & ZYDIS_ATTRIB_HAS_MODRM) == 0) {
			f->has_modrm = false;
		}
		if (oracle_acceptable(w->forms, w->mode, &insn, ops)) {
			form_add(w->forms, &w->room, f);
		} else if (!w->forms->engine_offers[insn.meta.isa_set] ||
			   !w->forms->host_offers[insn.meta.isa_set]) {
			w->forms->skipped++;
		}
	}
	return (insn.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0;
}

/* Opcodes where a register form means another instruction for each rm. */
static bool rm_matters(const struct oracle_form *f)
{
	if (f->map == 0) {
		return f->opcode >= 0xd8 && f->opcode <= 0xdf;
	}
	return f->map == 1 &&
	       (f->opcode == 0x01 || f->opcode == 0xae || f->opcode == 0xc7 || f->opcode == 0x1e);
}

static void walk_modrm(struct walk *w, struct oracle_form *f)
{
	for (unsigned n = 0; n < 16; n++) {
		f->has_modrm = true;
		f->mod3 = (n & 8) != 0;
		f->reg = n & 7;
		f->fixed_rm = f->mod3 && rm_matters(f);
		for (unsigned rm = f->fixed_rm ? 0 : 1; rm < (f->fixed_rm ? 8u : 2u); rm++) {
			f->rm = (uint8_t)rm;
			if (!form_try(w, f) && !f->vex) {
				return;
			}
		}
	}
}

static bool is_prefix_byte(const struct walk *w, unsigned opcode)
{
	static const uint8_t prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
					   0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x0f};

	return memchr(prefixes, (int)opcode, sizeof(prefixes)) != NULL ||
	       (w->mode == 64 && (opcode & 0xf0) == 0x40);
}

static int form_compare(const void *a, const void *b)
{
	const struct oracle_form *x = a, *y = b;

	return x->mnemonic != y->mnemonic ? (x->mnemonic < y->mnemonic ? -1 : 1)
					  : memcmp(x, y, sizeof(*x));
}

static void index_mnemonics(struct oracle_forms *forms)
{
	qsort(forms->form, forms->count, sizeof(*forms->form), form_compare);
	forms->first = calloc(forms->count + 1, sizeof(*forms->first));
	if (forms->first == NULL) {
		fprintf(stderr, "oracle: out of memory\n");
		exit(1);
	}
	for (size_t i = 0; i < forms->count; i++) {
		if (i == 0 || forms->form[i].mnemonic != forms->form[i - 1].mnemonic) {
			forms->first[forms->mnemonic_count++] = i;
		}
	}
	forms->first[forms->mnemonic_count] = forms->count;
}

void oracle_forms_init(struct oracle_forms *forms, unsigned mode, unsigned groups,
		       oracle_cpuid_fn *engine_cpuid, void *ctx)
{
	static const uint8_t prefixes[] = {0, 0x66, 0xf2, 0xf3, 1};
	ZydisDecoder decoder;
	struct walk w = {forms, &decoder, 0, mode, groups};

	memset(forms, 0, sizeof(*forms));
	for (size_t i = 0; i < ARRAY_LEN(isas); i++) {
		uint32_t bit = BIT32(isas[i].bit);

		forms->host_offers[isas[i].set] =
			(word_of(isas[i].word, host_cpuid, NULL) & bit) != 0;
		forms->engine_offers[isas[i].set] =
			(word_of(isas[i].word, engine_cpuid, ctx) & bit) != 0;
	}
	oracle_decoder_init(&decoder, mode);
	for (unsigned n = 0; n < 4 * 256 * ARRAY_LEN(prefixes) * 2; n++) {
		struct oracle_form f;

		memset(&f, 0, sizeof(f));
		f.opcode = (uint8_t)n;
		f.map = (n >> 8) & 3;
		f.rex_w = (n >> 10) & 1;
		f.prefix = prefixes[n >> 11];
		if ((f.rex_w && mode != 64) || (f.map == 0 && is_prefix_byte(&w, f.opcode)) ||
		    (f.map == 1 && (f.opcode == 0x38 || f.opcode == 0x3a || f.opcode == 0x0f))) {
			continue;
		}
		walk_modrm(&w, &f);
		/* The general-register instructions with VEX encoding are in two maps. */
		if (f.map >= 2 && f.prefix != 1 && (mode == 64 || !f.rex_w)) {
			f.vex = true;
			walk_modrm(&w, &f);
		}
	}
	if (forms->count == 0) {
		fprintf(stderr, "oracle: no instruction form is left to test\n");
		exit(1);
	}
	index_mnemonics(forms);
}

void oracle_forms_fini(struct oracle_forms *forms)
{
	free(forms->form);
	free(forms->first);
	memset(forms, 0, sizeof(*forms));
}
