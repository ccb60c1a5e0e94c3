// SPDX-License-Identifier: Apache-2.0
/*
 * CPUID as the guest sees it: the engine's processor, overlaid with what the hypervisor owns (APIC, topology, TSC) and
 * the hypervisor's own leaves. Spec: TLFS 2; Intel SDM volume 2, CPUID.
 */
#include "core.h"

enum { EAX, EBX, ECX, EDX };

#define LEAF1_ECX_X2APIC (1u << 21)
#define LEAF1_ECX_TSC_DEADLINE (1u << 24)
#define LEAF1_ECX_OSXSAVE (1u << 27)
#define LEAF1_ECX_HYPERVISOR (1u << 31)
#define LEAF1_EDX_APIC (1u << 9)
#define LEAF1_EDX_HTT (1u << 28)
#define LEAF7_EBX_TSC_ADJUST (1u << 1)
#define LEAF7_INVARIANT_TSC (1u << 8)

/* Reported in leaf 0x40000002: the version of the interface, not of this program. */
#define VERSION_BUILD 20348u
#define VERSION_MAJOR 10u
#define VERSION_MINOR 0u

static uint32_t cores_per_socket(const struct hv_partition *p)
{
	uint32_t all = (uint32_t)max_u64(p->vp_count, 1);
	uint64_t wanted = p->settings.processors_per_socket;

	return wanted == 0 ? all : (uint32_t)min_u64(wanted, all);
}

/* Bits of the APIC ID below the package number. */
static unsigned topology_shift(const struct hv_partition *p)
{
	uint32_t cores = cores_per_socket(p);

	return cores <= 1 ? 0 : 32 - (unsigned)__builtin_clz(cores - 1);
}

static void leaf_1(struct hv_vp *vp, uint32_t regs[4])
{
	uint32_t cores = cores_per_socket(vp->partition);
	uint32_t logical = (uint32_t)min_u64(UINT64_C(1) << topology_shift(vp->partition), 255);

	regs[EBX] = (regs[EBX] & 0xFF00) | (lapic_id(vp) & 0xFF) << 24;
	regs[ECX] |= LEAF1_ECX_HYPERVISOR | LEAF1_ECX_X2APIC;
	regs[ECX] &= ~(LEAF1_ECX_OSXSAVE | LEAF1_ECX_TSC_DEADLINE);
	if (vp->partition->deadline) {
		regs[ECX] |= LEAF1_ECX_TSC_DEADLINE;
	}
	if (vp_reg(vp, HvX64RegisterCr4) & X86_CR4_OSXSAVE) {
		regs[ECX] |= LEAF1_ECX_OSXSAVE;
	}
	regs[EDX] &= ~(LEAF1_EDX_APIC | LEAF1_EDX_HTT);
	if (vp->lapic.base & LAPIC_BASE_ENABLE) {
		regs[EDX] |= LEAF1_EDX_APIC;
	}
	if (cores > 1) {
		regs[EBX] |= logical << 16;
		regs[EDX] |= LEAF1_EDX_HTT;
	}
}

/* Deterministic cache parameters: how many cores the package has. */
static void leaf_4(const struct hv_vp *vp, uint32_t regs[4])
{
	uint32_t cores = (uint32_t)min_u64(UINT64_C(1) << topology_shift(vp->partition), 64);

	if ((regs[EAX] & 0x1F) != 0) {
		regs[EAX] = (regs[EAX] & 0x3FFFFFF) | (cores - 1) << 26;
	}
}

static void leaf_topology(const struct hv_vp *vp, uint32_t subleaf, uint32_t regs[4])
{
	regs[EAX] = 0;
	regs[EBX] = 0;
	regs[ECX] = subleaf & 0xFF;
	regs[EDX] = lapic_id(vp);
	if (subleaf == 0) {
		regs[EBX] = 1;
		regs[ECX] |= 1 << 8; /* SMT level: one thread per core */
	} else if (subleaf == 1) {
		regs[EAX] = topology_shift(vp->partition);
		regs[EBX] = cores_per_socket(vp->partition);
		regs[ECX] |= 2 << 8; /* core level */
	}
}

/*
 * Where the engine has the local APICs, its processor halts, interrupts and flushes by itself, and calls for that only cost exits; the calls
 * work all the same. EOIs by MSR stay the guest's choice: only they can be left out (VP assist).
 */
static uint32_t features_edx(const struct hv_partition *p)
{
	uint32_t edx = HV_FEATURE_FastHypercallInputAvailable | HV_FEATURE_GuestCrashRegsAvailable |
		       HV_FEATURE_SintPollingModeAvailable | HV_FEATURE_HypercallMsrLockAvailable;

	if (partition_may(p, HV_PRIVILEGE_AccessGuestIdleReg) && p->apic == NULL) {
		edx |= HV_FEATURE_VirtualGuestIdleStateAvailable;
	}
	if (partition_may(p, HV_PRIVILEGE_AccessFrequencyRegs)) {
		edx |= HV_FEATURE_FrequencyRegsAvailable;
	}
	if (partition_may(p, HV_PRIVILEGE_FastHypercallOutput)) {
		edx |= HV_FEATURE_FastHypercallOutputAvailable;
	}
	if (partition_may(p, HV_PRIVILEGE_AccessSyntheticTimerRegs)) {
		edx |= HV_FEATURE_DirectSyntheticTimers;
	}
	return edx;
}

static uint32_t hints_eax(const struct hv_partition *p)
{
	uint32_t eax = HV_HINT_RelaxedTiming | HV_HINT_DeprecateAutoEoi | HV_HINT_ExProcessorMasks;

	if (p->apic == NULL) {
		eax |= HV_HINT_HypercallForRemoteFlush | HV_HINT_SyntheticClusterIpi;
	}
	if (partition_may(p, HV_PRIVILEGE_AccessIntrCtrlRegs)) {
		eax |= HV_HINT_ApicAccessMsrs;
	}
	return eax;
}

static void hypervisor_leaf(const struct hv_partition *p, uint32_t leaf, uint32_t regs[4])
{
	__builtin_memset(regs, 0, 4 * sizeof(regs[0]));
	switch (leaf) {
	case HV_CPUID_FUNCTION_VENDOR_AND_MAX:
		regs[EAX] = HV_CPUID_FUNCTION_HARDWARE;
		regs[EBX] = 0x7263694D; /* "Microsoft Hv": what guests look for */
		regs[ECX] = 0x666F736F;
		regs[EDX] = 0x76482074;
		break;
	case HV_CPUID_FUNCTION_INTERFACE:
		regs[EAX] = HV_CPUID_INTERFACE_SIGNATURE;
		break;
	case HV_CPUID_FUNCTION_VERSION:
		regs[EAX] = VERSION_BUILD;
		regs[EBX] = VERSION_MAJOR << 16 | VERSION_MINOR;
		break;
	case HV_CPUID_FUNCTION_FEATURES:
		regs[EAX] = (uint32_t)p->privileges;
		regs[EBX] = (uint32_t)(p->privileges >> 32);
		regs[EDX] = features_edx(p);
		break;
	case HV_CPUID_FUNCTION_ENLIGHTENMENTS:
		regs[EAX] = hints_eax(p);
		regs[EBX] = UINT32_MAX; /* never tell of long spin waits */
		regs[ECX] = p->gmem.pa_bits;
		break;
	case HV_CPUID_FUNCTION_LIMITS:
		regs[EAX] = HV_MAXIMUM_PROCESSORS;
		regs[EBX] = HV_MAXIMUM_PROCESSORS;
		break;
	case HV_CPUID_FUNCTION_HARDWARE:
		regs[EAX] =
			1u << 3 | 1u << 23; /* second level address translation, APIC emulation */
		break;
	default:
		break;
	}
}

void cpuid_answer(struct hv_vp *vp, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	struct hv_partition *p = vp->partition;

	if (leaf >> 28 == 4) {
		hypervisor_leaf(p, leaf, regs);
		return;
	}
	p->hv->engine->cpuid(p->engine, leaf, subleaf, regs);
	switch (leaf) {
	case 0:
		regs[EAX] = (uint32_t)max_u64(regs[EAX], 0xB);
		break;
	case 1:
		leaf_1(vp, regs);
		break;
	case 4:
		leaf_4(vp, regs);
		break;
	case 7:
		if (subleaf == 0) {
			regs[EBX] &= ~LEAF7_EBX_TSC_ADJUST;
		}
		break;
	case 0xB:
	case 0x1F:
		leaf_topology(vp, subleaf, regs);
		break;
	case 0x80000007:
		regs[EDX] &= ~LEAF7_INVARIANT_TSC;
		if (p->tsc_invariant & 1) {
			regs[EDX] |= LEAF7_INVARIANT_TSC;
		}
		break;
	case 0x80000008:
		regs[EAX] = (regs[EAX] & 0xFFFFFF00) | p->gmem.pa_bits;
		break;
	default:
		break;
	}
}
