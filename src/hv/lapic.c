// SPDX-License-Identifier: Apache-2.0
/*
 * The local APIC of one VP: its interrupt requests and priorities. Spec: Intel SDM volume 3, chapter 11 (APIC).
 *
 * IRR and TMR are written by any thread; everything else by the VP's own. The APIC ID is the VP index.
 *
 * All of it is stale while an engine has the APICs (apic_home.c); the VP's own thread asks first whether it does.
 */
#include "lapic.h"

bool bitmap256_test(const uint32_t *map, uint8_t n)
{
	return (__atomic_load_n(&map[n / 32], __ATOMIC_RELAXED) >> (n % 32)) & 1;
}

int bitmap256_highest(const uint32_t *map)
{
	for (int i = 7; i >= 0; i--) {
		uint32_t word = __atomic_load_n(&map[i], __ATOMIC_SEQ_CST);

		if (word != 0) {
			return i * 32 + 31 - __builtin_clz(word);
		}
	}
	return -1;
}

static void bitmap_set(uint32_t *map, uint8_t n)
{
	__atomic_fetch_or(&map[n / 32], BIT32(n % 32), __ATOMIC_SEQ_CST);
}

static void bitmap_clear(uint32_t *map, uint8_t n)
{
	__atomic_fetch_and(&map[n / 32], ~BIT32(n % 32), __ATOMIC_SEQ_CST);
}

static uint64_t base_of(const struct hv_vp *vp)
{
	return __atomic_load_n(&vp->lapic.base, __ATOMIC_RELAXED);
}

bool lapic_x2apic(const struct hv_vp *vp)
{
	return (base_of(vp) & LAPIC_BASE_X2APIC) != 0;
}

bool lapic_enabled(const struct hv_vp *vp)
{
	return (base_of(vp) & LAPIC_BASE_ENABLE) &&
	       (__atomic_load_n(&vp->lapic.svr, __ATOMIC_RELAXED) & SVR_ENABLE);
}

uint32_t lapic_id(const struct hv_vp *vp)
{
	return vp->index;
}

static void reset_registers(struct hv_vp *vp)
{
	struct lapic *l = &vp->lapic;
	uint64_t base = l->base;

	*l = (struct lapic){.base = base, .dfr = UINT32_MAX, .svr = 0xFF};
	for (unsigned i = 0; i < LVT_COUNT; i++) {
		l->lvt[i] = LVT_MASKED;
	}
	/* Decision: no firmware sets up virtual wire mode here, so the boot processor starts in it. */
	if (vp->index == 0) {
		l->lvt[LVT_LINT0] = LVT_MODE_EXTINT;
		l->lvt[LVT_LINT1] = LVT_MODE_NMI;
	}
}

void lapic_reset(struct hv_vp *vp, bool init)
{
	uint32_t auto_eoi[8];

	/* INIT leaves the SynIC alone, and with it the AutoEOI vectors. */
	__builtin_memcpy(auto_eoi, vp->lapic.auto_eoi, sizeof(auto_eoi));
	if (!init) {
		vp->lapic.base = LAPIC_BASE_DEFAULT | LAPIC_BASE_ENABLE;
		if (vp->index == 0) {
			vp->lapic.base |= LAPIC_BASE_BSP;
		}
	}
	reset_registers(vp);
	if (init) {
		__builtin_memcpy(vp->lapic.auto_eoi, auto_eoi, sizeof(auto_eoi));
	}
}

void lapic_note_error(struct hv_vp *vp, uint32_t bit)
{
	uint32_t lvt = __atomic_load_n(&vp->lapic.lvt[LVT_ERROR], __ATOMIC_RELAXED);

	if ((__atomic_fetch_or(&vp->lapic.esr_pending, bit, __ATOMIC_SEQ_CST) & bit) == 0 &&
	    !(lvt & LVT_MASKED) && (lvt & 0xFF) >= 16) {
		lapic_request_here(vp, (uint8_t)lvt, false);
	}
}

void lapic_request_here(struct hv_vp *vp, uint8_t vector, bool level)
{
	struct lapic *l = &vp->lapic;

	if (!lapic_enabled(vp)) {
		return;
	}
	if (vector < 16) {
		lapic_note_error(vp, ESR_RECEIVE_ILLEGAL);
		return;
	}
	if (level) {
		bitmap_set(l->tmr, vector);
	} else if (bitmap256_test(l->tmr, vector)) {
		bitmap_clear(l->tmr, vector);
	}
	bitmap_set(l->irr, vector);
	vp_notify(vp);
}

void lapic_request(struct hv_vp *vp, uint8_t vector)
{
	struct hv_partition *p = vp->partition;

	if (!apic_begin(p)) {
		lapic_request_here(vp, vector, false);
	} else if (vector >= 16) {
		p->apic->request(vp->engine, vector);
	}
	apic_end(p);
}

uint32_t lapic_processor_priority(const struct hv_vp *vp)
{
	int in_service = bitmap256_highest(vp->lapic.isr);
	uint32_t service_class = in_service < 0 ? 0 : (uint32_t)in_service & 0xF0;

	return (vp->lapic.tpr & 0xF0) >= service_class ? vp->lapic.tpr : service_class;
}

int lapic_pending(const struct hv_vp *vp)
{
	int vector = bitmap256_highest(vp->lapic.irr);

	if (vector < 0 || !lapic_enabled(vp) ||
	    (uint32_t)(vector & 0xF0) <= (lapic_processor_priority(vp) & 0xF0)) {
		return -1;
	}
	return vector;
}

bool lapic_any_requested(const struct hv_vp *vp)
{
	return bitmap256_highest(vp->lapic.irr) >= 0;
}

void lapic_accept(struct hv_vp *vp, uint8_t vector)
{
	bitmap_clear(vp->lapic.irr, vector);
	if (!bitmap256_test(vp->lapic.auto_eoi, vector)) {
		bitmap_set(vp->lapic.isr, vector);
	}
}

void lapic_eoi(struct hv_vp *vp)
{
	int vector = bitmap256_highest(vp->lapic.isr);

	if (vector < 0) {
		return;
	}
	bitmap_clear(vp->lapic.isr, (uint8_t)vector);
	if (bitmap256_test(vp->lapic.tmr, (uint8_t)vector)) {
		message_apic_eoi(vp, (uint8_t)vector, vp->message);
		vp->message_ready = true;
	}
	synic_eoi(vp, (uint8_t)vector);
}

void lapic_tpr_set(struct hv_vp *vp, uint32_t tpr)
{
	__atomic_store_n(&vp->lapic.tpr, tpr & 0xFF, __ATOMIC_RELAXED);
}

bool lapic_accepts_extint(const struct hv_vp *vp)
{
	uint32_t lvt = vp->lapic.lvt[LVT_LINT0];

	if (!(base_of(vp) & LAPIC_BASE_ENABLE)) {
		return true;
	}
	return !(lvt & LVT_MASKED) && (lvt & LVT_MODE) == LVT_MODE_EXTINT;
}
