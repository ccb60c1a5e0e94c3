/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of the architecture: descriptor checks, paging formats, MSR values, CPUID. */
#include "test/test.h"

#include "lib/bits.h"
#include "x86/cpuid.h"
#include "x86/descriptor.h"
#include "x86/msr.h"
#include "x86/paging.h"

/* Access byte and flags nibble of a descriptor; base 12345678h, limit 9abcdh. */
static uint64_t raw(unsigned access, unsigned flags)
{
	return UINT64_C(0x1200003456780000) | 0xabcd | UINT64_C(9) << 48 | (uint64_t)access << 40 |
	       (uint64_t)flags << 52;
}

static void test_fields(struct test *t)
{
	struct x86_segment s;

	x86_segment_from_descriptor(&s, 0x1b, raw(0xfb, 0xc));
	EXPECT_EQ(t, s.base, 0x12345678);
	EXPECT_EQ(t, s.limit, 0x9abcdfff);
	EXPECT_EQ(t, s.selector, 0x1b);
	EXPECT_EQ(t, s.attributes, 0xc0fb);
	EXPECT_EQ(t, x86_segment_dpl(&s), 3);
	EXPECT_EQ(t, x86_desc_limit(raw(0x93, 0)), 0x9abcd);
	EXPECT_EQ(t, x86_gate_offset(UINT64_C(0x12348e0000085678)), 0x12345678);
	EXPECT_EQ(t, x86_gate_selector(UINT64_C(0x12348e0000085678)), 8);
	EXPECT_EQ(t, x86_gate_ist(UINT64_C(0x12348e0300085678)), 3);
	EXPECT_EQ(t, x86_gate_parameters(UINT64_C(0x12348c1f00085678)), 31);
}

/* Spec: SDM vol. 3, 5.3 (limits), 3.4.5.1 (expand-down). */
static void test_limits(struct test *t)
{
	static const struct {
		uint16_t attributes;
		uint32_t limit, offset;
		unsigned bytes;
		bool inside;
	} cases[] = {
		{0x93, 0xffff, 0, 1, true},
		{0x93, 0xffff, 0xffff, 1, true},
		{0x93, 0xffff, 0xffff, 2, false},
		{0x93, 0xffff, 0x10000, 1, false},
		{0x93, 0xffffffff, 0xfffffffc, 4, true},
		{0x93, 0xffffffff, 0xfffffffd, 4, false},
		{0x97, 0x0fff, 0x0fff, 1, false},
		{0x97, 0x0fff, 0x1000, 1, true},
		{0x97, 0x0fff, 0xffff, 1, true},
		{0x97, 0x0fff, 0xffff, 2, false},
		{0x4097, 0x0fff, 0x10000, 4, true},
		{0x4097, 0xffffffff, 0, 1, false},
		/* Code: bit 2 means conforming. */
		{0x9f, 0x0fff, 0x0fff, 1, true},
	};

	for (size_t n = 0; n < ARRAY_LEN(cases); n++) {
		const struct x86_segment s = {.limit = cases[n].limit,
					      .attributes = cases[n].attributes};

		EXPECT_EQ(t, x86_segment_contains(&s, cases[n].offset, cases[n].bytes),
			  cases[n].inside);
	}
}

/* Spec: SDM vol. 3, 5.6, 5.7, 5.8.1. */
static void test_privilege(struct test *t)
{
	static const struct {
		unsigned access; /* of the descriptor */
		unsigned rpl, cpl;
		unsigned data, stack, transfer, comeback; /* vectors */
	} cases[] = {
		/* data, DPL 0 */
		{0x93, 0, 0, 0, 0, 13, 13},
		{0x93, 3, 0, 13, 13, 13, 13},
		{0x93, 0, 3, 13, 13, 13, 13},
		/* data, DPL 3 */
		{0xf3, 3, 3, 0, 0, 13, 13},
		{0xf3, 0, 0, 0, 13, 13, 13},
		{0xf3, 3, 0, 0, 13, 13, 13},
		/* data, DPL 1 */
		{0xb3, 1, 1, 0, 0, 13, 13},
		{0xb3, 1, 2, 13, 13, 13, 13},
		/* read-only data; not present */
		{0x91, 0, 0, 0, 13, 13, 13},
		{0x13, 0, 0, 11, 12, 13, 13},
		/* code, readable, DPL 0 */
		{0x9b, 0, 0, 0, 13, 0, 0},
		{0x9b, 3, 3, 13, 13, 13, 13},
		{0x9b, 1, 0, 13, 13, 13, 13},
		/* code, execute only; not present */
		{0x99, 0, 0, 13, 13, 0, 0},
		{0x1b, 0, 0, 11, 13, 11, 11},
		/* code, DPL 3: JMP to less privilege is refused, RET is not */
		{0xfb, 3, 3, 0, 13, 0, 0},
		{0xfb, 3, 0, 0, 13, 13, 0},
		/* conforming, DPL 0 */
		{0x9f, 3, 3, 0, 13, 0, 0},
		{0x9f, 0, 0, 0, 13, 0, 0},
		{0x9f, 3, 0, 0, 13, 0, 0},
		/* conforming, DPL 3 from ring 0 */
		{0xff, 0, 0, 0, 13, 13, 13},
		/* system */
		{0x89, 0, 0, 13, 13, 13, 13},
		{0x8c, 0, 0, 13, 13, 13, 13},
	};

	for (size_t n = 0; n < ARRAY_LEN(cases); n++) {
		uint64_t d = raw(cases[n].access, 0xc);
		unsigned rpl = cases[n].rpl, cpl = cases[n].cpl, before = t->failures;

		EXPECT_EQ(t, x86_check_data_load(d, rpl, cpl), cases[n].data);
		EXPECT_EQ(t, x86_check_stack_load(d, rpl, cpl), cases[n].stack);
		EXPECT_EQ(t, x86_check_code_transfer(d, rpl, cpl, false, false), cases[n].transfer);
		EXPECT_EQ(t, x86_check_code_return(d, rpl, cpl, false), cases[n].comeback);
		if (t->failures != before) {
			printf("# access 0x%x rpl %u cpl %u\n", cases[n].access, rpl, cpl);
		}
	}
	/* L with D: only long mode minds. */
	EXPECT_EQ(t, x86_check_code_transfer(raw(0x9b, 0x6), 0, 0, false, true), 13);
	EXPECT_EQ(t, x86_check_code_transfer(raw(0x9b, 0x6), 0, 0, false, false), 0);
	/* Through a gate the RPL does not count. */
	EXPECT_EQ(t, x86_check_code_transfer(raw(0x9b, 0xc), 3, 0, true, false), 0);
}

/* Spec: SDM vol. 2, LAR and LSL: valid types. */
static void test_lar_lsl(struct test *t)
{
	static const struct {
		unsigned type;
		bool lar, lsl, lar_long, lsl_long;
	} cases[] = {
		{0, false, false, false, false},  {1, true, true, false, false},
		{2, true, true, true, true},	  {3, true, true, false, false},
		{4, true, false, false, false},	  {5, true, false, false, false},
		{6, false, false, false, false},  {7, false, false, false, false},
		{9, true, true, true, true},	  {11, true, true, true, true},
		{12, true, false, true, false},	  {14, false, false, false, false},
		{15, false, false, false, false},
	};

	for (size_t n = 0; n < ARRAY_LEN(cases); n++) {
		uint64_t d = raw(0xe0 | cases[n].type, 0);
		unsigned before = t->failures;

		EXPECT_EQ(t, x86_lar_accepts(d, 3, 3, false), cases[n].lar);
		EXPECT_EQ(t, x86_lsl_accepts(d, 3, 3, false), cases[n].lsl);
		EXPECT_EQ(t, x86_lar_accepts(d, 3, 3, true), cases[n].lar_long);
		EXPECT_EQ(t, x86_lsl_accepts(d, 3, 3, true), cases[n].lsl_long);
		if (t->failures != before) {
			printf("# system type %u\n", cases[n].type);
		}
	}
	EXPECT(t, !x86_lar_accepts(raw(0x93, 0), 0, 3, false));
	EXPECT(t, !x86_lar_accepts(raw(0x93, 0), 3, 0, false));
	EXPECT(t, x86_lar_accepts(raw(0x9f, 0), 3, 3, false));
	EXPECT(t, x86_verr_accepts(raw(0xf1, 0), 3, 3));
	EXPECT(t, !x86_verw_accepts(raw(0xf1, 0), 3, 3));
	EXPECT(t, x86_verw_accepts(raw(0xf3, 0), 3, 3));
	EXPECT(t, !x86_verr_accepts(raw(0xf9, 0), 3, 3));
	EXPECT(t, x86_verr_accepts(raw(0xfb, 0), 3, 3));
	EXPECT(t, !x86_verr_accepts(raw(0xe9, 0), 3, 3));
}

static void test_return_segments(struct test *t)
{
	static const struct {
		uint16_t attributes;
		unsigned cpl;
		bool survives;
	} cases[] = {
		{0x93, 3, false}, {0xf3, 3, true}, {0x9b, 3, false},
		{0x9f, 3, true},  {0xb3, 1, true}, {0xb3, 2, false},
	};

	for (size_t n = 0; n < ARRAY_LEN(cases); n++) {
		const struct x86_segment s = {.attributes = cases[n].attributes};

		EXPECT_EQ(t, x86_segment_survives_return(&s, cases[n].cpl), cases[n].survives);
	}
}

/* Spec: SDM vol. 3, tables 4-4 to 4-6 (32-bit), 4-8 to 4-11 (PAE), 4-15 to 4-20 (4-level): reserved bits. */
static void test_reserved_bits(struct test *t)
{
	static const struct {
		enum x86_paging_mode mode;
		bool nx;
		unsigned level;
		uint64_t entry;
		bool reserved, leaf;
	} cases[] = {
		{X86_PAGING_4LEVEL, true, 4, 0x1007, false, false},
		{X86_PAGING_4LEVEL, true, 4, 0x1087, true, false},
		{X86_PAGING_4LEVEL, true, 3, 0x40000087, false, true},
		{X86_PAGING_4LEVEL, true, 3, 0x40001087, false, true}, /* bit 12: PAT */
		{X86_PAGING_4LEVEL, true, 3, 0x40002087, true, true},
		{X86_PAGING_4LEVEL, true, 2, 0x00200087, false, true},
		{X86_PAGING_4LEVEL, true, 2, 0x00202087, true, true},
		{X86_PAGING_4LEVEL, true, 1, 0x1087, false, true},
		{X86_PAGING_4LEVEL, true, 1, UINT64_C(0x8000000000001007), false, true},
		{X86_PAGING_4LEVEL, false, 1, UINT64_C(0x8000000000001007), true, true},
		{X86_PAGING_4LEVEL, true, 1, UINT64_C(0x7ff0000000001007), false, true},
		{X86_PAGING_4LEVEL, true, 1, UINT64_C(0x0000010000001007), true, true},
		{X86_PAGING_4LEVEL, true, 1, UINT64_C(0x0000008000001007), false, true},
		{X86_PAGING_PAE, true, 2, 0x00200087, false, true},
		{X86_PAGING_PAE, true, 1, UINT64_C(0x0010000000001007), true, true},
		{X86_PAGING_32BIT, false, 2, 0x00400087, false, true},
		{X86_PAGING_32BIT, false, 2, 0x00600087, true, true},  /* bit 21 */
		{X86_PAGING_32BIT, false, 2, 0x00580087, false, true}, /* PSE-36 address bits */
		{X86_PAGING_32BIT, false, 1, 0xfffff087, false, true},
	};

	for (size_t n = 0; n < ARRAY_LEN(cases); n++) {
		const struct x86_paging p = {
			.mode = cases[n].mode, .pa_bits = 40, .nx = cases[n].nx, .pse = true};
		unsigned before = t->failures;

		EXPECT_EQ(t, x86_paging_is_reserved(&p, cases[n].level, cases[n].entry),
			  cases[n].reserved);
		EXPECT_EQ(t, x86_paging_is_leaf(&p, cases[n].level, cases[n].entry), cases[n].leaf);
		if (t->failures != before) {
			printf("# case %zu\n", n);
		}
	}
}

/* Spec: SDM vol. 3, 4.6.1, every combination of who asks and what the entries say. */
static void test_access_rights(struct test *t)
{
	for (unsigned bits = 0; bits < 256; bits++) {
		const struct x86_paging p = {.wp = bits & 1, .smep = bits & 2, .smap = bits & 4};
		const struct x86_page_rights r = {
			.write = bits & 8, .user = bits & 16, .nx = bits & 32};
		const struct x86_page_access a = {.user = bits & 64, .ac = bits & 128};
		bool read, write, execute;

		if (a.user) {
			read = r.user;
			write = r.user && r.write;
			execute = r.user && !r.nx;
		} else {
			read = !r.user || !p.smap || a.ac;
			write = read && (r.write || !p.wp);
			execute = !r.nx && !(r.user && p.smep);
		}
		EXPECT_EQ(t, x86_page_readable(&p, &r, &a), read);
		EXPECT_EQ(t, x86_page_writable(&p, &r, &a), write);
		EXPECT_EQ(t, x86_page_executable(&p, &r, &a), execute);
	}
}

static void test_addresses(struct test *t)
{
	const struct x86_paging long4 = {.mode = X86_PAGING_4LEVEL, .pa_bits = 40};
	const struct x86_paging legacy = {.mode = X86_PAGING_32BIT, .pa_bits = 40, .pse = true};
	const uint64_t la = UINT64_C(0xffff923456789abc);

	EXPECT_EQ(t, x86_paging_offset(&long4, 4, la), 0x124 * 8);
	EXPECT_EQ(t, x86_paging_offset(&long4, 3, la), 0xd1 * 8);
	EXPECT_EQ(t, x86_paging_offset(&long4, 2, la), 0xb3 * 8);
	EXPECT_EQ(t, x86_paging_offset(&long4, 1, la), 0x189 * 8);
	EXPECT_EQ(t, x86_paging_address(&long4, 1, UINT64_C(0x80000012345fff67), la),
		  UINT64_C(0x12345ffabc));
	EXPECT_EQ(t, x86_paging_address(&long4, 3, 0xc0001087, la), 0xd6789abc);
	EXPECT_EQ(t, x86_paging_offset(&legacy, 2, 0x12345678), 0x48 * 4);
	EXPECT_EQ(t, x86_paging_offset(&legacy, 1, 0x12345678), 0x345 * 4);
	EXPECT_EQ(t, x86_paging_address(&legacy, 2, 0x12c02083, 0x412345), UINT64_C(0x112c12345));
	EXPECT(t, x86_canonical(UINT64_C(0x00007fffffffffff)));
	EXPECT(t, !x86_canonical(UINT64_C(0x0000800000000000)));
	EXPECT(t, x86_canonical(UINT64_C(0xffff800000000000)));
	EXPECT(t, !x86_canonical(UINT64_C(0xffff7fffffffffff)));
	/* PDPTE registers: bits 1, 2, 5 to 8 are reserved. */
	EXPECT(t, !x86_paging_pdpte_reserved(&long4, 0x1e19));
	EXPECT(t, x86_paging_pdpte_reserved(&long4, 0x1003));
	EXPECT(t, x86_paging_pdpte_reserved(&long4, UINT64_C(0x8000000000001001)));
	EXPECT(t, x86_paging_pdpte_reserved(&long4, UINT64_C(0x0000010000001001)));
}

static void test_msr_values(struct test *t)
{
	EXPECT(t, x86_msr_pat_valid(X86_PAT_RESET));
	EXPECT(t, x86_msr_pat_valid(UINT64_C(0x0706050401000706)));
	EXPECT(t, !x86_msr_pat_valid(UINT64_C(0x0200000000000000)));
	EXPECT(t, !x86_msr_pat_valid(8));
	EXPECT(t, x86_msr_mtrr_fixed_valid(UINT64_C(0x0605040100060504)));
	EXPECT(t, !x86_msr_mtrr_fixed_valid(7));
	EXPECT(t, x86_msr_mtrr_def_type_valid(0xc06));
	EXPECT(t, !x86_msr_mtrr_def_type_valid(0x106));
	EXPECT(t, !x86_msr_mtrr_def_type_valid(0xc02));
	EXPECT(t, x86_msr_mtrr_var_valid(UINT64_C(0xff80000006), false, 40));
	EXPECT(t, !x86_msr_mtrr_var_valid(UINT64_C(0x10000000006), false, 40));
	EXPECT(t, !x86_msr_mtrr_var_valid(0x106, false, 40));
	EXPECT(t, x86_msr_mtrr_var_valid(UINT64_C(0xff80000800), true, 40));
	EXPECT(t, !x86_msr_mtrr_var_valid(UINT64_C(0xff80000806), true, 40));
	EXPECT_EQ(t, x86_msr_mtrr_fixed_index(X86_MSR_MTRR_FIX64K), 0);
	EXPECT_EQ(t, x86_msr_mtrr_fixed_index(X86_MSR_MTRR_FIX16K_A0000), 2);
	EXPECT_EQ(t, x86_msr_mtrr_fixed_index(X86_MSR_MTRR_FIX4K + 7), 10);
	EXPECT_EQ(t, x86_msr_mtrr_fixed_index(X86_MSR_MTRR_FIX4K + 8), -1);
	/* Nothing that needs a mitigation: RDCL_NO, SSB_NO, MDS_NO, TAA_NO. */
	EXPECT_EQ(t, X86_ARCH_CAPABILITIES_SEQUENTIAL & 0x131, 0x131);
}

static void test_cpuid(struct test *t)
{
	struct x86_cpu cpu;
	char text[49] = "";
	uint32_t r[4];

	x86_cpu_make(X86_CPU_SEQUENTIAL, &cpu);
	x86_cpuid(&cpu, 46, 0, 0, r);
	EXPECT_MEM(t, &r[1], "Genu", 4);
	EXPECT_MEM(t, &r[3], "ineI", 4);
	EXPECT_MEM(t, &r[2], "ntel", 4);
	EXPECT_EQ(t, r[0], 0xd);
	x86_cpuid(&cpu, 46, 1, 0, r);
	EXPECT_EQ(t, r[3] & (BIT32(0) | BIT32(6) | BIT32(25) | BIT32(26)),
		  BIT32(0) | BIT32(6) | BIT32(25) | BIT32(26));
	EXPECT_EQ(t, r[2] & (BIT32(0) | BIT32(9) | BIT32(19) | BIT32(20) | BIT32(25)),
		  BIT32(0) | BIT32(9) | BIT32(19) | BIT32(20) | BIT32(25));
	/* No AVX, no VMX, nobody's OSXSAVE. */
	EXPECT_EQ(t, r[2] & (BIT32(28) | BIT32(5) | BIT32(27)), 0);
	x86_cpuid(&cpu, 46, 7, 1, r);
	EXPECT_EQ(t, r[0] | r[1] | r[2] | r[3], 0);
	x86_cpuid(&cpu, 46, 0xd, 0, r);
	EXPECT_EQ(t, r[0], 3);
	EXPECT_EQ(t, r[1], 576);
	for (uint32_t n = 0; n < 3; n++) {
		x86_cpuid(&cpu, 46, 0x80000002 + n, 0, r);
		memcpy(text + n * 16, r, 16);
	}
	EXPECT(t, strcmp(text, "Virid software processor") == 0);
	x86_cpuid(&cpu, 46, 0x80000008, 0, r);
	EXPECT_EQ(t, r[0], 48 << 8 | 46);
	/* Beyond the end: the highest basic leaf. */
	x86_cpuid(&cpu, 46, 0x12345678, 0, r);
	EXPECT_EQ(t, r[1], 576);
	x86_cpuid(&cpu, 46, 4, 4, r);
	EXPECT_EQ(t, r[0], 0);
}

/*
 * What guests of states that name no processor have found (word by word, as of the version that wrote them): EAX EBX ECX EDX.
 */
static void test_sequential_stays(struct test *t)
{
	static const struct {
		uint32_t leaf, subleaf, regs[4];
	} rows[] = {
		{0x0, 0, {0xd, 0x756e6547, 0x6c65746e, 0x49656e69}},
		{0x1, 0, {0x00030661, 0x00010800, 0x46da2203, 0x0f8bf9ff}},
		{0x2, 0, {0x00feff01, 0, 0, 0}},
		{0x4, 0, {0x121, 0x01c0003f, 63, 0}},
		{0x4, 3, {0x163, 0x03c0003f, 8191, 0}},
		{0x6, 0, {4, 0, 0, 0}},
		{0x7, 0, {0, 0x201c0789, 0x00400004, 0x20000410}},
		{0xd, 0, {3, 576, 576, 0}},
		{0xd, 1, {1, 0, 0, 0}},
		{0x80000000, 0, {0x80000008, 0, 0, 0}},
		{0x80000001, 0, {0, 0, 0x00000121, 0x2c100800}},
		{0x80000006, 0, {0, 0, 0x01004040, 0}},
		{0x80000007, 0, {0, 0, 0, 0}},
	};
	struct x86_cpu cpu;
	uint32_t regs[4];

	x86_cpu_make(X86_CPU_SEQUENTIAL, &cpu);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		x86_cpuid(&cpu, 40, rows[i].leaf, rows[i].subleaf, regs);
		EXPECT_MEM(t, regs, rows[i].regs, sizeof(regs));
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_fields),	  TEST(test_limits),	       TEST(test_privilege),
		TEST(test_lar_lsl),	  TEST(test_return_segments),  TEST(test_reserved_bits),
		TEST(test_access_rights), TEST(test_addresses),	       TEST(test_msr_values),
		TEST(test_cpuid),	  TEST(test_sequential_stays),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
