// SPDX-License-Identifier: Apache-2.0
/* Virtual processors: creation, registers, start, interrupts from the parent. Spec: TLFS 7. */
#include "hypercall.h"

uint16_t call_create_vp(struct hv_call *c)
{
	const struct hv_input_create_vp *in = (const void *)c->input;
	struct hv_partition *p = call_partition(c, in->partition_id);
	uint16_t status;

	if (p == NULL || p == c->caller) {
		return HV_STATUS_INVALID_PARTITION_ID;
	}
	if (p->state != PARTITION_ACTIVE) {
		return HV_STATUS_INVALID_PARTITION_STATE;
	}
	if (in->vp_index >= HV_MAXIMUM_PROCESSORS || in->vp_index >= c->hv->engine_config.vp_max) {
		return HV_STATUS_INVALID_VP_INDEX;
	}
	if (in->flags != 0) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	/* Who moves APICs or overlays has all VPs of the partition, from first to last the same ones. */
	hv_host_lock(&p->apic_lock);
	hv_host_lock(&c->hv->lock);
	status = vp_find(p, in->vp_index) != NULL ? HV_STATUS_INVALID_VP_INDEX
						  : vp_create(p, in->vp_index);
	hv_host_unlock(&c->hv->lock);
	hv_host_unlock(&p->apic_lock);
	return status;
}

/* Spec: TLFS 7.4.2. The VP must not be dispatched at the moment. */
uint16_t call_delete_vp(struct hv_call *c)
{
	const struct hv_input_vp *in = (const void *)c->input;
	struct hv_partition *p = call_partition(c, in->partition_id);
	uint16_t status = HV_STATUS_SUCCESS;
	struct hv_vp *vp;

	if (p == NULL || p == c->caller) {
		return HV_STATUS_INVALID_PARTITION_ID;
	}
	hv_host_lock(&p->apic_lock);
	hv_host_lock(&c->hv->lock);
	vp = vp_find(p, in->vp_index);
	if (vp == NULL) {
		status = HV_STATUS_INVALID_VP_INDEX;
	} else if (!vp_try_acquire(vp)) {
		status = HV_STATUS_INVALID_VP_STATE;
	} else {
		vp_destroy(vp);
	}
	hv_host_unlock(&c->hv->lock);
	hv_host_unlock(&p->apic_lock);
	return status;
}

/* ---- Registers ---- */

static uint16_t register_target(struct hv_call *c, struct hv_vp **ret)
{
	const struct hv_input_vp *in = (const void *)c->input;
	struct hv_partition *p = call_partition(c, in->partition_id);

	if (p == NULL || p == c->hv->root) {
		return HV_STATUS_INVALID_PARTITION_ID;
	}
	if (p->state != PARTITION_ACTIVE) {
		return HV_STATUS_INVALID_PARTITION_STATE;
	}
	if (in->target_vtl & 0xF) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	*ret = call_vp(c, p, in->vp_index);
	return *ret == NULL ? HV_STATUS_INVALID_VP_INDEX : HV_STATUS_SUCCESS;
}

/* The VP's own registers need its thread: the caller itself, or a VP that nobody dispatches. */
static bool take_vp(struct hv_call *c, struct hv_vp *vp)
{
	return vp == c->vp || vp_try_acquire(vp);
}

static void give_vp(struct hv_call *c, struct hv_vp *vp)
{
	if (vp != c->vp) {
		vp_release(vp);
	}
}

uint16_t call_get_vp_registers(struct hv_call *c, unsigned n)
{
	struct hv_u128 value;
	struct hv_vp *vp;
	uint16_t status = register_target(c, &vp);

	if (status != HV_STATUS_SUCCESS) {
		return status;
	}
	if (!take_vp(c, vp)) {
		return HV_STATUS_INVALID_VP_STATE;
	}
	status = vp_register_get(vp, load_le32(call_element(c, n)), c->vp == NULL, &value);
	give_vp(c, vp);
	if (status == HV_STATUS_SUCCESS) {
		__builtin_memcpy(call_output_element(c, n), &value, sizeof(value));
	}
	return status;
}

uint16_t call_set_vp_registers(struct hv_call *c, unsigned n)
{
	struct hv_register_assoc assoc;
	struct hv_u128 value;
	struct hv_vp *vp;
	uint16_t status = register_target(c, &vp);

	if (status != HV_STATUS_SUCCESS) {
		return status;
	}
	__builtin_memcpy(&assoc, call_element(c, n), sizeof(assoc));
	value = (struct hv_u128){assoc.value[0], assoc.value[1]};
	if (assoc.reserved1 != 0 || assoc.reserved2 != 0) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	/* The one register that works on a running VP: it is how the parent stops it. */
	if (assoc.name == HvRegisterExplicitSuspend && c->vp == NULL) {
		return vp_register_set(vp, assoc.name, true, &value);
	}
	if (!take_vp(c, vp)) {
		return HV_STATUS_INVALID_VP_STATE;
	}
	status = vp_register_set(vp, assoc.name, c->vp == NULL, &value);
	give_vp(c, vp);
	vp_notify(vp);
	return status;
}

/* ---- Start ---- */

uint16_t call_start_virtual_processor(struct hv_call *c)
{
	const struct hv_input_start_virtual_processor *in = (const void *)c->input;
	struct hv_partition *p = call_partition(c, in->partition_id);
	uint16_t status = HV_STATUS_INVALID_VP_STATE;
	struct hv_vp *vp;

	if (p == NULL || p == c->hv->root) {
		return HV_STATUS_INVALID_PARTITION_ID;
	}
	if (in->target_vtl & 0xF) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	vp = vp_find(p, in->vp_index);
	if (vp == NULL) {
		return HV_STATUS_INVALID_VP_INDEX;
	}
	if (vp == c->vp) {
		return HV_STATUS_INVALID_VP_STATE;
	}
	if (!vp_claim_for(vp, c->vp)) {
		c->again = true;
		return HV_STATUS_SUCCESS;
	}
	if (vp_waits_for_start(vp)) {
		vp_set_initial_context(vp, &in->vp_context);
		status = HV_STATUS_SUCCESS;
	}
	vp_release(vp);
	vp_notify(vp);
	return status;
}

uint16_t call_get_vp_index_from_apic_id(struct hv_call *c, unsigned n)
{
	struct hv_partition *p = call_partition(c, load_le64(c->input));
	uint32_t apic_id = load_le32(call_element(c, n));

	if (p == NULL) {
		return HV_STATUS_INVALID_PARTITION_ID;
	}
	if (vp_find(p, apic_id) == NULL) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	store_le32(call_output_element(c, n), apic_id);
	return HV_STATUS_SUCCESS;
}

/* ---- Interrupts ---- */

uint16_t call_assert_virtual_interrupt(struct hv_call *c)
{
	const struct hv_input_assert_virtual_interrupt *in = (const void *)c->input;
	struct hv_partition *p = call_partition(c, in->partition_id);
	struct apic_message m = {
		.type = (uint32_t)in->control,
		.destination = (uint32_t)in->destination_address,
		.vector = (uint8_t)in->requested_vector,
		.logical = (in->control & HV_INTERRUPT_CONTROL_LOGICAL) != 0,
		.level = (in->control & HV_INTERRUPT_CONTROL_LEVEL) != 0,
	};
	bool needs_vector =
		m.type == HvX64InterruptTypeFixed || m.type == HvX64InterruptTypeLowestPriority;

	if (p == NULL || p == c->caller) {
		return HV_STATUS_INVALID_PARTITION_ID;
	}
	if (in->requested_vector > 0xFF || m.type > HvX64InterruptTypeSipi ||
	    (in->target_vtl & 0xF) || (needs_vector && m.vector < 16)) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	if (p->state != PARTITION_ACTIVE) {
		return HV_STATUS_INVALID_PARTITION_STATE;
	}
	apic_route(p, &m);
	return HV_STATUS_SUCCESS;
}

uint16_t call_notify_long_spin_wait(struct hv_call *c)
{
	hv_host_relax(1);
	return HV_STATUS_SUCCESS;
}
