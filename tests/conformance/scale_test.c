// SPDX-License-Identifier: Apache-2.0
/* As many VPs as the hypervisor says that it takes (CPUID 0x40000005): creation, sets, IPIs, and everything given back. TLFS 7. */
#include "rig.h"

#define VECTOR 0x41u
#define BANKS (HV_MAXIMUM_PROCESSORS / 64)

static int dispatch(struct hv_vp *vp)
{
	struct hv_message message;
	uint64_t ns;

	return (int)hv_vp_dispatch(vp, &message, &ns);
}

/* An IPI to all by a sparse set of 32 banks. */
static uint64_t ipi_to_all(struct rig *r)
{
	uint64_t in[3 + BANKS] = {VECTOR, HV_GENERIC_SET_SPARSE_4K, (UINT64_C(1) << BANKS) - 1};

	memset(in + 3, 0xFF, BANKS * 8);
	return rig_call(r, 0,
			HvCallSendSyntheticClusterIpiEx | (uint64_t)BANKS
								  << HV_HYPERCALL_VARHEAD_SHIFT,
			in, sizeof(in));
}

static void tlfs_7_all_2048_vps(struct test *t)
{
	struct fake_vp *last;
	uint32_t regs[4];
	struct rig r;

	rig_init(&r, NULL);
	for (uint32_t i = 1; i < HV_MAXIMUM_PROCESSORS; i++) {
		struct hv_vp *vp = rig_vp_create(&r, r.id, i);

		EXPECT(t, vp == hv_root_vp(r.partition, i));
		/* x2APIC with its software enable, as every system with so many processors does. */
		EXPECT_EQ(t, rig_reg_set(&r, i, HvX64RegisterApicBase, UINT64_C(0xFEE00C00)),
			  HV_STATUS_SUCCESS);
		fake_push(r.vm->vps[i],
			  &(struct hv_exit){.kind = HV_EXIT_MSR,
					    .insn_bytes = 2,
					    .msr = {.index = 0x80F, .write = true, .data = 0x1FF}});
		EXPECT_EQ(t, dispatch(vp), HV_DISPATCH_INTERRUPTED);
	}
	EXPECT_EQ(t, r.machine.vps, HV_MAXIMUM_PROCESSORS);
	rig_apic_write(&r, 0, 0xF0, 0x1FF);
	EXPECT_EQ(t, ipi_to_all(&r), HV_STATUS_SUCCESS);
	for (uint32_t i = 0; i < HV_MAXIMUM_PROCESSORS; i++) {
		const struct fake_vp *f = r.vm->vps[i];

		dispatch(hv_root_vp(r.partition, i));
		if (f->event_count != 1 || f->events[0].vector != VECTOR) {
			test_fail(t, __FILE__, __LINE__, "VP %u: %u events", i, f->event_count);
		}
	}
	/* The last one by its x2APIC ID and by its logical one (cluster 127, bit 15). */
	last = r.vm->vps[HV_MAXIMUM_PROCESSORS - 1];
	EXPECT_EQ(t, rig_wrmsr(&r, 0, 0x1B, UINT64_C(0xFEE00D00)), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, 0x830, UINT64_C(2047) << 32 | 0x51), RIG_OK);
	dispatch(hv_root_vp(r.partition, HV_MAXIMUM_PROCESSORS - 1));
	EXPECT_EQ(t, last->events[last->event_count - 1].vector, 0x51);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, 0x830, (UINT64_C(127) << 16 | 0x8000) << 32 | 0x861), RIG_OK);
	dispatch(hv_root_vp(r.partition, HV_MAXIMUM_PROCESSORS - 1));
	EXPECT_EQ(t, last->events[last->event_count - 1].vector, 0x61);
	/* APIC IDs above 254 do not fit leaf 1; leaf 0xB has them whole. */
	rig_cpuid(&r, 0, 0xB, 1, regs);
	EXPECT_EQ(t, regs[0], 11);
	EXPECT_EQ(t, regs[1] & 0xFFFF, HV_MAXIMUM_PROCESSORS);
	rig_fini(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(tlfs_7_all_2048_vps),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
