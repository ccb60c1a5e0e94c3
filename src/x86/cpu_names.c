/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Features by their names in Linux. A feature is here when the engines can keep its state: what it adds to the registers is in the XSAVE image below 4 KiB,
 * or nothing. So no virtualization, no performance counters, tracing or resource control, no supervisor XSAVE states (XSS), no AMX, no
 * five-level paging, no power management. What belongs to the hypervisor core (APIC, timers, topology) is not here either.
 */
#include "x86/cpu.h"

#include "lib/bits.h"

#define PLAIN X86_CPU_NEEDS_NOTHING
#define XSAVE X86_CPU_NEEDS_XSAVE
#define AVX X86_CPU_NEEDS_AVX
#define AVX512 X86_CPU_NEEDS_AVX512F

static const struct x86_cpu_name names[] = {
	{"fpu", X86_CPU_1_EDX, 0, PLAIN},
	{"vme", X86_CPU_1_EDX, 1, PLAIN},
	{"de", X86_CPU_1_EDX, 2, PLAIN},
	{"pse", X86_CPU_1_EDX, 3, PLAIN},
	{"tsc", X86_CPU_1_EDX, 4, PLAIN},
	{"msr", X86_CPU_1_EDX, 5, PLAIN},
	{"pae", X86_CPU_1_EDX, 6, PLAIN},
	{"mce", X86_CPU_1_EDX, 7, PLAIN},
	{"cx8", X86_CPU_1_EDX, 8, PLAIN},
	{"sep", X86_CPU_1_EDX, 11, PLAIN},
	{"mtrr", X86_CPU_1_EDX, 12, PLAIN},
	{"pge", X86_CPU_1_EDX, 13, PLAIN},
	{"mca", X86_CPU_1_EDX, 14, PLAIN},
	{"cmov", X86_CPU_1_EDX, 15, PLAIN},
	{"pat", X86_CPU_1_EDX, 16, PLAIN},
	{"pse36", X86_CPU_1_EDX, 17, PLAIN},
	{"clflush", X86_CPU_1_EDX, 19, PLAIN},
	{"mmx", X86_CPU_1_EDX, 23, PLAIN},
	{"fxsr", X86_CPU_1_EDX, 24, PLAIN},
	{"sse", X86_CPU_1_EDX, 25, PLAIN},
	{"sse2", X86_CPU_1_EDX, 26, PLAIN},
	{"ss", X86_CPU_1_EDX, 27, PLAIN},

	{"pni", X86_CPU_1_ECX, 0, PLAIN},
	{"pclmulqdq", X86_CPU_1_ECX, 1, PLAIN},
	{"ssse3", X86_CPU_1_ECX, 9, PLAIN},
	{"fma", X86_CPU_1_ECX, 12, AVX},
	{"cx16", X86_CPU_1_ECX, 13, PLAIN},
	{"pcid", X86_CPU_1_ECX, 17, PLAIN},
	{"sse4_1", X86_CPU_1_ECX, 19, PLAIN},
	{"sse4_2", X86_CPU_1_ECX, 20, PLAIN},
	{"movbe", X86_CPU_1_ECX, 22, PLAIN},
	{"popcnt", X86_CPU_1_ECX, 23, PLAIN},
	{"aes", X86_CPU_1_ECX, 25, PLAIN},
	{"xsave", X86_CPU_1_ECX, 26, PLAIN},
	{"avx", X86_CPU_1_ECX, 28, XSAVE},
	{"f16c", X86_CPU_1_ECX, 29, AVX},
	{"rdrand", X86_CPU_1_ECX, 30, PLAIN},

	{"arat", X86_CPU_6_EAX, 2, PLAIN},

	{"fsgsbase", X86_CPU_7_EBX, 0, PLAIN},
	{"bmi1", X86_CPU_7_EBX, 3, PLAIN},
	{"hle", X86_CPU_7_EBX, 4, PLAIN},
	{"avx2", X86_CPU_7_EBX, 5, AVX},
	{"fdp_excptn_only", X86_CPU_7_EBX, 6, PLAIN},
	{"smep", X86_CPU_7_EBX, 7, PLAIN},
	{"bmi2", X86_CPU_7_EBX, 8, PLAIN},
	{"erms", X86_CPU_7_EBX, 9, PLAIN},
	{"invpcid", X86_CPU_7_EBX, 10, PLAIN},
	{"rtm", X86_CPU_7_EBX, 11, PLAIN},
	{"zero_fcs_fds", X86_CPU_7_EBX, 13, PLAIN},
	{"avx512f", X86_CPU_7_EBX, 16, AVX},
	{"avx512dq", X86_CPU_7_EBX, 17, AVX512},
	{"rdseed", X86_CPU_7_EBX, 18, PLAIN},
	{"adx", X86_CPU_7_EBX, 19, PLAIN},
	{"smap", X86_CPU_7_EBX, 20, PLAIN},
	{"avx512ifma", X86_CPU_7_EBX, 21, AVX512},
	{"clflushopt", X86_CPU_7_EBX, 23, PLAIN},
	{"clwb", X86_CPU_7_EBX, 24, PLAIN},
	{"avx512pf", X86_CPU_7_EBX, 26, AVX512},
	{"avx512er", X86_CPU_7_EBX, 27, AVX512},
	{"avx512cd", X86_CPU_7_EBX, 28, AVX512},
	{"sha_ni", X86_CPU_7_EBX, 29, PLAIN},
	{"avx512bw", X86_CPU_7_EBX, 30, AVX512},
	{"avx512vl", X86_CPU_7_EBX, 31, AVX512},

	{"avx512vbmi", X86_CPU_7_ECX, 1, AVX512},
	{"umip", X86_CPU_7_ECX, 2, PLAIN},
	{"pku", X86_CPU_7_ECX, 3, XSAVE},
	{"avx512_vbmi2", X86_CPU_7_ECX, 6, AVX512},
	{"gfni", X86_CPU_7_ECX, 8, PLAIN},
	{"vaes", X86_CPU_7_ECX, 9, AVX},
	{"vpclmulqdq", X86_CPU_7_ECX, 10, AVX},
	{"avx512_vnni", X86_CPU_7_ECX, 11, AVX512},
	{"avx512_bitalg", X86_CPU_7_ECX, 12, AVX512},
	{"avx512_vpopcntdq", X86_CPU_7_ECX, 14, AVX512},
	{"rdpid", X86_CPU_7_ECX, 22, PLAIN},
	{"cldemote", X86_CPU_7_ECX, 25, PLAIN},
	{"movdiri", X86_CPU_7_ECX, 27, PLAIN},
	{"movdir64b", X86_CPU_7_ECX, 28, PLAIN},

	{"avx512_4vnniw", X86_CPU_7_EDX, 2, AVX512},
	{"avx512_4fmaps", X86_CPU_7_EDX, 3, AVX512},
	{"fsrm", X86_CPU_7_EDX, 4, PLAIN},
	{"avx512_vp2intersect", X86_CPU_7_EDX, 8, AVX512},
	{"md_clear", X86_CPU_7_EDX, 10, PLAIN},
	{"serialize", X86_CPU_7_EDX, 14, PLAIN},
	{"tsxldtrk", X86_CPU_7_EDX, 16, PLAIN},
	{"avx512_fp16", X86_CPU_7_EDX, 23, AVX512},
	{"ibrs", X86_CPU_7_EDX, 26, PLAIN},
	{"ibpb", X86_CPU_7_EDX, 26, PLAIN},
	{"stibp", X86_CPU_7_EDX, 27, PLAIN},
	{"flush_l1d", X86_CPU_7_EDX, 28, PLAIN},
	{"arch_capabilities", X86_CPU_7_EDX, 29, PLAIN},
	{"ssbd", X86_CPU_7_EDX, 31, PLAIN},

	{"sha512", X86_CPU_7_1_EAX, 0, AVX},
	{"sm3", X86_CPU_7_1_EAX, 1, AVX},
	{"sm4", X86_CPU_7_1_EAX, 2, AVX},
	{"avx_vnni", X86_CPU_7_1_EAX, 4, AVX},
	{"avx512_bf16", X86_CPU_7_1_EAX, 5, AVX512},
	{"cmpccxadd", X86_CPU_7_1_EAX, 7, PLAIN},
	{"fzrm", X86_CPU_7_1_EAX, 10, PLAIN},
	{"fsrs", X86_CPU_7_1_EAX, 11, PLAIN},
	{"fsrc", X86_CPU_7_1_EAX, 12, PLAIN},
	{"avx_ifma", X86_CPU_7_1_EAX, 23, AVX},

	{"xsaveopt", X86_CPU_D_1_EAX, 0, XSAVE},
	{"xsavec", X86_CPU_D_1_EAX, 1, XSAVE},
	{"xgetbv1", X86_CPU_D_1_EAX, 2, XSAVE},

	{"syscall", X86_CPU_81_EDX, 11, PLAIN},
	{"nx", X86_CPU_81_EDX, 20, PLAIN},
	{"mmxext", X86_CPU_81_EDX, 22, PLAIN},
	{"pdpe1gb", X86_CPU_81_EDX, 26, PLAIN},
	{"rdtscp", X86_CPU_81_EDX, 27, PLAIN},
	{"lm", X86_CPU_81_EDX, 29, PLAIN},

	{"lahf_lm", X86_CPU_81_ECX, 0, PLAIN},
	{"abm", X86_CPU_81_ECX, 5, PLAIN},
	{"sse4a", X86_CPU_81_ECX, 6, PLAIN},
	{"3dnowprefetch", X86_CPU_81_ECX, 8, PLAIN},
	{"xop", X86_CPU_81_ECX, 11, AVX},
	{"fma4", X86_CPU_81_ECX, 16, AVX},
	{"tbm", X86_CPU_81_ECX, 21, PLAIN},

	{"clzero", X86_CPU_88_EBX, 0, PLAIN},
	{"xsaveerptr", X86_CPU_88_EBX, 2, XSAVE},
	{"wbnoinvd", X86_CPU_88_EBX, 9, PLAIN},
	{"ibpb", X86_CPU_88_EBX, 12, PLAIN},
	{"ibrs", X86_CPU_88_EBX, 14, PLAIN},
	{"stibp", X86_CPU_88_EBX, 15, PLAIN},
	{"stibp_always_on", X86_CPU_88_EBX, 17, PLAIN},
	{"ssbd", X86_CPU_88_EBX, 24, PLAIN},
	{"ssb_no", X86_CPU_88_EBX, 26, PLAIN},
	{"btc_no", X86_CPU_88_EBX, 29, PLAIN},

	{"no_nested_data_bp", X86_CPU_A1_EAX, 0, PLAIN},
	{"lfence_rdtsc", X86_CPU_A1_EAX, 2, PLAIN},
	{"null_sel_clr_base", X86_CPU_A1_EAX, 6, PLAIN},
	{"sbpb", X86_CPU_A1_EAX, 27, PLAIN},
	{"ibpb_brtype", X86_CPU_A1_EAX, 28, PLAIN},
	{"srso_no", X86_CPU_A1_EAX, 29, PLAIN},
};

const struct x86_cpu_name *x86_cpu_names(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(names);
	return names;
}

bool x86_cpu_features_beyond(const struct x86_cpu_features *a, const struct x86_cpu_features *b,
			     struct x86_cpu_features *ret)
{
	uint32_t any = 0;

	for (unsigned i = 0; i < X86_CPU_WORDS; i++) {
		ret->word[i] = a->word[i] & ~b->word[i];
		any |= ret->word[i];
	}
	return any != 0;
}

static bool same(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/* Rows of one name are told once, at the first that is there. */
static bool told(const struct x86_cpu_features *f, size_t before)
{
	for (size_t i = 0; i < before; i++) {
		if (x86_cpu_has(f, names[i].word, names[i].bit) &&
		    same(names[i].name, names[before].name)) {
			return true;
		}
	}
	return false;
}

static size_t length(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0') {
		n++;
	}
	return n;
}

void x86_cpu_features_text(const struct x86_cpu_features *f, const char *before, char *ret,
			   size_t bytes)
{
	size_t used = 0, sign = length(before);

	ret[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t name = length(names[i].name), comma = used != 0;

		if (!x86_cpu_has(f, names[i].word, names[i].bit) || told(f, i) ||
		    used + comma + sign + name >= bytes) {
			continue;
		}
		if (comma) {
			ret[used++] = ',';
		}
		__builtin_memcpy(ret + used, before, sign);
		__builtin_memcpy(ret + used + sign, names[i].name, name);
		used += sign + name;
		ret[used] = '\0';
	}
}
