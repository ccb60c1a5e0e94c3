// SPDX-License-Identifier: Apache-2.0
/*
 * The local APIC of one VP: registers, priorities, timer. Spec: Intel SDM volume 3, chapter 11 (APIC); TLFS 10 for the MSR access.
 *
 * IRR and TMR are written by any thread; everything else by the VP's own. The APIC ID is the VP index.
 *
 * All of it is stale while an engine has the APICs (apic_home.c); the VP's own thread asks first whether it does.
 */
#include "core.h"

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
#define SVR_ENABLE 0x100u
#define LVT_MASKED 0x10000u
#define LVT_MODE_EXTINT 0x700u
#define LVT_MODE_NMI 0x400u
#define LVT_MODE 0x700u
#define TIMER_MODE 0x60000u
#define TIMER_PERIODIC 0x20000u
#define TIMER_TSC_DEADLINE 0x40000u
#define ESR_SEND_ILLEGAL 0x20u
#define ESR_RECEIVE_ILLEGAL 0x40u
#define ESR_ILLEGAL_REGISTER 0x80u

static const uint32_t lvt_writable[LVT_COUNT] = {
	[LVT_TIMER] = 0x000700FF, [LVT_THERMAL] = 0x000107FF, [LVT_PERF] = 0x000107FF,
	[LVT_LINT0] = 0x0001A7FF, [LVT_LINT1] = 0x0001A7FF,   [LVT_ERROR] = 0x000100FF,
};

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

static uint32_t x2apic_ldr(const struct hv_vp *vp)
{
	return (vp->index >> 4) << 16 | BIT32(vp->index & 0xF);
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

/* ---- Interrupt requests and priorities ---- */

static void note_error(struct hv_vp *vp, uint32_t bit)
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
		note_error(vp, ESR_RECEIVE_ILLEGAL);
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

static uint32_t processor_priority(const struct hv_vp *vp)
{
	int in_service = bitmap256_highest(vp->lapic.isr);
	uint32_t service_class = in_service < 0 ? 0 : (uint32_t)in_service & 0xF0;

	return (vp->lapic.tpr & 0xF0) >= service_class ? vp->lapic.tpr : service_class;
}

int lapic_pending(const struct hv_vp *vp)
{
	int vector = bitmap256_highest(vp->lapic.irr);

	if (vector < 0 || !lapic_enabled(vp) ||
	    (uint32_t)(vector & 0xF0) <= (processor_priority(vp) & 0xF0)) {
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

/* ---- Timer ---- */

static uint64_t tsc_of_ticks(const struct hv_vp *vp, uint64_t ticks)
{
	const struct hv_time *time = &vp->partition->time;

	return mul_div_u64(ticks, time->tsc_hz, time->apic_hz);
}

static uint64_t ticks_of_tsc(const struct hv_vp *vp, uint64_t tsc)
{
	const struct hv_time *time = &vp->partition->time;

	return mul_div_u64(tsc, time->apic_hz, time->tsc_hz);
}

static unsigned divide_shift(const struct lapic *l)
{
	return (((l->divide & 3) | ((l->divide & 8) >> 1)) + 1) & 7;
}

static uint64_t timer_period(const struct hv_vp *vp)
{
	uint64_t ticks = (uint64_t)vp->lapic.initial_count << divide_shift(&vp->lapic);

	return max_u64(tsc_of_ticks(vp, ticks), 1);
}

static uint32_t timer_mode(const struct hv_vp *vp)
{
	return vp->lapic.lvt[LVT_TIMER] & TIMER_MODE;
}

static void initial_count_write(struct hv_vp *vp, uint32_t count)
{
	struct lapic *l = &vp->lapic;

	l->initial_count = count;
	if (timer_mode(vp) == TIMER_TSC_DEADLINE || count == 0) {
		l->timer_deadline = 0;
		return;
	}
	l->timer_deadline = time_guest_tsc(vp->partition) + timer_period(vp);
}

static uint32_t current_count(const struct hv_vp *vp)
{
	const struct lapic *l = &vp->lapic;
	uint64_t now = time_guest_tsc(vp->partition), left;

	if (l->timer_deadline == 0 || l->timer_deadline <= now) {
		return 0;
	}
	left = ticks_of_tsc(vp, l->timer_deadline - now) >> divide_shift(l);
	return (uint32_t)min_u64(left, l->initial_count);
}

static void timer_fire(struct hv_vp *vp)
{
	uint32_t lvt = vp->lapic.lvt[LVT_TIMER];

	if (!(lvt & LVT_MASKED)) {
		lapic_request_here(vp, (uint8_t)lvt, false);
	}
}

void lapic_timer_poll(struct hv_vp *vp, uint64_t guest_tsc)
{
	struct lapic *l = &vp->lapic;

	if (l->tsc_deadline != 0 && guest_tsc + vp->tsc_offset >= l->tsc_deadline) {
		l->tsc_deadline = 0;
		timer_fire(vp);
	}
	if (l->timer_deadline != 0 && guest_tsc >= l->timer_deadline) {
		if (timer_mode(vp) == TIMER_PERIODIC) {
			uint64_t period = timer_period(vp);

			/* Missed periods are one interrupt; the phase stays. */
			l->timer_deadline =
				guest_tsc + period - (guest_tsc - l->timer_deadline) % period;
		} else {
			l->timer_deadline = 0;
		}
		timer_fire(vp);
	}
}

uint64_t lapic_timer_deadline(const struct hv_vp *vp)
{
	const struct lapic *l = &vp->lapic;
	uint64_t next = UINT64_MAX;

	/* A masked timer needs no wake-up: whoever looks at the count computes it. A periodic one catches up. */
	if (vp->lapic.lvt[LVT_TIMER] & LVT_MASKED) {
		return UINT64_MAX;
	}
	if (l->timer_deadline != 0) {
		next = l->timer_deadline;
	}
	if (l->tsc_deadline != 0) {
		uint64_t now = time_guest_tsc(vp->partition), vps_now = now + vp->tsc_offset;
		uint64_t left = l->tsc_deadline > vps_now ? l->tsc_deadline - vps_now : 0;

		next = min_u64(next, left > UINT64_MAX - 1 - now ? UINT64_MAX : now + left);
	}
	return next;
}

void lapic_tsc_deadline_write(struct hv_vp *vp, uint64_t value)
{
	if (timer_mode(vp) == TIMER_TSC_DEADLINE) {
		vp->lapic.tsc_deadline = value;
	}
}

uint64_t lapic_tsc_deadline_read(struct hv_vp *vp)
{
	return vp->lapic.tsc_deadline;
}

/* ---- Handing over ---- */

void lapic_export(const struct hv_vp *vp, struct hv_engine_apic *ret)
{
	const struct lapic *l = &vp->lapic;
	bool once = timer_mode(vp) == 0;

	*ret = (struct hv_engine_apic){
		.base = l->base,
		.tpr = l->tpr,
		.ldr = l->ldr,
		.dfr = l->dfr,
		.svr = l->svr,
		.esr = l->esr,
		.icr_low = l->icr_low,
		.icr_high = l->icr_high,
		.divide = l->divide,
		/* One that has fired already must not fire again where it is started anew. */
		.initial_count = once && l->timer_deadline == 0 ? 0 : l->initial_count,
		.current_count = current_count(vp),
		.tsc_deadline = l->tsc_deadline,
	};
	if (l->timer_deadline != 0 && ret->current_count == 0) {
		ret->current_count = 1;
	}
	_Static_assert(sizeof(ret->lvt) == sizeof(l->lvt), "local vector table");
	__builtin_memcpy(ret->irr, l->irr, sizeof(ret->irr));
	__builtin_memcpy(ret->tmr, l->tmr, sizeof(ret->tmr));
	__builtin_memcpy(ret->isr, l->isr, sizeof(ret->isr));
	__builtin_memcpy(ret->lvt, l->lvt, sizeof(ret->lvt));
}

/*
 * A timer that runs once and stands at zero has fired, but an engine may have had no occasion to raise its interrupt: one too many does less
 * harm than none.
 */
static bool may_have_fired(const struct hv_engine_apic *a)
{
	uint32_t lvt = a->lvt[LVT_TIMER];
	uint8_t vector = (uint8_t)lvt;

	return !(lvt & (TIMER_MODE | LVT_MASKED)) && a->initial_count != 0 &&
	       !bitmap256_test(a->irr, vector) && !bitmap256_test(a->isr, vector);
}

void lapic_import(struct hv_vp *vp, const struct hv_engine_apic *a)
{
	struct lapic *l = &vp->lapic;
	uint64_t ticks;

	l->base = a->base;
	l->tpr = a->tpr;
	l->ldr = a->ldr;
	l->dfr = a->dfr;
	l->svr = a->svr;
	l->esr = a->esr;
	l->esr_pending = 0;
	l->icr_low = a->icr_low;
	l->icr_high = a->icr_high;
	l->divide = a->divide;
	l->initial_count = a->initial_count;
	l->tsc_deadline = a->tsc_deadline;
	__builtin_memcpy(l->irr, a->irr, sizeof(l->irr));
	__builtin_memcpy(l->tmr, a->tmr, sizeof(l->tmr));
	__builtin_memcpy(l->isr, a->isr, sizeof(l->isr));
	__builtin_memcpy(l->lvt, a->lvt, sizeof(l->lvt));
	l->timer_deadline = 0;
	if (timer_mode(vp) != TIMER_TSC_DEADLINE && (a->current_count != 0 || may_have_fired(a))) {
		ticks = (uint64_t)a->current_count << divide_shift(l);
		l->timer_deadline = time_guest_tsc(vp->partition) + tsc_of_ticks(vp, ticks);
	}
}

/* ---- Registers ---- */

static void lvt_write(struct hv_vp *vp, unsigned n, uint32_t value)
{
	struct lapic *l = &vp->lapic;
	uint32_t mode = timer_mode(vp);

	value &= lvt_writable[n];
	if (!(l->svr & SVR_ENABLE)) {
		value |= LVT_MASKED;
	}
	__atomic_store_n(&l->lvt[n], value, __ATOMIC_RELAXED);
	if (n == LVT_TIMER &&
	    (mode == TIMER_TSC_DEADLINE) != (timer_mode(vp) == TIMER_TSC_DEADLINE)) {
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
		note_error(vp, ESR_SEND_ILLEGAL);
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
		*ret = processor_priority(vp);
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
		*ret = current_count(vp);
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
		initial_count_write(vp, (uint32_t)value);
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
			note_error(vp, ESR_ILLEGAL_REGISTER);
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
		note_error(vp, ESR_ILLEGAL_REGISTER);
	}
}

enum lapic_result lapic_base_write(struct hv_vp *vp, uint64_t value)
{
	uint64_t old = vp->lapic.base;
	uint64_t mode = value & (LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC);
	uint64_t old_mode = old & (LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC);

	if (value >> vp->partition->gmem.pa_bits || (value & 0x2FF & ~LAPIC_BASE_BSP) ||
	    mode == LAPIC_BASE_X2APIC) {
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
