// SPDX-License-Identifier: Apache-2.0
/*
 * Overlay pages: hypercall page, SIM, SIEF, VP assist and reference TSC pages. The page belongs to the overlay and moves with it;
 * what it covers comes back when it goes. Spec: TLFS 5.2.1 (GPA overlay pages).
 */
#include "core.h"

static bool in_space(const struct hv_partition *p, uint64_t msr)
{
	return msr >> p->gmem.pa_bits == 0;
}

static void hide(struct hv_partition *p, struct hv_overlay *o)
{
	if (o->shown) {
		uint64_t gpn = o->gmem.gpn;

		gmem_overlay_remove(&p->gmem, &o->gmem);
		o->shown = false;
		partition_gpa_changed(p, gpn, 1, false);
	}
}

bool overlay_set(struct hv_partition *p, struct hv_overlay *o, uint64_t msr)
{
	uint64_t gpn = msr >> HV_PAGE_SHIFT;
	bool show = (msr & HV_MSR_PAGE_ENABLE) != 0 && in_space(p, msr);
	bool ok = true;

	hv_host_lock(&p->lock);
	if (!show || !o->shown || o->gmem.gpn != gpn) {
		hide(p, o);
		if (show) {
			ok = gmem_overlay_add(&p->gmem, &o->gmem, gpn, o->page, o->rights) == 0;
			o->shown = ok;
			partition_gpa_changed(p, gpn, 1, false);
		}
	}
	__atomic_store_n(&o->msr, ok ? msr : msr & ~HV_MSR_PAGE_ENABLE, __ATOMIC_RELAXED);
	hv_host_unlock(&p->lock);
	return ok;
}

void overlay_touch(struct hv_partition *p, struct hv_overlay *o, size_t offset, size_t bytes)
{
	if (o->shown) {
		gmem_touch(&p->gmem, (o->gmem.gpn << HV_PAGE_SHIFT) + offset, bytes);
	}
}
