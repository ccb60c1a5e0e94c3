// SPDX-License-Identifier: Apache-2.0
/*
 * Backup: HOT_BACKUP asks whether the guest can, FREEZE has it write out and stop its file systems, THAW lets them go on. A guest that was
 * told to freeze is thawed in the end, whatever happens: the freeze fails or comes too late, nobody thaws in time, the VM is restored from a
 * state that was saved meanwhile. THAW is repeated until it is answered.
 *
 * The flags in HOT_BACKUP's answer say nothing: Linux means to set them and, with its present daemon, does not.
 */
#include <errno.h>
#include <string.h>

#include "service.h"

static uint64_t due_ns(const struct ic_channel *ch)
{
	const struct ic_vss *v = &ch->ic->vss;

	switch (v->step) {
	case IC_VSS_ASKING:
	case IC_VSS_FREEZING:
	case IC_VSS_THAWING:
		return 0;
	case IC_VSS_FROZEN:
		return v->thaw_at_ns;
	case IC_VSS_IDLE:
	default:
		return IC_NEVER;
	}
}

static uint8_t operation_of(enum ic_vss_step step)
{
	switch (step) {
	case IC_VSS_ASKING:
		return IC_VSS_HOT_BACKUP;
	case IC_VSS_FREEZING:
		return IC_VSS_FREEZE;
	case IC_VSS_THAWING:
	case IC_VSS_FROZEN:
	case IC_VSS_IDLE:
	default:
		return IC_VSS_THAW;
	}
}

static size_t build(struct ic_channel *ch, uint8_t *body)
{
	struct ic_vss *v = &ch->ic->vss;
	struct ic_vss_body b = {0};

	if (v->step == IC_VSS_FROZEN) { /* nobody thawed in time */
		v->step = IC_VSS_THAWING;
		v->expired = true;
	}
	b.operation = operation_of(v->step);
	memcpy(body, &b, sizeof(b));
	return sizeof(b);
}

static void finish(struct ic_vss *v, enum ic_vss_step step, enum vsp_ic_result result,
		   uint32_t status)
{
	v->step = step;
	ic_finish(&v->done, result, status);
}

static void answered(struct ic_channel *ch, uint32_t status, const uint8_t *body, size_t bytes)
{
	struct ic_vss *v = &ch->ic->vss;

	switch (v->step) {
	case IC_VSS_ASKING:
		if (status == IC_STATUS_OK) {
			v->step = IC_VSS_FREEZING;
		} else {
			finish(v, IC_VSS_IDLE, VSP_IC_REFUSED, status);
		}
		break;
	case IC_VSS_FREEZING:
		if (status == IC_STATUS_OK) {
			v->thaw_at_ns = ic_after(ch->ic, v->hold_ns);
			finish(v, IC_VSS_FROZEN, VSP_IC_DONE, status);
		} else {
			finish(v, IC_VSS_THAWING, VSP_IC_REFUSED, status);
		}
		break;
	case IC_VSS_THAWING:
		finish(v, IC_VSS_IDLE, status == IC_STATUS_OK ? VSP_IC_DONE : VSP_IC_REFUSED,
		       status);
		break;
	case IC_VSS_IDLE:
	case IC_VSS_FROZEN:
	default:
		break;
	}
}

static void lost(struct ic_channel *ch, enum vsp_ic_result why)
{
	struct ic_vss *v = &ch->ic->vss;
	bool told = v->step == IC_VSS_FREEZING || v->step == IC_VSS_THAWING;

	if (why == VSP_IC_GONE) {
		v->expired = false;
		finish(v, IC_VSS_IDLE, why, 0);
	} else {
		finish(v, told ? IC_VSS_THAWING : IC_VSS_IDLE, why, 0);
	}
}

/* The guest stood still with its file systems: they get the time they were to have. */
static void jumped(struct ic_channel *ch)
{
	struct ic_vss *v = &ch->ic->vss;

	if (v->step == IC_VSS_FROZEN) {
		v->thaw_at_ns = ic_after(ch->ic, v->hold_ns);
	}
}

static void save(const struct ic_channel *ch, struct state_writer *w)
{
	state_put_u8(w, (uint8_t)ch->ic->vss.step);
}

static bool restore(struct ic_channel *ch, struct state_reader *r)
{
	uint8_t step = state_get_u8(r);

	if (r->bad || step > IC_VSS_THAWING) {
		return false;
	}
	ch->ic->vss.step = step >= IC_VSS_FREEZING ? IC_VSS_THAWING : IC_VSS_IDLE;
	return true;
}

const struct ic_component ic_vss_component = {
	.name = "backup",
	.type = IC_VSS_TYPE,
	.instance = IC_VSS_INSTANCE,
	.message_type = IC_MESSAGE_VSS,
	.versions = {{5, 0}},
	.version_count = 1,
	.answer_bytes = sizeof(struct ic_vss_body),
	.timeout_ns = 60 * IC_SECOND_NS,
	.due_ns = due_ns,
	.build = build,
	.answered = answered,
	.lost = lost,
	.jumped = jumped,
	.save = save,
	.restore = restore,
};

/* ---- Asking ---- */

int vsp_ic_freeze(struct vsp_ic *ic, uint64_t hold_ns, struct vsp_ic_done done)
{
	struct ic_vss *v = &ic->vss;

	if (!ic_channel_ready(&ic->channels[VSP_IC_VSS])) {
		return -ENODEV;
	}
	if (v->step != IC_VSS_IDLE) {
		return -EBUSY;
	}
	v->step = IC_VSS_ASKING;
	v->expired = false;
	v->hold_ns = hold_ns;
	v->done = done;
	ic_wake(ic);
	return 0;
}

int vsp_ic_thaw(struct vsp_ic *ic, struct vsp_ic_done done)
{
	struct ic_vss *v = &ic->vss;

	if (!ic_channel_ready(&ic->channels[VSP_IC_VSS])) {
		return -ENODEV;
	}
	if (v->expired) {
		v->expired = false;
		return -ETIME;
	}
	if (v->step != IC_VSS_FROZEN) {
		return v->step == IC_VSS_IDLE ? -EINVAL : -EBUSY;
	}
	v->step = IC_VSS_THAWING;
	v->done = done;
	ic_wake(ic);
	return 0;
}
