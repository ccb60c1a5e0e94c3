// SPDX-License-Identifier: Apache-2.0
/* Restoring a partition. Nothing that is read is trusted: a torn or foreign image gives false, never a crash. */
#include "core.h"
#include "hv/engine_state.h"
#include "saved_records.h"

/* A read-only one has to have its value already. */
static bool restore_register(struct hv_vp *vp, uint32_t name, const struct hv_u128 *v)
{
	struct hv_u128 present;

	return vp_ops(vp)->reg_set(vp->engine, name, v) ||
	       (vp_ops(vp)->reg_get(vp->engine, name, &present) && present.lo == v->lo &&
		present.hi == v->hi);
}

static bool restore_registers(struct state_reader *r, struct hv_vp *vp)
{
	while (r->left != 0 && !r->bad) {
		uint32_t name = state_get_u32(r);
		struct hv_u128 v;

		v.lo = state_get_u64(r);
		v.hi = state_get_u64(r);
		if (!r->bad && !restore_register(vp, name, &v)) {
			return false;
		}
	}
	return !r->bad;
}

static bool restore_msrs(struct state_reader *r, struct hv_vp *vp)
{
	while (r->left != 0 && !r->bad) {
		uint32_t index = state_get_u32(r);
		uint64_t value = state_get_u64(r);

		/* A read-only one has the value already. */
		if (!r->bad) {
			vp_ops(vp)->msr_set(vp->engine, index, value);
		}
	}
	return !r->bad;
}

static bool restore_run(struct state_reader *r, struct hv_vp *vp)
{
	uint64_t runtime;

	vp->requests = state_get_u32(r);
	vp->explicit_suspend = state_get_u8(r) & 1;
	vp->startup_suspend = state_get_u8(r) != 0;
	vp->halted = state_get_u8(r) != 0;
	vp->idle = state_get_u8(r) != 0;
	vp->dead = state_get_u8(r) != 0;
	vp->extint_vector = (int16_t)state_get_u16(r);
	vp->tsc_offset = state_get_u64(r);
	runtime = state_get_u64(r);
	vp->runtime = mul_div_u64(runtime, vp->partition->time.tsc_hz, REFERENCE_HZ);
	return !r->bad && vp->extint_vector >= -1 && vp->extint_vector <= 0xFF;
}

static bool restore_apic(struct state_reader *r, struct hv_vp *vp)
{
	struct lapic *l = &vp->lapic;

	l->base = state_get_u64(r);
	l->tpr = state_get_u32(r) & 0xFF;
	l->ldr = state_get_u32(r);
	l->dfr = state_get_u32(r);
	l->svr = state_get_u32(r) & 0x3FF;
	for (unsigned i = 0; i < 8; i++) {
		l->irr[i] = state_get_u32(r);
		l->tmr[i] = state_get_u32(r);
		l->isr[i] = state_get_u32(r);
	}
	l->esr_pending = state_get_u32(r);
	l->esr = state_get_u32(r);
	l->icr_low = state_get_u32(r);
	l->icr_high = state_get_u32(r);
	for (unsigned i = 0; i < LVT_COUNT; i++) {
		l->lvt[i] = state_get_u32(r);
	}
	l->divide = state_get_u32(r) & 0xB;
	l->initial_count = state_get_u32(r);
	l->timer_deadline = state_get_u64(r);
	l->tsc_deadline = state_get_u64(r);
	return !r->bad && lapic_base_valid(vp->partition, l->base);
}

static bool restore_synic(struct state_reader *r, struct hv_vp *vp)
{
	struct hv_partition *p = vp->partition;
	uint64_t sint[HV_SYNIC_SINT_COUNT];
	uint64_t scontrol = state_get_u64(r), sim = state_get_u64(r), sief = state_get_u64(r);
	uint64_t assist = state_get_u64(r);

	vp->assist.armed = state_get_u8(r) != 0;
	vp->assist.vector = state_get_u8(r);
	for (unsigned i = 0; i < HV_SYNIC_SINT_COUNT; i++) {
		sint[i] = state_get_u64(r);
	}
	if (r->bad || !synic_page_write(vp, &vp->synic.sim, sim) ||
	    !synic_page_write(vp, &vp->synic.sief, sief) ||
	    !overlay_set(p, &vp->assist.overlay, assist)) {
		return false;
	}
	vp->synic.scontrol = scontrol;
	for (unsigned i = 0; i < HV_SYNIC_SINT_COUNT; i++) {
		if (!synic_sint_write(vp, i, sint[i])) {
			return false;
		}
	}
	return true;
}

static bool restore_timers(struct state_reader *r, struct hv_vp *vp)
{
	for (unsigned i = 0; i < HV_SYNIC_STIMER_COUNT; i++) {
		struct hv_stimer t = {.lent = false};

		t.config = state_get_u64(r) & HV_STIMER_CONFIG_BITS;
		t.count = state_get_u64(r);
		t.expiry = state_get_u64(r);
		/* A periodic timer without a period would divide by zero. */
		t.armed = state_get_u8(r) != 0 && t.count != 0;
		t.message_pending = state_get_u8(r) != 0;
		t.message_expiry = state_get_u64(r);
		vp->synic.timer[i] = t;
	}
	return !r->bad;
}

static bool restore_pages(struct state_reader *r, struct hv_vp *vp)
{
	struct hv_overlay *overlays[] = {&vp->synic.sim, &vp->synic.sief, &vp->assist.overlay};

	for (size_t i = 0; i < ARRAY_LEN(overlays); i++) {
		state_get_bytes(r, overlay_begin(overlays[i]), HV_PAGE_SIZE);
		overlay_end(overlays[i]);
	}
	return !r->bad;
}

/* The record @wanted among those in @buf, if there is one. */
static bool find_record(const void *buf, size_t bytes, uint32_t wanted, struct state_reader *ret)
{
	struct state_reader r;
	uint16_t version;
	uint32_t tag;

	state_reader_init(&r, buf, bytes);
	while (state_next(&r, &tag, &version, ret)) {
		if (tag == wanted) {
			return true;
		}
	}
	return false;
}

/* An NMI that waited inside that engine waits in the core, which knows when any engine can take one. */
static bool restore_engine(struct state_reader *r, struct hv_vp *vp)
{
	struct state_reader nmi;

	if (find_record(r->buf, r->left, HV_ENGINE_STATE_NMI, &nmi)) {
		vp->requests |= REQUEST_NMI;
	}
	return vp_ops(vp)->restore(vp->engine, r->buf, r->left);
}

static bool restore_vp_record(uint32_t tag, struct state_reader *r, struct hv_vp *vp)
{
	switch (tag) {
	case TAG_RUN:
		return restore_run(r, vp);
	case TAG_REGISTERS:
		return restore_registers(r, vp);
	case TAG_MSRS:
		return restore_msrs(r, vp);
	case TAG_ENGINE:
		return restore_engine(r, vp);
	case TAG_APIC:
		return restore_apic(r, vp);
	case TAG_SYNIC:
		return restore_synic(r, vp);
	case TAG_TIMERS:
		return restore_timers(r, vp);
	case TAG_QUEUE:
		return port_restore_message(vp, r);
	case TAG_PAGES:
		return restore_pages(r, vp);
	default:
		return true; /* from a newer version: ours to skip */
	}
}

/* VPs come in order, and none twice: @next is the lowest index that may come. */
static bool restore_vp(struct state_reader *r, struct hv_partition *p, uint32_t *next)
{
	uint32_t index = state_get_u32(r), tag;
	struct hv_vp *vp = index >= *next ? vp_find(p, index) : NULL;
	struct state_reader payload;
	uint16_t version;
	bool ok = true;

	if (vp == NULL || !vp_try_acquire(vp)) {
		return false;
	}
	*next = index + 1;
	while (ok && state_next(r, &tag, &version, &payload)) {
		ok = restore_vp_record(tag, &payload, vp);
	}
	vp_release(vp);
	return ok && !r->bad;
}

static bool restore_partition(struct state_reader *r, struct hv_partition *p)
{
	uint64_t guest_tsc = state_get_u64(r), reference = state_get_u64(r), hz = state_get_u64(r);
	uint64_t hypercall, reference_tsc;
	uint32_t sequence;

	if (state_get_u32(r) != p->vp_count) {
		return false;
	}
	p->guest_os_id = state_get_u64(r);
	hypercall = state_get_u64(r);
	reference_tsc = state_get_u64(r);
	sequence = state_get_u32(r);
	for (unsigned i = 0; i < 5; i++) {
		p->crash[i] = state_get_u64(r);
	}
	p->crash_ctl = state_get_u64(r);
	p->reenlightenment = state_get_u64(r);
	p->tsc_emulation = state_get_u64(r);
	p->tsc_invariant = state_get_u64(r) & 1;
	p->extint = state_get_u32(r) & 1;
	if (r->bad) {
		return false;
	}
	time_keep_rate(p, hz); /* if it cannot be kept, the reference TSC page tells the guest */
	time_set(p, guest_tsc, reference);
	p->tsc_sequence = sequence;
	partition_fill_reference_tsc(p);
	return overlay_set(p, &p->hypercall_page, hypercall) &&
	       overlay_set(p, &p->reference_tsc, reference_tsc);
}

uint64_t hv_saved_apic_hz(const void *buf, size_t bytes)
{
	struct state_reader r;

	return find_record(buf, bytes, TAG_APIC_HZ, &r) ? state_get_u64(&r) : HV_APIC_HZ_BEFORE;
}

/* Before there was the record, every guest was told of it. */
bool hv_saved_deadline(const void *buf, size_t bytes)
{
	struct state_reader r;

	return !find_record(buf, bytes, TAG_DEADLINE, &r) || state_get_u8(&r) != 0;
}

bool hv_partition_has_deadline(const struct hv_partition *p)
{
	return p->has_deadline;
}

/* What the core can count, and what the engine counts if it keeps the APICs. */
static bool apic_hz_fits(const struct hv_partition *p, uint64_t hz)
{
	return hz == HV_APIC_HZ || (hz == HV_APIC_HZ_BEFORE && p->apic == NULL);
}

bool hv_partition_restore(struct hv_partition *p, const void *buf, size_t bytes)
{
	struct state_reader r, payload;
	bool partition = false, ok = true;
	uint32_t vps = 0, next = 0, tag;
	uint16_t version;

	/* What CPUID tells of deadlines must not change under the guest: one that knows of them may use them. */
	if (!apic_hz_fits(p, hv_saved_apic_hz(buf, bytes)) ||
	    (hv_saved_deadline(buf, bytes) && !p->has_deadline)) {
		return false;
	}
	p->time.apic_hz = hv_saved_apic_hz(buf, bytes);
	p->deadline = hv_saved_deadline(buf, bytes);
	state_reader_init(&r, buf, bytes);
	while (ok && state_next(&r, &tag, &version, &payload)) {
		if (tag == TAG_PARTITION && !partition) {
			partition = ok = restore_partition(&payload, p);
		} else if (tag == TAG_VP && partition) {
			ok = restore_vp(&payload, p, &next);
			vps++;
		}
	}
	return ok && !r.bad && partition && vps == p->vp_count;
}
