// SPDX-License-Identifier: Apache-2.0
/*
 * The MSRs of the hypervisor: one table with index, privilege and functions; beside it the few architectural ones that the
 * local APIC and partition time stand behind. Spec: TLFS appendix F; each function names its section where it is not plain.
 */
#include "core.h"

#define MSR_IA32_TSC 0x10u
#define MSR_IA32_APIC_BASE 0x1Bu
#define MSR_IA32_TSC_DEADLINE 0x6E0u
#define MSR_X2APIC_FIRST 0x800u
#define MSR_X2APIC_LAST 0x8FFu

struct msr_entry {
	uint32_t first;
	uint32_t last;
	uint64_t privilege;
	enum msr_result (*read)(struct hv_vp *vp, unsigned n, uint64_t *ret); /* NULL: #GP */
	enum msr_result (*write)(struct hv_vp *vp, unsigned n, uint64_t value);
};

static enum msr_result from_lapic(enum lapic_result r)
{
	return r == LAPIC_OK ? MSR_OK : MSR_FAULT;
}

static enum msr_result from_bool(bool ok)
{
	return ok ? MSR_OK : MSR_FAULT;
}

/* ---- Identity and hypercall page (TLFS 3.13) ---- */

static enum msr_result guest_os_id_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	*ret = __atomic_load_n(&vp->partition->guest_os_id, __ATOMIC_RELAXED);
	return MSR_OK;
}

static enum msr_result guest_os_id_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
	struct hv_partition *p = vp->partition;

	__atomic_store_n(&p->guest_os_id, value, __ATOMIC_RELAXED);
	if (value == 0) {
		overlay_set(p, &p->hypercall_page, p->hypercall_page.msr & ~HV_MSR_PAGE_ENABLE);
	}
	return MSR_OK;
}

static enum msr_result hypercall_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	*ret = vp->partition->hypercall_page.msr;
	return MSR_OK;
}

static enum msr_result hypercall_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
	struct hv_partition *p = vp->partition;

	if ((p->hypercall_page.msr & HV_X64_MSR_HYPERCALL_LOCKED) || value >> p->gmem.pa_bits) {
		return MSR_FAULT;
	}
	if (__atomic_load_n(&p->guest_os_id, __ATOMIC_RELAXED) == 0) {
		value &= ~HV_MSR_PAGE_ENABLE;
	}
	if (!(p->hypercall_page.msr & HV_MSR_PAGE_ENABLE)) {
		partition_fill_hypercall_page(p);
	}
	return from_bool(overlay_set(p, &p->hypercall_page, value));
}

static enum msr_result vp_index_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	*ret = vp->index;
	return MSR_OK;
}

static enum msr_result reset_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	*ret = 0;
	return MSR_OK;
}

static enum msr_result reset_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
	if (value & 1) {
		message_msr(vp, HV_X64_MSR_RESET, true, value, vp->message);
		vp->message_ready = true;
	}
	return MSR_OK;
}

/* ---- Time (TLFS 12) ---- */

static enum msr_result runtime_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	*ret = vp_runtime_100ns(vp);
	return MSR_OK;
}

static enum msr_result time_ref_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	*ret = time_reference(vp->partition);
	return MSR_OK;
}

static enum msr_result reference_tsc_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	*ret = vp->partition->reference_tsc.msr;
	return MSR_OK;
}

static enum msr_result reference_tsc_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
	struct hv_partition *p = vp->partition;

	/* The guest may have written there. */
	if (value & HV_MSR_PAGE_ENABLE) {
		partition_fill_reference_tsc(p);
	}
	return from_bool(overlay_set(p, &p->reference_tsc, value));
}

static enum msr_result frequency_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	const struct hv_time *time = &vp->partition->time;

	*ret = n == 0 ? time->tsc_hz : time->apic_hz;
	return MSR_OK;
}

/* ---- Local APIC (TLFS 10.2) ---- */

static enum msr_result apic_access_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	if (apic_away(vp)) {
		return from_bool(vp_ops(vp)->msr_get(vp->engine, HV_X64_MSR_ICR + n, ret));
	}
	if (n == 0) {
		*ret = (uint64_t)vp->lapic.icr_high << 32 | vp->lapic.icr_low;
	} else {
		*ret = vp->lapic.tpr;
	}
	return MSR_OK;
}

static enum msr_result apic_access_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
	if (apic_away(vp)) {
		return from_bool(vp_ops(vp)->msr_set(vp->engine, HV_X64_MSR_ICR + n, value));
	}
	if (n == 0) {
		return from_lapic(lapic_icr_write(vp, value, lapic_x2apic(vp)));
	}
	if (value > 0xFF) {
		return MSR_FAULT;
	}
	lapic_tpr_set(vp, (uint32_t)value);
	return MSR_OK;
}

static enum msr_result eoi_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
	if (apic_away(vp)) {
		return from_bool(vp_ops(vp)->msr_set(vp->engine, HV_X64_MSR_EOI, value));
	}
	lapic_eoi(vp);
	return MSR_OK;
}

static enum msr_result assist_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	*ret = vp->assist.overlay.msr;
	return MSR_OK;
}

static enum msr_result assist_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
	bool ok;

	vp_assist_write(vp, value, &ok);
	return from_bool(ok);
}

/* ---- SynIC and timers (TLFS 11.9, 12.4) ---- */

static enum msr_result scontrol_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	*ret = vp->synic.scontrol;
	return MSR_OK;
}

static enum msr_result scontrol_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
	synic_scontrol_write(vp, value);
	return MSR_OK;
}

static enum msr_result sversion_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	*ret = HV_SYNIC_VERSION;
	return MSR_OK;
}

static struct hv_overlay *synic_page(struct hv_vp *vp, unsigned n)
{
	return n == 0 ? &vp->synic.sief : &vp->synic.sim;
}

static enum msr_result siefp_simp_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	*ret = synic_page(vp, n)->msr;
	return MSR_OK;
}

static enum msr_result siefp_simp_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
	return from_bool(synic_page_write(vp, synic_page(vp, n), value));
}

static enum msr_result eom_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	*ret = 0;
	return MSR_OK;
}

static enum msr_result eom_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
	synic_scan(vp);
	return MSR_OK;
}

static enum msr_result sint_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	*ret = vp->synic.sint[n];
	return MSR_OK;
}

static enum msr_result sint_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
	return from_bool(synic_sint_write(vp, n, value));
}

static enum msr_result stimer_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	*ret = (n & 1) ? vp->synic.timer[n / 2].count : stimer_config_read(vp, n / 2);
	return MSR_OK;
}

static enum msr_result stimer_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
	if (n & 1) {
		stimer_count_write(vp, n / 2, value);
		return MSR_OK;
	}
	return from_bool(stimer_config_write(vp, n / 2, value));
}

static enum msr_result idle_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	vp->idle = true;
	*ret = 0;
	return MSR_OK;
}

/* ---- Crash, re-enlightenment, invariant TSC ---- */

static enum msr_result crash_parameter_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	*ret = vp->partition->crash[n];
	return MSR_OK;
}

static enum msr_result crash_parameter_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
	__atomic_store_n(&vp->partition->crash[n], value, __ATOMIC_RELAXED);
	return MSR_OK;
}

static enum msr_result crash_ctl_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	*ret = HV_CRASH_CTL_NOTIFY | HV_CRASH_CTL_MESSAGE;
	return MSR_OK;
}

static enum msr_result crash_ctl_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
	__atomic_store_n(&vp->partition->crash_ctl, value, __ATOMIC_RELAXED);
	if (value & HV_CRASH_CTL_NOTIFY) {
		message_msr(vp, HV_X64_MSR_CRASH_CTL, true, value, vp->message);
		vp->message_ready = true;
	}
	return MSR_OK;
}

static uint64_t *enlightenment_word(struct hv_partition *p, unsigned n)
{
	return n == 0 ? &p->reenlightenment : &p->tsc_emulation;
}

static enum msr_result reenlightenment_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	*ret = n == 2 ? 0 : *enlightenment_word(vp->partition, n);
	return MSR_OK;
}

static enum msr_result reenlightenment_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
	/* The TSC is never emulated at another rate here: the status stays 0. */
	if (n == 2) {
		return from_bool(value == 0);
	}
	__atomic_store_n(enlightenment_word(vp->partition, n), value, __ATOMIC_RELAXED);
	return MSR_OK;
}

static enum msr_result invariant_read(struct hv_vp *vp, unsigned n, uint64_t *ret)
{
	*ret = vp->partition->tsc_invariant;
	return MSR_OK;
}

static enum msr_result invariant_write(struct hv_vp *vp, unsigned n, uint64_t value)
{
	if (value & ~UINT64_C(1)) {
		return MSR_FAULT;
	}
	__atomic_store_n(&vp->partition->tsc_invariant, value, __ATOMIC_RELAXED);
	return MSR_OK;
}

#define MSR(name) HV_X64_MSR_##name
#define MAY(name) HV_PRIVILEGE_##name

/* The busiest ones first. */
static const struct msr_entry table[] = {
	{MSR(STIMER0_CONFIG), MSR(STIMER3_COUNT), MAY(AccessSyntheticTimerRegs), stimer_read,
	 stimer_write},
	{MSR(EOI), MSR(EOI), MAY(AccessIntrCtrlRegs), NULL, eoi_write},
	{MSR(ICR), MSR(TPR), MAY(AccessIntrCtrlRegs), apic_access_read, apic_access_write},
	{MSR(TIME_REF_COUNT), MSR(TIME_REF_COUNT), MAY(AccessPartitionReferenceCounter),
	 time_ref_read, NULL},
	{MSR(EOM), MSR(EOM), MAY(AccessSynicRegs), eom_read, eom_write},
	{MSR(GUEST_IDLE), MSR(GUEST_IDLE), MAY(AccessGuestIdleReg), idle_read, NULL},
	{MSR(GUEST_OS_ID), MSR(GUEST_OS_ID), MAY(AccessHypercallMsrs), guest_os_id_read,
	 guest_os_id_write},
	{MSR(HYPERCALL), MSR(HYPERCALL), MAY(AccessHypercallMsrs), hypercall_read, hypercall_write},
	{MSR(VP_INDEX), MSR(VP_INDEX), MAY(AccessVpIndex), vp_index_read, NULL},
	{MSR(RESET), MSR(RESET), MAY(AccessResetReg), reset_read, reset_write},
	{MSR(VP_RUNTIME), MSR(VP_RUNTIME), MAY(AccessVpRunTimeReg), runtime_read, NULL},
	{MSR(REFERENCE_TSC), MSR(REFERENCE_TSC), MAY(AccessPartitionReferenceTsc),
	 reference_tsc_read, reference_tsc_write},
	{MSR(TSC_FREQUENCY), MSR(APIC_FREQUENCY), MAY(AccessFrequencyRegs), frequency_read, NULL},
	{MSR(VP_ASSIST_PAGE), MSR(VP_ASSIST_PAGE), MAY(AccessIntrCtrlRegs), assist_read,
	 assist_write},
	{MSR(SCONTROL), MSR(SCONTROL), MAY(AccessSynicRegs), scontrol_read, scontrol_write},
	{MSR(SVERSION), MSR(SVERSION), MAY(AccessSynicRegs), sversion_read, NULL},
	{MSR(SIEFP), MSR(SIMP), MAY(AccessSynicRegs), siefp_simp_read, siefp_simp_write},
	{MSR(SINT0), MSR(SINT15), MAY(AccessSynicRegs), sint_read, sint_write},
	{MSR(CRASH_P0), MSR(CRASH_P4), 0, crash_parameter_read, crash_parameter_write},
	{MSR(CRASH_CTL), MSR(CRASH_CTL), 0, crash_ctl_read, crash_ctl_write},
	{MSR(REENLIGHTENMENT_CONTROL), MSR(TSC_EMULATION_STATUS),
	 MAY(AccessReenlightenmentControls), reenlightenment_read, reenlightenment_write},
	{MSR(TSC_INVARIANT_CONTROL), MSR(TSC_INVARIANT_CONTROL), MAY(AccessTscInvariantControls),
	 invariant_read, invariant_write},
};

static const struct msr_entry *find(uint32_t index)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (index >= table[i].first && index <= table[i].last) {
			return &table[i];
		}
	}
	return NULL;
}

/* ---- Architectural MSRs that the engine leaves to us ---- */

static bool is_of_apic(uint32_t index)
{
	return index == MSR_IA32_APIC_BASE || index == MSR_IA32_TSC_DEADLINE ||
	       (index >= MSR_X2APIC_FIRST && index <= MSR_X2APIC_LAST);
}

static enum msr_result architectural_read(struct hv_vp *vp, uint32_t index, uint64_t *ret)
{
	if (is_of_apic(index) && apic_away(vp)) {
		return from_bool(vp_ops(vp)->msr_get(vp->engine, index, ret));
	}
	if (index >= MSR_X2APIC_FIRST && index <= MSR_X2APIC_LAST) {
		if (!lapic_x2apic(vp)) {
			return MSR_FAULT;
		}
		return from_lapic(lapic_read(vp, index - MSR_X2APIC_FIRST, true, ret));
	}
	switch (index) {
	case MSR_IA32_TSC:
		*ret = time_guest_tsc(vp->partition) + vp->tsc_offset;
		return MSR_OK;
	case MSR_IA32_APIC_BASE:
		*ret = vp->lapic.base;
		return MSR_OK;
	case MSR_IA32_TSC_DEADLINE:
		*ret = lapic_tsc_deadline_read(vp);
		return MSR_OK;
	default:
		return MSR_UNKNOWN;
	}
}

static enum msr_result architectural_write(struct hv_vp *vp, uint32_t index, uint64_t value)
{
	if (is_of_apic(index) && apic_away(vp)) {
		return from_bool(vp_ops(vp)->msr_set(vp->engine, index, value));
	}
	if (index >= MSR_X2APIC_FIRST && index <= MSR_X2APIC_LAST) {
		if (!lapic_x2apic(vp)) {
			return MSR_FAULT;
		}
		return from_lapic(lapic_write(vp, index - MSR_X2APIC_FIRST, true, value));
	}
	switch (index) {
	case MSR_IA32_TSC:
		vp->tsc_offset = value - time_guest_tsc(vp->partition);
		vp_tsc_apply(vp);
		return MSR_OK;
	case MSR_IA32_APIC_BASE:
		return from_lapic(lapic_base_write(vp, value));
	case MSR_IA32_TSC_DEADLINE:
		lapic_tsc_deadline_write(vp, value);
		return MSR_OK;
	default:
		return MSR_UNKNOWN;
	}
}

enum msr_result msr_read_all(struct hv_vp *vp, uint32_t index, uint64_t *ret)
{
	const struct msr_entry *e = find(index);

	if (e == NULL) {
		return architectural_read(vp, index, ret);
	}
	return e->read != NULL ? e->read(vp, index - e->first, ret) : MSR_FAULT;
}

enum msr_result msr_write_all(struct hv_vp *vp, uint32_t index, uint64_t value)
{
	const struct msr_entry *e = find(index);

	if (e == NULL) {
		return architectural_write(vp, index, value);
	}
	return e->write != NULL ? e->write(vp, index - e->first, value) : MSR_FAULT;
}

static bool may_access(const struct hv_vp *vp, uint32_t index)
{
	const struct msr_entry *e = find(index);

	return e == NULL || partition_may(vp->partition, e->privilege);
}

enum msr_result msr_read(struct hv_vp *vp, uint32_t index, uint64_t *ret)
{
	return may_access(vp, index) ? msr_read_all(vp, index, ret) : MSR_FAULT;
}

enum msr_result msr_write(struct hv_vp *vp, uint32_t index, uint64_t value)
{
	return may_access(vp, index) ? msr_write_all(vp, index, value) : MSR_FAULT;
}
