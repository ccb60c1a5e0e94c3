// SPDX-License-Identifier: Apache-2.0
/*
 * Registers by name, for HvCallGetVpRegisters and HvCallSetVpRegisters: the hypervisor's own here, the processor's in the engine.
 * Spec: TLFS 7.8 and appendix G.
 */
#include "core.h"
#include "x86/msr.h"

/* Names that stand for an MSR of msr.c, in runs. */
static const struct {
	uint32_t name;
	uint32_t count;
	uint32_t msr;
} msr_names[] = {
	{HvRegisterVpRuntime, 1, HV_X64_MSR_VP_RUNTIME},
	{HvX64RegisterHypercall, 1, HV_X64_MSR_HYPERCALL},
	{HvRegisterGuestOsId, 1, HV_X64_MSR_GUEST_OS_ID},
	{HvRegisterVpIndex, 1, HV_X64_MSR_VP_INDEX},
	{HvRegisterTimeRefCount, 1, HV_X64_MSR_TIME_REF_COUNT},
	{HvX64RegisterEoi, 3, HV_X64_MSR_EOI},
	{HvRegisterVpAssistPage, 1, HV_X64_MSR_VP_ASSIST_PAGE},
	{HvRegisterReferenceTsc, 1, HV_X64_MSR_REFERENCE_TSC},
	{HvRegisterSint0, HV_SYNIC_SINT_COUNT, HV_X64_MSR_SINT0},
	{HvRegisterScontrol, 5, HV_X64_MSR_SCONTROL},
	{HvRegisterStimer0Config, 2 * HV_SYNIC_STIMER_COUNT, HV_X64_MSR_STIMER0_CONFIG},
	{HvRegisterGuestCrashP0, 5, HV_X64_MSR_CRASH_P0},
	{HvRegisterProcessorClockFrequency, 2, HV_X64_MSR_TSC_FREQUENCY},
	{HvX64RegisterTsc, 1, 0x10},
};

static bool msr_of(uint32_t name, uint32_t *ret_msr)
{
	for (size_t i = 0; i < ARRAY_LEN(msr_names); i++) {
		if (name - msr_names[i].name < msr_names[i].count) {
			*ret_msr = msr_names[i].msr + (name - msr_names[i].name);
			return true;
		}
	}
	return false;
}

static uint64_t activity(const struct hv_vp *vp)
{
	if (apic_away(vp)) {
		enum hv_engine_activity now = vp->partition->apic->activity(vp->engine);

		return now == HV_ACTIVITY_WAITS_FOR_SIPI ? HV_INTERNAL_ACTIVITY_STARTUP_SUSPEND
		       : now == HV_ACTIVITY_HALTED	 ? HV_INTERNAL_ACTIVITY_HALT_SUSPEND
							 : 0;
	}
	return (vp->startup_suspend ? HV_INTERNAL_ACTIVITY_STARTUP_SUSPEND : 0) |
	       (vp->halted ? HV_INTERNAL_ACTIVITY_HALT_SUSPEND : 0) |
	       (vp->idle ? HV_INTERNAL_ACTIVITY_IDLE_SUSPEND : 0);
}

static uint64_t pending_interruption(const struct hv_vp *vp)
{
	return vp->extint_vector < 0 ? 0 : HV_PENDING_INTERRUPTION_EXTERNAL(vp->extint_vector);
}

/* Registers that only exist in the core. False: not one of them. */
static bool own_get(struct hv_vp *vp, uint32_t name, struct hv_u128 *v)
{
	uint32_t regs[4];

	*v = (struct hv_u128){0, 0};
	switch (name) {
	case HvRegisterExplicitSuspend:
		v->lo = __atomic_load_n(&vp->explicit_suspend, __ATOMIC_SEQ_CST);
		return true;
	case HvRegisterInterceptSuspend:
		v->lo = vp->intercept;
		return true;
	case HvRegisterInternalActivityState:
		v->lo = activity(vp);
		return true;
	case HvRegisterPendingInterruption:
		v->lo = pending_interruption(vp);
		return true;
	case HvRegisterGuestCrashCtl:
		v->lo = vp->partition->crash_ctl;
		return true;
	case HvX64RegisterCr8:
		v->lo = apic_away(vp) ? vp->partition->apic->cr8(vp->engine) : vp->lapic.tpr >> 4;
		return true;
	case HvX64RegisterApicBase:
		v->lo = apic_away(vp) ? vp->partition->apic->base(vp->engine) : vp->lapic.base;
		return true;
	case HvX64RegisterInitialApicId:
		v->lo = lapic_id(vp);
		return true;
	case HvRegisterHypervisorVersion:
	case HvRegisterPrivilegesAndFeaturesInfo:
	case HvRegisterFeaturesInfo:
	case HvRegisterImplementationLimitsInfo:
	case HvRegisterHardwareFeaturesInfo: {
		uint32_t leaf = name == HvRegisterHypervisorVersion
					? HV_CPUID_FUNCTION_VERSION
					: HV_CPUID_FUNCTION_FEATURES + (name & 0xF);

		cpuid_answer(vp, leaf, 0, regs);
		v->lo = (uint64_t)regs[1] << 32 | regs[0];
		v->hi = (uint64_t)regs[3] << 32 | regs[2];
		return true;
	}
	default:
		return false;
	}
}

static void set_activity(struct hv_vp *vp, uint64_t value)
{
	if (apic_away(vp)) {
		vp->partition->apic->set_activity(vp->engine,
						  value & HV_INTERNAL_ACTIVITY_STARTUP_SUSPEND
							  ? HV_ACTIVITY_WAITS_FOR_SIPI
						  : value & (HV_INTERNAL_ACTIVITY_HALT_SUSPEND |
							     HV_INTERNAL_ACTIVITY_IDLE_SUSPEND)
							  ? HV_ACTIVITY_HALTED
							  : HV_ACTIVITY_RUNNING);
		return;
	}
	vp->startup_suspend = (value & HV_INTERNAL_ACTIVITY_STARTUP_SUSPEND) != 0;
	vp->halted = (value & HV_INTERNAL_ACTIVITY_HALT_SUSPEND) != 0;
	vp->idle = (value & HV_INTERNAL_ACTIVITY_IDLE_SUSPEND) != 0;
}

static uint16_t set_pending_interruption(struct hv_vp *vp, uint64_t value)
{
	uint64_t type = (value >> 1) & 7, vector = (value >> 16) & 0xFFFF;

	if (!(value & 1)) {
		vp->extint_vector = -1;
		return HV_STATUS_SUCCESS;
	}
	switch (type) {
	case 0:
		if (vector > 0xFF) {
			return HV_STATUS_INVALID_REGISTER_VALUE;
		}
		vp->extint_vector = (int16_t)vector;
		return HV_STATUS_SUCCESS;
	case 2:
		vp_request(vp, REQUEST_NMI);
		return HV_STATUS_SUCCESS;
	case 3:
		if (vector > 31) {
			return HV_STATUS_INVALID_REGISTER_VALUE;
		}
		vp_ops(vp)->inject_exception(vp->engine, (uint8_t)vector, (value & 0x10) != 0,
					     (uint32_t)(value >> 32), vp_reg(vp, HvX64RegisterCr2));
		vp->intercept = false;
		return HV_STATUS_SUCCESS;
	default:
		return HV_STATUS_INVALID_REGISTER_VALUE;
	}
}

static uint16_t set_apic_base(struct hv_vp *vp, uint64_t value)
{
	if (!lapic_base_valid(vp->partition, value)) {
		return HV_STATUS_INVALID_REGISTER_VALUE;
	}
	if (apic_away(vp) && msr_write_all(vp, X86_MSR_APIC_BASE, value) != MSR_OK) {
		return HV_STATUS_INVALID_REGISTER_VALUE;
	}
	__atomic_store_n(&vp->lapic.base, value, __ATOMIC_RELAXED);
	return HV_STATUS_SUCCESS;
}

static void set_priority(struct hv_vp *vp, uint32_t tpr)
{
	if (apic_away(vp)) {
		msr_write_all(vp, HV_X64_MSR_TPR, tpr);
	} else {
		lapic_tpr_set(vp, tpr);
	}
}

static bool own_set(struct hv_vp *vp, uint32_t name, uint64_t value, uint16_t *ret_status)
{
	*ret_status = HV_STATUS_SUCCESS;
	switch (name) {
	case HvRegisterExplicitSuspend:
		__atomic_store_n(&vp->explicit_suspend, (uint32_t)(value & 1), __ATOMIC_SEQ_CST);
		vp_notify(vp);
		return true;
	case HvRegisterInterceptSuspend:
		return true; /* dispatching the VP again clears it */
	case HvRegisterInternalActivityState:
		set_activity(vp, value);
		return true;
	case HvRegisterPendingInterruption:
		*ret_status = set_pending_interruption(vp, value);
		return true;
	case HvX64RegisterCr8:
		*ret_status = value > 0xF ? HV_STATUS_INVALID_REGISTER_VALUE : HV_STATUS_SUCCESS;
		if (value <= 0xF) {
			set_priority(vp, (uint32_t)value << 4);
		}
		return true;
	case HvX64RegisterApicBase:
		*ret_status = set_apic_base(vp, value);
		return true;
	default:
		return false;
	}
}

/* What a guest may name: processor and synthetic registers, but not the event and suspend state of a VP in the middle of a call. */
static bool guest_may_name(uint32_t name)
{
	return name >= HvX64RegisterRax ||
	       (name >= HvRegisterHypervisorVersion && name < HvRegisterPendingInterruption);
}

uint16_t vp_register_get(struct hv_vp *vp, uint32_t name, bool by_parent, struct hv_u128 *ret)
{
	struct hv_u128 v = {0, 0};
	uint32_t msr;

	if (!by_parent && !guest_may_name(name)) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	if (own_get(vp, name, &v)) {
		*ret = v;
		return HV_STATUS_SUCCESS;
	}
	if (msr_of(name, &msr)) {
		if ((by_parent ? msr_read_all : msr_read)(vp, msr, &v.lo) != MSR_OK) {
			return HV_STATUS_INVALID_PARAMETER;
		}
		*ret = v;
		return HV_STATUS_SUCCESS;
	}
	return vp_ops(vp)->reg_get(vp->engine, name, ret) ? HV_STATUS_SUCCESS
							  : HV_STATUS_INVALID_PARAMETER;
}

uint16_t vp_register_set(struct hv_vp *vp, uint32_t name, bool by_parent,
			 const struct hv_u128 *value)
{
	struct hv_u128 old;
	uint16_t status;
	uint32_t msr;

	if (!by_parent && !guest_may_name(name)) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	if (own_set(vp, name, value->lo, &status)) {
		return status;
	}
	if (msr_of(name, &msr)) {
		return (by_parent ? msr_write_all : msr_write)(vp, msr, value->lo) == MSR_OK
			       ? HV_STATUS_SUCCESS
			       : HV_STATUS_INVALID_REGISTER_VALUE;
	}
	if (!vp_ops(vp)->reg_get(vp->engine, name, &old)) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	return vp_ops(vp)->reg_set(vp->engine, name, value) ? HV_STATUS_SUCCESS
							    : HV_STATUS_INVALID_REGISTER_VALUE;
}
