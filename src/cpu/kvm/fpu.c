// SPDX-License-Identifier: Apache-2.0
/* x87 and SSE registers by name, in the image that XSAVE makes (standard format). Spec: Intel SDM vol. 1, 10.5.1 and 13.4. */
#include <string.h>

#include "abi/hv.h"
#include "fpu.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "vm.h"

#define XSAVE_HEADER 512
#define FCW_RESET 0x0040u
#define FCW_WRITABLE 0x1f3fu
#define MXCSR_RESET 0x1f80u
#define MXCSR_WRITABLE 0xffffu
#define BOTH UINT64_C(3)

static struct kvm_fx *kvm_fx(struct kvm_vp *vp)
{
	return (struct kvm_fx *)(void *)vp->fpu.region;
}

static uint64_t *in_use(struct kvm_vp *vp)
{
	return (uint64_t *)(void *)((uint8_t *)vp->fpu.region + XSAVE_HEADER);
}

/* A component that is not in use has its first values, whatever its bytes say. */
static void spell_out(struct kvm_vp *vp)
{
	struct kvm_fx *fx = kvm_fx(vp);

	if (!(*in_use(vp) & 1)) {
		fx->fcw = 0x037f;
		fx->fsw = 0;
		fx->ftw = 0;
		fx->fop = 0;
		fx->fip = 0;
		fx->fdp = 0;
		memset(fx->st, 0, sizeof(fx->st));
	}
	if (!(*in_use(vp) & 2)) {
		memset(fx->xmm, 0, sizeof(fx->xmm));
	}
	*in_use(vp) |= BOTH;
}

struct kvm_fx *kvm_fx_read(struct kvm_vp *vp)
{
	kvm_state_fetch(vp, PART_FPU);
	spell_out(vp);
	return kvm_fx(vp);
}

struct kvm_fx *kvm_fx_change(struct kvm_vp *vp)
{
	kvm_state_change(vp, PART_FPU);
	spell_out(vp);
	return kvm_fx(vp);
}

void kvm_fpu_reset(struct kvm_vp *vp)
{
	struct kvm_fx *fx = kvm_fx(vp);

	memset(&vp->fpu, 0, sizeof(vp->fpu));
	fx->fcw = FCW_RESET;
	fx->ftw = 0xff;
	fx->mxcsr = MXCSR_RESET;
	*in_use(vp) = BOTH;
}

/* HV_X64_FP_CONTROL_STATUS_REGISTER: FCW, FSW, FTW and a zero byte, FOP; last RIP. */
static void control_get(const struct kvm_fx *fx, struct hv_u128 *v)
{
	v->lo = fx->fcw | (uint64_t)fx->fsw << 16 | (uint64_t)fx->ftw << 32 |
		(uint64_t)fx->fop << 48;
	v->hi = fx->fip;
}

static void control_set(struct kvm_fx *fx, const struct hv_u128 *v)
{
	fx->fcw = ((uint16_t)v->lo & FCW_WRITABLE) | FCW_RESET;
	fx->fsw = (uint16_t)(v->lo >> 16);
	fx->ftw = (uint8_t)(v->lo >> 32);
	fx->fop = (uint16_t)(v->lo >> 48) & 0x7ff;
	fx->fip = v->hi;
}

bool kvm_fpu_reg_get(struct kvm_vp *vp, uint32_t name, struct hv_u128 *ret_value)
{
	const struct kvm_fx *fx = kvm_fx_read(vp);

	if (name >= HvX64RegisterXmm0 && name < HvX64RegisterXmm0 + 16) {
		memcpy(ret_value, fx->xmm[name - HvX64RegisterXmm0], 16);
		return true;
	}
	if (name >= HvX64RegisterFpMmx0 && name <= HvX64RegisterFpMmx7) {
		*ret_value = (struct hv_u128){0, 0};
		memcpy(ret_value, fx->st[name - HvX64RegisterFpMmx0], 10);
		return true;
	}
	if (name == HvX64RegisterFpControlStatus) {
		control_get(fx, ret_value);
		return true;
	}
	if (name == HvX64RegisterXmmControlStatus) {
		ret_value->lo = fx->fdp;
		ret_value->hi = fx->mxcsr | (uint64_t)MXCSR_WRITABLE << 32;
		return true;
	}
	return false;
}

static bool is_fpu_name(uint32_t name)
{
	return name >= HvX64RegisterXmm0 && name <= HvX64RegisterXmmControlStatus;
}

bool kvm_fpu_reg_set(struct kvm_vp *vp, uint32_t name, const struct hv_u128 *value)
{
	if (!is_fpu_name(name) ||
	    (name == HvX64RegisterXmmControlStatus && ((uint32_t)value->hi & ~MXCSR_WRITABLE))) {
		return false;
	}
	struct kvm_fx *fx = kvm_fx_change(vp);

	if (name < HvX64RegisterFpMmx0) {
		memcpy(fx->xmm[name - HvX64RegisterXmm0], value, 16);
	} else if (name <= HvX64RegisterFpMmx7) {
		memcpy(fx->st[name - HvX64RegisterFpMmx0], value, 10);
	} else if (name == HvX64RegisterFpControlStatus) {
		control_set(fx, value);
	} else {
		fx->fdp = value->lo;
		fx->mxcsr = (uint32_t)value->hi;
	}
	return true;
}

/* ---- Beyond x87 and SSE ---- */

#define XSTATE_VERSION 1u

/* Where component @i lies in the image; NULL: the guest's processor has none. */
static uint8_t *component(struct kvm_vp *vp, unsigned i, uint32_t *ret_bytes)
{
	const struct x86_cpu *cpu = &vp->vm->cpu;

	if (!(cpu->xcr0 >> i & 1)) {
		return NULL;
	}
	CHECK(range_within(cpu->component[i][1], cpu->component[i][0], sizeof(vp->fpu.region)));
	*ret_bytes = cpu->component[i][0];
	return (uint8_t *)vp->fpu.region + cpu->component[i][1];
}

void kvm_xstate_save(struct kvm_vp *vp, struct state_writer *w)
{
	uint32_t bytes;

	if (!(vp->vm->cpu.xcr0 & ~BOTH)) {
		return;
	}
	kvm_state_fetch(vp, PART_FPU);
	state_begin(w, KVM_XSTATE_TAG, XSTATE_VERSION);
	state_put_u64(w, *in_use(vp) & vp->vm->cpu.xcr0 & ~BOTH);
	for (unsigned i = 2; i < X86_CPU_COMPONENTS; i++) {
		const uint8_t *from = component(vp, i, &bytes);

		if (from != NULL) {
			state_put_bytes(w, from, bytes);
		}
	}
	state_end(w);
}

bool kvm_xstate_restore(struct kvm_vp *vp, uint16_t version, struct state_reader *r)
{
	uint64_t used = state_get_u64(r);
	uint32_t bytes;

	if (version != XSTATE_VERSION || (used & (~vp->vm->cpu.xcr0 | BOTH))) {
		return false;
	}
	kvm_state_change(vp, PART_FPU);
	for (unsigned i = 2; i < X86_CPU_COMPONENTS; i++) {
		uint8_t *to = component(vp, i, &bytes);

		if (to != NULL) {
			state_get_bytes(r, to, bytes);
		}
	}
	*in_use(vp) = (*in_use(vp) & BOTH) | used;
	return !r->bad;
}
