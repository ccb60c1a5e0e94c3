// SPDX-License-Identifier: Apache-2.0
/*
 * A well-equipped partition - every privilege, SynIC, assist pages, ports, intercepts - under actions that are picked from tables, so that most of
 * them get past the first check: MSRs, hypercalls and registers by name, the local APIC, messages and events from both sides, time, interrupts,
 * save and restore. The fixture is that of the conformance tests: its engine checks what the core owes to an engine, and
 * its end that no page was lost. What the tables leave out (life cycle, memory pools, garbage) is partition_fuzz.c's.
 */
#include "../../tests/conformance/rig.h"
#include "test/input.h"

#define VPS 3u
#define SINT 2u
#define STEPS_MAX 300u
#define IMAGE_MAX (1u << 18)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* A number of the kind that interfaces stumble over. */
static uint64_t take_value(struct input *in)
{
	uint8_t kind = input_u8(in);
	uint64_t raw = 0;

	switch (kind & 7) {
	case 0:
		return kind >> 3;
	case 1:
		return (uint64_t)input_u8(in) << HV_PAGE_SHIFT |
		       HV_MSR_PAGE_ENABLE; /* a page in RAM */
	case 2:
		return BIT64(kind >> 2);
	case 3:
		return ~(uint64_t)(kind >> 3);
	case 4:
		return (uint64_t)input_u8(in) << 16 | input_u8(in);
	default:
		input_take(in, &raw, sizeof(raw));
		return raw;
	}
}

#define PICK(in, table) ((table)[input_u8(in) % ARRAY_LEN(table)])

/* ---- The guest ---- */

static void settle(struct rig *r, struct input *in, uint32_t vp, int what)
{
	const uint64_t values[4] = {1, 2, 3, 4};

	if (what == RIG_INTERCEPT) {
		uint8_t answer = input_u8(in);

		if (answer & 1) {
			hv_vp_finish(r->vp[vp], values);
		} else if (answer & 2) {
			hv_vp_finish_fault(r->vp[vp], X86_EXC_GP, true, 0);
		}
	}
	fake_clear_script(r->fake[vp]);
	rig_forget(r, vp);
}

static void guest_msr(struct rig *r, struct input *in, uint32_t vp)
{
	static const struct {
		uint32_t first;
		uint8_t count;
	} groups[] = {
		{HV_X64_MSR_GUEST_OS_ID, 4},
		{HV_X64_MSR_VP_RUNTIME, 1},
		{HV_X64_MSR_TIME_REF_COUNT, 4},
		{HV_X64_MSR_EOI, 4},
		{HV_X64_MSR_SCONTROL, 5},
		{HV_X64_MSR_SINT0, 16},
		{HV_X64_MSR_STIMER0_CONFIG, 8},
		{HV_X64_MSR_GUEST_IDLE, 1},
		{HV_X64_MSR_CRASH_P0, 9},
		{HV_X64_MSR_TSC_INVARIANT_CONTROL, 1},
		{0x10, 1},
		{0x1B, 1},
		{0x6E0, 1},
		{0x800, 0x40},
	};
	uint8_t op = input_u8(in), group = input_u8(in) % (uint8_t)ARRAY_LEN(groups);
	uint32_t index = groups[group].first + input_u8(in) % groups[group].count;
	uint64_t value;

	if (op & 3) {
		settle(r, in, vp, rig_wrmsr(r, vp, index, take_value(in)));
	} else {
		settle(r, in, vp, rig_rdmsr(r, vp, index, &value));
	}
}

static const uint16_t guest_codes[] = {
	HvCallFlushVirtualAddressSpace,
	HvCallFlushVirtualAddressList,
	HvCallNotifyLongSpinWait,
	HvCallSendSyntheticClusterIpi,
	HvCallFlushVirtualAddressSpaceEx,
	HvCallFlushVirtualAddressListEx,
	HvCallSendSyntheticClusterIpiEx,
	HvCallGetVpRegisters,
	HvCallSetVpRegisters,
	HvCallGetPartitionId,
	HvCallPostMessage,
	HvCallSignalEvent,
	HvCallStartVirtualProcessor,
	HvCallGetVpIndexFromApicId,
	HvCallCreatePartition,
	0x7777,
};

static const uint32_t register_names[] = {
	HvRegisterExplicitSuspend,
	HvRegisterInterceptSuspend,
	HvRegisterInternalActivityState,
	HvRegisterHypervisorVersion,
	HvRegisterPrivilegesAndFeaturesInfo,
	HvRegisterFeaturesInfo,
	HvRegisterImplementationLimitsInfo,
	HvRegisterHardwareFeaturesInfo,
	HvRegisterGuestCrashP0,
	HvRegisterGuestCrashCtl,
	HvRegisterProcessorClockFrequency,
	HvRegisterInterruptClockFrequency,
	HvRegisterGuestIdle,
	HvRegisterPendingInterruption,
	HvRegisterInterruptState,
	HvX64RegisterDeliverabilityNotifications,
	HvX64RegisterRax,
	HvX64RegisterR15,
	HvX64RegisterRip,
	HvX64RegisterRflags,
	HvX64RegisterXmm5,
	HvX64RegisterCr0,
	HvX64RegisterCr4,
	HvX64RegisterCr8,
	HvX64RegisterCs,
	HvX64RegisterSs,
	HvX64RegisterGdtr,
	HvX64RegisterTsc,
	HvX64RegisterEfer,
	HvX64RegisterApicBase,
	HvX64RegisterPat,
	HvX64RegisterInitialApicId,
	HvRegisterVpRuntime,
	HvX64RegisterHypercall,
	HvRegisterGuestOsId,
	HvRegisterVpIndex,
	HvRegisterTimeRefCount,
	HvX64RegisterEoi,
	HvX64RegisterIcr,
	HvX64RegisterTpr,
	HvRegisterVpAssistPage,
	HvRegisterReferenceTsc,
	HvRegisterSint0 + SINT,
	HvRegisterScontrol,
	HvRegisterSversion,
	HvRegisterSifp,
	HvRegisterSipp,
	HvRegisterEom,
	HvRegisterStimer0Config,
	HvRegisterStimer0Count,
	HvRegisterStimer3Count,
};

/* The header that most calls begin with: a partition and a VP, then names or values. */
static void fill_input(struct rig *r, struct input *in, uint8_t *page, uint8_t shape)
{
	static const uint32_t vps[] = {HV_VP_INDEX_SELF, 0, 1, 2, 3, HV_ANY_VP};
	unsigned bytes = input_u8(in);

	input_take(in, page, bytes);
	if (shape & 1) {
		store_le64(page, shape & 2 ? HV_PARTITION_ID_SELF : r->id);
		store_le32(page + 8, PICK(in, vps));
		store_le32(page + 12, 0);
	}
	if (shape & 4) {
		for (unsigned i = 0; i < 4; i++) {
			store_le32(page + 16 + 4 * i, PICK(in, register_names));
		}
	}
	if (shape & 8) {
		store_le32(page + 16, PICK(in, register_names));
		memset(page + 20, 0, 12);
		store_le64(page + 32, take_value(in));
	}
}

static void guest_call(struct rig *r, struct input *in, uint32_t vp)
{
	struct fake_vp *f = r->fake[vp];
	uint8_t shape = input_u8(in), reps = input_u8(in), more = input_u8(in);
	uint64_t control = PICK(in, guest_codes), p1 = RIG_INPUT_GPA, p2 = RIG_OUTPUT_GPA, result;

	control |= (uint64_t)reps << HV_HYPERCALL_REP_COUNT_SHIFT;
	control |= (uint64_t)(more & 3) << HV_HYPERCALL_REP_START_SHIFT |
		   (uint64_t)(more >> 2 & 3) << HV_HYPERCALL_VARHEAD_SHIFT;
	fill_input(r, in, r->ram + RIG_INPUT_GPA, shape);
	if (shape & 16) {
		control |= HV_HYPERCALL_FAST;
		p1 = load_le64(r->ram + RIG_INPUT_GPA);
		p2 = load_le64(r->ram + RIG_INPUT_GPA + 8);
		for (uint32_t i = 0; i < 6; i++) {
			memcpy(fake_reg(f, HvX64RegisterXmm0 + i),
			       r->ram + RIG_INPUT_GPA + 16 + 16 * i, 16);
		}
	}
	if (shape & 32) {
		p2 = take_value(in);
	}
	if (shape & 64) {
		rig_mode32(r, vp);
		settle(r, in, vp, rig_call32(r, vp, control, p1, p2, &result));
	} else {
		rig_mode64(r, vp);
		settle(r, in, vp, rig_call_raw(r, vp, control, p1, p2, &result));
	}
}

static void guest_apic(struct rig *r, struct input *in, uint32_t vp)
{
	uint8_t op = input_u8(in);
	uint64_t gpa = UINT64_C(0xFEE00000) + (uint64_t)(input_u8(in) & 0x3F) * 16;

	if (op & 1) {
		settle(r, in, vp, rig_write(r, vp, gpa, 4, take_value(in)));
	} else {
		settle(r, in, vp, rig_read(r, vp, gpa + (op >> 6), 1u << (op >> 1 & 1)));
	}
}

static void guest_other(struct rig *r, struct input *in, uint32_t vp)
{
	static const uint32_t leaves[] = {
		0, 1, 4, 7, 0xB, 0x1F, 0x80000007, 0x80000008, 0x40000000, 0x40000003, 0x40000006};
	struct hv_exit e = {.kind = HV_EXIT_HALT};

	switch (input_u8(in) % 6) {
	case 0:
		e = (struct hv_exit){.kind = HV_EXIT_CPUID,
				     .insn_bytes = 2,
				     .cpuid = {PICK(in, leaves), input_u8(in)}};
		break;
	case 1:
		e = (struct hv_exit){.kind = HV_EXIT_PORT,
				     .insn_bytes = 1,
				     .port = {input_u8(in), 1, input_u8(in) & 1}};
		break;
	case 2:
		e = (struct hv_exit){.kind = HV_EXIT_CR8, .cr8 = {input_u8(in) & 1, input_u8(in)}};
		break;
	case 3:
		settle(r, in, vp, rig_write(r, vp, take_value(in) & ~UINT64_C(7), 8, 1));
		return;
	case 4:
		/* Its handlers: slots emptied, the EOI offer taken. */
		memset(r->ram + RIG_SIM_GPA(vp), 0, 16);
		__atomic_store_n(&((struct hv_message *)rig_seen(r, RIG_SIM_GPA(vp)))[SINT].type, 0,
				 __ATOMIC_SEQ_CST);
		__atomic_fetch_and((uint32_t *)rig_seen(r, RIG_ASSIST_GPA(vp)), ~1u,
				   __ATOMIC_SEQ_CST);
		r->fake[vp]->nmi_blocked = false;
		fake_reg(r->fake[vp], HvX64RegisterRflags)->lo ^= X86_IF;
		settle(r, in, vp, rig_run(r, vp));
		return;
	default:
		break;
	}
	settle(r, in, vp, rig_exit(r, vp, &e));
}

/* ---- The parent ---- */

static void parent_call(struct rig *r, struct input *in)
{
	static const uint16_t codes[] = {
		HvCallGetVpRegisters,
		HvCallSetVpRegisters,
		HvCallTranslateVirtualAddress,
		HvCallReadGpa,
		HvCallWriteGpa,
		HvCallInstallIntercept,
		HvCallAssertVirtualInterrupt,
		HvCallSignalEventDirect,
		HvCallPostMessageDirect,
		HvCallCreatePort,
		HvCallConnectPort,
		HvCallDeletePort,
		HvCallDisconnectPort,
		HvCallGetPartitionProperty,
		HvCallSetPartitionProperty,
		HvCallUnmapGpaPages,
		HvCallModifySparseGpaPages,
		HvCallPostMessage,
		HvCallSignalEvent,
		HvCallStartVirtualProcessor,
		HvCallGetVpIndexFromApicId,
		HvCallGetMemoryBalance,
		HvCallGetNextChildPartition,
	};
	uint8_t page[512] = {0}, out[512], shape = input_u8(in);
	uint64_t control = PICK(in, codes) | (uint64_t)(input_u8(in) & 7)
						     << HV_HYPERCALL_REP_COUNT_SHIFT;

	fill_input(r, in, page, shape | 1);
	if (shape & 2) {
		store_le64(page, r->id);
	}
	if (shape & 16) {
		memset(page, 0, 8);
		page[0] = input_u8(in); /* a connection */
	}
	rig_root_raw(r, control, page, sizeof(page), out, sizeof(out));
}

static bool parent_restore(struct rig *r, struct input *in)
{
	static uint8_t image[IMAGE_MAX];
	size_t bytes = hv_partition_save(r->partition, image, sizeof(image));
	uint32_t at = 0;

	CHECK(bytes <= sizeof(image));
	input_take(in, &at, 3);
	image[at % bytes] ^= input_u8(in);
	if (!hv_partition_restore(r->partition, image, bytes)) {
		return false;
	}
	rig_property_set(r, HvPartitionPropertyTimeFreeze, 0);
	return true;
}

static bool parent_step(struct rig *r, struct input *in)
{
	struct hv_message m;
	uint32_t port;
	uint16_t flag;
	uint8_t op = input_u8(in);

	switch (op % 8) {
	case 0:
		rig_root_post(r, 5 + (op >> 3 & 1), 1 + input_u8(in), "payload", op >> 5);
		break;
	case 1:
		rig_root_signal(r, 7, input_u8(in));
		break;
	case 2:
		rig_time(r, take_value(in) >> 8);
		break;
	case 3:
		rig_assert(r, op >> 5, input_u8(in), input_u8(in), (uint64_t)(op >> 3 & 3) << 32);
		break;
	case 4:
		hv_partition_set_extint(r->partition, op & 8);
		break;
	case 5:
		hv_root_take_message(r->hv, &m);
		hv_root_take_event(r->hv, &port, &flag);
		break;
	case 6:
		return parent_restore(r, in);
	default:
		parent_call(r, in);
		break;
	}
	return true;
}

/* ---- One run ---- */

static void set_up(struct rig *r, uint8_t options)
{
	const struct hv_port_info message = {.port_type = HvPortTypeMessage, .target_sint = SINT};
	const struct hv_port_info any = {
		.port_type = HvPortTypeMessage, .target_sint = SINT, .target_vp = HV_ANY_VP};
	const struct hv_port_info event = {
		.port_type = HvPortTypeEvent, .target_sint = SINT, .flag_count = 200};

	rig_init(r, &(struct rig_options){
			    .vps = VPS, .start_waiting = options & 1, .holds = options & 4});
	for (uint32_t vp = 0; vp < VPS && !(options & 1); vp++) {
		rig_synic(r, vp, SINT, 0x61);
		CHECK(rig_wrmsr(r, vp, HV_X64_MSR_VP_ASSIST_PAGE, RIG_ASSIST_GPA(vp) | 1) ==
		      RIG_OK);
	}
	CHECK(rig_port(r, r->id, HV_PARTITION_ID_SELF, 5, &message) == 0 &&
	      rig_connect(r, HV_PARTITION_ID_SELF, r->id, 5, 1) == 0);
	CHECK(rig_port(r, r->id, HV_PARTITION_ID_SELF, 6, &any) == 0 &&
	      rig_connect(r, HV_PARTITION_ID_SELF, r->id, 6, 1) == 0);
	CHECK(rig_port(r, r->id, HV_PARTITION_ID_SELF, 7, &event) == 0 &&
	      rig_connect(r, HV_PARTITION_ID_SELF, r->id, 7, 2) == 0);
	CHECK(rig_port(r, HV_PARTITION_ID_SELF, r->id, 8, &message) == 0 &&
	      rig_connect(r, r->id, HV_PARTITION_ID_SELF, 8, 1) == 0);
	CHECK(rig_port(r, HV_PARTITION_ID_SELF, r->id, 9, &event) == 0 &&
	      rig_connect(r, r->id, HV_PARTITION_ID_SELF, 9, 2) == 0);
	if (options & 2) {
		rig_intercept(r, HvInterceptTypeMmio, 7, 0);
		rig_intercept(r, HvInterceptTypeX64IoPortRange, 3, 0xFF0000);
		rig_intercept(r, HvInterceptTypeUnknownSynicConnection, 4, 0);
		rig_intercept(r, HvInterceptTypeHypercall, 4, 0);
		rig_intercept(r, HvInterceptTypeX64Msr, 3, 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct input in = {data, bytes};
	bool usable = true;
	struct rig r;

	set_up(&r, input_u8(&in));
	for (unsigned i = 0; i < STEPS_MAX && in.left != 0 && usable; i++) {
		uint8_t op = input_u8(&in);
		uint32_t vp = (op >> 4) % VPS;

		switch (op & 7) {
		case 0:
		case 1:
			guest_msr(&r, &in, vp);
			break;
		case 2:
		case 3:
			guest_call(&r, &in, vp);
			break;
		case 4:
			guest_apic(&r, &in, vp);
			break;
		case 5:
			guest_other(&r, &in, vp);
			break;
		default:
			usable = parent_step(&r, &in);
			break;
		}
	}
	rig_fini(&r);
	return 0;
}
