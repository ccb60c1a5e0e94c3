// SPDX-License-Identifier: Apache-2.0
/*
 * The processor model: the software engine's, as far as this host has it, so that a guest finds the same processor on both engines. KVM answers
 * CPUID itself, from a table that it takes only before a VP's first instruction: the hypervisor core's answers go into it.
 */
#include "x86/cpuid.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "lib/bits.h"
#include "vm.h"

#define ENTRIES_MAX 256u
#define SUBLEAVES_MAX 8u
#define XSAVE_BYTES 576u
#define XCR0_MODEL 3u

/* Bits that say nothing of the processor but of MSRs that are kept here: offered on every host. */
#define LEAF7_EDX_OURS (BIT32(4) | BIT32(10) | BIT32(29)) /* FSRM, MD_CLEAR, ARCH_CAPABILITIES */
#define LEAF7_EBX_OURS BIT32(9)				  /* ERMS */
#define LEAF1_EDX_OURS (BIT32(12) | BIT32(27))		  /* MTRR, SS */

static struct kvm_cpuid2 *alloc_table(void)
{
	struct kvm_cpuid2 *t =
		calloc(1, sizeof(*t) + ENTRIES_MAX * sizeof(struct kvm_cpuid_entry2));

	if (t != NULL) {
		t->nent = ENTRIES_MAX;
	}
	return t;
}

int kvm_cpuid_init(struct kvm_vm *vm)
{
	vm->supported = alloc_table();
	if (vm->supported == NULL) {
		return -ENOMEM;
	}
	return ioctl(vm->config.device_fd, KVM_GET_SUPPORTED_CPUID, vm->supported) < 0 ? -errno : 0;
}

void kvm_cpuid_fini(struct kvm_vm *vm)
{
	free(vm->supported);
}

static void host_get(const struct kvm_vm *vm, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	const struct kvm_cpuid2 *t = vm->supported;

	for (uint32_t i = 0; i < t->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &t->entries[i];

		if (e->function == leaf && e->index == subleaf) {
			regs[0] = e->eax;
			regs[1] = e->ebx;
			regs[2] = e->ecx;
			regs[3] = e->edx;
			return;
		}
	}
	regs[0] = regs[1] = regs[2] = regs[3] = 0;
}

void kvm_cpuid_get(const struct kvm_vm *vm, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	const struct x86_cpuid_policy model = {
		.offer = X86_OFFER_SSE3 | X86_OFFER_SSSE3 | X86_OFFER_SSE41 | X86_OFFER_SSE42 |
			 X86_OFFER_AES | X86_OFFER_PCLMUL | X86_OFFER_SHA | X86_OFFER_RDRAND |
			 X86_OFFER_BMI | X86_OFFER_ADX,
		.pa_bits = (uint8_t)vm->gmem->pa_bits,
		.xcr0 = XCR0_MODEL,
		.xsave_bytes = XSAVE_BYTES,
	};
	uint32_t host[4];

	x86_cpuid(&model, leaf, subleaf, regs);
	host_get(vm, leaf, subleaf, host);
	switch (leaf) {
	case 1:
		regs[2] &= host[2];
		regs[3] &= host[3] | LEAF1_EDX_OURS;
		break;
	case 7:
		regs[1] &= host[1] | LEAF7_EBX_OURS;
		regs[2] &= host[2];
		regs[3] &= host[3] | LEAF7_EDX_OURS;
		break;
	case 0xd:
		regs[0] &= host[0];
		host_get(vm, 1, 0, host);
		if (!(host[2] & BIT32(26))) {
			regs[0] = regs[1] = regs[2] = regs[3] = 0;
		}
		break;
	case 0x80000001:
		regs[2] &= host[2];
		regs[3] &= host[3];
		break;
	default:
		break;
	}
}

/* ---- KVM's table ---- */

static void ask(struct kvm_vp *vp, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	const struct hv_engine_config *c = &vp->vm->config;

	if (c->cpuid != NULL) {
		c->cpuid(c->cpuid_ctx, vp->index, leaf, subleaf, regs);
	} else {
		kvm_cpuid_get(vp->vm, leaf, subleaf, regs);
	}
}

static bool is_indexed(uint32_t leaf)
{
	return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd || leaf == 0x1f;
}

static void add(struct kvm_vp *vp, struct kvm_cpuid2 *t, uint32_t leaf)
{
	unsigned subleaves = is_indexed(leaf) ? SUBLEAVES_MAX : 1;

	for (uint32_t subleaf = 0; subleaf < subleaves && t->nent < ENTRIES_MAX; subleaf++) {
		uint32_t regs[4];

		ask(vp, leaf, subleaf, regs);
		t->entries[t->nent++] = (struct kvm_cpuid_entry2){
			.function = leaf,
			.index = subleaf,
			.flags = subleaves > 1 ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
			.eax = regs[0],
			.ebx = regs[1],
			.ecx = regs[2],
			.edx = regs[3]};
	}
}

/* @first and the leaves that it says to be there, but never more than a table holds. */
static void add_range(struct kvm_vp *vp, struct kvm_cpuid2 *t, uint32_t first)
{
	uint32_t regs[4];

	ask(vp, first, 0, regs);
	if (regs[0] < first || regs[0] - first >= ENTRIES_MAX) {
		return;
	}
	for (uint32_t leaf = first; leaf <= regs[0]; leaf++) {
		add(vp, t, leaf);
	}
}

bool kvm_cpuid_apply(struct kvm_vp *vp)
{
	struct kvm_cpuid2 *t = alloc_table();
	bool ok = false;

	if (t != NULL) {
		t->nent = 0;
		add_range(vp, t, 0);
		add_range(vp, t, 0x40000000);
		add_range(vp, t, 0x80000000);
		ok = ioctl(vp->fd, KVM_SET_CPUID2, t) == 0;
	}
	free(t);
	return ok;
}
