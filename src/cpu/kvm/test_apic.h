/* SPDX-License-Identifier: Apache-2.0 */
/* Test machines whose local APICs are in KVM. */
#ifndef KVM_TEST_APIC_H
#define KVM_TEST_APIC_H

#include "test_kvm.h"

#define X2APIC_BASE UINT64_C(0xFEE00C00)
#define XAPIC_BASE UINT64_C(0xFEE00800)
#define LVT_MASKED 0x10000u
#define LVT_EXTINT 0x700u
#define VECTOR 0x50u
#define END (HANDLER + 0x2000) /* the common end of handlers: EOI and return */

/* Counts at DATA + 8 * vector; RBX is DATA. */
static inline void counting_handler(struct test_machine *m, uint8_t vector)
{
	uint8_t code[12] = {0x48, 0xFF, 0x83, 0, 0, 0, 0, 0xE9};
	uint64_t at = HANDLER + 16 * vector;

	store_le32(code + 3, 8u * vector);
	store_le32(code + 8, (uint32_t)(END - (at + 12)));
	machine_code(m, at, code, sizeof(code));
}

static inline void end_of_handlers(struct test_machine *m)
{
	static const uint8_t code[] = {
		0x50, 0x51, 0x52,	      /* push rax, rcx, rdx */
		0xB9, 0x0B, 0x08, 0,	0,    /* mov ecx, 0x80B: EOI */
		0x31, 0xC0, 0x31, 0xD2, 0x0F, /* xor eax, eax; xor edx, edx */
		0x30,			      /* wrmsr */
		0x5A, 0x59, 0x58, 0x48, 0xCF};

	machine_code(m, END, code, sizeof(code));
}

static inline const struct hv_engine_apic_ops *apic_of(struct test_machine *m)
{
	return m->ops->apic(m->vm);
}

static inline struct hv_engine_apic fresh(unsigned vp, uint64_t base)
{
	struct hv_engine_apic a = {
		.base = base | (vp == 0 ? 0x100 : 0), .dfr = UINT32_MAX, .svr = 0x1FF};

	for (unsigned i = 0; i < 6; i++) {
		a.lvt[i] = LVT_MASKED;
	}
	return a;
}

static inline bool apic_machine_make(struct test_machine *m, uint32_t without)
{
	return machine_init_config(m, &kvm_engine_ops,
				   (struct hv_engine_config){.device_fd = device,
							     .cpuid = machine_cpuid,
							     .without = without,
							     .moves_apics = true});
}

/* Both VPs with APICs in x2APIC mode; RBX for the handlers. */
static inline bool apic_machine_start(struct test_machine *m, uint32_t without)
{
	if (!apic_machine_make(m, without) || apic_of(m) == NULL) {
		return false;
	}
	end_of_handlers(m);
	for (unsigned n = 0; n < VPS; n++) {
		struct hv_engine_apic a = fresh(n, X2APIC_BASE);

		machine_set(m, n, HvX64RegisterRbx, DATA);
		apic_of(m)->give(m->vps[n], &a);
	}
	return true;
}

#define APIC_MACHINE(t, m, ...) MACHINE_THAT(t, m, apic_machine_start(&m, 0), __VA_ARGS__)

static inline uint64_t counted(struct test_machine *m, uint8_t vector)
{
	return __atomic_load_n((uint64_t *)(void *)(m->ram + DATA + 8 * vector), __ATOMIC_SEQ_CST);
}

static inline const char *apic_unfit(void)
{
	struct test_machine m;
	bool fit = apic_machine_make(&m, 0);
	const char *what = fit && apic_of(&m) == NULL
				   ? "this KVM keeps no local APICs without the chips"
				   : NULL;

	if (fit && what == NULL) {
		machine_code(&m, CODE, "\xD9\xE8\xE6\x10", 4); /* fld1; out 0x10, al */
		fit = machine_run(&m, 0) == HV_EXIT_PORT;
	}
	machine_fini(&m);
	return fit ? what : "this KVM does not know all instructions of a kernel";
}

static inline void open_apic_device(void)
{
	open_device();
	if (no_device == NULL) {
		no_device = apic_unfit();
	}
}

#endif
