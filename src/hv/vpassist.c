// SPDX-License-Identifier: Apache-2.0
/*
 * VP assist page and EOI assist: when nothing else waits, the guest may leave out the EOI of an edge interrupt by finding (and
 * clearing) a bit in its VP assist page. Spec: TLFS 10.3.5.
 */
#include "core.h"

static void offer_end(struct hv_vp *vp)
{
	uint32_t *word = overlay_begin(&vp->assist.overlay);

	__atomic_fetch_and(word, ~HV_APIC_ASSIST_NO_EOI_REQUIRED, __ATOMIC_SEQ_CST);
	overlay_end(&vp->assist.overlay);
}

static void offer_make(struct hv_vp *vp)
{
	uint32_t *word = overlay_begin(&vp->assist.overlay);

	__atomic_fetch_or(word, HV_APIC_ASSIST_NO_EOI_REQUIRED, __ATOMIC_SEQ_CST);
	overlay_end(&vp->assist.overlay);
	overlay_touch(vp->partition, &vp->assist.overlay, 0, 4);
}

void vp_assist_write(struct hv_vp *vp, uint64_t value, bool *ret_ok)
{
	*ret_ok = (value & 0xFFE) == 0;
	if (!*ret_ok) {
		return;
	}
	if (vp->assist.armed) {
		vp->assist.armed = false;
		offer_end(vp);
	}
	if ((value & HV_MSR_PAGE_ENABLE) && !(vp->assist.overlay.msr & HV_MSR_PAGE_ENABLE)) {
		uint32_t *word = overlay_begin(&vp->assist.overlay);

		__atomic_store_n(word, 0, __ATOMIC_SEQ_CST);
		overlay_end(&vp->assist.overlay);
	}
	*ret_ok = overlay_set(vp->partition, &vp->assist.overlay, value);
	apic_tell_assist(vp);
}

static bool queued_for_vector(const struct hv_vp *vp, uint8_t vector)
{
	for (unsigned i = 0; i < HV_SYNIC_SINT_COUNT; i++) {
		if ((vp->synic.sint[i] & HV_SINT_VECTOR) == vector &&
		    (__atomic_load_n(&vp->synic.queue_head[i], __ATOMIC_RELAXED) != NULL ||
		     stimer_has_message(vp, i))) {
			return true;
		}
	}
	return false;
}

void vp_assist_arm(struct hv_vp *vp, uint8_t vector)
{
	if (!vp->assist.overlay.shown || !bitmap256_test(vp->lapic.isr, vector) ||
	    bitmap256_test(vp->lapic.tmr, vector) || lapic_any_requested(vp) ||
	    bitmap256_highest(vp->lapic.isr) != vector || queued_for_vector(vp, vector)) {
		return;
	}
	vp->assist.armed = true;
	vp->assist.vector = vector;
	offer_make(vp);
}

static bool offer_taken(struct hv_vp *vp)
{
	const uint32_t *word = overlay_begin(&vp->assist.overlay);
	bool taken = !(__atomic_load_n(word, __ATOMIC_SEQ_CST) & HV_APIC_ASSIST_NO_EOI_REQUIRED);

	overlay_end(&vp->assist.overlay);
	return taken;
}

void vp_assist_sync(struct hv_vp *vp)
{
	if (!vp->assist.armed) {
		return;
	}
	if (!offer_taken(vp) && bitmap256_test(vp->lapic.isr, vp->assist.vector) &&
	    !lapic_any_requested(vp)) {
		return;
	}
	vp_assist_withdraw(vp);
}

void vp_assist_withdraw(struct hv_vp *vp)
{
	bool taken;

	if (!vp->assist.armed) {
		return;
	}
	taken = offer_taken(vp);
	if (!taken) {
		/* The owner runs here, not the guest: the word cannot change under us any more. */
		offer_end(vp);
	}
	vp->assist.armed = false;
	if (taken && bitmap256_test(vp->lapic.isr, vp->assist.vector)) {
		lapic_eoi(vp);
	}
}
