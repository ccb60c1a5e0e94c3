// SPDX-License-Identifier: Apache-2.0
/*
 * Local APICs in KVM; IOAPIC and 8259 are not there (split irqchip). KVM's Hyper-V emulation, otherwise asleep, serves three MSRs (EOI, ICR, TPR),
 * lets the guest leave out EOIs by the VP assist page, and ends the interrupts of AutoEOI SINTs.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "abi/hv.h"
#include "lib/bits.h"
#include "vm.h"

#define REG_ID 0x20
#define REG_TPR 0x80
#define REG_LDR 0xD0
#define REG_DFR 0xE0
#define REG_SVR 0xF0
#define REG_ISR 0x100
#define REG_TMR 0x180
#define REG_IRR 0x200
#define REG_ESR 0x280
#define REG_ICR 0x300
#define REG_ICR_HIGH 0x310
#define REG_LVT 0x320
#define REG_INITIAL_COUNT 0x380
#define REG_CURRENT_COUNT 0x390
#define REG_DIVIDE 0x3E0
#define REG_STEP 0x10

#define BASE_X2APIC UINT64_C(0x400)
#define LVT_TSC_DEADLINE 0x40000u
#define LVT_TIMER_MODE 0x60000u

/* ---- The VM ---- */

static bool offered(const struct kvm_vm *vm)
{
	static const int needed[] = {
		KVM_CAP_SPLIT_IRQCHIP, KVM_CAP_X2APIC_API,   KVM_CAP_SIGNAL_MSI,
		KVM_CAP_IRQ_ROUTING,   KVM_CAP_MP_STATE,     KVM_CAP_HYPERV,
		KVM_CAP_HYPERV_SYNIC2, KVM_CAP_HYPERV_VAPIC, KVM_CAP_TSC_DEADLINE_TIMER,
	};

	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		if (ioctl(vm->fd, KVM_CHECK_EXTENSION, needed[i]) <= 0) {
			return false;
		}
	}
	return true;
}

int kvm_apic_init(struct kvm_vm *vm)
{
	struct kvm_enable_cap split = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {KVM_LEVEL_ROUTES}};
	struct kvm_enable_cap ids = {
		.cap = KVM_CAP_X2APIC_API,
		.args = {KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK}};

	pthread_mutex_init(&vm->apic.lock, NULL);
	if (!vm->config.moves_apics || !offered(vm)) {
		return 0;
	}
	if (ioctl(vm->fd, KVM_ENABLE_CAP, &split) < 0 || ioctl(vm->fd, KVM_ENABLE_CAP, &ids) < 0) {
		return -errno;
	}
	vm->apic.here = true;
	return 0;
}

void kvm_apic_fini(struct kvm_vm *vm)
{
	pthread_mutex_destroy(&vm->apic.lock);
}

bool kvm_apic_has_msr(const struct kvm_vm *vm, uint32_t index)
{
	return vm->apic.here && (index == X86_MSR_APIC_BASE || index == X86_MSR_TSC_DEADLINE ||
				 (index >= X86_MSR_X2APIC_FIRST && index <= X86_MSR_X2APIC_LAST) ||
				 (index >= HV_X64_MSR_EOI && index <= HV_X64_MSR_TPR));
}

static void refused(struct kvm_vp *vp, const char *what)
{
	const char *none = NULL;

	atomic_compare_exchange_strong(&vp->vm->failed, &none, what);
}

/* ---- Registers ---- */

static uint32_t get(const struct kvm_lapic_state *s, unsigned reg)
{
	uint32_t value;

	memcpy(&value, s->regs + reg, sizeof(value));
	return value;
}

static void put(struct kvm_lapic_state *s, unsigned reg, uint32_t value)
{
	memcpy(s->regs + reg, &value, sizeof(value));
}

static void put_run(struct kvm_lapic_state *s, unsigned reg, const uint32_t *words, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		put(s, reg + i * REG_STEP, words[i]);
	}
}

static void get_run(const struct kvm_lapic_state *s, unsigned reg, uint32_t *words, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		words[i] = get(s, reg + i * REG_STEP);
	}
}

static void to_kvm(const struct kvm_vp *vp, const struct hv_engine_apic *a,
		   struct kvm_lapic_state *s)
{
	bool x2apic = (a->base & BASE_X2APIC) != 0;

	*s = (struct kvm_lapic_state){0};
	put(s, REG_ID, x2apic ? vp->index : vp->index << 24);
	put(s, REG_TPR, a->tpr);
	put(s, REG_LDR, a->ldr);
	put(s, REG_DFR, a->dfr);
	put(s, REG_SVR, a->svr);
	put_run(s, REG_ISR, a->isr, 8);
	put_run(s, REG_TMR, a->tmr, 8);
	put_run(s, REG_IRR, a->irr, 8);
	put(s, REG_ESR, a->esr);
	put(s, REG_ICR, a->icr_low);
	put(s, REG_ICR_HIGH, a->icr_high);
	put_run(s, REG_LVT, a->lvt, ARRAY_LEN(a->lvt));
	put(s, REG_INITIAL_COUNT, a->initial_count);
	put(s, REG_CURRENT_COUNT, a->current_count);
	put(s, REG_DIVIDE, a->divide);
}

static void from_kvm(const struct kvm_lapic_state *s, struct hv_engine_apic *a)
{
	a->tpr = get(s, REG_TPR);
	a->dfr = get(s, REG_DFR);
	a->svr = get(s, REG_SVR);
	get_run(s, REG_ISR, a->isr, 8);
	get_run(s, REG_TMR, a->tmr, 8);
	get_run(s, REG_IRR, a->irr, 8);
	a->esr = get(s, REG_ESR);
	a->icr_low = get(s, REG_ICR);
	a->icr_high = get(s, REG_ICR_HIGH);
	get_run(s, REG_LVT, a->lvt, ARRAY_LEN(a->lvt));
	a->initial_count = get(s, REG_INITIAL_COUNT);
	a->current_count = get(s, REG_CURRENT_COUNT);
	a->divide = get(s, REG_DIVIDE);
	/* In x2APIC mode it follows from the ID. */
	a->ldr = a->base & BASE_X2APIC ? 0 : get(s, REG_LDR);
}

static bool deadline_mode(const struct hv_engine_apic *a)
{
	return (a->lvt[0] & LVT_TIMER_MODE) == LVT_TSC_DEADLINE;
}

/* ---- What the processor is doing ---- */

static enum hv_engine_activity activity(struct hv_engine_vp *handle)
{
	struct kvm_vp *vp = kvm_vp_of(handle);
	struct kvm_mp_state state = {.mp_state = KVM_MP_STATE_RUNNABLE};
	const char *what;

	/* KVM carries out INIT and SIPI when it is asked: what was changed here was so before they came. */
	if (!kvm_state_flush_now(vp, &what)) {
		refused(vp, what);
	}
	if (ioctl(vp->fd, KVM_GET_MP_STATE, &state) < 0) {
		refused(vp, "KVM does not tell whether a processor is halted");
	}
	vp->valid = 0;
	switch (state.mp_state) {
	case KVM_MP_STATE_HALTED:
		return HV_ACTIVITY_HALTED;
	case KVM_MP_STATE_UNINITIALIZED:
	case KVM_MP_STATE_INIT_RECEIVED:
		return HV_ACTIVITY_WAITS_FOR_SIPI;
	default:
		return HV_ACTIVITY_RUNNING;
	}
}

static void set_activity(struct hv_engine_vp *handle, enum hv_engine_activity wanted)
{
	static const uint32_t states[] = {
		[HV_ACTIVITY_RUNNING] = KVM_MP_STATE_RUNNABLE,
		[HV_ACTIVITY_HALTED] = KVM_MP_STATE_HALTED,
		[HV_ACTIVITY_WAITS_FOR_SIPI] = KVM_MP_STATE_INIT_RECEIVED,
	};
	struct kvm_mp_state state = {.mp_state = states[wanted]};
	struct kvm_vp *vp = kvm_vp_of(handle);

	if (ioctl(vp->fd, KVM_SET_MP_STATE, &state) < 0) {
		refused(vp, "KVM does not halt a processor");
	}
}

void kvm_apic_wake(struct kvm_vp *vp)
{
	struct hv_engine_vp *handle = (struct hv_engine_vp *)(void *)vp;

	if (activity(handle) == HV_ACTIVITY_HALTED) {
		set_activity(handle, HV_ACTIVITY_RUNNING);
	}
}

/* ---- To KVM and back ---- */

static void give(struct hv_engine_vp *handle, const struct hv_engine_apic *a)
{
	struct kvm_vp *vp = kvm_vp_of(handle);
	const char *what = vp->started ? NULL : kvm_vp_start(vp);
	struct kvm_lapic_state state;

	/* The base says how the rest is to be read. */
	kvm_state_change(vp, PART_SREGS);
	vp->sregs.apic_base = a->base;
	vp->cr8 = (uint8_t)(a->tpr >> 4);
	vp->run->cr8 = vp->cr8;
	vp->run->apic_base = a->base;
	vp->reference = (struct kvm_clock_pair){0}; /* the rate may be another one now */
	if (what != NULL || !kvm_state_flush(vp, &what)) {
		refused(vp, what);
		return;
	}
	to_kvm(vp, a, &state);
	if (ioctl(vp->fd, KVM_SET_LAPIC, &state) < 0 ||
	    (deadline_mode(a) && !kvm_msr_kernel_set(vp, X86_MSR_TSC_DEADLINE, a->tsc_deadline))) {
		refused(vp, "KVM refuses the state of a local APIC");
	}
	set_activity(handle, a->activity);
}

static void take(struct hv_engine_vp *handle, struct hv_engine_apic *ret)
{
	struct kvm_vp *vp = kvm_vp_of(handle);
	struct kvm_lapic_state state = {0};

	*ret = (struct hv_engine_apic){0};
	ret->activity = activity(handle);
	if (ioctl(vp->fd, KVM_GET_LAPIC, &state) < 0 ||
	    !kvm_msr_kernel_get(vp, X86_MSR_APIC_BASE, &ret->base)) {
		refused(vp, "KVM does not give the state of a local APIC");
		return;
	}
	from_kvm(&state, ret);
	if (deadline_mode(ret)) {
		kvm_msr_kernel_get(vp, X86_MSR_TSC_DEADLINE, &ret->tsc_deadline);
	}
}

static uint8_t cr8(const struct hv_engine_vp *vp)
{
	return ((const struct kvm_vp *)(const void *)vp)->cr8;
}

static uint64_t base(const struct hv_engine_vp *vp)
{
	return ((const struct kvm_vp *)(const void *)vp)->run->apic_base;
}

/* ---- Hyper-V's part ---- */

bool kvm_apic_synic(struct kvm_vp *vp)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_HYPERV_SYNIC2};

	vp->synic = vp->synic || ioctl(vp->fd, KVM_ENABLE_CAP, &cap) == 0;
	return vp->synic;
}

static void auto_eoi(struct hv_engine_vp *handle, unsigned sint, uint8_t vector, bool on)
{
	struct kvm_vp *vp = kvm_vp_of(handle);

	if (!on && !vp->synic) {
		return;
	}
	if (!kvm_apic_synic(vp) ||
	    !kvm_msr_kernel_set(vp, HV_X64_MSR_SINT0 + sint,
				on ? vector | HV_SINT_AUTO_EOI : HV_SINT_MASKED)) {
		refused(vp, "KVM does not end interrupts by itself");
	}
}

static void assist(struct hv_engine_vp *handle, uint64_t msr)
{
	struct kvm_vp *vp = kvm_vp_of(handle);

	vp->assist_changed = vp->assist_changed || vp->assist != msr;
	vp->assist = msr;
}

/* Where no memory is KVM refuses, and the guest leaves out no EOI. */
void kvm_apic_before_run(struct kvm_vp *vp)
{
	if (vp->assist_changed && !kvm_msr_kernel_set(vp, HV_X64_MSR_VP_ASSIST_PAGE, vp->assist)) {
		kvm_msr_kernel_set(vp, HV_X64_MSR_VP_ASSIST_PAGE, 0);
	}
	vp->assist_changed = false;
	/*
	 * KVM takes its offer to leave out the EOI back at every exit, and makes it again only when it looks at events. Interop: Linux's handler of
	 * the synthetic timer sets the timer, an exit, before it ends the interrupt. Registers that come from here make KVM look.
	 */
	if ((vp->assist & HV_MSR_PAGE_ENABLE) && vp->unsettled && vp->vm->sync_regs &&
	    (vp->valid & PART_REGS) && vp->run->exit_reason == KVM_EXIT_X86_WRMSR) {
		vp->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
	}
}

const struct hv_engine_apic_ops kvm_apic_ops = {
	.give = give,
	.take = take,
	.activity = activity,
	.set_activity = set_activity,
	.request = kvm_irq_request,
	.message = kvm_irq_message,
	.auto_eoi = auto_eoi,
	.assist = assist,
	.timer_set = kvm_stimer_set,
	.timer_end = kvm_stimer_end,
	.cr8 = cr8,
	.base = base,
};
