// SPDX-License-Identifier: Apache-2.0
/*
 * The registers of a local APIC as the guest reads and writes them, by MSR and in the xAPIC page, and as they are handed over. Spec: Intel SDM volume 3,
 * chapter 11 (APIC); TLFS 10 for the MSR access.
 */
#include "lapic.h"

#define REG_ID 0x02u
#define REG_VERSION 0x03u
#define REG_TPR 0x08u
#define REG_APR 0x09u
#define REG_PPR 0x0Au
#define REG_EOI 0x0Bu
#define REG_LDR 0x0Du
#define REG_DFR 0x0Eu
#define REG_SVR 0x0Fu
#define REG_ISR 0x10u
#define REG_TMR 0x18u
#define REG_IRR 0x20u
#define REG_ESR 0x28u
#define REG_ICR_LOW 0x30u
#define REG_ICR_HIGH 0x31u
#define REG_LVT 0x32u
#define REG_LVT_LAST 0x37u
#define REG_INITIAL_COUNT 0x38u
#define REG_CURRENT_COUNT 0x39u
#define REG_DIVIDE 0x3Eu
#define REG_SELF_IPI 0x3Fu

#define VERSION_VALUE 0x00050014u /* integrated APIC, six LVT entries */

static const uint32_t lvt_writable[LVT_COUNT] = {
	[LVT_TIMER] = 0x000700FF, [LVT_THERMAL] = 0x000107FF, [LVT_PERF] = 0x000107FF,
	[LVT_LINT0] = 0x0001A7FF, [LVT_LINT1] = 0x0001A7FF,   [LVT_ERROR] = 0x000100FF,
};

static void lvt_write(struct hv_vp *vp, unsigned n, uint32_t value)
{
	struct lapic *l = &vp->lapic;
	uint32_t mode = lapic_timer_mode(vp);

	value &= lvt_writable[n];
	if (!(l->svr & SVR_ENABLE)) {
		value |= LVT_MASKED;
	}
	__atomic_store_n(&l->lvt[n], value, __ATOMIC_RELAXED);
	if (n == LVT_TIMER &&
	    (mode == TIMER_TSC_DEADLINE) != (lapic_timer_mode(vp) == TIMER_TSC_DEADLINE)) {
		l->timer_deadline = 0;
		l->tsc_deadline = 0;
	}
}

static void svr_write(struct hv_vp *vp, uint32_t value)
{
	struct lapic *l = &vp->lapic;

	__atomic_store_n(&l->svr, value & 0x3FF, __ATOMIC_RELAXED);
	if (!(value & SVR_ENABLE)) {
		for (unsigned i = 0; i < LVT_COUNT; i++) {
			l->lvt[i] |= LVT_MASKED;
		}
	}
}

enum lapic_result lapic_icr_write(struct hv_vp *vp, uint64_t icr, bool x2apic)
{
	struct apic_message m = {
		.type = (uint32_t)(icr >> 8) & 7,
		.destination = x2apic ? (uint32_t)(icr >> 32) : (uint32_t)(icr >> 56),
		.vector = (uint8_t)icr,
		.logical = (icr >> 11) & 1,
		.level = false,
		.x2apic = x2apic,
	};
	unsigned shorthand = (unsigned)(icr >> 18) & 3;
	struct hv_vp *other;

	vp->lapic.icr_low = (uint32_t)icr & 0x000CCFFF;
	vp->lapic.icr_high = (uint32_t)(icr >> 32);
	if ((m.type == HvX64InterruptTypeFixed || m.type == HvX64InterruptTypeLowestPriority) &&
	    m.vector < 16) {
		lapic_note_error(vp, ESR_SEND_ILLEGAL);
		return LAPIC_OK;
	}
	/* INIT level de-assert synchronizes arbitration IDs: nothing on these processors. */
	if (m.type == HvX64InterruptTypeInit && (icr & 0xC000) == 0x8000) {
		return LAPIC_OK;
	}
	if (shorthand == 0) {
		apic_route_here(vp->partition, &m);
		return LAPIC_OK;
	}
	if (shorthand != 3) {
		apic_deliver(vp, m.type, m.vector, false);
	}
	if (shorthand != 1) {
		for (uint32_t i = 0; (other = vp_next(vp->partition, &i)) != NULL;) {
			if (other != vp) {
				apic_deliver(other, m.type, m.vector, false);
			}
		}
	}
	return LAPIC_OK;
}

static uint32_t x2apic_ldr(const struct hv_vp *vp)
{
	return (vp->index >> 4) << 16 | BIT32(vp->index & 0xF);
}

static uint32_t ldr_read(const struct hv_vp *vp, bool x2apic)
{
	return x2apic ? x2apic_ldr(vp) : vp->lapic.ldr;
}

enum lapic_result lapic_read(struct hv_vp *vp, unsigned reg, bool x2apic, uint64_t *ret)
{
	struct lapic *l = &vp->lapic;

	if (reg >= REG_ISR && reg < REG_ESR) {
		const uint32_t *map = reg < REG_TMR ? l->isr : reg < REG_IRR ? l->tmr : l->irr;

		*ret = __atomic_load_n(&map[reg & 7], __ATOMIC_RELAXED);
		return LAPIC_OK;
	}
	if (reg >= REG_LVT && reg <= REG_LVT_LAST) {
		*ret = l->lvt[reg - REG_LVT];
		return LAPIC_OK;
	}
	switch (reg) {
	case REG_ID:
		*ret = x2apic ? lapic_id(vp) : (uint32_t)lapic_id(vp) << 24;
		break;
	case REG_VERSION:
		*ret = VERSION_VALUE;
		break;
	case REG_TPR:
		*ret = l->tpr;
		break;
	case REG_PPR:
		*ret = lapic_processor_priority(vp);
		break;
	case REG_LDR:
		*ret = ldr_read(vp, x2apic);
		break;
	case REG_DFR:
		*ret = l->dfr;
		return x2apic ? LAPIC_FAULT : LAPIC_OK;
	case REG_SVR:
		*ret = l->svr;
		break;
	case REG_ESR:
		*ret = l->esr;
		break;
	case REG_ICR_LOW:
		*ret = x2apic ? (uint64_t)l->icr_high << 32 | l->icr_low : l->icr_low;
		break;
	case REG_ICR_HIGH:
		*ret = l->icr_high;
		return x2apic ? LAPIC_FAULT : LAPIC_OK;
	case REG_INITIAL_COUNT:
		*ret = l->initial_count;
		break;
	case REG_CURRENT_COUNT:
		*ret = lapic_current_count(vp);
		break;
	case REG_DIVIDE:
		*ret = l->divide;
		break;
	default:
		return LAPIC_FAULT;
	}
	return LAPIC_OK;
}

/* In x2APIC mode a write of bits that do not exist faults. */
static bool x2apic_reserved(unsigned reg, uint64_t value)
{
	switch (reg) {
	case REG_ICR_LOW:
		return (value & 0xFFF33000) != 0;
	case REG_TPR:
	case REG_SELF_IPI:
		return value > 0xFF;
	case REG_EOI:
	case REG_ESR:
		return value != 0;
	case REG_ID:
	case REG_LDR:
	case REG_DFR:
	case REG_ICR_HIGH:
		return true;
	case REG_DIVIDE:
		return (value & ~UINT64_C(0xB)) != 0;
	case REG_SVR:
		return (value & ~UINT64_C(0x3FF)) != 0;
	default:
		return value >> 32 != 0;
	}
}

enum lapic_result lapic_write(struct hv_vp *vp, unsigned reg, bool x2apic, uint64_t value)
{
	struct lapic *l = &vp->lapic;

	if (x2apic && x2apic_reserved(reg, value)) {
		return LAPIC_FAULT;
	}
	if (reg >= REG_LVT && reg <= REG_LVT_LAST) {
		lvt_write(vp, reg - REG_LVT, (uint32_t)value);
		return LAPIC_OK;
	}
	switch (reg) {
	case REG_ID: /* fixed on these processors */
		break;
	case REG_TPR:
		lapic_tpr_set(vp, (uint32_t)value);
		break;
	case REG_EOI:
		lapic_eoi(vp);
		break;
	case REG_LDR:
		__atomic_store_n(&l->ldr, (uint32_t)value & 0xFF000000, __ATOMIC_RELAXED);
		break;
	case REG_DFR:
		__atomic_store_n(&l->dfr, (uint32_t)value | 0x0FFFFFFF, __ATOMIC_RELAXED);
		break;
	case REG_SVR:
		svr_write(vp, (uint32_t)value);
		break;
	case REG_ESR:
		l->esr = __atomic_exchange_n(&l->esr_pending, 0, __ATOMIC_SEQ_CST);
		break;
	case REG_ICR_LOW:
		return lapic_icr_write(
			vp, x2apic ? value : (uint64_t)l->icr_high << 32 | (uint32_t)value, x2apic);
	case REG_ICR_HIGH:
		l->icr_high = (uint32_t)value & 0xFF000000;
		break;
	case REG_INITIAL_COUNT:
		lapic_initial_count_write(vp, (uint32_t)value);
		break;
	case REG_DIVIDE:
		l->divide = (uint32_t)value & 0xB;
		break;
	case REG_SELF_IPI:
		if (!x2apic) {
			return LAPIC_FAULT;
		}
		apic_deliver(vp, HvX64InterruptTypeFixed, (uint8_t)value, false);
		break;
	default:
		return LAPIC_FAULT;
	}
	return LAPIC_OK;
}

/* Registers are the low four bytes of every sixteen; the rest reads as zero and swallows writes. */
void lapic_mmio_read(struct hv_vp *vp, unsigned offset, unsigned bytes, uint64_t *ret)
{
	uint64_t value = 0;

	*ret = 0;
	if ((offset & 15) < 4) {
		if (lapic_read(vp, offset >> 4, false, &value) != LAPIC_OK) {
			lapic_note_error(vp, ESR_ILLEGAL_REGISTER);
			value = 0;
		}
		*ret = value >> (8 * (offset & 3));
	}
	if (bytes < 8) {
		*ret &= (UINT64_C(1) << (8 * bytes)) - 1;
	}
}

void lapic_mmio_write(struct hv_vp *vp, unsigned offset, unsigned bytes, uint64_t value)
{
	if ((offset & 15) != 0 || bytes < 4) {
		return;
	}
	if (lapic_write(vp, offset >> 4, false, (uint32_t)value) != LAPIC_OK) {
		lapic_note_error(vp, ESR_ILLEGAL_REGISTER);
	}
}

bool lapic_base_valid(const struct hv_partition *p, uint64_t value)
{
	return value >> p->gmem.pa_bits == 0 && (value & LAPIC_BASE_RESERVED) == 0 &&
	       (value & (LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC)) != LAPIC_BASE_X2APIC;
}

enum lapic_result lapic_base_write(struct hv_vp *vp, uint64_t value)
{
	uint64_t old = vp->lapic.base;
	uint64_t mode = value & (LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC);
	uint64_t old_mode = old & (LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC);

	if (!lapic_base_valid(vp->partition, value)) {
		return LAPIC_FAULT;
	}
	/* Spec: SDM figure 11-27: x2APIC is entered from xAPIC and left to disabled only. */
	if ((old_mode == 0 && (mode & LAPIC_BASE_X2APIC)) ||
	    ((old_mode & LAPIC_BASE_X2APIC) && mode == LAPIC_BASE_ENABLE)) {
		return LAPIC_FAULT;
	}
	__atomic_store_n(&vp->lapic.base, (value & ~LAPIC_BASE_BSP) | (old & LAPIC_BASE_BSP),
			 __ATOMIC_RELAXED);
	if (mode == 0 && old_mode != 0) {
		lapic_reset(vp, true);
	}
	return LAPIC_OK;
}

/* ---- Handing over ---- */

void lapic_export(const struct hv_vp *vp, struct hv_engine_apic *ret)
{
	const struct lapic *l = &vp->lapic;

	*ret = (struct hv_engine_apic){
		.base = l->base,
		.tpr = l->tpr,
		.ldr = l->ldr,
		.dfr = l->dfr,
		.svr = l->svr,
		.esr = l->esr,
		.icr_low = l->icr_low,
		.icr_high = l->icr_high,
	};
	_Static_assert(sizeof(ret->lvt) == sizeof(l->lvt), "local vector table");
	__builtin_memcpy(ret->irr, l->irr, sizeof(ret->irr));
	__builtin_memcpy(ret->tmr, l->tmr, sizeof(ret->tmr));
	__builtin_memcpy(ret->isr, l->isr, sizeof(ret->isr));
	__builtin_memcpy(ret->lvt, l->lvt, sizeof(ret->lvt));
	lapic_timer_export(vp, ret);
}

void lapic_import(struct hv_vp *vp, const struct hv_engine_apic *a)
{
	struct lapic *l = &vp->lapic;

	l->base = a->base;
	l->tpr = a->tpr;
	l->ldr = a->ldr;
	l->dfr = a->dfr;
	l->svr = a->svr;
	l->esr = a->esr;
	l->esr_pending = 0;
	l->icr_low = a->icr_low;
	l->icr_high = a->icr_high;
	__builtin_memcpy(l->irr, a->irr, sizeof(l->irr));
	__builtin_memcpy(l->tmr, a->tmr, sizeof(l->tmr));
	__builtin_memcpy(l->isr, a->isr, sizeof(l->isr));
	__builtin_memcpy(l->lvt, a->lvt, sizeof(l->lvt));
	lapic_timer_import(vp, a);
}
