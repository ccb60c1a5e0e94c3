// SPDX-License-Identifier: Apache-2.0
/* The engine's table of operations. */
#include "kvm/kvm.h"
#include "vm.h"

static void run(struct hv_engine_vp *vp, const struct hv_run *how, struct hv_exit *ret_exit)
{
	kvm_vp_run(kvm_vp_of(vp), how, ret_exit);
}

static void kick(struct hv_engine_vp *vp)
{
	atomic_store(&kvm_vp_of(vp)->kicked, 1);
	kvm_vp_poke(kvm_vp_of(vp));
}

static void complete(struct hv_engine_vp *vp, const uint64_t values[4])
{
	kvm_exit_complete(kvm_vp_of(vp), values);
}

static void abandon(struct hv_engine_vp *vp)
{
	kvm_exit_drop(kvm_vp_of(vp));
}

static void inject_exception(struct hv_engine_vp *vp, uint8_t vector, bool has_error,
			     uint32_t error, uint64_t parameter)
{
	kvm_event_exception(kvm_vp_of(vp), vector, has_error, error, parameter);
}

static bool can_interrupt(struct hv_engine_vp *vp)
{
	return kvm_event_can_interrupt(kvm_vp_of(vp));
}

static bool can_nmi(struct hv_engine_vp *vp)
{
	return kvm_event_can_nmi(kvm_vp_of(vp));
}

static void inject_interrupt(struct hv_engine_vp *vp, uint8_t vector)
{
	kvm_event_interrupt(kvm_vp_of(vp), vector);
}

static void inject_nmi(struct hv_engine_vp *vp)
{
	kvm_event_nmi(kvm_vp_of(vp));
}

static void set_cr8(struct hv_engine_vp *vp, uint8_t value)
{
	kvm_vp_of(vp)->cr8 = value;
}

static uint8_t get_cr8(struct hv_engine_vp *vp)
{
	return kvm_vp_of(vp)->cr8;
}

static const struct hv_engine_apic_ops *apic(struct hv_engine_vm *vm)
{
	return kvm_vm_of(vm)->apic.here ? &kvm_apic_ops : NULL;
}

static bool deadline_exits(struct hv_engine_vm *vm)
{
	return kvm_vm_of(vm)->deadline_exits;
}

static bool reg_get(struct hv_engine_vp *vp, uint32_t name, struct hv_u128 *ret_value)
{
	return kvm_reg_get(kvm_vp_of(vp), name, ret_value);
}

static bool reg_set(struct hv_engine_vp *vp, uint32_t name, const struct hv_u128 *value)
{
	return kvm_reg_set(kvm_vp_of(vp), name, value);
}

static bool msr_get(struct hv_engine_vp *vp, uint32_t index, uint64_t *ret_value)
{
	return kvm_msr_read(kvm_vp_of(vp), index, ret_value) == X86_MSRS_DONE;
}

static bool msr_set(struct hv_engine_vp *vp, uint32_t index, uint64_t value)
{
	return kvm_msr_write(kvm_vp_of(vp), index, value) == X86_MSRS_DONE;
}

static void cpuid(struct hv_engine_vm *vm, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	kvm_cpuid_get(kvm_vm_of(vm), leaf, subleaf, regs);
}

static size_t save(struct hv_engine_vp *vp, void *buf, size_t bytes)
{
	return kvm_saved_write(kvm_vp_of(vp), buf, bytes);
}

static bool restore(struct hv_engine_vp *vp, const void *buf, size_t bytes)
{
	return kvm_saved_read(kvm_vp_of(vp), buf, bytes);
}

static uint64_t tsc(struct hv_engine_vm *vm)
{
	return kvm_clock(kvm_vm_of(vm));
}

static uint64_t tsc_hz(struct hv_engine_vm *vm)
{
	return kvm_vm_of(vm)->tsc_hz;
}

static bool set_tsc_hz(struct hv_engine_vm *vm, uint64_t hz)
{
	return kvm_clock_set_rate(kvm_vm_of(vm), hz);
}

static void set_tsc_offset(struct hv_engine_vp *vp, uint64_t offset)
{
	kvm_clock_set_offset(kvm_vp_of(vp), offset);
}

static void flush_all(struct hv_engine_vp *handle, bool non_global_only)
{
	struct kvm_vp *vp = kvm_vp_of(handle);

	atomic_store(&vp->flush, 1);
	kvm_vp_poke(vp);
}

/* Single pages go with the rest: KVM can drop all or nothing. */
static void flush_page(struct hv_engine_vp *vp, uint64_t gva)
{
	flush_all(vp, false);
}

static bool flush_done(struct hv_engine_vp *handle)
{
	struct kvm_vp *vp = kvm_vp_of(handle);

	return !atomic_load(&vp->flush) || !atomic_load(&vp->inside);
}

static void hold(struct hv_engine_vm *vm, bool on)
{
	kvm_memory_hold(kvm_vm_of(vm), on);
}

static void gpa_changed(struct hv_engine_vm *vm, uint64_t gpn, uint64_t count)
{
	kvm_memory_changed(kvm_vm_of(vm), gpn, count);
}

/* The processor sees for itself. */
static void code_written(struct hv_engine_vm *vm, uint64_t gpa, size_t bytes)
{
}

static int dirty_start(struct hv_engine_vm *vm)
{
	return kvm_dirty_start(kvm_vm_of(vm));
}

static void dirty_take(struct hv_engine_vm *vm, uint64_t first_gpn, uint64_t count,
		       uint64_t *bitmap)
{
	kvm_dirty_take(kvm_vm_of(vm), first_gpn, count, bitmap);
}

static void dirty_stop(struct hv_engine_vm *vm)
{
	kvm_dirty_stop(kvm_vm_of(vm));
}

static bool translate(struct hv_engine_vp *vp, uint64_t gva, unsigned access, bool user,
		      uint64_t *ret_gpa, uint32_t *ret_error)
{
	return kvm_walk(kvm_vp_of(vp), gva, access, user, ret_gpa, ret_error);
}

/* KVM delivers exceptions by itself and tells nobody. */
static void intercept_exceptions(struct hv_engine_vm *vm, uint32_t mask)
{
}

static uint64_t own_exits(struct hv_engine_vp *vp)
{
	return atomic_load_explicit(&kvm_vp_of(vp)->own_exits, memory_order_relaxed);
}

/* KVM does not count. */
static uint64_t instructions(struct hv_engine_vp *vp)
{
	return 0;
}

unsigned kvm_hypercall_insn(uint8_t bytes[8])
{
	bytes[0] = 0x3E; /* a prefix without effect */
	bytes[1] = 0xE7;
	bytes[2] = HYPERCALL_PORT;
	return HYPERCALL_BYTES;
}

static unsigned hypercall_insn(struct hv_engine_vm *vm, uint8_t bytes[8])
{
	return kvm_hypercall_insn(bytes);
}

const struct hv_engine_ops kvm_engine_ops = {
	.name = "kvm",
	.vm_create = kvm_vm_create,
	.vm_destroy = kvm_vm_destroy,
	.vp_create = kvm_vp_create,
	.vp_destroy = kvm_vp_destroy,
	.vp_reset = kvm_vp_reset,
	.run = run,
	.kick = kick,
	.complete = complete,
	.abandon = abandon,
	.inject_exception = inject_exception,
	.can_interrupt = can_interrupt,
	.can_nmi = can_nmi,
	.inject_interrupt = inject_interrupt,
	.inject_nmi = inject_nmi,
	.set_cr8 = set_cr8,
	.get_cr8 = get_cr8,
	.apic = apic,
	.deadline_exits = deadline_exits,
	.reg_get = reg_get,
	.reg_set = reg_set,
	.msr_get = msr_get,
	.msr_set = msr_set,
	.cpuid = cpuid,
	.save = save,
	.restore = restore,
	.tsc = tsc,
	.tsc_hz = tsc_hz,
	.set_tsc_hz = set_tsc_hz,
	.set_tsc_offset = set_tsc_offset,
	.flush_all = flush_all,
	.flush_page = flush_page,
	.flush_done = flush_done,
	.hold = hold,
	.gpa_changed = gpa_changed,
	.code_written = code_written,
	.dirty_start = dirty_start,
	.dirty_take = dirty_take,
	.dirty_stop = dirty_stop,
	.translate = translate,
	.intercept_exceptions = intercept_exceptions,
	.instructions = instructions,
	.own_exits = own_exits,
	.hypercall_insn = hypercall_insn,
};
