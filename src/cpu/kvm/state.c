// SPDX-License-Identifier: Apache-2.0
/*
 * A VP's registers as the engine caches them, in parts that KVM hands over as a whole: fetched when they are asked for, written back when
 * they were changed, all forgotten when the guest has run. General registers lie in the page shared with KVM, where it offers that.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "abi/hv.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "vm.h"
#include "x86/descriptor.h"

#define ALL_PARTS (PART_REGS | PART_SREGS | PART_DEBUG | PART_FPU | PART_XCR0 | PART_EVENTS)
#define APIC_BASE_ENABLED UINT64_C(0xFEE00800)
#define APIC_BASE_BSP UINT64_C(0x100)
#define DR6_RESET UINT64_C(0xffff0ff0)
#define DR7_RESET UINT64_C(0x400)

static int get_xcr0(struct kvm_vp *vp)
{
	struct kvm_xcrs xcrs = {0};

	vp->xcr0 = 1;
	if (ioctl(vp->fd, KVM_GET_XCRS, &xcrs) < 0) {
		return -1;
	}
	for (unsigned i = 0; i < xcrs.nr_xcrs && i < KVM_MAX_XCRS; i++) {
		if (xcrs.xcrs[i].xcr == 0) {
			vp->xcr0 = xcrs.xcrs[i].value;
		}
	}
	return 0;
}

static int get_part(struct kvm_vp *vp, uint32_t part)
{
	switch (part) {
	case PART_REGS:
		return ioctl(vp->fd, KVM_GET_REGS, kvm_vp_regs(vp));
	case PART_SREGS:
		return ioctl(vp->fd, KVM_GET_SREGS, &vp->sregs);
	case PART_DEBUG:
		return ioctl(vp->fd, KVM_GET_DEBUGREGS, &vp->debug);
	case PART_FPU:
		return ioctl(vp->fd, KVM_GET_XSAVE, &vp->fpu);
	case PART_XCR0:
		return get_xcr0(vp);
	case PART_EVENTS:
		return ioctl(vp->fd, KVM_GET_VCPU_EVENTS, &vp->events);
	default:
		return -1;
	}
}

void kvm_state_fetch(struct kvm_vp *vp, uint32_t part)
{
	kvm_vp_settle(vp);
	if (vp->valid & part) {
		return;
	}
	if (get_part(vp, part) < 0) {
		atomic_store(&vp->vm->failed, "KVM does not give a processor's registers");
	}
	vp->valid |= part;
}

void kvm_state_change(struct kvm_vp *vp, uint32_t part)
{
	kvm_state_fetch(vp, part);
	vp->dirty |= part;
}

void kvm_state_invalidate(struct kvm_vp *vp)
{
	vp->valid = vp->vm->sync_regs ? PART_REGS : 0;
	vp->dirty = 0;
}

/* ---- Writing ---- */

int kvm_state_put_sregs(struct kvm_vp *vp, const struct kvm_sregs *wanted)
{
	struct kvm_sregs sregs = *wanted;
	uint64_t tpr;

	/* What is neither ours to tell nor to be told twice. */
	memset(sregs.interrupt_bitmap, 0, sizeof(sregs.interrupt_bitmap));
	sregs.cr8 = vp->cr8;
	if (!(sregs.efer & X86_EFER_LMA)) {
		sregs.cs.l = 0; /* means nothing here, and KVM minds */
	}
	/* An APIC of KVM's would lose the lower half of its task priority. */
	if (vp->vm->apic.here && kvm_msr_kernel_get(vp, HV_X64_MSR_TPR, &tpr) &&
	    tpr >> 4 == vp->cr8) {
		return ioctl(vp->fd, KVM_SET_SREGS, &sregs) < 0 ||
				       !kvm_msr_kernel_set(vp, HV_X64_MSR_TPR, tpr)
			       ? -1
			       : 0;
	}
	return ioctl(vp->fd, KVM_SET_SREGS, &sregs);
}

static int set_sregs(struct kvm_vp *vp)
{
	return kvm_state_put_sregs(vp, &vp->sregs);
}

static int set_xcr0(struct kvm_vp *vp)
{
	struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = vp->xcr0}}};

	/* A host without XSAVE has no register to write. */
	return ioctl(vp->fd, KVM_SET_XCRS, &xcrs) < 0 && vp->xcr0 != 1 ? -1 : 0;
}

static int set_events(struct kvm_vp *vp)
{
	/* An NMI that another VP has sent since they were fetched is not overwritten with none (Linux 6.4: it would be). */
	vp->events.flags = KVM_VCPUEVENT_VALID_SHADOW |
			   (vp->nmi_changed ? KVM_VCPUEVENT_VALID_NMI_PENDING : 0);
	vp->nmi_changed = false;
	return ioctl(vp->fd, KVM_SET_VCPU_EVENTS, &vp->events);
}

static int set_regs(struct kvm_vp *vp)
{
	/* Setting them drops pending exceptions: with events to come they are set before those, else on the way into the guest. */
	if (vp->vm->sync_regs && !(vp->dirty & PART_EVENTS)) {
		vp->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
		return 0;
	}
	vp->run->kvm_dirty_regs = 0;
	return ioctl(vp->fd, KVM_SET_REGS, kvm_vp_regs(vp));
}

bool kvm_state_flush(struct kvm_vp *vp, const char **ret_what)
{
	/* Mode first; events last, as other parts touch them. */
	static const struct {
		uint32_t part;
		int (*set)(struct kvm_vp *vp);
		const char *what;
	} parts[] = {
		{PART_SREGS, set_sregs, "KVM refuses the control registers or segments"},
		{PART_XCR0, set_xcr0, "KVM refuses XCR0"},
		{PART_FPU, NULL, "KVM refuses the FPU's state"},
		{PART_DEBUG, NULL, "KVM refuses the debug registers"},
		{PART_REGS, set_regs, "KVM refuses the general registers"},
		{PART_EVENTS, set_events, "KVM refuses pending events"},
	};

	if (vp->run->kvm_dirty_regs != 0 && (vp->dirty & PART_EVENTS)) {
		vp->dirty |= PART_REGS;
	}
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		int r = 0;

		if (!(vp->dirty & parts[i].part)) {
			continue;
		}
		if (parts[i].set != NULL) {
			r = parts[i].set(vp);
		} else if (parts[i].part == PART_FPU) {
			r = ioctl(vp->fd, KVM_SET_XSAVE, &vp->fpu);
		} else {
			r = ioctl(vp->fd, KVM_SET_DEBUGREGS, &vp->debug);
		}
		if (r < 0) {
			*ret_what = parts[i].what;
			return false;
		}
	}
	vp->dirty = 0;
	return true;
}

bool kvm_state_flush_now(struct kvm_vp *vp, const char **ret_what)
{
	kvm_vp_settle(vp);
	if (vp->dirty == 0 && vp->run->kvm_dirty_regs == 0) {
		return true;
	}
	/* Registers go with the events that setting them drops, and so at once. */
	kvm_state_change(vp, PART_REGS);
	kvm_state_change(vp, PART_EVENTS);
	return kvm_state_flush(vp, ret_what);
}

/* ---- RESET and INIT. Spec: Intel SDM vol. 3, table 9-1 ---- */

static struct kvm_segment segment(uint8_t type, bool system)
{
	return (struct kvm_segment){.limit = 0xffff, .type = type, .s = !system, .present = 1};
}

static void reset_sregs(struct kvm_vp *vp, bool init)
{
	uint64_t cache_bits =
		init ? vp->sregs.cr0 & (X86_CR0_CD | X86_CR0_NW) : X86_CR0_CD | X86_CR0_NW;
	const struct kvm_segment data = segment(X86_TYPE_RW | X86_TYPE_ACCESSED, false);
	struct kvm_sregs *s = &vp->sregs;

	*s = (struct kvm_sregs){.ds = data, .es = data, .fs = data, .gs = data, .ss = data};
	s->cs = segment(X86_TYPE_RW | X86_TYPE_ACCESSED | X86_TYPE_CODE, false);
	s->cs.selector = 0xf000;
	s->cs.base = 0xffff0000;
	s->ldt = segment(X86_TYPE_LDT, true);
	s->tr = segment(X86_TYPE_TSS32_BUSY, true);
	s->gdt.limit = 0xffff;
	s->idt.limit = 0xffff;
	s->cr0 = cache_bits | X86_CR0_ET;
	s->apic_base = APIC_BASE_ENABLED | (vp->index == 0 ? APIC_BASE_BSP : 0);
}

void kvm_state_reset(struct kvm_vp *vp, bool init)
{
	if (init) {
		kvm_state_fetch(vp, PART_SREGS);
		kvm_state_fetch(vp, PART_FPU);
		kvm_state_fetch(vp, PART_XCR0);
	}
	*kvm_vp_regs(vp) =
		(struct kvm_regs){.rdx = vp->vm->cpu.signature, .rip = 0xfff0, .rflags = 2};
	reset_sregs(vp, init);
	vp->debug = (struct kvm_debugregs){.dr6 = DR6_RESET, .dr7 = DR7_RESET};
	vp->events = (struct kvm_vcpu_events){0};
	vp->nmi_changed = true;
	if (!init) {
		vp->xcr0 = 1;
		kvm_fpu_reset(vp);
	}
	vp->valid = ALL_PARTS;
	vp->dirty = ALL_PARTS;
}
