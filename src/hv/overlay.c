// SPDX-License-Identifier: Apache-2.0
/*
 * Overlay pages: hypercall page, SIM, SIEF, VP assist and reference TSC pages. The page belongs to the overlay and moves with it;
 * what it covers comes back when it goes. Spec: TLFS 5.2.1 (GPA overlay pages).
 *
 * Where an engine can keep VPs out for a moment (hold), an overlay stands in place: contents are exchanged with those
 * of the guest's page beneath, and the map stays as it is, so that an engine whose map is in large pages need not cut them. The guest can write
 * there then, whatever the overlay's rights (Decision: docs/design/0009). While such a
 * partition's time is frozen, contents are exchanged back: its memory is then what lies beneath, as it is saved and as everybody expects
 * who looks at it past the map. They go into place again before a VP runs. Before the parent changes the map beneath, or another overlay comes on top, an overlay in
 * place becomes one like all others.
 */
#include "core.h"

#define EXCHANGED_BYTES 512u /* at a time */

static bool in_space(const struct hv_partition *p, uint64_t msr)
{
	return msr >> p->gmem.pa_bits == 0;
}

static void hold(struct hv_partition *p, bool on)
{
	if (p->in_place) {
		p->hv->engine->hold(p->engine, on);
	}
}

/* ---- Contents ---- */

void *overlay_begin(struct hv_overlay *o)
{
	hv_host_lock(&o->lock);
	return o->in_guest ? o->guest : o->own;
}

void overlay_end(struct hv_overlay *o)
{
	hv_host_unlock(&o->lock);
}

/* No VP runs, or contents are nowhere the guest's to see. */
static void exchange(struct hv_partition *p, struct hv_overlay *o)
{
	uint8_t *a = o->own, *b = o->guest, part[EXCHANGED_BYTES];

	hv_host_lock(&o->lock);
	for (size_t at = 0; at < HV_PAGE_SIZE; at += sizeof(part)) {
		__builtin_memcpy(part, a + at, sizeof(part));
		__builtin_memcpy(a + at, b + at, sizeof(part));
		__builtin_memcpy(b + at, part, sizeof(part));
	}
	o->in_guest = !o->in_guest;
	hv_host_unlock(&o->lock);
	gmem_touch(&p->gmem, o->gmem.gpn << HV_PAGE_SHIFT, HV_PAGE_SIZE);
}

void overlay_touch(struct hv_partition *p, struct hv_overlay *o, size_t offset, size_t bytes)
{
	if (o->shown) {
		gmem_touch(&p->gmem, (o->gmem.gpn << HV_PAGE_SHIFT) + offset, bytes);
	}
}

/* ---- Places; the partition's lock is held, and VPs are ---- */

static void cover(struct hv_partition *p, struct hv_overlay *o, uint64_t gpn, bool *ret_ok)
{
	*ret_ok = gmem_overlay_add(&p->gmem, &o->gmem, gpn, o->own, o->rights) == 0;
	partition_gpa_changed(p, gpn, 1, false);
}

static void uncover(struct hv_partition *p, struct hv_overlay *o)
{
	uint64_t gpn = o->gmem.gpn;

	if (o->in_guest) {
		exchange(p, o);
	}
	gmem_overlay_remove(&p->gmem, &o->gmem);
	if (o->guest == NULL) {
		partition_gpa_changed(p, gpn, 1, false);
	}
	o->guest = NULL;
}

static struct hv_overlay *in_place_at(struct hv_partition *p, uint64_t gpn)
{
	for (struct gmem_overlay *g = p->gmem.overlays; g != NULL; g = g->next) {
		struct hv_overlay *o = container_of(g, struct hv_overlay, gmem);

		if (g->gpn == gpn && o->guest != NULL) {
			return o;
		}
	}
	return NULL;
}

static void ground(struct hv_partition *p, uint64_t gpn)
{
	struct hv_overlay *o = in_place_at(p, gpn);
	bool ok;

	if (o != NULL) {
		uncover(p, o);
		cover(p, o, gpn, &ok);
		CHECK(ok); /* the map has a place for it */
	}
}

void overlay_ground(struct hv_partition *p, uint64_t gpn)
{
	if (in_place_at(p, gpn) != NULL) {
		hold(p, true);
		ground(p, gpn);
		hold(p, false);
	}
}

/* The guest's page that an overlay can stand in; NULL: none. */
static void *page_for(const struct hv_partition *p, uint64_t gpn)
{
	const uint32_t rights = GMEM_R | GMEM_W;
	uint64_t entry = gmem_entry(&p->gmem, gpn);

	if (!p->in_place || (entry & (rights | GMEM_OVERLAY)) != rights) {
		return NULL;
	}
	return gmem_entry_page(entry);
}

static bool show(struct hv_partition *p, struct hv_overlay *o, uint64_t gpn)
{
	void *page;
	bool ok;

	ground(p, gpn);
	page = page_for(p, gpn);
	if (page == NULL) {
		cover(p, o, gpn, &ok);
		return ok;
	}
	if (gmem_overlay_add(&p->gmem, &o->gmem, gpn, page, o->rights | GMEM_W) != 0) {
		return false;
	}
	o->guest = page;
	if (p->overlays_in_guest) {
		exchange(p, o);
	}
	return true;
}

bool overlay_set(struct hv_partition *p, struct hv_overlay *o, uint64_t msr)
{
	uint64_t gpn = msr >> HV_PAGE_SHIFT;
	bool wanted = (msr & HV_MSR_PAGE_ENABLE) != 0 && in_space(p, msr);
	bool ok = true;

	hv_host_lock(&p->lock);
	if (o->shown != wanted || (wanted && o->gmem.gpn != gpn)) {
		hold(p, true);
		if (o->shown) {
			uncover(p, o);
		}
		ok = !wanted || show(p, o, gpn);
		o->shown = wanted && ok;
		hold(p, false);
	}
	__atomic_store_n(&o->msr, ok ? msr : msr & ~HV_MSR_PAGE_ENABLE, __ATOMIC_RELAXED);
	hv_host_unlock(&p->lock);
	return ok;
}

/* ---- Into place, and back ---- */

static void exchange_if(struct hv_partition *p, struct hv_overlay *o, bool in_guest)
{
	if (o->guest != NULL && o->in_guest != in_guest) {
		exchange(p, o);
	}
}

static void exchange_all(struct hv_partition *p, bool in_guest)
{
	struct hv_vp *vp;

	hv_host_lock(&p->lock);
	exchange_if(p, &p->hypercall_page, in_guest);
	exchange_if(p, &p->reference_tsc, in_guest);
	for (uint32_t i = 0; (vp = vp_next(p, &i)) != NULL;) {
		exchange_if(p, &vp->synic.sim, in_guest);
		exchange_if(p, &vp->synic.sief, in_guest);
		exchange_if(p, &vp->assist.overlay, in_guest);
	}
	__atomic_store_n(&p->overlays_in_guest, in_guest, __ATOMIC_RELEASE);
	hv_host_unlock(&p->lock);
}

bool overlays_seen(const struct hv_partition *p)
{
	return !p->in_place || __atomic_load_n(&p->overlays_in_guest, __ATOMIC_ACQUIRE);
}

bool overlays_settled(const struct hv_partition *p)
{
	return overlays_seen(p) || time_frozen(p);
}

void overlays_settle(struct hv_partition *p)
{
	if (overlays_settled(p)) {
		return;
	}
	hv_host_lock(&p->apic_lock);
	if (!overlays_settled(p)) {
		vp_claim_all(p);
		exchange_all(p, true);
		vp_release_all(p);
	}
	hv_host_unlock(&p->apic_lock);
}

void overlays_gather(struct hv_partition *p)
{
	if (__atomic_load_n(&p->overlays_in_guest, __ATOMIC_ACQUIRE)) {
		vp_claim_all(p);
		exchange_all(p, false);
		vp_release_all(p);
	}
}
