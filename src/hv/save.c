// SPDX-License-Identifier: Apache-2.0
/* Saving a partition: everything that a guest can see except its memory. */
#include "core.h"
#include "hv/saved_registers.h"
#include "saved_records.h"

/* MSRs of the engine that have no register name. */
static const uint32_t msr_indexes[] = {
	0x8B,  0x17A, 0x17B, 0x400, 0x401, 0x402, 0x403, 0x404, 0x405, 0x406,
	0x407, 0x408, 0x409, 0x40A, 0x40B, 0x40C, 0x40D, 0x40E, 0x40F, 0xDA0,
};

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

static void save_overlay(struct state_writer *w, struct hv_overlay *o)
{
	state_put_bytes(w, overlay_begin(o), HV_PAGE_SIZE);
	overlay_end(o);
}

static void save_synic(struct state_writer *w, struct hv_vp *vp)
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
	save_overlay(w, &vp->synic.sim);
	save_overlay(w, &vp->synic.sief);
	save_overlay(w, &vp->assist.overlay);
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
	overlays_gather(p);
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
	state_put_u32(&w, p->tsc_sequence);
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
	state_begin(&w, TAG_DEADLINE, 1);
	state_put_u8(&w, p->deadline);
	state_end(&w);
	for (uint32_t i = 0; (vp = vp_next(p, &i)) != NULL;) {
		save_vp(&w, vp);
	}
	return w.used;
}
