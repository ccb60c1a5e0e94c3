// SPDX-License-Identifier: Apache-2.0
/*
 * Saved state beyond registers by name: the FPU and the events on their way, as all engines write them (hv/engine_state.h). An instruction
 * in the middle of several device accesses starts again after a restore.
 */
#include <string.h>

#include "abi/hv.h"
#include "fpu.h"
#include "hv/engine_state.h"
#include "lib/bits.h"
#include "vm.h"

#define TOP_SHIFT 11
#define FCW_WRITABLE 0x1f3fu
#define FCW_FIXED 0x0040u
#define MXCSR_WRITABLE 0xffffu

struct event {
	uint8_t vector;
	bool has_error;
	bool software;
	bool external;
	uint32_t error;
	uint64_t parameter;
};

static void put_event(struct state_writer *w, const struct event *e)
{
	state_put_u8(w, e->vector);
	state_put_u8(w, e->has_error);
	state_put_u8(w, e->software);
	state_put_u8(w, e->external);
	state_put_u32(w, e->error);
	state_put_u64(w, e->parameter);
}

static struct event get_event(struct state_reader *r)
{
	struct event e = {.vector = state_get_u8(r)};

	e.has_error = state_get_u8(r) != 0;
	e.software = state_get_u8(r) != 0;
	e.external = state_get_u8(r) != 0;
	e.error = state_get_u32(r);
	e.parameter = state_get_u64(r);
	return e;
}

/* ---- FPU ---- */

static void save_fpu(struct kvm_vp *vp, struct state_writer *w)
{
	const struct kvm_fx *fx = kvm_fx_read(vp);
	unsigned top = fx->fsw >> TOP_SHIFT & 7;

	state_begin(w, HV_ENGINE_STATE_FPU, HV_ENGINE_STATE_FPU_VERSION);
	/* An emulated processor may keep bits that no real one has. */
	state_put_u16(w, (fx->fcw & FCW_WRITABLE) | FCW_FIXED);
	state_put_u16(w, fx->fsw);
	state_put_u8(w, fx->ftw);
	state_put_u16(w, fx->fop);
	state_put_u16(
		w,
		0); /* selectors of the last instruction and operand: not kept in 64-bit images */
	state_put_u16(w, 0);
	state_put_u64(w, fx->fip);
	state_put_u64(w, fx->fdp);
	state_put_u32(w, fx->mxcsr);
	for (unsigned n = 0; n < 8; n++) {
		state_put_bytes(w, fx->st[(n - top) & 7], 10);
	}
	for (unsigned n = 0; n < 16; n++) {
		state_put_bytes(w, fx->xmm[n], 16);
	}
	state_end(w);
}

static bool restore_fpu(struct kvm_vp *vp, uint16_t version, struct state_reader *r)
{
	struct kvm_fx fx = {.fcw = (state_get_u16(r) & FCW_WRITABLE) | FCW_FIXED};
	unsigned top;

	fx.fsw = state_get_u16(r);
	top = fx.fsw >> TOP_SHIFT & 7;
	fx.ftw = state_get_u8(r);
	fx.fop = state_get_u16(r) & 0x7ff;
	state_get_u16(r);
	state_get_u16(r);
	fx.fip = state_get_u64(r);
	fx.fdp = state_get_u64(r);
	fx.mxcsr = state_get_u32(r);
	for (unsigned n = 0; n < 8; n++) {
		state_get_bytes(r, fx.st[(n - top) & 7], 10);
	}
	for (unsigned n = 0; n < 16; n++) {
		state_get_bytes(r, fx.xmm[n], 16);
	}
	if (r->bad || version != HV_ENGINE_STATE_FPU_VERSION || (fx.mxcsr & ~MXCSR_WRITABLE)) {
		return false;
	}
	*kvm_fx_change(vp) = fx;
	return true;
}

/* ---- Events ---- */

/* What is on its way in, if anything: what has begun comes before what waits. */
static bool event_of(struct kvm_vp *vp, struct event *ret)
{
	const struct kvm_vcpu_events *e = &vp->events;

	*ret = (struct event){0};
	if (e->exception.injected || e->exception.pending) {
		ret->vector = e->exception.nr;
		ret->has_error = e->exception.has_error_code;
		ret->error = e->exception.error_code;
		ret->parameter = e->exception.nr == X86_EXC_PF ? vp->sregs.cr2 : 0;
		return true;
	}
	if (e->nmi.injected) {
		*ret = (struct event){.vector = X86_EXC_NMI, .external = true};
		return true;
	}
	if (e->interrupt.injected) {
		*ret = (struct event){.vector = e->interrupt.nr,
				      .external = !e->interrupt.soft,
				      .software = e->interrupt.soft};
		return true;
	}
	if (e->nmi.pending && !e->nmi.masked) {
		*ret = (struct event){.vector = X86_EXC_NMI, .external = true};
		return true;
	}
	return false;
}

static void save_events(struct kvm_vp *vp, struct state_writer *w)
{
	const struct kvm_vcpu_events *e = &vp->events;
	struct event injected;
	const struct event none = {0};

	kvm_state_fetch(vp, PART_EVENTS);
	kvm_state_fetch(vp, PART_SREGS);
	bool any = event_of(vp, &injected);
	bool nmi = any && injected.vector == X86_EXC_NMI && injected.external;

	state_begin(w, HV_ENGINE_STATE_EVENTS, HV_ENGINE_STATE_EVENTS_VERSION);
	state_put_u8(w, (uint8_t)((e->interrupt.shadow ? HV_ENGINE_EVENT_SHADOW : 0) |
				  (e->interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS
					   ? HV_ENGINE_EVENT_SHADOW_SS
					   : 0) |
				  (e->nmi.masked || nmi ? HV_ENGINE_EVENT_NMI_BLOCKED : 0) |
				  (any ? HV_ENGINE_EVENT_INJECTED : 0)));
	put_event(w, &injected);
	put_event(w, &none);
	state_end(w);
	/* It is the event at hand already, or waits for that. */
	if (e->nmi.pending && (!nmi || e->nmi.injected)) {
		state_begin(w, HV_ENGINE_STATE_NMI, 1);
		state_end(w);
	}
}

static void set_event(struct kvm_vp *vp, const struct event *e)
{
	struct kvm_vcpu_events *to = &vp->events;

	if (e->external && e->vector == X86_EXC_NMI) {
		to->nmi.injected = 1;
	} else if (e->external || e->software) {
		to->interrupt.injected = 1;
		to->interrupt.nr = e->vector;
		to->interrupt.soft = !e->external;
	} else {
		kvm_event_exception(vp, e->vector, e->has_error, e->error, e->parameter);
	}
}

/* KVM would refuse other exceptions, but not before the VP runs. */
static bool possible(const struct event *e)
{
	return e->external || e->software || (e->vector < 32 && e->vector != X86_EXC_NMI);
}

static bool restore_events(struct kvm_vp *vp, uint16_t version, struct state_reader *r)
{
	uint8_t bits = state_get_u8(r);
	struct event injected = get_event(r), faulted = get_event(r);

	if (r->bad || version != HV_ENGINE_STATE_EVENTS_VERSION ||
	    ((bits & HV_ENGINE_EVENT_INJECTED) && !possible(&injected)) ||
	    ((bits & HV_ENGINE_EVENT_FAULTED) && !possible(&faulted))) {
		return false;
	}
	kvm_state_change(vp, PART_EVENTS);
	vp->nmi_changed = true;
	vp->events = (struct kvm_vcpu_events){
		.nmi.masked = (bits & HV_ENGINE_EVENT_NMI_BLOCKED) != 0,
		.interrupt.shadow = bits & HV_ENGINE_EVENT_SHADOW_SS ? KVM_X86_SHADOW_INT_MOV_SS
				    : bits & HV_ENGINE_EVENT_SHADOW  ? KVM_X86_SHADOW_INT_STI
								     : 0};
	/* Both: what was raised comes first, and what was injected interrupts its handler. */
	if (bits & HV_ENGINE_EVENT_INJECTED) {
		set_event(vp, &injected);
	}
	if (bits & HV_ENGINE_EVENT_FAULTED) {
		set_event(vp, &faulted);
	}
	return true;
}

/* ---- All ---- */

size_t kvm_saved_write(struct kvm_vp *vp, void *buf, size_t bytes)
{
	struct state_writer w;

	state_writer_init(&w, buf, bytes);
	save_fpu(vp, &w);
	kvm_xstate_save(vp, &w);
	save_events(vp, &w);
	return w.used;
}

static bool restore_record(struct kvm_vp *vp, uint32_t tag, uint16_t version,
			   struct state_reader *r)
{
	switch (tag) {
	case HV_ENGINE_STATE_FPU:
		return restore_fpu(vp, version, r);
	case KVM_XSTATE_TAG:
		return kvm_xstate_restore(vp, version, r);
	case HV_ENGINE_STATE_EVENTS:
		return restore_events(vp, version, r);
	default:
		return true;
	}
}

bool kvm_saved_read(struct kvm_vp *vp, const void *buf, size_t bytes)
{
	struct state_reader r, payload;
	uint16_t version;
	uint32_t tag;
	bool good = true;

	kvm_exit_drop(vp);
	state_reader_init(&r, buf, bytes);
	while (good && state_next(&r, &tag, &version, &payload)) {
		good = restore_record(vp, tag, version, &payload) && !payload.bad;
	}
	good = good && !r.bad;
	if (!good) {
		kvm_state_reset(vp, false); /* a VP must not be left between two states */
	}
	return good;
}
