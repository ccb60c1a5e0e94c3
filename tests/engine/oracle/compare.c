// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/bits.h"
#include "oracle.h"
#include "x86/arch.h"

/* RF is set in the frame of a fault and says nothing about the instruction. */
#define RFLAGS_MASK (~(uint64_t)X86_RF)
#define F32_NEAR_ULPS 12288 /* two approximations with relative error 1.5 * 2^-12 each */

static bool has_error_code(uint32_t vector)
{
	return vector == X86_EXC_PF || vector == X86_EXC_GP || vector == X86_EXC_SS ||
	       vector == X86_EXC_NP || vector == X86_EXC_TS || vector == X86_EXC_AC;
}

static bool same_ending(const struct oracle_result *a, const struct oracle_result *b)
{
	return a->vector == b->vector && (!has_error_code(a->vector) || a->error == b->error) &&
	       (a->vector != X86_EXC_PF || a->cr2 == b->cr2);
}

static bool same_registers(const struct oracle_state *a, const struct oracle_state *b)
{
	return memcmp(a->gpr, b->gpr, sizeof(a->gpr)) == 0 && a->rip == b->rip &&
	       ((a->rflags ^ b->rflags) & RFLAGS_MASK) == 0 && a->fs_base == b->fs_base &&
	       a->gs_base == b->gs_base;
}

static bool same_fx(const uint8_t *a, const uint8_t *b)
{
	if (memcmp(a, b, FX_FTW + 1) != 0 || memcmp(a + FX_MXCSR, b + FX_MXCSR, 4) != 0) {
		return false;
	}
	for (unsigned at = FX_ST; at < FX_XMM; at += 16) {
		if (memcmp(a + at, b + at, 10) != 0) {
			return false;
		}
	}
	return memcmp(a + FX_XMM, b + FX_XMM, FX_END - FX_XMM) == 0;
}

static bool same(const struct oracle_result *a, const struct oracle_result *b)
{
	return same_ending(a, b) && same_registers(&a->out, &b->out) &&
	       same_fx(a->out.fx, b->out.fx) && memcmp(a->mem, b->mem, sizeof(a->mem)) == 0;
}

static void close_f32(const uint8_t *native, uint8_t *engine)
{
	for (unsigned at = FX_XMM; at < FX_END; at += 4) {
		int32_t distance = (int32_t)(load_le32(native + at) - load_le32(engine + at));

		if (distance <= F32_NEAR_ULPS && distance >= -F32_NEAR_ULPS) {
			memcpy(engine + at, native + at, 4);
		}
	}
}

static void close_x87(const uint8_t *native, uint8_t *engine, unsigned ulps)
{
	for (unsigned at = FX_ST; at < FX_XMM; at += 16) {
		uint64_t distance = load_le64(native + at) - load_le64(engine + at);

		if (load_le16(native + at + 8) == load_le16(engine + at + 8) &&
		    (distance <= ulps || 0 - distance <= ulps)) {
			memcpy(engine + at, native + at, 8);
		}
	}
}

static bool is_gp_or_ss(uint32_t vector)
{
	return vector == X86_EXC_GP || vector == X86_EXC_SS;
}

#define MXCSR_MM 0x20000u /* misaligned exception mask: one vendor's processors have it */

/* The instruction retired: the trap behind it was met, or the end of mapped code. */
static bool retired(const struct oracle_result *r)
{
	return r->vector == X86_EXC_BP ||
	       (r->vector == X86_EXC_PF && r->cr2 == ORACLE_CODE_END &&
		(r->error & X86_PF_I) != 0 &&
		(r->out.rip == ORACLE_CODE_END || r->out.rip == ORACLE_CODE_BYTES));
}

static bool is_access_fault(const struct oracle_result *r)
{
	return !retired(r) &&
	       (r->vector == X86_EXC_PF || r->vector == X86_EXC_BR || is_gp_or_ss(r->vector));
}

/* The registers that string instructions move. */
static void close_high(const struct oracle_result *native, struct oracle_result *engine)
{
	static const uint8_t regs[] = {X86_RCX, X86_RSI, X86_RDI};

	for (size_t i = 0; i < ARRAY_LEN(regs); i++) {
		uint64_t *to = &engine->out.gpr[regs[i]];

		*to = (uint32_t)*to | (native->out.gpr[regs[i]] & (UINT64_MAX << 32));
	}
}

/* Makes equal in @engine what is open. */
static void close_open(const struct oracle_open *open, const struct oracle_result *native,
		       struct oracle_result *engine)
{
	bool faulted, one_sided = retired(native) != retired(engine);
	uint32_t mxcsr = load_le32(native->out.fx + FX_MXCSR);
	uint16_t fsw = load_le16(native->out.fx + FX_FSW) ^ load_le16(engine->out.fx + FX_FSW);

	if (open->fault_first && is_access_fault(native) && is_access_fault(engine)) {
		engine->vector = native->vector;
		engine->error = native->error;
		engine->cr2 = native->cr2;
	}
	faulted = !retired(native) && engine->vector == native->vector;
	if ((faulted && open->fault_state) || (one_sided && open->one_sided) ||
	    (open->misaligned && engine->vector == X86_EXC_GP) ||
	    ((mxcsr & MXCSR_MM) != 0 && engine->vector == X86_EXC_GP)) {
		*engine = *native;
		return;
	}
	if (open->gp_or_ss && is_gp_or_ss(native->vector) && is_gp_or_ss(engine->vector)) {
		engine->vector = native->vector;
	}
	/* Overflow and underflow, flags and masks. */
	if (faulted && native->vector == X86_EXC_XM && open->precision &&
	    (mxcsr & ~(mxcsr >> 7) & 0x18) != 0) {
		store_le32(engine->out.fx + FX_MXCSR,
			   (load_le32(engine->out.fx + FX_MXCSR) & ~0x20u) | (mxcsr & 0x20));
	}
	if (faulted && native->vector == X86_EXC_PF && native->cr2 >> 63 != 0) {
		engine->error = (engine->error & ~1u) | (native->error & 1);
	}
	if (faulted && open->fault_cr2) {
		engine->cr2 = native->cr2;
		engine->error = native->error;
	}
	if (faulted && open->fault_x87) {
		memcpy(engine->out.fx, native->out.fx, FX_FTW + 1);
		memcpy(engine->out.fx + FX_ST, native->out.fx + FX_ST, FX_XMM - FX_ST);
	}
	if (faulted && open->fault_flags) {
		engine->out.rflags = native->out.rflags;
	}
	if (faulted && open->fault_high) {
		close_high(native, engine);
	}
	if (open->memory || (faulted && open->fault_memory)) {
		memcpy(engine->mem, native->mem, sizeof(engine->mem));
	}
	if (!retired(native) && native->out.rip != engine->out.rip) {
		return; /* flags and results are open only where an instruction retired */
	}
	engine->out.rflags ^= (native->out.rflags ^ engine->out.rflags) & open->rflags;
	for (unsigned i = 0; i < 16; i++) {
		engine->out.gpr[i] ^= (native->out.gpr[i] ^ engine->out.gpr[i]) & open->gpr[i];
	}
	store_le16(engine->out.fx + FX_FSW, load_le16(engine->out.fx + FX_FSW) ^ (fsw & open->fsw));
	if (open->f32_near) {
		close_f32(native->out.fx, engine->out.fx);
	}
	if (open->x87_ulps != 0) {
		close_x87(native->out.fx, engine->out.fx, open->x87_ulps);
	}
}

bool oracle_agree(const struct oracle_gen *gen, const struct oracle_case *c,
		  const struct oracle_result *native, const struct oracle_result *engine)
{
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	struct oracle_open open;
	struct oracle_result closed;

	if (same(native, engine)) {
		return true;
	}
	if (!oracle_case_decode(gen, c, &insn, ops)) {
		return false;
	}
	closed = *engine;
	if (c->instructions > 1) {
		/* Sequences hold nothing that leaves more open than AF. */
		closed.out.rflags ^= (closed.out.rflags ^ native->out.rflags) & X86_AF;
		return same(native, &closed);
	}
	oracle_open_get(c, &insn, ops, &open);
	close_open(&open, native, &closed);
	oracle_open_images(c, &insn, ops, native->mem, closed.mem);
	return same(native, &closed);
}

/* ---- for people ---- */

static void print_bytes(const char *what, const uint8_t *bytes, unsigned count)
{
	printf("%s", what);
	for (unsigned i = 0; i < count; i++) {
		printf("%02x%s", bytes[i], i + 1 < count ? " " : "");
	}
	printf("\n");
}

static void print_code(const struct oracle_gen *gen, const struct oracle_case *c)
{
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	ZydisFormatter formatter;
	unsigned at = c->bad_lock ? 1 : 0;

	ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
	for (unsigned i = 0; i < c->instructions; i++) {
		char text[256] = "?";

		if (ZYAN_FAILED(
			    ZydisDecoderDecodeFull(&gen->decoder, c->code + at, 15, &insn, ops))) {
			break;
		}
		ZydisFormatterFormatInstruction(&formatter, &insn, ops, insn.operand_count_visible,
						text, sizeof(text), c->address + at, ZYAN_NULL);
		printf("    %s%s\n", c->bad_lock ? "(bad lock) " : "", text);
		at += insn.length;
	}
	print_bytes("    bytes   ", c->code, c->length);
}

static void print_ending(const char *what, const struct oracle_result *r)
{
	if (r->vector >= ORACLE_VECTOR_CHILD_DIED) {
		printf("    %-7s the child died\n", what);
	} else if (r->vector >= ORACLE_VECTOR_ENGINE_EXIT) {
		printf("    %-7s engine exit %u\n", what, r->vector - ORACLE_VECTOR_ENGINE_EXIT);
	} else {
		printf("    %-7s vector %u error 0x%x cr2 0x%" PRIx64 "\n", what, r->vector,
		       r->error, r->vector == X86_EXC_PF ? r->cr2 : 0);
	}
}

static void print_u64(const char *name, uint64_t in, uint64_t native, uint64_t engine, bool all)
{
	if (native != engine || all) {
		printf("    %-7s in %016" PRIx64 "  native %016" PRIx64 "  engine %016" PRIx64
		       "%s\n",
		       name, in, native, engine, native != engine ? "  <<<" : "");
	}
}

static void print_gprs(const struct oracle_state *in, const struct oracle_state *n,
		       const struct oracle_state *e, bool all)
{
	static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
					      "rsi", "rdi", "r8",  "r9",  "r10", "r11",
					      "r12", "r13", "r14", "r15"};

	for (unsigned i = 0; i < 16; i++) {
		print_u64(names[i], in->gpr[i], n->gpr[i], e->gpr[i], all);
	}
	print_u64("rip", in->rip, n->rip, e->rip, all);
	print_u64("rflags", in->rflags, n->rflags & RFLAGS_MASK, e->rflags & RFLAGS_MASK, all);
	print_u64("fs", in->fs_base, n->fs_base, e->fs_base, all);
	print_u64("gs", in->gs_base, n->gs_base, e->gs_base, all);
}

static void print_wide(const char *name, unsigned n, const uint8_t *in, const uint8_t *native,
		       const uint8_t *engine, unsigned bytes, bool all)
{
	bool differ = memcmp(native, engine, bytes) != 0;

	if (differ || all) {
		printf("    %s%u\n", name, n);
		print_bytes("      in     ", in, bytes);
		print_bytes("      native ", native, bytes);
		print_bytes(differ ? "      ENGINE " : "      engine ", engine, bytes);
	}
}

static void print_fx(const uint8_t *in, const uint8_t *n, const uint8_t *e, bool all)
{
	print_u64("fcw", load_le16(in), load_le16(n), load_le16(e), all);
	print_u64("fsw", load_le16(in + FX_FSW), load_le16(n + FX_FSW), load_le16(e + FX_FSW), all);
	print_u64("ftw", in[FX_FTW], n[FX_FTW], e[FX_FTW], all);
	print_u64("mxcsr", load_le32(in + FX_MXCSR), load_le32(n + FX_MXCSR),
		  load_le32(e + FX_MXCSR), all);
	for (unsigned i = 0; i < 8; i++) {
		unsigned at = FX_ST + 16 * i;

		print_wide("st", i, in + at, n + at, e + at, 10, all);
	}
	for (unsigned i = 0; i < 16; i++) {
		unsigned at = FX_XMM + 16 * i;

		print_wide("xmm", i, in + at, n + at, e + at, 16, all);
	}
}

static void print_memory(const struct oracle_gen *gen, const struct oracle_case *c,
			 const uint8_t *n, const uint8_t *e)
{
	static uint8_t in[ORACLE_MEM_BYTES];
	unsigned lines = 0;

	oracle_case_memory(c, gen->pool, in);
	for (unsigned w = 0; w < ORACLE_WINDOWS; w++) {
		const struct oracle_window *win = &oracle_windows[w];

		for (unsigned at = win->offset; at < win->offset + win->bytes; at += 8) {
			if (memcmp(n + at, e + at, 8) != 0 && lines++ < 24) {
				printf("    [%08x] in %016" PRIx64 "  native %016" PRIx64
				       "  engine %016" PRIx64 "\n",
				       win->address + at - win->offset, load_le64(in + at),
				       load_le64(n + at), load_le64(e + at));
			}
		}
	}
}

void oracle_report(const struct oracle_gen *gen, const struct oracle_case *c,
		   const struct oracle_result *native, const struct oracle_result *engine,
		   bool everything)
{
	print_code(gen, c);
	print_ending("native", native);
	print_ending("engine", engine);
	print_gprs(&c->in, &native->out, &engine->out, everything);
	print_fx(c->in.fx, native->out.fx, engine->out.fx, everything);
	print_memory(gen, c, native->mem, engine->mem);
}
