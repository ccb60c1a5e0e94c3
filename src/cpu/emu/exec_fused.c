/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CMP or TEST with the conditional jump behind it: one dispatch for two instructions. The flags are left as the first one leaves them.
 * Only 64-bit code; a fault of the memory operand is one of the first instruction alone.
 */
#define EMU_HOT
#include "exec.h"

#define RESULT_cmp (a - b)
#define RESULT_test (a & b)
#define FLAGS_cmp(bits) emu_flags_sub(vp, bits, a, b, r)
#define FLAGS_test(bits) emu_flags_logic(vp, bits, r)

#define FINISH(op, bits, cc)                                                                       \
	do {                                                                                       \
		uint##bits##_t r = (uint##bits##_t)RESULT_##op;                                    \
                                                                                                   \
		FLAGS_##op(bits);                                                                  \
		if (emu_condition(vp, cc)) {                                                       \
			vp->budget += i[1].disp;                                                   \
			return emu_jump_direct(vp, i + 1);                                         \
		}                                                                                  \
		EMU_NEXT(vp, i + 1);                                                               \
	} while (0)

#define DEFINE_REGISTER(op, bits, form, cc, second)                                                \
	static EMU_OP(op##bits##_##form##_##cc)                                                    \
	{                                                                                          \
		uint##bits##_t a = (uint##bits##_t)emu_reg_read(vp, bits, i->rd);                  \
		uint##bits##_t b = (uint##bits##_t)(second);                                       \
                                                                                                   \
		FINISH(op, bits, cc);                                                              \
	}

/* Not at once at hand: the first instruction alone, by its own handler. */
#define DEFINE_MEMORY(op, bits, form, cc, m, o, other)                                             \
	static EMU_OP(op##bits##_##form##_##cc)                                                    \
	{                                                                                          \
		const volatile struct emu_u##bits *p;                                              \
		uint##bits##_t a, b;                                                               \
		uint64_t la;                                                                       \
                                                                                                   \
		if (!emu_address_quick(vp, i, &la)) {                                              \
			return op##bits##_##form##_alone(vp, i);                                   \
		}                                                                                  \
		p = emu_fast_read(vp, la, bits / 8);                                               \
		if (unlikely(p == NULL)) {                                                         \
			return op##bits##_##form##_alone(vp, i);                                   \
		}                                                                                  \
		m = p->v;                                                                          \
		o = (uint##bits##_t)(other);                                                       \
		FINISH(op, bits, cc);                                                              \
	}

#define DEFINE_ALONE(op, OP, bits, log, form, FORM)                                                \
	static __attribute__((noinline, cold)) EMU_OP(op##bits##_##form##_alone)                   \
	{                                                                                          \
		return emu_find_alu(OP, log, FORM)(vp, i);                                         \
	}

#define FOR_CONDITIONS(X, ...)                                                                     \
	X(__VA_ARGS__, 0)                                                                          \
	X(__VA_ARGS__, 1)                                                                          \
	X(__VA_ARGS__, 2)                                                                          \
	X(__VA_ARGS__, 3)                                                                          \
	X(__VA_ARGS__, 4)                                                                          \
	X(__VA_ARGS__, 5)                                                                          \
	X(__VA_ARGS__, 6)                                                                          \
	X(__VA_ARGS__, 7)                                                                          \
	X(__VA_ARGS__, 8)                                                                          \
	X(__VA_ARGS__, 9)                                                                          \
	X(__VA_ARGS__, 10)                                                                         \
	X(__VA_ARGS__, 11)                                                                         \
	X(__VA_ARGS__, 12)                                                                         \
	X(__VA_ARGS__, 13)                                                                         \
	X(__VA_ARGS__, 14)                                                                         \
	X(__VA_ARGS__, 15)

#define RR(op, bits, cc) DEFINE_REGISTER(op, bits, rr, cc, emu_reg_read(vp, bits, i->rs))
#define RI(op, bits, cc) DEFINE_REGISTER(op, bits, ri, cc, i->imm)
#define RM(op, bits, cc) DEFINE_MEMORY(op, bits, rm, cc, b, a, emu_reg_read(vp, bits, i->rd))
#define MR(op, bits, cc) DEFINE_MEMORY(op, bits, mr, cc, a, b, emu_reg_read(vp, bits, i->rs))
#define MI(op, bits, cc) DEFINE_MEMORY(op, bits, mi, cc, a, b, i->imm)

#define DEFINE_SIZE(op, OP, bits, log)                                                             \
	DEFINE_ALONE(op, OP, bits, log, mr, EMU_MR)                                                \
	DEFINE_ALONE(op, OP, bits, log, mi, EMU_MI)                                                \
	FOR_CONDITIONS(RR, op, bits)                                                               \
	FOR_CONDITIONS(RI, op, bits)                                                               \
	FOR_CONDITIONS(MR, op, bits)                                                               \
	FOR_CONDITIONS(MI, op, bits)
DEFINE_SIZE(cmp, EMU_CMP, 8, 0)
DEFINE_SIZE(cmp, EMU_CMP, 32, 2)
DEFINE_SIZE(cmp, EMU_CMP, 64, 3)
DEFINE_SIZE(test, EMU_TEST, 8, 0)
DEFINE_SIZE(test, EMU_TEST, 32, 2)
DEFINE_SIZE(test, EMU_TEST, 64, 3)
DEFINE_ALONE(cmp, EMU_CMP, 8, 0, rm, EMU_RM)
DEFINE_ALONE(cmp, EMU_CMP, 32, 2, rm, EMU_RM)
DEFINE_ALONE(cmp, EMU_CMP, 64, 3, rm, EMU_RM)
FOR_CONDITIONS(RM, cmp, 8)
FOR_CONDITIONS(RM, cmp, 32)
FOR_CONDITIONS(RM, cmp, 64)

#define ROW(op, bits, form)                                                                        \
	{                                                                                          \
		op##bits##_##form##_0, op##bits##_##form##_1, op##bits##_##form##_2,               \
			op##bits##_##form##_3, op##bits##_##form##_4, op##bits##_##form##_5,       \
			op##bits##_##form##_6, op##bits##_##form##_7, op##bits##_##form##_8,       \
			op##bits##_##form##_9, op##bits##_##form##_10, op##bits##_##form##_11,     \
			op##bits##_##form##_12, op##bits##_##form##_13, op##bits##_##form##_14,    \
			op##bits##_##form##_15                                                     \
	}
#define CMP_ROWS(bits)                                                                             \
	{                                                                                          \
		[EMU_RR] = ROW(cmp, bits, rr), [EMU_RI] = ROW(cmp, bits, ri),                      \
		[EMU_RM] = ROW(cmp, bits, rm), [EMU_MR] = ROW(cmp, bits, mr),                      \
		[EMU_MI] = ROW(cmp, bits, mi)                                                      \
	}
#define TEST_ROWS(bits)                                                                            \
	{                                                                                          \
		[EMU_RR] = ROW(test, bits, rr), [EMU_RI] = ROW(test, bits, ri),                    \
		[EMU_MR] = ROW(test, bits, mr), [EMU_MI] = ROW(test, bits, mi)                     \
	}

static emu_fn *find_fused(uint64_t hint, unsigned cc)
{
	static emu_fn *const table[2][4][EMU_FORMS][16] = {
		{CMP_ROWS(8), {{NULL}}, CMP_ROWS(32), CMP_ROWS(64)},
		{TEST_ROWS(8), {{NULL}}, TEST_ROWS(32), TEST_ROWS(64)},
	};
	unsigned op = hint >> 1 & 15, log = hint >> 5 & 3, form = (unsigned)(hint >> 7);

	if (hint == 0 || (op != EMU_CMP && op != EMU_TEST)) {
		return NULL;
	}
	return table[op == EMU_TEST][log][form][cc];
}

void emu_fuse(struct emu_insn *insns, uint32_t count)
{
	for (uint32_t n = 0; n + 1 < count; n++) {
		unsigned op = insns[n].aux >> 1 & 15, log = insns[n].aux >> 5 & 3;
		unsigned form = (unsigned)(insns[n].aux >> 7), cc = insns[n + 1].rd & 15;
		emu_fn *fused;

		if (insns[n].aux > EMU_FUSE(EMU_ALU_OPS, 3, EMU_FORMS) || !(insns[n].aux & 1) ||
		    op >= EMU_ALU_OPS || form >= EMU_FORMS ||
		    insns[n].fn != emu_find_alu((enum emu_alu)op, log, (enum emu_form)form) ||
		    insns[n + 1].fn != emu_find_jcc(cc, true)) {
			continue;
		}
		fused = find_fused(insns[n].aux, cc);
		if (fused != NULL) {
			insns[n].fn = fused;
		}
	}
}
