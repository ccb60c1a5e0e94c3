/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine of 4 MiB for small programs in long mode, flat and identity mapped with 2 MiB pages over the first 4 GiB, on any engine. The
 * first page is not mapped.
 */
#ifndef KVM_TEST_MACHINE_H
#define KVM_TEST_MACHINE_H

#include "test/test.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "abi/hv.h"
#include "hv/engine.h"
#include "lib/bits.h"
#include "test/guest_ram.h"
#include "x86/arch.h"

#define RAM_PAGES 1024u
#define PAGE_TABLES 0x1000u
#define IDT_GPA 0x8000u
#define GDT_GPA 0x9000u
#define CODE 0x10000u
#define HANDLER 0x11000u
#define HANDLER_BYTES 16u
#define DATA 0x20000u
#define STACK 0x40000u
#define STACK_BYTES 0x8000u /* of each VP, one below the other */
#define MMIO_GPA 0x80000000u
#define VPS 2u
#define NO_DEADLINE UINT64_MAX

struct test_machine {
	const struct hv_engine_ops *ops;
	struct gmem gmem;
	uint8_t *ram;
	struct hv_engine_vm *vm;
	struct hv_engine_vp *vps[VPS];
	struct hv_exit exit;
};

static inline uint64_t machine_clock(void *ctx)
{
	return __builtin_ia32_rdtsc();
}

static inline void machine_relax(void *ctx, unsigned round)
{
	sched_yield();
}

static inline uint64_t machine_get(struct test_machine *m, unsigned vp, uint32_t name)
{
	struct hv_u128 v = {0, 0};

	if (!m->ops->reg_get(m->vps[vp], name, &v)) {
		abort();
	}
	return v.lo;
}

static inline void machine_set128(struct test_machine *m, unsigned vp, uint32_t name, uint64_t lo,
				  uint64_t hi)
{
	if (!m->ops->reg_set(m->vps[vp], name, &(struct hv_u128){lo, hi})) {
		printf("# register 0x%x refused\n", name);
		abort();
	}
}

static inline void machine_set(struct test_machine *m, unsigned vp, uint32_t name, uint64_t value)
{
	machine_set128(m, vp, name, value, 0);
}

static inline void machine_tables(struct test_machine *m)
{
	uint64_t *pml4 = (uint64_t *)(void *)(m->ram + PAGE_TABLES), *pdpt = pml4 + 512;
	uint64_t *gdt = (uint64_t *)(void *)(m->ram + GDT_GPA);

	pml4[0] = (PAGE_TABLES + 0x1000) | 7;
	for (unsigned g = 0; g < 4; g++) {
		uint64_t *pd = pml4 + 1024 + 512 * g;

		pdpt[g] = (PAGE_TABLES + 0x2000 + 0x1000 * g) | 7;
		for (unsigned n = 0; n < 512; n++) {
			pd[n] = (uint64_t)g << 30 | (uint64_t)n << 21 | 0x87;
		}
	}
	gdt[1] = UINT64_C(0x00AF9B000000FFFF);
	gdt[2] = UINT64_C(0x00CF93000000FFFF);
}

/* All vectors lead to HANDLER + HANDLER_BYTES * vector. */
static inline void machine_idt(struct test_machine *m)
{
	uint64_t *idt = (uint64_t *)(void *)(m->ram + IDT_GPA);

	for (unsigned n = 0; n < 256; n++) {
		uint64_t at = HANDLER + HANDLER_BYTES * n;

		idt[2 * n] = (at & 0xffff) | 8u << 16 | UINT64_C(0x8E00) << 32 |
			     (at >> 16 & 0xffff) << 48;
		idt[2 * n + 1] = at >> 32;
	}
}

static inline void machine_long_mode(struct test_machine *m, unsigned vp)
{
	const uint64_t data = UINT64_C(0xC093) << 48 | UINT64_C(16) << 32 | 0xffffffff;

	machine_set(m, vp, HvX64RegisterEfer, X86_EFER_LME);
	machine_set(m, vp, HvX64RegisterCr4, X86_CR4_PAE | X86_CR4_OSFXSR);
	machine_set(m, vp, HvX64RegisterCr3, PAGE_TABLES);
	machine_set(m, vp, HvX64RegisterCr0,
		    X86_CR0_PE | X86_CR0_PG | X86_CR0_WP | X86_CR0_NE | X86_CR0_ET);
	machine_set128(m, vp, HvX64RegisterCs, 0,
		       UINT64_C(0xA09B) << 48 | UINT64_C(8) << 32 | 0xffffffff);
	machine_set128(m, vp, HvX64RegisterSs, 0, data);
	machine_set128(m, vp, HvX64RegisterDs, 0, data);
	machine_set128(m, vp, HvX64RegisterEs, 0, data);
	machine_set128(m, vp, HvX64RegisterIdtr, UINT64_C(0xfff) << 48, IDT_GPA);
	machine_set128(m, vp, HvX64RegisterGdtr, UINT64_C(0x17) << 48, GDT_GPA);
	machine_set(m, vp, HvX64RegisterRsp, STACK - STACK_BYTES * vp);
	machine_set(m, vp, HvX64RegisterRip, CODE);
	machine_set(m, vp, HvX64RegisterRflags, 2);
}

static inline bool machine_map(struct test_machine *m)
{
	m->ram = test_pages_alloc(RAM_PAGES);
	if (m->ram == NULL || test_space_init(&m->gmem, 40) != 0 ||
	    test_ram_map(&m->gmem, m->ram, 1, RAM_PAGES) != 0) {
		return false;
	}
	machine_tables(m);
	machine_idt(m);
	return true;
}

/* The engine's processor, with an APIC and the hypervisor that the core would be. */
static inline void machine_cpuid(void *ctx, uint32_t vp_index, uint32_t leaf, uint32_t subleaf,
				 uint32_t regs[4])
{
	struct test_machine *m = ctx;

	memset(regs, 0, 4 * sizeof(regs[0]));
	if (leaf >> 28 == 4) {
		regs[0] = leaf == 0x40000000   ? 0x40000001
			  : leaf == 0x40000001 ? HV_CPUID_INTERFACE_SIGNATURE
					       : 0;
		return;
	}
	m->ops->cpuid(m->vm, leaf, subleaf, regs);
	if (leaf == 1) {
		regs[2] |=
			BIT32(21) | BIT32(24) | BIT32(31); /* x2APIC, TSC deadline, a hypervisor */
		regs[3] |= BIT32(9);
	}
}

static inline bool machine_init_config(struct test_machine *m, const struct hv_engine_ops *ops,
				       struct hv_engine_config config)
{
	config.gmem = &m->gmem;
	config.vp_max = 512;
	config.clock = machine_clock;
	config.clock_hz = 1000000000;
	config.relax = machine_relax;
	config.cpuid_ctx = m;
	memset(m, 0, sizeof(*m));
	m->ops = ops;
	if (!machine_map(m) || ops->vm_create(&config, &m->vm) != 0) {
		return false;
	}
	ops->gpa_changed(m->vm, 1, RAM_PAGES - 1);
	for (unsigned n = 0; n < VPS; n++) {
		if (ops->vp_create(m->vm, n, &m->vps[n]) != 0) {
			return false;
		}
		machine_long_mode(m, n);
	}
	return true;
}

static inline bool machine_init_as(struct test_machine *m, const struct hv_engine_ops *ops,
				   int device_fd, bool without_dirty_ring)
{
	return machine_init_config(
		m, ops,
		(struct hv_engine_config){.device_fd = device_fd,
					  .without_dirty_ring = without_dirty_ring});
}

static inline bool machine_init(struct test_machine *m, const struct hv_engine_ops *ops,
				int device_fd)
{
	return machine_init_as(m, ops, device_fd, false);
}

static inline void machine_fini(struct test_machine *m)
{
	for (unsigned n = 0; n < VPS; n++) {
		if (m->vps[n] != NULL) {
			m->ops->vp_destroy(m->vps[n]);
		}
	}
	if (m->vm != NULL) {
		m->ops->vm_destroy(m->vm);
	}
	gmem_fini(&m->gmem);
	free(m->ram);
}

static inline void machine_code(struct test_machine *m, uint64_t gpa, const void *code,
				size_t bytes)
{
	memcpy(m->ram + gpa, code, bytes);
}

/* Runs VP @vp to the next exit that is not "interrupted". */
static inline enum hv_exit_kind machine_run(struct test_machine *m, unsigned vp)
{
	const struct hv_run how = {.deadline_tsc = NO_DEADLINE};

	do {
		m->ops->run(m->vps[vp], &how, &m->exit);
	} while (m->exit.kind == HV_EXIT_INTERRUPTED);
	if (m->exit.kind == HV_EXIT_FAILED) {
		printf("# %s\n", m->exit.failed.what);
	}
	return m->exit.kind;
}

static inline void machine_answer(struct test_machine *m, unsigned vp, uint64_t value)
{
	const uint64_t values[4] = {value, 0, 0, 0};

	m->ops->complete(m->vps[vp], values);
}

#endif
