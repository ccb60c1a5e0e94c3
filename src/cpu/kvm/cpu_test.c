// SPDX-License-Identifier: Apache-2.0
/* Processor models: what a guest finds on KVM is what it finds on the software engine, and its state beyond SSE is saved. */
#include "emu/emu.h"
#include "fpu.h"
#include "test_kvm.h"
#include "x86/cpu.h"
#include "x86/msrs.h"

#define LEAF1_EDX_APIC BIT64(9) /* the core's; without a core KVM decides */
#define LEAF1_ECX_CORES (BIT64(21) | BIT64(24) | BIT64(27) | BIT64(31))
#define AVX_COMPONENT 2u
#define HEADER_BYTES 12u /* of a record */

static void offers(struct test *t, struct x86_cpu_offer *ret_kvm, struct x86_cpu_offer *ret_emu)
{
	EXPECT_EQ(t, kvm_cpu_offer(device, ret_kvm), 0);
	emu_cpu_offer(false, ret_emu);
}

/* A model less what either engine lacks here: the same wish is granted by both, and gives the same processor. */
static void make_common(struct test *t, enum x86_cpu_model model, const struct x86_cpu_offer *kvm,
			const struct x86_cpu_offer *emu, struct x86_cpu *ret)
{
	struct x86_cpu_wish wish = {.model = (uint8_t)model};
	struct x86_cpu_features missing;
	char text[X86_CPU_DESCRIPTION_BYTES];
	struct x86_cpu other;

	x86_cpu_resolve(&wish, kvm, &other, &missing);
	for (unsigned i = 0; i < X86_CPU_WORDS; i++) {
		wish.drop.word[i] |= missing.word[i];
	}
	x86_cpu_resolve(&wish, emu, &other, &missing);
	for (unsigned i = 0; i < X86_CPU_WORDS; i++) {
		wish.drop.word[i] |= missing.word[i];
	}
	EXPECT(t, x86_cpu_resolve(&wish, kvm, ret, &missing));
	EXPECT(t, x86_cpu_resolve(&wish, emu, &other, &missing));
	EXPECT(t, x86_cpu_same(ret, &other));
	x86_cpu_describe(ret, text);
	printf("# both engines here: %s\n", text);
}

static bool machine_with(struct test *t, struct test_machine *m, const struct x86_cpu *cpu,
			 bool kvm)
{
	bool good = machine_init_config(
		m, kvm ? &kvm_engine_ops : &emu_engine_ops,
		(struct hv_engine_config){.device_fd = kvm ? device : -1, .cpu = cpu});

	EXPECT(t, good);
	return good;
}

/* What the instruction says. */
static void ask(struct test_machine *m, uint32_t leaf, uint32_t subleaf, uint64_t ret[4])
{
	static const uint8_t code[] = {0x0F, 0xA2, 0xF4}; /* cpuid; hlt */
	static const uint32_t names[] = {HvX64RegisterRax, HvX64RegisterRbx, HvX64RegisterRcx,
					 HvX64RegisterRdx};

	machine_code(m, CODE, code, sizeof(code));
	machine_set(m, 0, HvX64RegisterRip, CODE);
	machine_set(m, 0, HvX64RegisterRax, leaf);
	machine_set(m, 0, HvX64RegisterRcx, subleaf);
	while (machine_run(m, 0) == HV_EXIT_CPUID) {
		uint32_t regs[4];

		m->ops->cpuid(m->vm, m->exit.cpuid.leaf, m->exit.cpuid.subleaf, regs);
		m->ops->complete(m->vps[0],
				 (const uint64_t[4]){regs[0], regs[1], regs[2], regs[3]});
	}
	for (unsigned n = 0; n < 4; n++) {
		ret[n] = machine_get(m, 0, names[n]);
	}
	if (leaf == 1) {
		ret[1] &= 0xff00;
		ret[2] &= ~LEAF1_ECX_CORES;
		ret[3] &= ~LEAF1_EDX_APIC;
	}
}

static void compare_leaves(struct test *t, struct test_machine *kvm, struct test_machine *emu,
			   uint32_t first, uint32_t last)
{
	for (uint32_t leaf = first; leaf <= last; leaf++) {
		for (uint32_t subleaf = 0; subleaf < X86_CPU_COMPONENTS; subleaf++) {
			uint64_t is[4], want[4];

			ask(kvm, leaf, subleaf, is);
			ask(emu, leaf, subleaf, want);
			if (memcmp(is, want, sizeof(is)) != 0) {
				printf("# leaf %x/%u: kvm %08llx %08llx %08llx %08llx\n", leaf,
				       subleaf, (unsigned long long)is[0],
				       (unsigned long long)is[1], (unsigned long long)is[2],
				       (unsigned long long)is[3]);
			}
			EXPECT_MEM(t, is, want, sizeof(is));
		}
	}
}

static void compare_model(struct test *t, enum x86_cpu_model model)
{
	struct x86_cpu_offer on_kvm, on_emu;
	struct test_machine kvm, emu;
	struct x86_cpu cpu;
	uint64_t is, want;

	if (no_device != NULL) {
		SKIP(t, no_device);
	}
	offers(t, &on_kvm, &on_emu);
	make_common(t, model, &on_kvm, &on_emu, &cpu);
	if (!machine_with(t, &kvm, &cpu, true) || !machine_with(t, &emu, &cpu, false)) {
		return;
	}
	uint64_t features[4];

	ask(&kvm, 1, 0, features);
	if (features[2] & ~(uint64_t)cpu.features.word[X86_CPU_1_ECX]) {
		machine_fini(&kvm);
		machine_fini(&emu);
		SKIP(t, "this KVM offers the guest more than it was told to");
	}
	compare_leaves(t, &kvm, &emu, 0, 0x10);
	compare_leaves(t, &kvm, &emu, 0x80000000, 0x80000022);
	EXPECT(t, kvm.ops->msr_get(kvm.vps[0], X86_MSR_ARCH_CAPABILITIES, &is));
	EXPECT(t, emu.ops->msr_get(emu.vps[0], X86_MSR_ARCH_CAPABILITIES, &want));
	EXPECT_EQ(t, is, want);
	machine_fini(&kvm);
	machine_fini(&emu);
}

static void test_baseline(struct test *t)
{
	compare_model(t, X86_CPU_BASELINE);
}

static void test_sequential(struct test *t)
{
	compare_model(t, X86_CPU_SEQUENTIAL);
}

/* The controls reach the processor where they are offered, and carry over; sequential keeps them for nothing. */
static void test_controls(struct test *t)
{
	const struct x86_cpu_wish usual = {.model = X86_CPU_USUAL};
	struct x86_cpu_offer on_kvm, on_emu;
	struct x86_cpu_features missing;
	struct test_machine kvm, emu;
	struct x86_cpu cpu;
	struct hv_u128 v;
	uint64_t value;

	if (no_device != NULL) {
		SKIP(t, no_device);
	}
	offers(t, &on_kvm, &on_emu);
	x86_cpu_resolve(&usual, &on_kvm, &cpu, &missing);
	if (!machine_with(t, &kvm, &cpu, true)) {
		return;
	}
	if (!x86_cpu_has(&cpu.features, X86_CPU_7_EDX, 26)) {
		machine_fini(&kvm);
		SKIP(t, "this host's KVM has no controls of speculation");
	}
	EXPECT(t, !kvm.ops->msr_get(kvm.vps[0], X86_MSR_PRED_CMD, &value));
	EXPECT(t, kvm.ops->msr_set(kvm.vps[0], X86_MSR_PRED_CMD, 1));
	EXPECT(t, !kvm.ops->msr_set(kvm.vps[0], X86_MSR_SPEC_CTRL, BIT64(40)));
	EXPECT(t, kvm.ops->msr_set(kvm.vps[0], X86_MSR_SPEC_CTRL, 1));
	EXPECT(t, kvm.ops->reg_get(kvm.vps[0], HvX64RegisterSpecCtrl, &v));
	EXPECT_EQ(t, v.lo, 1);
	if (machine_with(t, &emu, &cpu, false)) {
		EXPECT(t, emu.ops->reg_set(emu.vps[0], HvX64RegisterSpecCtrl, &v));
		EXPECT(t, emu.ops->msr_get(emu.vps[0], X86_MSR_SPEC_CTRL, &value));
		EXPECT_EQ(t, value, 1);
		machine_fini(&emu);
	}
	kvm.ops->vp_reset(kvm.vps[0], false);
	EXPECT(t, kvm.ops->msr_get(kvm.vps[0], X86_MSR_SPEC_CTRL, &value));
	EXPECT_EQ(t, value, 0);
	machine_fini(&kvm);
}

/* A record of AVX state as a host would have saved it. */
static size_t avx_record(const struct x86_cpu *cpu, uint8_t *buf, size_t bytes)
{
	struct state_writer w;

	state_writer_init(&w, buf, bytes);
	state_begin(&w, KVM_XSTATE_TAG, 1);
	state_put_u64(&w, BIT64(AVX_COMPONENT));
	for (uint32_t i = 0; i < cpu->component[AVX_COMPONENT][0]; i++) {
		state_put_u8(&w, (uint8_t)(i * 7 + 1));
	}
	state_end(&w);
	return state_writer_ok(&w) ? w.used : 0;
}

static bool find_record(const uint8_t *buf, size_t bytes, struct state_reader *ret)
{
	struct state_reader r;
	uint16_t version;
	uint32_t tag;

	state_reader_init(&r, buf, bytes);
	while (state_next(&r, &tag, &version, ret)) {
		if (tag == KVM_XSTATE_TAG) {
			return true;
		}
	}
	return false;
}

static void test_avx_saved(struct test *t)
{
	const struct x86_cpu_wish host = {.model = X86_CPU_HOST};
	uint8_t state[8192], record[1024];
	struct x86_cpu_offer on_kvm, on_emu;
	struct x86_cpu_features missing;
	struct state_reader is;
	struct test_machine m;
	struct x86_cpu cpu;

	if (no_device != NULL) {
		SKIP(t, no_device);
	}
	offers(t, &on_kvm, &on_emu);
	EXPECT(t, x86_cpu_resolve(&host, &on_kvm, &cpu, &missing));
	if (!(cpu.xcr0 >> AVX_COMPONENT & 1)) {
		SKIP(t, "this host's KVM has no AVX");
	}
	/* Of all components AVX alone: their sizes are not the test's. */
	cpu.xcr0 = 7;
	if (!machine_with(t, &m, &cpu, true)) {
		return;
	}
	size_t bytes = avx_record(&cpu, record, sizeof(record));

	EXPECT(t, bytes != 0 && !m.ops->restore(m.vps[0], record, bytes - 1));
	EXPECT(t, m.ops->restore(m.vps[0], record, bytes));
	/* Through KVM and back. */
	machine_code(&m, CODE, "\xF4", 1);
	machine_long_mode(&m, 0);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	bytes = m.ops->save(m.vps[0], state, sizeof(state));
	EXPECT(t, bytes <= sizeof(state) && find_record(state, bytes, &is));
	EXPECT_EQ(t, state_get_u64(&is), BIT64(AVX_COMPONENT));
	for (uint32_t i = 0; i < cpu.component[AVX_COMPONENT][0]; i++) {
		EXPECT_EQ(t, state_get_u8(&is), (uint8_t)(i * 7 + 1));
	}
	/* In use, but not of this processor. */
	bytes = avx_record(&cpu, record, sizeof(record));
	record[HEADER_BYTES] |= 0x80;
	EXPECT(t, !m.ops->restore(m.vps[0], record, bytes));
	machine_fini(&m);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_baseline), TEST(test_sequential),
						 TEST(test_controls), TEST(test_avx_saved)};

	open_device();
	return test_main(cases, ARRAY_LEN(cases));
}
