// SPDX-License-Identifier: Apache-2.0
/* Which local APICs an interrupt message reaches. Spec: Intel SDM volume 3, 11.6 (interprocessor interrupts). */
#include "core.h"

static uint32_t load32(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void deliver_sipi(struct hv_vp *target, uint8_t vector)
{
	uint32_t old = load32(&target->requests), want;

	do {
		want = (old & ((1u << REQUEST_SIPI_VECTOR_SHIFT) - 1)) | REQUEST_SIPI |
		       (uint32_t)vector << REQUEST_SIPI_VECTOR_SHIFT;
	} while (!__atomic_compare_exchange_n(&target->requests, &old, want, true, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	vp_notify(target);
}

static void deliver_init(struct hv_vp *target)
{
	/* A startup message from before the INIT is void. */
	__atomic_fetch_and(&target->requests, ~REQUEST_SIPI, __ATOMIC_SEQ_CST);
	vp_request(target, REQUEST_INIT);
}

void apic_deliver(struct hv_vp *target, uint32_t type, uint8_t vector, bool level)
{
	if (!(__atomic_load_n(&target->lapic.base, __ATOMIC_RELAXED) & LAPIC_BASE_ENABLE)) {
		return;
	}
	switch (type) {
	case HvX64InterruptTypeFixed:
	case HvX64InterruptTypeLowestPriority:
		lapic_request_here(target, vector, level);
		break;
	case HvX64InterruptTypeNmi:
		vp_request(target, REQUEST_NMI);
		break;
	case HvX64InterruptTypeInit:
		deliver_init(target);
		break;
	case HvX64InterruptTypeSipi:
		deliver_sipi(target, vector);
		break;
	default: /* SMI and reserved types go nowhere */
		break;
	}
}

static bool is_broadcast(const struct apic_message *m)
{
	return m->destination == UINT32_MAX || (!m->x2apic && m->destination == 0xFF);
}

static bool matches_logical(const struct hv_vp *vp, const struct apic_message *m)
{
	uint32_t ldr, dest = m->destination;

	if (lapic_x2apic(vp)) {
		return dest >> 16 == vp->index >> 4 && (dest & BIT32(vp->index & 0xF)) != 0;
	}
	ldr = load32(&vp->lapic.ldr) >> 24;
	if (load32(&vp->lapic.dfr) >> 28 == 0xF) {
		return (dest & ldr) != 0;
	}
	return (dest >> 4 == ldr >> 4 || dest >> 4 == 0xF) && (dest & ldr & 0xF) != 0;
}

/* Runs over the VPs that @m addresses. */
static struct hv_vp *next_match(struct hv_partition *p, const struct apic_message *m,
				uint32_t *cursor)
{
	struct hv_vp *vp;

	if (!m->logical && !is_broadcast(m)) {
		vp = *cursor == 0 ? vp_find(p, m->destination) : NULL;
		*cursor = 1;
		return vp;
	}
	while ((vp = vp_next(p, cursor)) != NULL) {
		if (is_broadcast(m) || matches_logical(vp, m)) {
			return vp;
		}
	}
	return NULL;
}

/* The target with the lowest task priority; the first one among equals. */
static void route_lowest(struct hv_partition *p, const struct apic_message *m)
{
	struct hv_vp *vp, *best = NULL;

	for (uint32_t i = 0; (vp = next_match(p, m, &i)) != NULL;) {
		if (lapic_enabled(vp) &&
		    (best == NULL || load32(&vp->lapic.tpr) < load32(&best->lapic.tpr))) {
			best = vp;
		}
	}
	if (best != NULL) {
		apic_deliver(best, m->type, m->vector, m->level);
	}
}

void apic_route_here(struct hv_partition *p, const struct apic_message *m)
{
	struct hv_vp *vp;

	if (m->type == HvX64InterruptTypeLowestPriority) {
		route_lowest(p, m);
		return;
	}
	for (uint32_t i = 0; (vp = next_match(p, m, &i)) != NULL;) {
		apic_deliver(vp, m->type, m->vector, m->level);
	}
}

static void send_away(struct hv_partition *p, const struct apic_message *m)
{
	struct hv_engine_message out = {.type = m->type,
					.destination = m->destination,
					.vector = m->vector,
					.logical = m->logical,
					.level = m->level};
	const struct hv_vp *first = vp_find(p, 0);

	/* 8 bits address all VPs whatever mode they are in. */
	if (is_broadcast(m) && first != NULL && lapic_x2apic(first)) {
		out.destination = UINT32_MAX;
	}
	p->apic->message(p->engine, &out);
}

void apic_route(struct hv_partition *p, const struct apic_message *m)
{
	if (apic_begin(p)) {
		send_away(p, m);
	} else {
		apic_route_here(p, m);
	}
	apic_end(p);
}
