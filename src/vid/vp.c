// SPDX-License-Identifier: Apache-2.0
/* Virtual processors: made, asked, run; and the messages of theirs that are for this layer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/host.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "partition.h"

#define NONE_WAITING (-1)

/* ---- VPs ---- */

int vid_vp_create(struct vid_partition *p, uint32_t index, void *cookie, struct vid_vp **ret)
{
	const struct hv_input_create_vp in = {.partition_id = p->id, .vp_index = index};

	if (index >= p->config.processors) {
		return HV_STATUS_INVALID_VP_INDEX;
	}
	struct vid_vp *vp = calloc(1, sizeof(*vp));

	if (vp == NULL) {
		return -ENOMEM;
	}
	int r = vid_call(p, HvCallCreateVp, 0, &in, NULL);

	if (r != 0) {
		free(vp);
		return r;
	}
	*vp = (struct vid_vp){.partition = p, .vp = hv_root_vp(p->handle, index), .index = index};
	CHECK(vp->vp != NULL);
	hv_vp_set_cookie(vp->vp, cookie);
	p->vps[index] = vp;
	*ret = vp;
	/* Spec: a new VP is explicitly suspended; it starts when its parent clears the register. */
	return vid_reg_set64(vp, HvRegisterExplicitSuspend, 0);
}

uint32_t vid_vp_index(const struct vid_vp *vp)
{
	return vp->index;
}

struct get_registers {
	struct hv_input_vp vp;
	uint32_t name;
	uint32_t padding;
};

struct set_registers {
	struct hv_input_vp vp;
	struct hv_register_assoc assoc;
};

int vid_reg_get(struct vid_vp *vp, uint32_t name, struct hv_u128 *ret)
{
	const struct get_registers in = {
		.vp = {.partition_id = vp->partition->id, .vp_index = vp->index},
		.name = name,
	};

	return vid_call(vp->partition, HvCallGetVpRegisters, 1, &in, ret);
}

int vid_reg_set(struct vid_vp *vp, uint32_t name, const struct hv_u128 *value)
{
	const struct set_registers in = {
		.vp = {.partition_id = vp->partition->id, .vp_index = vp->index},
		.assoc = {.name = name, .value = {value->lo, value->hi}},
	};

	return vid_call(vp->partition, HvCallSetVpRegisters, 1, &in, NULL);
}

/* ---- Running ---- */

/*
 * Registers for the VP's own dispatcher, between two dispatches: nobody else runs the VP then, but somebody may have it for a moment (another VP's
 * hypercall), and is waited for.
 */
static void own_reg_set64(struct vid_vp *vp, uint32_t name, uint64_t value)
{
	for (unsigned round = 0; vid_reg_set64(vp, name, value) == HV_STATUS_INVALID_VP_STATE;
	     round++) {
		hv_host_relax(round);
	}
}

static uint64_t own_reg(struct vid_vp *vp, uint32_t name)
{
	struct hv_u128 value = {0};

	for (unsigned round = 0; vid_reg_get(vp, name, &value) == HV_STATUS_INVALID_VP_STATE;
	     round++) {
		hv_host_relax(round);
	}
	return value.lo;
}

/* The 8259s are asked for their vector only now that the VP can take it. */
static void acknowledge_extint(struct vid_vp *vp)
{
	struct vid_partition *p = vp->partition;
	uint32_t seen = hv_partition_extint(p->handle);
	int vector = p->extint_ack != NULL ? p->extint_ack(p->extint_ctx) : NONE_WAITING;

	if (vector == NONE_WAITING) {
		hv_partition_extint_drop(p->handle, seen);
		return;
	}
	own_reg_set64(vp, HvRegisterPendingInterruption,
		      HV_PENDING_INTERRUPTION_EXTERNAL((uint64_t)vector));
}

static void report_crash(struct vid_vp *vp, uint64_t control)
{
	struct vid_partition *p = vp->partition;
	char text[HV_PAGE_SIZE + 1] = "";
	uint64_t parameters[5];

	for (uint32_t i = 0; i < ARRAY_LEN(parameters); i++) {
		parameters[i] = own_reg(vp, HvRegisterGuestCrashP0 + i);
	}
	/* Spec: with the message bit P3 is the text's GPA and P4 its length. */
	if ((control & HV_CRASH_CTL_MESSAGE) && parameters[4] <= HV_PAGE_SIZE &&
	    gmem_read_any(vid_partition_gmem(p), parameters[3], text, (size_t)parameters[4])) {
		text[parameters[4]] = '\0';
	} else {
		text[0] = '\0';
	}
	if (p->events.crash != NULL) {
		p->events.crash(p->events.ctx, parameters, text);
	}
}

/* True when the message was for this layer. */
static bool take_notification(struct vid_vp *vp, const struct hv_message *message)
{
	struct vid_partition *p = vp->partition;
	struct hv_x64_msr_intercept_message msr;
	struct hv_x64_apic_eoi_message eoi;

	switch (message->type) {
	case (uint32_t)HvMessageTypeX64InterruptionDeliverable:
		acknowledge_extint(vp);
		return true;
	case (uint32_t)HvMessageTypeX64ApicEoi:
		memcpy(&eoi, message->payload, sizeof(eoi));
		if (p->eoi != NULL) {
			p->eoi(p->eoi_ctx, (uint8_t)eoi.interrupt_vector);
		}
		return true;
	case (uint32_t)HvMessageTypeMsrIntercept:
		memcpy(&msr, message->payload, sizeof(msr));
		if (msr.msr_number == HV_X64_MSR_CRASH_CTL) {
			report_crash(vp, msr.rdx << 32 | (uint32_t)msr.rax);
			return true;
		}
		if (msr.msr_number == HV_X64_MSR_RESET) {
			if (p->events.reset != NULL) {
				p->events.reset(p->events.ctx);
			}
			return true;
		}
		return false;
	default:
		return false;
	}
}

enum vid_state vid_vp_dispatch(struct vid_vp *vp, struct hv_message *ret_message,
			       uint64_t *ret_wake_ns)
{
	switch (hv_vp_dispatch(vp->vp, ret_message, ret_wake_ns)) {
	case HV_DISPATCH_INTERCEPT:
		return take_notification(vp, ret_message) ? VID_INTERRUPTED : VID_INTERCEPT;
	case HV_DISPATCH_BLOCKED:
		return VID_BLOCKED;
	case HV_DISPATCH_SUSPENDED:
		return VID_SUSPENDED;
	case HV_DISPATCH_INTERRUPTED:
		break;
	}
	return VID_INTERRUPTED;
}

void vid_vp_kick(struct vid_vp *vp)
{
	hv_vp_kick(vp->vp);
}

void vid_finish(struct vid_vp *vp, const uint64_t values[4])
{
	hv_vp_finish(vp->vp, values);
}

void vid_finish_fault(struct vid_vp *vp, uint8_t vector, bool has_error, uint32_t error)
{
	hv_vp_finish_fault(vp->vp, vector, has_error, error);
}
