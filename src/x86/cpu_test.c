// SPDX-License-Identifier: Apache-2.0
#include "x86/cpu.h"

#include <stdio.h>
#include <string.h>

#include "lib/bits.h"
#include "test/test.h"
#include "x86/cpuid.h"
#include "x86/msrs.h"

#define AVX BIT32(28)

static struct x86_cpu_wish wish_of(const char *text)
{
	struct x86_cpu_wish w = {0};
	const char *word;
	size_t length;

	return x86_cpu_parse(text, &w, &word, &length) == X86_CPU_FINE
		       ? w
		       : (struct x86_cpu_wish){.model = 0xff};
}

/* As a host with all that baseline has, AVX, and something of its own. */
static struct x86_cpu_offer some_host(void)
{
	struct x86_cpu_offer o = {.usual = X86_CPU_BASELINE};

	x86_cpu_make(X86_CPU_BASELINE, &o.host);
	o.host.model = X86_CPU_HOST;
	o.host.signature = 0x50654;
	o.host.arch_capabilities = 1;
	o.host.features.word[X86_CPU_1_ECX] |= AVX;
	o.host.features.word[X86_CPU_7_EBX] |= BIT32(5) | BIT32(16); /* avx2, avx512f */
	o.host.component[2][0] = 256;
	o.host.component[2][1] = 576;
	for (unsigned i = 5; i < 8; i++) {
		o.host.component[i][0] = 512;
		o.host.component[i][1] = 1088 + (i - 5) * 512;
	}
	o.features = o.host.features;
	return o;
}

static void test_parse(struct test *t)
{
	static const struct {
		const char *text;
		enum x86_cpu_fault fault;
		const char *word;
	} rows[] = {
		{"", X86_CPU_FINE, ""},
		{"baseline", X86_CPU_FINE, ""},
		{"host,-avx512f,-avx", X86_CPU_FINE, ""},
		{"sequential,-aes,+aes,-aes", X86_CPU_FINE, ""},
		{"base", X86_CPU_NO_MODEL, "base"},
		{"baseline2,-aes", X86_CPU_NO_MODEL, "baseline2"},
		{"-aes", X86_CPU_NO_MODEL, "-aes"},
		{",-aes", X86_CPU_NO_MODEL, ""},
		{"baseline,", X86_CPU_NO_SIGN, ""},
		{"baseline,aes", X86_CPU_NO_SIGN, "aes"},
		{"baseline,-", X86_CPU_NO_FEATURE, ""},
		{"baseline,-ae", X86_CPU_NO_FEATURE, "ae"},
		{"baseline,-aes,+avx1024,-aes", X86_CPU_NO_FEATURE, "avx1024"},
		{"baseline,-apic", X86_CPU_NO_FEATURE, "apic"},
		{"baseline -aes", X86_CPU_NO_MODEL, "baseline -aes"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *word = "";
		struct x86_cpu_wish w;
		size_t length = 0;

		EXPECT_EQ(t, x86_cpu_parse(rows[i].text, &w, &word, &length), rows[i].fault);
		EXPECT_EQ(t, length, strlen(rows[i].word));
		EXPECT(t, strncmp(word, rows[i].word, length) == 0);
	}
	EXPECT_EQ(t, wish_of("").model, X86_CPU_USUAL);
	EXPECT_EQ(t, wish_of("sequential,-aes,+aes").drop.word[X86_CPU_1_ECX], 0);
	EXPECT_EQ(t, wish_of("sequential,+aes,-aes").drop.word[X86_CPU_1_ECX], BIT32(25));
}

static void test_too_long(struct test *t)
{
	char text[X86_CPU_TEXT_MAX + 2] = "baseline";
	struct x86_cpu_wish w;
	const char *word;
	size_t length;

	for (size_t n = strlen(text); n + 5 <= X86_CPU_TEXT_MAX; n += 5) {
		memcpy(text + n, ",-aes", 6);
	}
	EXPECT_EQ(t, x86_cpu_parse(text, &w, &word, &length), X86_CPU_FINE);
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	EXPECT_EQ(t, x86_cpu_parse(text, &w, &word, &length), X86_CPU_TOO_LONG);
}

/* Every bit that a model has is a feature with a name, and every name belongs to one bit or several. */
static void test_names(struct test *t)
{
	size_t count;
	const struct x86_cpu_name *names = x86_cpu_names(&count);
	struct x86_cpu_features known = {{0}}, rest;
	struct x86_cpu cpu;

	for (size_t i = 0; i < count; i++) {
		char text[64];

		EXPECT(t, names[i].word < X86_CPU_WORDS && names[i].bit < 32);
		known.word[names[i].word] |= BIT32(names[i].bit);
		snprintf(text, sizeof(text), "host,-%s", names[i].name);
		EXPECT(t, wish_of(text).drop.word[names[i].word] & BIT32(names[i].bit));
	}
	for (unsigned m = 0; m < X86_CPU_HOST; m++) {
		x86_cpu_make((enum x86_cpu_model)m, &cpu);
		EXPECT(t, !x86_cpu_features_beyond(&cpu.features, &known, &rest));
	}
}

static void test_baseline(struct test *t)
{
	const struct x86_cpu_offer host = some_host();
	struct x86_cpu_wish w = wish_of("baseline");
	struct x86_cpu_features missing;
	struct x86_cpu cpu, named;
	uint64_t value;

	/* The same on every host: nothing of this one's shows. */
	x86_cpu_make(X86_CPU_BASELINE, &named);
	EXPECT(t, x86_cpu_resolve(&w, &host, &cpu, &missing));
	EXPECT(t, x86_cpu_same(&cpu, &named));
	/* What systems need for their mitigations, and no reason to leave any out. */
	EXPECT_EQ(t, cpu.features.word[X86_CPU_7_EDX],
		  BIT32(10) | BIT32(26) | BIT32(27) | BIT32(29) | BIT32(31));
	EXPECT_EQ(t, x86_msrs_read(&(struct x86_msrs){0}, &cpu, X86_MSR_ARCH_CAPABILITIES, &value),
		  X86_MSRS_DONE);
	EXPECT_EQ(t, value, 4);
	w = wish_of("baseline,+avx2,+avx,-smap");
	EXPECT(t, x86_cpu_resolve(&w, &host, &cpu, &missing));
	EXPECT_EQ(t, cpu.xcr0, 7);
	EXPECT_EQ(t, cpu.component[2][1], 576);
	EXPECT_EQ(t, cpu.component[5][1], 0);
}

static void test_missing(struct test *t)
{
	struct x86_cpu_offer host = some_host();
	struct x86_cpu_wish w = wish_of("baseline");
	struct x86_cpu_features missing;
	struct x86_cpu cpu;
	char text[X86_CPU_DESCRIPTION_BYTES];

	host.features.word[X86_CPU_1_ECX] &= ~(BIT32(26) | BIT32(25)); /* xsave, aes */
	EXPECT(t, !x86_cpu_resolve(&w, &host, &cpu, &missing));
	x86_cpu_features_text(&missing, "-", text, sizeof(text));
	EXPECT(t, strcmp(text, "-aes,-xsave") == 0);
	/* The usual one goes without, and without what needs it; the wish that says so is granted. */
	w = wish_of("");
	EXPECT(t, x86_cpu_resolve(&w, &host, &cpu, &missing));
	EXPECT_EQ(t, cpu.xcr0, 0);
	x86_cpu_describe(&cpu, text);
	EXPECT(t, strcmp(text, "baseline,-aes,-xsave,-xsaveopt") == 0);
	w = wish_of(text);
	EXPECT(t, x86_cpu_resolve(&w, &host, &cpu, &missing));
	EXPECT(t, x86_cpu_granted(&w, &cpu));
	w = wish_of("baseline");
	EXPECT(t, !x86_cpu_granted(&w, &cpu));
	w = wish_of("baseline,+gfni");
	EXPECT(t, !x86_cpu_resolve(&w, &host, &cpu, &missing));
	EXPECT_EQ(t, missing.word[X86_CPU_7_ECX], BIT32(8));
}

static void test_needs(struct test *t)
{
	const struct x86_cpu_offer host = some_host();
	struct x86_cpu_features missing;
	struct x86_cpu_wish w = wish_of("host");
	struct x86_cpu cpu;
	uint32_t regs[4];

	EXPECT(t, x86_cpu_resolve(&w, &host, &cpu, &missing));
	EXPECT_EQ(t, cpu.xcr0, 0xe7);
	x86_cpuid(&cpu, 40, 0xd, 0, regs);
	EXPECT_EQ(t, regs[1], 1088 + 3 * 512);
	x86_cpuid(&cpu, 40, 1, 0, regs);
	EXPECT_EQ(t, regs[0], 0x50654);
	w = wish_of("host,-avx");
	EXPECT(t, x86_cpu_resolve(&w, &host, &cpu, &missing));
	EXPECT_EQ(t, cpu.xcr0, 3);
	EXPECT_EQ(t, cpu.features.word[X86_CPU_7_EBX] & (BIT32(5) | BIT32(16)), 0);
	EXPECT(t, x86_cpu_granted(&w, &cpu));
	/* The mitigations' names stand for all of their bits. */
	w = wish_of("host,-ibpb");
	EXPECT_EQ(t, w.drop.word[X86_CPU_88_EBX], BIT32(12));
	EXPECT_EQ(t, w.drop.word[X86_CPU_7_EDX], BIT32(26));
}

static bool round_trip(const struct x86_cpu *cpu, size_t cut, struct x86_cpu *ret)
{
	struct state_reader r, payload;
	struct state_writer w;
	uint8_t buf[1024];
	uint16_t version;
	uint32_t tag;

	state_writer_init(&w, buf, sizeof(buf));
	x86_cpu_save(cpu, &w);
	state_reader_init(&r, buf, w.used);
	if (!state_writer_ok(&w) || !state_next(&r, &tag, &version, &payload) ||
	    tag != X86_CPU_TAG) {
		return false;
	}
	payload.left -= cut < payload.left ? cut : payload.left;
	return x86_cpu_load(&payload, version, ret);
}

static void test_saved(struct test *t)
{
	struct x86_cpu_offer host = some_host();
	struct x86_cpu_features missing;
	struct x86_cpu_wish w = wish_of("host");
	struct x86_cpu cpu, back;

	EXPECT(t, x86_cpu_resolve(&w, &host, &cpu, &missing));
	memset(&back, 0, sizeof(back));
	EXPECT(t, round_trip(&cpu, 0, &back));
	EXPECT(t, x86_cpu_same(&back, &cpu));
	EXPECT(t, x86_cpu_fits(&back, &host, &missing));
	for (size_t cut = 1; cut < 300; cut++) {
		EXPECT(t, !round_trip(&cpu, cut, &back));
	}
	/* Elsewhere: without one of its features, or with another layout. */
	host.features.word[X86_CPU_7_EBX] &= ~BIT32(5);
	EXPECT(t, !x86_cpu_fits(&back, &host, &missing));
	EXPECT_EQ(t, missing.word[X86_CPU_7_EBX], BIT32(5));
	host = some_host();
	host.host.component[5][1] += 64;
	EXPECT(t, !x86_cpu_fits(&back, &host, &missing));
	EXPECT_EQ(t, missing.word[X86_CPU_7_EBX], 0);
	/* States that no engine would have written. */
	cpu.xcr0 |= 1u << 9;
	EXPECT(t, !round_trip(&cpu, 0, &back));
	cpu.xcr0 = 7;
	EXPECT(t, round_trip(&cpu, 0, &back));
	EXPECT(t, !x86_cpu_fits(&back, &host, &missing));
	cpu.component[2][0] = 4096;
	EXPECT(t, !round_trip(&cpu, 0, &back));
	cpu.component[2][0] = 256;
	cpu.model = X86_CPU_MODELS;
	EXPECT(t, !round_trip(&cpu, 0, &back));
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_parse),   TEST(test_too_long), TEST(test_names), TEST(test_baseline),
		TEST(test_missing), TEST(test_needs),	 TEST(test_saved),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
