// SPDX-License-Identifier: Apache-2.0
/* Hypervisor leaves and what the hypervisor changes in the processor's own. TLFS 2; SDM volume 2, CPUID. */
#include "rig.h"

enum { EAX, EBX, ECX, EDX };

static void tlfs_2_vendor_and_interface(struct test *t)
{
	uint32_t regs[4];
	struct rig r;

	rig_init(&r, NULL);
	rig_cpuid(&r, 0, 0x40000000, 0, regs);
	EXPECT(t, regs[EAX] >= 0x40000005 && regs[EAX] <= 0x4000FFFF);
	EXPECT_MEM(t, &regs[EBX], "Microsoft Hv", 12);
	rig_cpuid(&r, 0, 0x40000001, 0, regs);
	EXPECT_MEM(t, &regs[EAX], "Hv#1", 4);
	EXPECT_EQ(t, regs[EBX] | regs[ECX] | regs[EDX], 0);
	rig_cpuid(&r, 0, 0x40000002, 0, regs);
	EXPECT(t, regs[EAX] != 0 && regs[EBX] >> 16 >= 10);
	rig_fini(&r);
}

static void tlfs_2_privileges_are_reported(struct test *t)
{
	static const uint64_t masks[] = {RIG_PRIVILEGES_ALL, HV_PRIVILEGE_AccessHypercallMsrs,
					 RIG_PRIVILEGES_ALL & ~HV_PRIVILEGE_PostMessages};

	for (size_t i = 0; i < ARRAY_LEN(masks); i++) {
		uint32_t regs[4];
		struct rig r;

		rig_init(&r, &(struct rig_options){
				     .privileges = masks[i], .no_hypercall_page = true, .vps = 2});
		for (uint32_t vp = 0; vp < 2; vp++) {
			rig_cpuid(&r, vp, 0x40000003, 0, regs);
			EXPECT_EQ(t, regs[EAX], (uint32_t)masks[i]);
			EXPECT_EQ(t, regs[EBX], masks[i] >> 32);
		}
		rig_fini(&r);
	}
}

static void tlfs_2_features_follow_privileges(struct test *t)
{
	static const struct {
		uint64_t privilege;
		uint32_t leaf;
		unsigned reg;
		uint32_t bit;
	} rows[] = {
		{HV_PRIVILEGE_AccessGuestIdleReg, 0x40000003, EDX,
		 HV_FEATURE_VirtualGuestIdleStateAvailable},
		{HV_PRIVILEGE_AccessFrequencyRegs, 0x40000003, EDX,
		 HV_FEATURE_FrequencyRegsAvailable},
		{HV_PRIVILEGE_FastHypercallOutput, 0x40000003, EDX,
		 HV_FEATURE_FastHypercallOutputAvailable},
		{HV_PRIVILEGE_AccessSyntheticTimerRegs, 0x40000003, EDX,
		 HV_FEATURE_DirectSyntheticTimers},
		{HV_PRIVILEGE_AccessIntrCtrlRegs, 0x40000004, EAX, HV_HINT_ApicAccessMsrs},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint32_t regs[4];
		struct rig r;

		rig_init(&r, NULL);
		rig_cpuid(&r, 0, rows[i].leaf, 0, regs);
		EXPECT(t, regs[rows[i].reg] & rows[i].bit);
		rig_fini(&r);
		rig_init(&r, &(struct rig_options){.privileges = RIG_PRIVILEGES_ALL &
								 ~rows[i].privilege});
		rig_cpuid(&r, 0, rows[i].leaf, 0, regs);
		EXPECT(t, !(regs[rows[i].reg] & rows[i].bit));
		rig_fini(&r);
	}
}

static void tlfs_2_features_that_are_there(struct test *t)
{
	uint32_t regs[4];
	struct rig r;

	rig_init(&r, NULL);
	rig_cpuid(&r, 0, 0x40000003, 0, regs);
	EXPECT_EQ(t, regs[EDX],
		  HV_FEATURE_FastHypercallInputAvailable |
			  HV_FEATURE_VirtualGuestIdleStateAvailable |
			  HV_FEATURE_FrequencyRegsAvailable | HV_FEATURE_GuestCrashRegsAvailable |
			  HV_FEATURE_FastHypercallOutputAvailable |
			  HV_FEATURE_SintPollingModeAvailable |
			  HV_FEATURE_HypercallMsrLockAvailable | HV_FEATURE_DirectSyntheticTimers);
	rig_cpuid(&r, 0, 0x40000004, 0, regs);
	EXPECT(t, regs[EAX] & HV_HINT_RelaxedTiming);
	EXPECT(t, regs[EAX] & HV_HINT_ExProcessorMasks);
	EXPECT(t, regs[EAX] & HV_HINT_SyntheticClusterIpi);
	EXPECT(t, !(regs[EAX] &
		    HV_HINT_HypercallForAddressSpaceSwitch)); /* call 0x0001 does not exist */
	EXPECT_EQ(t, regs[ECX] & 0x7F, 40);
	rig_cpuid(&r, 0, 0x40000005, 0, regs);
	EXPECT_EQ(t, regs[EAX], HV_MAXIMUM_PROCESSORS);
	for (uint32_t leaf = 0x40000007; leaf < 0x40000100; leaf++) {
		rig_cpuid(&r, 0, leaf, 0, regs);
		EXPECT_EQ(t, regs[EAX] | regs[EBX] | regs[ECX] | regs[EDX], 0);
	}
	rig_fini(&r);
}

static void sdm_leaf_1(struct test *t)
{
	uint32_t regs[4];
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 3});
	rig_cpuid(&r, 2, 1, 0, regs);
	EXPECT(t, regs[ECX] & 1u << 31);	  /* hypervisor present */
	EXPECT(t, regs[ECX] & 1u << 21);	  /* x2APIC */
	EXPECT(t, regs[ECX] & 1u << 24);	  /* TSC deadline */
	EXPECT(t, regs[EDX] & 1u << 9);		  /* APIC */
	EXPECT_EQ(t, regs[EBX] >> 24, 2);	  /* initial APIC ID */
	EXPECT_EQ(t, (regs[EBX] >> 8) & 0xFF, 8); /* CLFLUSH line, from the processor */
	EXPECT(t, regs[EDX] & 1u << 28);
	EXPECT_EQ(t, (regs[EBX] >> 16) & 0xFF,
		  4); /* logical processors, rounded up to a power of 2 */
	/* OSXSAVE follows CR4, not the engine's table. */
	EXPECT(t, !(regs[ECX] & 1u << 27));
	EXPECT_EQ(t, rig_reg_set(&r, 2, HvX64RegisterCr4, X86_CR4_PAE | X86_CR4_OSXSAVE),
		  HV_STATUS_SUCCESS);
	rig_cpuid(&r, 2, 1, 0, regs);
	EXPECT(t, regs[ECX] & 1u << 27);
	/* The APIC bit goes away with the APIC. */
	EXPECT_EQ(t, rig_wrmsr(&r, 2, 0x1B, 0xFEE00000), RIG_OK);
	rig_cpuid(&r, 2, 1, 0, regs);
	EXPECT(t, !(regs[EDX] & 1u << 9));
	rig_fini(&r);
}

static void sdm_topology(struct test *t)
{
	uint32_t regs[4];
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 6});
	rig_cpuid(&r, 5, 0xB, 0, regs);
	EXPECT_EQ(t, regs[EAX], 0);
	EXPECT_EQ(t, regs[EBX], 1);
	EXPECT_EQ(t, regs[ECX], 1 << 8);
	EXPECT_EQ(t, regs[EDX], 5);
	rig_cpuid(&r, 5, 0xB, 1, regs);
	EXPECT_EQ(t, regs[EAX], 3); /* six cores need three bits */
	EXPECT_EQ(t, regs[EBX], 6);
	EXPECT_EQ(t, regs[ECX], 2 << 8 | 1);
	rig_cpuid(&r, 5, 0xB, 2, regs);
	EXPECT_EQ(t, regs[EBX], 0);
	EXPECT_EQ(t, regs[ECX], 2);
	EXPECT_EQ(t, regs[EDX], 5);
	rig_cpuid(&r, 5, 4, 0, regs);
	EXPECT_EQ(t, regs[EAX] >> 26, 7);
	EXPECT_EQ(t, rig_property_set(&r, HvPartitionPropertyProcessorsPerSocket, 2),
		  HV_STATUS_SUCCESS);
	rig_cpuid(&r, 5, 0xB, 1, regs);
	EXPECT_EQ(t, regs[EAX], 1);
	EXPECT_EQ(t, regs[EBX], 2);
	rig_fini(&r);
}

static void sdm_features_without_a_register_are_hidden(struct test *t)
{
	uint32_t regs[4];
	struct rig r;

	rig_init(&r, NULL);
	rig_cpuid(&r, 0, 7, 0, regs);
	EXPECT_EQ(t, regs[EBX], 1); /* FSGSBASE stays, TSC_ADJUST goes: the MSR does not exist */
	rig_cpuid(&r, 0, 0x80000008, 0, regs);
	EXPECT_EQ(t, regs[EAX],
		  0x3028); /* GPA width of the partition, linear width of the engine */
	rig_cpuid(&r, 0, 0, 0, regs);
	EXPECT(t, regs[EAX] >= 0xB);
	rig_fini(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(tlfs_2_vendor_and_interface),
		TEST(tlfs_2_privileges_are_reported),
		TEST(tlfs_2_features_follow_privileges),
		TEST(tlfs_2_features_that_are_there),
		TEST(sdm_leaf_1),
		TEST(sdm_topology),
		TEST(sdm_features_without_a_register_are_hidden),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
