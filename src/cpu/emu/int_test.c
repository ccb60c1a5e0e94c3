/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integer instructions where the vendors' processors differ, so that a comparison with the host's cannot tell what is right: the
 * guest's CPUID says GenuineIntel, and Intel's manual and processors have the last word.
 */
#include "fpu_machine.h"
#include "test/test.h"

static uint64_t gpr(struct machine *m, uint32_t name)
{
	return reg_get(m, name).lo;
}

/* Encodings that mean nothing here and something to the other vendor's processors. */
static void test_no_operation(struct test *t)
{
	struct machine m;

	machine_start(&m);
	reg_set(&m, HvX64RegisterRax, 0x1111);
	reg_set(&m, HvX64RegisterR8, 0x8888);
	EXPECT_EQ(t, run(&m, BYTES(0xf3, 0x41, 0x90)), HALTED); /* PAUSE with REX.B */
	EXPECT_EQ(t, gpr(&m, HvX64RegisterRax), 0x1111);
	EXPECT_EQ(t, gpr(&m, HvX64RegisterR8), 0x8888);
	EXPECT_EQ(t, run(&m, BYTES(0x41, 0x90)), HALTED); /* XCHG with R8 */
	EXPECT_EQ(t, gpr(&m, HvX64RegisterRax), 0x8888);
	EXPECT_EQ(t, gpr(&m, HvX64RegisterR8), 0x1111);
	EXPECT_EQ(t, run(&m, BYTES(0x0f, 0x0d, 0xc8)), HALTED); /* PREFETCHW of a register */
	EXPECT_EQ(t, gpr(&m, HvX64RegisterRip), CODE + 4);
	machine_stop(&m);
}

/* MOVSXD with a 16-bit operand reads 16 bits: the last two bytes before a page that is not there will do. */
static void test_movsxd_word(struct test *t)
{
	struct machine m;

	machine_start(&m);
	store_le16(m.data + 0x1ffe, 0x8765);
	reg_set(&m, HvX64RegisterRax, 0x1111111111111111);
	/* movsxd 0x1ffe(%rsi), %ax */
	EXPECT_EQ(t, run(&m, BYTES(0x66, 0x63, 0x86, 0xfe, 0x1f, 0x00, 0x00)), HALTED);
	EXPECT_EQ(t, gpr(&m, HvX64RegisterRax), 0x1111111111118765);
	EXPECT_EQ(t, run(&m, BYTES(0x66, 0x63, 0x86, 0xff, 0x1f, 0x00, 0x00)), X86_EXC_PF);
	EXPECT_EQ(t, run(&m, BYTES(0x63, 0x86, 0xfe, 0x1f, 0x00, 0x00)), X86_EXC_PF);
	machine_stop(&m);
}

/* A repetition that faults has moved its registers and left the flags alone. */
static void test_repetition_flags(struct test *t)
{
	struct machine m;
	const uint64_t before = 2 | X86_CF | X86_OF;

	machine_start(&m);
	memset(m.data + 0x1ff0, 7, 16);
	reg_set(&m, HvX64RegisterRax, 7);
	reg_set(&m, HvX64RegisterRcx, 100);
	reg_set(&m, HvX64RegisterRdi, DATA + 0x1ff0);
	reg_set(&m, HvX64RegisterRflags, before);
	EXPECT_EQ(t, run(&m, ASM("repe scasb")), X86_EXC_PF);
	EXPECT_EQ(t, gpr(&m, HvX64RegisterRcx), 84);
	EXPECT_EQ(t, gpr(&m, HvX64RegisterRdi), HOLE);
	EXPECT_EQ(t, gpr(&m, HvX64RegisterRflags) & (X86_ARITH | 2), before);
	/* One that ends has the flags of its last element. */
	reg_set(&m, HvX64RegisterRcx, 16);
	reg_set(&m, HvX64RegisterRdi, DATA + 0x1ff0);
	EXPECT_EQ(t, run(&m, ASM("repe scasb")), HALTED);
	EXPECT_EQ(t, gpr(&m, HvX64RegisterRcx), 0);
	EXPECT_EQ(t, gpr(&m, HvX64RegisterRflags) & X86_ARITH, X86_ZF | X86_PF);
	machine_stop(&m);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_no_operation),
		TEST(test_movsxd_word),
		TEST(test_repetition_flags),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
