// SPDX-License-Identifier: Apache-2.0
/* Partition properties: one row each. Spec: TLFS 5.2.3 (HV_PARTITION_PROPERTY_CODE). */
#include "core.h"

/* What a child may be given: nothing that manages other partitions or the machine. */
#define ASSIGNABLE                                                                                 \
	(HV_PRIVILEGE_AccessVpRunTimeReg | HV_PRIVILEGE_AccessPartitionReferenceCounter |          \
	 HV_PRIVILEGE_AccessSynicRegs | HV_PRIVILEGE_AccessSyntheticTimerRegs |                    \
	 HV_PRIVILEGE_AccessIntrCtrlRegs | HV_PRIVILEGE_AccessHypercallMsrs |                      \
	 HV_PRIVILEGE_AccessVpIndex | HV_PRIVILEGE_AccessResetReg |                                \
	 HV_PRIVILEGE_AccessPartitionReferenceTsc | HV_PRIVILEGE_AccessGuestIdleReg |              \
	 HV_PRIVILEGE_AccessFrequencyRegs | HV_PRIVILEGE_AccessReenlightenmentControls |           \
	 HV_PRIVILEGE_AccessTscInvariantControls | HV_PRIVILEGE_AccessPartitionId |                \
	 HV_PRIVILEGE_PostMessages | HV_PRIVILEGE_SignalEvents | HV_PRIVILEGE_AccessVpRegisters |  \
	 HV_PRIVILEGE_FastHypercallOutput | HV_PRIVILEGE_StartVirtualProcessor)

#define CPU_MAX UINT64_C(0x10000)

struct property {
	uint32_t code;
	bool early; /* only before the partition is initialized */
	uint64_t min;
	uint64_t max;
	uint32_t offset; /* in struct hv_partition; 0: computed */
};

#define SETTING(field) offsetof(struct hv_partition, settings.field)

static const struct property table[] = {
	{HvPartitionPropertyPrivilegeFlags, true, 0, UINT64_MAX,
	 offsetof(struct hv_partition, privileges)},
	{HvPartitionPropertySyntheticProcFeatures, true, 0, UINT64_MAX,
	 SETTING(synthetic_features)},
	{HvPartitionPropertyCpuReserve, false, 0, CPU_MAX, SETTING(cpu_reserve)},
	{HvPartitionPropertyCpuCap, false, 0, CPU_MAX, SETTING(cpu_cap)},
	{HvPartitionPropertyCpuWeight, false, 1, 10000, SETTING(cpu_weight)},
	{HvPartitionPropertyCpuGroupId, false, 0, UINT64_MAX, SETTING(cpu_group)},
	{HvPartitionPropertyProcessorsPerSocket, false, 0, HV_MAXIMUM_PROCESSORS,
	 SETTING(processors_per_socket)},
	{HvPartitionPropertyGpaPageAccessTracking, false, 0, 1, SETTING(access_tracking)},
	{HvPartitionPropertyUnimplementedMsrAction, false, 0,
	 HV_UNIMPLEMENTED_MSR_ACTION_IGNORE_WRITE_READ_ZERO, SETTING(unimplemented_msr_action)},
	{HvPartitionPropertyPhysicalAddressWidth, true, 36, 52, SETTING(pa_bits)},
	{HvPartitionPropertyTimeFreeze, false, 0, 1, 0},
	{HvPartitionPropertySuspend, false, 0, 1, 0},
	{HvPartitionPropertyReferenceTime, false, 0, UINT64_MAX, 0},
	{HvPartitionPropertyProcessorClockFrequency, false, 1, 0, 0}, /* max below min: read-only */
	{HvPartitionPropertyGuestOsId, false, 1, 0, offsetof(struct hv_partition, guest_os_id)},
};

static const struct property *find(uint32_t code)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].code == code) {
			return &table[i];
		}
	}
	return NULL;
}

static uint64_t *word(struct hv_partition *p, const struct property *row)
{
	return (uint64_t *)(void *)((uint8_t *)p + row->offset);
}

static uint64_t computed(struct hv_partition *p, uint32_t code)
{
	bool active = p->state == PARTITION_ACTIVE;

	switch (code) {
	case HvPartitionPropertyTimeFreeze:
	case HvPartitionPropertySuspend:
		return time_frozen(p);
	case HvPartitionPropertyReferenceTime:
		return active ? time_reference(p) : 0;
	case HvPartitionPropertyProcessorClockFrequency:
		return active ? p->time.tsc_hz : 0;
	default:
		return 0;
	}
}

uint16_t property_get(struct hv_partition *p, uint32_t code, uint64_t *ret)
{
	const struct property *row = find(code);

	if (row == NULL) {
		return HV_STATUS_UNKNOWN_PROPERTY;
	}
	*ret = row->offset != 0 ? __atomic_load_n(word(p, row), __ATOMIC_RELAXED)
				: computed(p, code);
	return HV_STATUS_SUCCESS;
}

static void freeze(struct hv_partition *p, bool frozen)
{
	struct hv_vp *vp;

	hv_host_lock(&p->apic_lock);
	if (p->state == PARTITION_ACTIVE) {
		if (frozen) {
			apic_gather(p);
			overlays_gather(p);
		}
		time_freeze(p, frozen);
	} else {
		p->time.frozen = frozen;
	}
	for (uint32_t i = 0; (vp = vp_next(p, &i)) != NULL;) {
		vp_notify(vp);
	}
	hv_host_unlock(&p->apic_lock);
}

static uint16_t set_computed(struct hv_partition *p, uint32_t code, uint64_t value)
{
	switch (code) {
	case HvPartitionPropertyTimeFreeze:
	case HvPartitionPropertySuspend:
		freeze(p, value != 0);
		return HV_STATUS_SUCCESS;
	case HvPartitionPropertyReferenceTime:
		if (p->state != PARTITION_ACTIVE || !time_frozen(p)) {
			return HV_STATUS_INVALID_PARTITION_STATE;
		}
		time_set(p, time_guest_tsc(p), value);
		partition_fill_reference_tsc(p);
		return HV_STATUS_SUCCESS;
	default:
		return HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE;
	}
}

static bool in_range(const struct hv_partition *p, const struct property *row, uint64_t value)
{
	if (value < row->min || value > row->max) {
		return false;
	}
	switch (row->code) {
	case HvPartitionPropertyPrivilegeFlags:
		return (value & ~ASSIGNABLE) == 0;
	case HvPartitionPropertyCpuReserve:
		return value <= p->settings.cpu_cap;
	case HvPartitionPropertyCpuCap:
		return value >= p->settings.cpu_reserve;
	default:
		return true;
	}
}

uint16_t property_set(struct hv_partition *p, uint32_t code, uint64_t value)
{
	const struct property *row = find(code);

	if (row == NULL) {
		return HV_STATUS_UNKNOWN_PROPERTY;
	}
	if (!in_range(p, row, value)) {
		return HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE;
	}
	if (row->early ? p->state != PARTITION_UNINITIALIZED : p->state == PARTITION_FINALIZED) {
		return HV_STATUS_INVALID_PARTITION_STATE;
	}
	if (row->offset == 0) {
		return set_computed(p, code, value);
	}
	if (code == HvPartitionPropertyGpaPageAccessTracking && p->state == PARTITION_ACTIVE) {
		uint16_t status = partition_track_writes(p, value != 0);

		if (status != HV_STATUS_SUCCESS) {
			return status;
		}
	}
	__atomic_store_n(word(p, row), value, __ATOMIC_RELAXED);
	return HV_STATUS_SUCCESS;
}
