// SPDX-License-Identifier: Apache-2.0
/*
 * The guest's processor: what this host's KVM offers, and the table of answers. KVM answers CPUID itself, from a table that it takes only before a VP's
 * first instruction: the hypervisor core's answers go into it.
 */
#include "x86/cpuid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kvm/kvm.h"
#include "lib/bits.h"
#include "vm.h"

#define ENTRIES_MAX 256u
#define INTEL_EBX 0x756e6547u /* "Genu" */
#define COMPONENT_SUPERVISOR 1u
#define AVX_STATE UINT64_C(0x4)
#define AVX512_STATE UINT64_C(0xe0)
#define PKRU_STATE UINT64_C(0x200)

static struct kvm_cpuid2 *alloc_table(void)
{
	struct kvm_cpuid2 *t =
		calloc(1, sizeof(*t) + ENTRIES_MAX * sizeof(struct kvm_cpuid_entry2));

	if (t != NULL) {
		t->nent = ENTRIES_MAX;
	}
	return t;
}

/* ---- What this host's KVM offers ---- */

static void host_get(const struct kvm_cpuid2 *t, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
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

static void read_words(const struct kvm_cpuid2 *t, struct x86_cpu_features *f)
{
	static const struct {
		uint32_t leaf;
		uint8_t subleaf, reg;
	} words[X86_CPU_WORDS] = {
		[X86_CPU_1_EDX] = {1, 0, 3},	       [X86_CPU_1_ECX] = {1, 0, 2},
		[X86_CPU_6_EAX] = {6, 0, 0},	       [X86_CPU_7_EBX] = {7, 0, 1},
		[X86_CPU_7_ECX] = {7, 0, 2},	       [X86_CPU_7_EDX] = {7, 0, 3},
		[X86_CPU_7_1_EAX] = {7, 1, 0},	       [X86_CPU_D_1_EAX] = {0xd, 1, 0},
		[X86_CPU_81_EDX] = {0x80000001, 0, 3}, [X86_CPU_81_ECX] = {0x80000001, 0, 2},
		[X86_CPU_88_EBX] = {0x80000008, 0, 1}, [X86_CPU_A1_EAX] = {0x80000021, 0, 0},
	};
	uint32_t regs[4];

	for (unsigned i = 0; i < X86_CPU_WORDS; i++) {
		host_get(t, words[i].leaf, words[i].subleaf, regs);
		f->word[i] = regs[words[i].reg];
	}
}

static void keep_known(struct x86_cpu_features *f)
{
	struct x86_cpu_features known = {{0}};
	size_t count;
	const struct x86_cpu_name *names = x86_cpu_names(&count);

	for (size_t i = 0; i < count; i++) {
		known.word[names[i].word] |= BIT32(names[i].bit);
	}
	for (unsigned i = 0; i < X86_CPU_WORDS; i++) {
		f->word[i] &= known.word[i];
	}
}

/* Features whose registers KVM does not keep are none. */
static void drop_stateless(const struct kvm_cpuid2 *t, struct x86_cpu_features *f)
{
	uint32_t regs[4];

	host_get(t, 0xd, 0, regs);
	if ((regs[0] & 3) != 3) {
		f->word[X86_CPU_1_ECX] &= ~BIT32(26);
	}
	if (!(regs[0] & AVX_STATE)) {
		f->word[X86_CPU_1_ECX] &= ~BIT32(28);
	}
	if ((regs[0] & AVX512_STATE) != AVX512_STATE) {
		f->word[X86_CPU_7_EBX] &= ~BIT32(16);
	}
	if (!(regs[0] & PKRU_STATE)) {
		f->word[X86_CPU_7_ECX] &= ~BIT32(3);
	}
}

static void read_components(const struct kvm_cpuid2 *t, struct x86_cpu *host)
{
	uint32_t regs[4];

	for (unsigned i = 2; i < X86_CPU_COMPONENTS; i++) {
		host_get(t, 0xd, i, regs);
		for (unsigned r = 0; r < 3 && !(regs[2] & COMPONENT_SUPERVISOR); r++) {
			host->component[i][r] = regs[r];
		}
	}
}

static void read_identity(const struct kvm_cpuid2 *t, struct x86_cpu *host)
{
	uint32_t regs[4];

	host_get(t, 0, 0, regs);
	host->vendor[0] = regs[1];
	host->vendor[1] = regs[3];
	host->vendor[2] = regs[2];
	host_get(t, 1, 0, regs);
	host->signature = regs[0];
	for (uint32_t i = 0; i < 3; i++) {
		host_get(t, 0x80000002 + i, 0, regs);
		memcpy(host->brand + i * sizeof(regs), regs, sizeof(regs));
	}
	host_get(t, 0x80000005, 0, host->caches[0]);
	host_get(t, 0x80000006, 0, host->caches[1]);
}

/* ARCH_CAPABILITIES as KVM would have it for a guest; 0, immune to nothing, where it does not say. */
static uint64_t arch_capabilities(int device_fd)
{
	struct kvm_one_msr m = {.count = 1, .entry = {.index = X86_MSR_ARCH_CAPABILITIES}};

	if (ioctl(device_fd, KVM_CHECK_EXTENSION, KVM_CAP_GET_MSR_FEATURES) <= 0 ||
	    ioctl(device_fd, KVM_GET_MSRS, &m) != 1) {
		return 0;
	}
	return m.entry.data & X86_ARCH_CAPABILITIES_FACTS;
}

/*
 * What says nothing of the processor but of what is kept here, or what is true of every processor: MTRR and ARCH_CAPABILITIES, self-snoop, timers
 * that do not stop. Both models of the host and others have them.
 */
static void add_ours(struct x86_cpu_features *f)
{
	f->word[X86_CPU_1_EDX] |= BIT32(12) | BIT32(27);
	f->word[X86_CPU_6_EAX] |= BIT32(2);
	f->word[X86_CPU_7_EDX] |= BIT32(29);
}

/*
 * What may be said of this processor although it does not say so: that REP MOVSB is fast (ERMS, FSRM), for that changes nothing but speed; and that VERW clears
 * what MDS would show (MD_CLEAR) where no processor has MDS, which is everywhere but on Intel's.
 */
static void add_harmless(const struct x86_cpu *host, struct x86_cpu_features *f)
{
	f->word[X86_CPU_7_EBX] |= BIT32(9);
	f->word[X86_CPU_7_EDX] |= BIT32(4);
	if (host->vendor[0] != INTEL_EBX) {
		f->word[X86_CPU_7_EDX] |= BIT32(10);
	}
}

int kvm_cpu_offer(int device_fd, struct x86_cpu_offer *ret)
{
	struct kvm_cpuid2 *t = alloc_table();
	int r = 0;

	if (t == NULL) {
		return -ENOMEM;
	}
	if (ioctl(device_fd, KVM_GET_SUPPORTED_CPUID, t) < 0) {
		r = -errno;
		free(t);
		return r;
	}
	*ret = (struct x86_cpu_offer){.host = {.model = X86_CPU_HOST}, .usual = X86_CPU_BASELINE};
	read_identity(t, &ret->host);
	read_components(t, &ret->host);
	ret->host.arch_capabilities = arch_capabilities(device_fd);
	read_words(t, &ret->host.features);
	keep_known(&ret->host.features);
	drop_stateless(t, &ret->host.features);
	add_ours(&ret->host.features);
	ret->features = ret->host.features;
	add_harmless(&ret->host, &ret->features);
	free(t);
	return 0;
}

int kvm_cpuid_init(struct kvm_vm *vm)
{
	const struct x86_cpu_wish usual = {.model = X86_CPU_USUAL};
	struct x86_cpu_features missing;
	struct x86_cpu_offer offer;
	int r;

	if (vm->config.cpu != NULL) {
		vm->cpu = *vm->config.cpu;
		vm->config.cpu = NULL;
		return 0;
	}
	r = kvm_cpu_offer(vm->config.device_fd, &offer);
	if (r == 0) {
		x86_cpu_resolve(&usual, &offer, &vm->cpu, &missing);
	}
	return r;
}

void kvm_cpuid_get(const struct kvm_vm *vm, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	x86_cpuid(&vm->cpu, vm->gmem->pa_bits, leaf, subleaf, regs);
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
	unsigned subleaves = is_indexed(leaf) ? X86_CPU_COMPONENTS : 1;

	for (uint32_t subleaf = 0; subleaf < subleaves && t->nent < ENTRIES_MAX; subleaf++) {
		uint32_t regs[4];

		ask(vp, leaf, subleaf, regs);
		/* As if they were not there; with them KVM makes up a size for XSAVE, also where there is none. */
		if ((regs[0] | regs[1] | regs[2] | regs[3]) == 0) {
			continue;
		}
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
