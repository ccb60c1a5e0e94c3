// SPDX-License-Identifier: Apache-2.0
/*
 * Save and restore of a partition: everything that a guest can see except its memory. Reading trusts nothing: a torn or foreign
 * image gives false, never a crash.
 */
#include "core.h"
#include "hv/saved_registers.h"

#define TAG_PARTITION STATE_TAG('P', 'A', 'R', 'T')
#define TAG_APIC_HZ STATE_TAG('A', 'P', 'H', 'Z')
#define TAG_VP STATE_TAG('V', 'P', ' ', ' ')
#define TAG_RUN STATE_TAG('R', 'U', 'N', ' ')
#define TAG_REGISTERS STATE_TAG('R', 'E', 'G', 'S')
#define TAG_MSRS STATE_TAG('M', 'S', 'R', 'S')
#define TAG_ENGINE STATE_TAG('E', 'N', 'G', 'N')
#define TAG_APIC STATE_TAG('A', 'P', 'I', 'C')
#define TAG_SYNIC STATE_TAG('S', 'Y', 'N', 'C')
#define TAG_TIMERS STATE_TAG('T', 'I', 'M', 'R')
#define TAG_QUEUE STATE_TAG('M', 'S', 'G', 'Q')
#define TAG_PAGES STATE_TAG('P', 'A', 'G', 'E')

/* MSRs of the engine that have no register name. */
static const uint32_t msr_indexes[] = {
	0x8B,  0x17A, 0x17B, 0x400, 0x401, 0x402, 0x403, 0x404, 0x405, 0x406,
	0x407, 0x408, 0x409, 0x40A, 0x40B, 0x40C, 0x40D, 0x40E, 0x40F, 0xDA0,
};

/* ---- Save ---- */

static void save_registers(struct state_writer *w, struct hv_vp *vp)
{
	struct hv_u128 v;

	state_begin(w, TAG_REGISTERS, 1);
	for (size_t i = 0; i < ARRAY_LEN(hv_saved_registers); i++) {
		for (uint32_t name = hv_saved_registers[i].first;
		     name <= hv_saved_registers[i].last; name++) {
			if (vp_ops(vp)->reg_get(vp->engine, name, &v)) {
				state_put_u32(w, name);
				state_put_u64(w, v.lo);
				state_put_u64(w, v.hi);
			}
		}
	}
	state_end(w);
	state_begin(w, TAG_MSRS, 1);
	for (size_t i = 0; i < ARRAY_LEN(msr_indexes); i++) {
		if (vp_ops(vp)->msr_get(vp->engine, msr_indexes[i], &v.lo)) {
			state_put_u32(w, msr_indexes[i]);
			state_put_u64(w, v.lo);
		}
	}
	state_end(w);
}

static void save_engine(struct state_writer *w, struct hv_vp *vp)
{
	size_t room;

	state_begin(w, TAG_ENGINE, 1);
	room = w->used < w->capacity ? w->capacity - w->used : 0;
	w->used += vp_ops(vp)->save(vp->engine, room != 0 ? w->buf + w->used : NULL, room);
	state_end(w);
}

static void save_run(struct state_writer *w, const struct hv_vp *vp)
{
	state_begin(w, TAG_RUN, 1);
	state_put_u32(w, vp->requests & ~REQUEST_KICK);
	state_put_u8(w, (uint8_t)vp->explicit_suspend);
	state_put_u8(w, vp->startup_suspend);
	state_put_u8(w, vp->halted);
	state_put_u8(w, vp->idle);
	state_put_u8(w, vp->dead);
	state_put_u16(w, (uint16_t)vp->extint_vector);
	state_put_u64(w, vp->tsc_offset);
	state_put_u64(w, vp_runtime_100ns(vp));
	state_end(w);
}

static void save_apic(struct state_writer *w, const struct hv_vp *vp)
{
	const struct lapic *l = &vp->lapic;

	state_begin(w, TAG_APIC, 1);
	state_put_u64(w, l->base);
	state_put_u32(w, l->tpr);
	state_put_u32(w, l->ldr);
	state_put_u32(w, l->dfr);
	state_put_u32(w, l->svr);
	for (unsigned i = 0; i < 8; i++) {
		state_put_u32(w, l->irr[i]);
		state_put_u32(w, l->tmr[i]);
		state_put_u32(w, l->isr[i]);
	}
	state_put_u32(w, l->esr_pending);
	state_put_u32(w, l->esr);
	state_put_u32(w, l->icr_low);
	state_put_u32(w, l->icr_high);
	for (unsigned i = 0; i < LVT_COUNT; i++) {
		state_put_u32(w, l->lvt[i]);
	}
	state_put_u32(w, l->divide);
	state_put_u32(w, l->initial_count);
	state_put_u64(w, l->timer_deadline);
	state_put_u64(w, l->tsc_deadline);
	state_end(w);
}

static void save_synic(struct state_writer *w, const struct hv_vp *vp)
{
	const struct synic *s = &vp->synic;

	state_begin(w, TAG_SYNIC, 1);
	state_put_u64(w, s->scontrol);
	state_put_u64(w, s->sim.msr);
	state_put_u64(w, s->sief.msr);
	state_put_u64(w, vp->assist.overlay.msr);
	state_put_u8(w, vp->assist.armed);
	state_put_u8(w, vp->assist.vector);
	for (unsigned i = 0; i < HV_SYNIC_SINT_COUNT; i++) {
		state_put_u64(w, s->sint[i]);
	}
	state_end(w);
	state_begin(w, TAG_TIMERS, 1);
	for (unsigned i = 0; i < HV_SYNIC_STIMER_COUNT; i++) {
		const struct hv_stimer *t = &s->timer[i];

		state_put_u64(w, t->config);
		state_put_u64(w, t->count);
		state_put_u64(w, t->expiry);
		state_put_u8(w, t->armed);
		state_put_u8(w, t->message_pending);
		state_put_u64(w, t->message_expiry);
	}
	state_end(w);
	state_begin(w, TAG_PAGES, 1);
	state_put_bytes(w, s->sim.page, HV_PAGE_SIZE);
	state_put_bytes(w, s->sief.page, HV_PAGE_SIZE);
	state_put_bytes(w, vp->assist.overlay.page, HV_PAGE_SIZE);
	state_end(w);
}

static void save_queues(struct state_writer *w, struct hv_vp *vp)
{
	hv_host_lock(&vp->synic.lock);
	for (unsigned i = 0; i < HV_SYNIC_SINT_COUNT; i++) {
		for (struct hv_message_buffer *b = vp->synic.queue_head[i]; b != NULL;
		     b = b->next) {
			state_begin(w, TAG_QUEUE, 1);
			state_put_u32(w, i);
			state_put_u32(w, b->port->id);
			state_put_bytes(w, &b->message, sizeof(b->message));
			state_end(w);
		}
	}
	hv_host_unlock(&vp->synic.lock);
}

static void save_vp(struct state_writer *w, struct hv_vp *vp)
{
	state_begin(w, TAG_VP, 1);
	state_put_u32(w, vp->index);
	save_run(w, vp);
	save_registers(w, vp);
	save_engine(w, vp);
	save_apic(w, vp);
	save_synic(w, vp);
	save_queues(w, vp);
	state_end(w);
}

size_t hv_partition_save(struct hv_partition *p, void *buf, size_t bytes)
{
	uint64_t guest_tsc = time_guest_tsc(p);
	struct state_writer w;
	struct hv_vp *vp;

	hv_host_lock(&p->apic_lock);
	apic_gather(p);
	hv_host_unlock(&p->apic_lock);
	state_writer_init(&w, buf, bytes);
	state_begin(&w, TAG_PARTITION, 1);
	state_put_u64(&w, guest_tsc);
	state_put_u64(&w, time_reference_of(&p->time, guest_tsc));
	state_put_u64(&w, p->time.tsc_hz);
	state_put_u32(&w, p->vp_count);
	state_put_u64(&w, p->guest_os_id);
	state_put_u64(&w, p->hypercall_page.msr);
	state_put_u64(&w, p->reference_tsc.msr);
	state_put_u32(&w, ((struct hv_reference_tsc_page *)p->reference_tsc.page)->tsc_sequence);
	for (unsigned i = 0; i < 5; i++) {
		state_put_u64(&w, p->crash[i]);
	}
	state_put_u64(&w, p->crash_ctl);
	state_put_u64(&w, p->reenlightenment);
	state_put_u64(&w, p->tsc_emulation);
	state_put_u64(&w, p->tsc_invariant);
	state_put_u32(&w, p->extint & 1);
	state_end(&w);
	state_begin(&w, TAG_APIC_HZ, 1);
	state_put_u64(&w, p->time.apic_hz);
	state_end(&w);
	for (uint32_t i = 0; (vp = vp_next(p, &i)) != NULL;) {
		save_vp(&w, vp);
	}
	return w.used;
}

/* ---- Restore ---- */

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
	return !r->bad;
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
		struct hv_stimer t;

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
	state_get_bytes(r, vp->synic.sim.page, HV_PAGE_SIZE);
	state_get_bytes(r, vp->synic.sief.page, HV_PAGE_SIZE);
	state_get_bytes(r, vp->assist.overlay.page, HV_PAGE_SIZE);
	return !r->bad;
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
		return vp_ops(vp)->restore(vp->engine, r->buf, r->left);
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

static bool restore_vp(struct state_reader *r, struct hv_partition *p)
{
	struct hv_vp *vp = vp_find(p, state_get_u32(r));
	struct state_reader payload;
	uint16_t version;
	uint32_t tag;
	bool ok = true;

	if (vp == NULL || !vp_try_acquire(vp)) {
		return false;
	}
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
	((struct hv_reference_tsc_page *)p->reference_tsc.page)->tsc_sequence = sequence;
	partition_fill_reference_tsc(p);
	return overlay_set(p, &p->hypercall_page, hypercall) &&
	       overlay_set(p, &p->reference_tsc, reference_tsc);
}

uint64_t hv_saved_apic_hz(const void *buf, size_t bytes)
{
	struct state_reader r, payload;
	uint16_t version;
	uint32_t tag;

	state_reader_init(&r, buf, bytes);
	while (state_next(&r, &tag, &version, &payload)) {
		if (tag == TAG_APIC_HZ) {
			return state_get_u64(&payload);
		}
	}
	return HV_APIC_HZ_BEFORE;
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
	uint32_t vps = 0, tag;
	uint16_t version;

	if (!apic_hz_fits(p, hv_saved_apic_hz(buf, bytes))) {
		return false;
	}
	p->time.apic_hz = hv_saved_apic_hz(buf, bytes);
	state_reader_init(&r, buf, bytes);
	while (ok && state_next(&r, &tag, &version, &payload)) {
		if (tag == TAG_PARTITION && !partition) {
			partition = ok = restore_partition(&payload, p);
		} else if (tag == TAG_VP && partition) {
			ok = restore_vp(&payload, p);
			vps++;
		}
	}
	return ok && !r.bad && partition && vps == p->vp_count;
}
