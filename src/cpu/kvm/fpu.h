/* SPDX-License-Identifier: Apache-2.0 */
/* The image of x87 and SSE registers that FXSAVE and XSAVE make in 64-bit mode. */
#ifndef KVM_FPU_H
#define KVM_FPU_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/state.h"

struct kvm_vp;

struct kvm_fx {
	uint16_t fcw;
	uint16_t fsw;
	uint8_t ftw; /* one bit per register, by its place and not by its distance from the top */
	uint8_t zero;
	uint16_t fop;
	uint64_t fip;
	uint64_t fdp;
	uint32_t mxcsr;
	uint32_t mxcsr_mask;
	uint8_t st[8][16]; /* by distance from the top */
	uint8_t xmm[16][16];
};
_Static_assert(sizeof(struct kvm_fx) == 416, "FXSAVE");

/* The cached image, with every component spelled out. */
struct kvm_fx *kvm_fx_read(struct kvm_vp *vp);
struct kvm_fx *kvm_fx_change(struct kvm_vp *vp);

/*
 * State beyond x87 and SSE (AVX, AVX-512, PKRU), a record of its own: u64 components in use, then each that the guest's processor has, with its bytes. False:
 * torn.
 */
#define KVM_XSTATE_TAG STATE_TAG('X', 'S', 'T', 'A')
void kvm_xstate_save(struct kvm_vp *vp, struct state_writer *w);
bool kvm_xstate_restore(struct kvm_vp *vp, uint16_t version, struct state_reader *r);

#endif
