/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved state of a VP: all of it, so that a VP restored from it goes on exactly. An instruction that waits for the parent is kept as the
 * answers it already has: after the restore it starts again, takes those, and exits for the rest.
 */
#include "control.h"
#include "flags.h"
#include "fpu.h"
#include "hv/engine_state.h"
#include "mem.h"
#include "segment.h"
#include "sys.h"
#include "x86/msr.h"

#define TAG_GENERAL STATE_TAG('G', 'P', 'R', ' ')
#define TAG_SEGMENTS STATE_TAG('S', 'E', 'G', ' ')
#define TAG_CONTROL STATE_TAG('C', 'T', 'R', 'L')
#define TAG_MSRS STATE_TAG('M', 'S', 'R', ' ')
#define TAG_EVENTS HV_ENGINE_STATE_EVENTS
#define TAG_REPLAY STATE_TAG('R', 'P', 'L', 'Y')
#define VERSION 1

#define SHADOW HV_ENGINE_EVENT_SHADOW
#define SHADOW_SS HV_ENGINE_EVENT_SHADOW_SS
#define NMI_BLOCKED HV_ENGINE_EVENT_NMI_BLOCKED
#define INJECTED HV_ENGINE_EVENT_INJECTED
#define FAULTED HV_ENGINE_EVENT_FAULTED

static void put_fault(struct state_writer *w, const struct emu_fault *f)
{
	state_put_u8(w, f->vector);
	state_put_u8(w, f->has_error);
	state_put_u8(w, f->software);
	state_put_u8(w, f->external);
	state_put_u32(w, f->error);
	state_put_u64(w, f->parameter);
}

static struct emu_fault get_fault(struct state_reader *r)
{
	struct emu_fault f = {.vector = state_get_u8(r)};

	f.has_error = state_get_u8(r) != 0;
	f.software = state_get_u8(r) != 0;
	f.external = state_get_u8(r) != 0;
	f.error = state_get_u32(r);
	f.parameter = state_get_u64(r);
	return f;
}

static void save_general(const struct emu_vp *vp, struct state_writer *w)
{
	state_begin(w, TAG_GENERAL, VERSION);
	for (unsigned n = 0; n < X86_GPR_COUNT; n++) {
		state_put_u64(w, vp->r[n]);
	}
	state_put_u64(w, vp->rip);
	state_put_u64(w, emu_flags_get(vp));
	state_end(w);
}

static void restore_general(struct emu_vp *vp, struct state_reader *r)
{
	for (unsigned n = 0; n < X86_GPR_COUNT; n++) {
		vp->r[n] = state_get_u64(r);
	}
	vp->rip = state_get_u64(r);
	emu_flags_set(vp, state_get_u64(r) & 0x3fffff);
}

static void put_table(struct state_writer *w, const struct x86_table *t)
{
	state_put_u64(w, t->base);
	state_put_u16(w, t->limit);
}

static void save_segments(const struct emu_vp *vp, struct state_writer *w)
{
	state_begin(w, TAG_SEGMENTS, VERSION);
	for (unsigned n = 0; n < X86_SEG_COUNT; n++) {
		state_put_u64(w, vp->seg[n].base);
		state_put_u32(w, vp->seg[n].limit);
		state_put_u16(w, vp->seg[n].selector);
		state_put_u16(w, vp->seg[n].attributes);
	}
	put_table(w, &vp->gdtr);
	put_table(w, &vp->idtr);
	state_put_u8(w, vp->cpl);
	state_end(w);
}

static void restore_segments(struct emu_vp *vp, struct state_reader *r)
{
	for (unsigned n = 0; n < X86_SEG_COUNT; n++) {
		vp->seg[n].base = state_get_u64(r);
		vp->seg[n].limit = state_get_u32(r);
		vp->seg[n].selector = state_get_u16(r);
		vp->seg[n].attributes = state_get_u16(r) & 0xf0ff;
	}
	vp->gdtr.base = state_get_u64(r);
	vp->gdtr.limit = state_get_u16(r);
	vp->idtr.base = state_get_u64(r);
	vp->idtr.limit = state_get_u16(r);
	vp->cpl = state_get_u8(r) & 3;
}

static void save_control(const struct emu_vp *vp, struct state_writer *w)
{
	state_begin(w, TAG_CONTROL, VERSION);
	state_put_u64(w, vp->cr0);
	state_put_u64(w, vp->cr2);
	state_put_u64(w, vp->cr3);
	state_put_u64(w, vp->cr4);
	state_put_u64(w, vp->efer);
	state_put_u64(w, vp->xcr0);
	for (unsigned n = 0; n < 4; n++) {
		state_put_u64(w, vp->pdpte[n]);
	}
	for (unsigned n = 0; n < 8; n++) {
		state_put_u64(w, vp->dr[n]);
	}
	state_end(w);
}

static bool restore_control(struct emu_vp *vp, struct state_reader *r)
{
	vp->cr0 = state_get_u64(r);
	vp->cr2 = state_get_u64(r);
	vp->cr3 = state_get_u64(r);
	vp->cr4 = state_get_u64(r);
	vp->efer = state_get_u64(r);
	vp->xcr0 = state_get_u64(r);
	for (unsigned n = 0; n < 4; n++) {
		vp->pdpte[n] = state_get_u64(r);
	}
	for (unsigned n = 0; n < 8; n++) {
		vp->dr[n] = state_get_u64(r);
	}
	vp->dr[6] = EMU_DR6_FIXED | (vp->dr[6] & EMU_DR6_MASK);
	vp->dr[7] = EMU_DR7_FIXED | (vp->dr[7] & EMU_DR7_MASK);
	return !(vp->cr4 & ~(uint64_t)EMU_CR4_MASK) &&
	       !(vp->efer & ~(uint64_t)(EMU_EFER_MASK | X86_EFER_LMA)) && (vp->xcr0 & 1) &&
	       !(vp->xcr0 & ~(uint64_t)EMU_XCR0_MASK) && !(vp->cr0 >> 32);
}

static void save_msrs(struct emu_vp *vp, struct state_writer *w)
{
	uint64_t value;

	state_begin(w, TAG_MSRS, VERSION);
	for (unsigned n = 0; x86_msrs_kept(n) != UINT32_MAX; n++) {
		if (emu_msr_read(vp, x86_msrs_kept(n), &value) == X86_MSRS_DONE) {
			state_put_u32(w, x86_msrs_kept(n));
			state_put_u64(w, value);
		}
	}
	state_end(w);
}

/* Machine check registers can be read as anything but written only as 0; they are restored where they lie. */
static bool restore_msr(struct emu_vp *vp, uint32_t index, uint64_t value)
{
	if (index - X86_MSR_MC0_CTL < ARRAY_LEN(vp->msr.mc)) {
		vp->msr.mc[index - X86_MSR_MC0_CTL] = value;
		return true;
	}
	return emu_msr_write(vp, index, value) == X86_MSRS_DONE;
}

static bool restore_msrs(struct emu_vp *vp, struct state_reader *r)
{
	while (r->left > 0 && !r->bad) {
		uint32_t index = state_get_u32(r);
		uint64_t value = state_get_u64(r);

		if (!r->bad && !restore_msr(vp, index, value)) {
			return false;
		}
	}
	return true;
}

static void save_events(const struct emu_vp *vp, struct state_writer *w)
{
	bool faulted = vp->event == EMU_EVENT_FAULT;

	state_begin(w, TAG_EVENTS, VERSION);
	state_put_u8(w, (uint8_t)((vp->shadow ? SHADOW : 0) | (vp->shadow_ss ? SHADOW_SS : 0) |
				  (vp->nmi_blocked ? NMI_BLOCKED : 0) |
				  (vp->injected ? INJECTED : 0) | (faulted ? FAULTED : 0)));
	put_fault(w, &vp->inject);
	put_fault(w, &vp->fault);
	state_end(w);
}

static void restore_events(struct emu_vp *vp, struct state_reader *r)
{
	uint8_t bits = state_get_u8(r);

	vp->shadow = bits & SHADOW;
	vp->shadow_ss = bits & SHADOW_SS;
	vp->nmi_blocked = bits & NMI_BLOCKED;
	vp->injected = bits & INJECTED;
	vp->inject = get_fault(r);
	vp->fault = get_fault(r);
	vp->event = bits & FAULTED ? EMU_EVENT_FAULT : EMU_EVENT_NONE;
	vp->pending = false;
}

static void save_replay(const struct emu_vp *vp, struct state_writer *w)
{
	state_begin(w, TAG_REPLAY, VERSION);
	for (unsigned n = 0; n < vp->replay_count; n++) {
		state_put_u64(w, vp->replay[n].key);
		state_put_u64(w, vp->replay[n].data);
	}
	state_end(w);
}

static bool restore_replay(struct emu_vp *vp, struct state_reader *r)
{
	vp->replay_count = 0;
	vp->replay_next = 0;
	while (r->left > 0 && !r->bad) {
		/* One entry stays free for the exit to come. */
		if (vp->replay_count + 1u >= ARRAY_LEN(vp->replay)) {
			return false;
		}
		vp->replay[vp->replay_count].key = state_get_u64(r);
		vp->replay[vp->replay_count].data = state_get_u64(r);
		vp->replay_count++;
	}
	return true;
}

size_t emu_save(struct emu_vp *vp, void *buf, size_t bytes)
{
	struct state_writer w;

	state_writer_init(&w, buf, bytes);
	save_general(vp, &w);
	save_segments(vp, &w);
	save_control(vp, &w);
	save_msrs(vp, &w);
	emu_fpu_save(vp, &w);
	save_events(vp, &w);
	save_replay(vp, &w);
	return w.used;
}

static bool restore_record(struct emu_vp *vp, uint32_t tag, uint16_t version,
			   struct state_reader *r)
{
	switch (tag) {
	case TAG_GENERAL:
		restore_general(vp, r);
		return true;
	case TAG_SEGMENTS:
		restore_segments(vp, r);
		return true;
	case TAG_CONTROL:
		return restore_control(vp, r);
	case TAG_MSRS:
		return restore_msrs(vp, r);
	case EMU_STATE_FPU:
		return emu_fpu_restore(vp, version, r);
	case TAG_EVENTS:
		restore_events(vp, r);
		return true;
	case TAG_REPLAY:
		return restore_replay(vp, r);
	default:
		return true;
	}
}

bool emu_restore(struct emu_vp *vp, const void *buf, size_t bytes)
{
	struct state_reader r, payload;
	uint16_t version;
	uint32_t tag;
	bool good = true;

	state_reader_init(&r, buf, bytes);
	while (good && state_next(&r, &tag, &version, &payload)) {
		good = restore_record(vp, tag, version, &payload) && !payload.bad;
	}
	good = good && !r.bad;
	if (!good) {
		/* A VP must not be left between two states. */
		emu_reset(vp, false);
	}
	emu_drop_all(vp);
	emu_mode_update(vp);
	return good;
}
