/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's table of operations, creation and destruction. */
#include "emu/emu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "flags.h"
#include "sys.h"

/* The core's handles are these structs. */
static struct emu_vm *vm_of(struct hv_engine_vm *vm)
{
	return (struct emu_vm *)(void *)vm;
}

static struct emu_vp *vp_of(struct hv_engine_vp *vp)
{
	return (struct emu_vp *)(void *)vp;
}

static void vm_destroy(struct hv_engine_vm *handle)
{
	struct emu_vm *vm = vm_of(handle);

	if (vm != NULL) {
		emu_code_destroy(vm->code);
		free(vm->vps);
		free(vm);
	}
}

static int vm_create(const struct hv_engine_config *config, struct hv_engine_vm **ret_vm)
{
	struct emu_vm *vm = calloc(1, sizeof(*vm));

	if (vm == NULL) {
		return -ENOMEM;
	}
	vm->config = *config;
	vm->gmem = config->gmem;
	vm->tsc_hz = config->clock_hz;
	if (config->cpu != NULL) {
		vm->cpu = *config->cpu;
	} else {
		emu_cpu_usual(config->count_instructions, &vm->cpu);
	}
	vm->code = emu_code_create();
	vm->vps = calloc(config->vp_max > 0 ? config->vp_max : 1, sizeof(*vm->vps));
	if (vm->code == NULL || vm->vps == NULL) {
		vm_destroy((struct hv_engine_vm *)(void *)vm);
		return -ENOMEM;
	}
	*ret_vm = (struct hv_engine_vm *)(void *)vm;
	return 0;
}

static void vp_free(struct emu_vp *vp)
{
	emu_cache_destroy(vp->cache);
	emu_requests_destroy(vp->requests);
	free(vp->tlbs);
	free(vp);
}

static void vp_destroy(struct hv_engine_vp *handle)
{
	struct emu_vp *vp = vp_of(handle);

	if (vp != NULL) {
		emu_spin_lock(vp->vm, &vp->vm->vps_lock);
		atomic_store(&vp->vm->vps[vp->index], NULL);
		emu_spin_unlock(&vp->vm->vps_lock);
		vp_free(vp);
	}
}

void emu_drop_all(struct emu_vp *vp)
{
	emu_tlb_init(vp);
	emu_cache_drop(vp->cache);
}

static void vp_reset(struct hv_engine_vp *handle, bool init)
{
	struct emu_vp *vp = vp_of(handle);

	vp->event = EMU_EVENT_NONE;
	vp->pending = false;
	vp->injected = false;
	vp->replay_count = 0;
	vp->shadow = false;
	vp->shadow_ss = false;
	vp->nmi_blocked = false;
	emu_reset(vp, init);
	vp->r[EMU_REG_NONE] = 0;
	vp->r[EMU_REG_4K] = 4096;
	emu_drop_all(vp);
	emu_mode_update(vp);
}

static int vp_create(struct hv_engine_vm *vm_handle, uint32_t index, struct hv_engine_vp **ret_vp)
{
	struct emu_vm *vm = vm_of(vm_handle);
	struct emu_vp *vp;
	uint32_t top;

	if (index >= vm->config.vp_max) {
		return -ENOTSUP;
	}
	vp = aligned_alloc(64, align_up(sizeof(*vp), 64));
	if (vp == NULL) {
		return -ENOMEM;
	}
	memset(vp, 0, sizeof(*vp));
	vp->vm = vm;
	vp->index = index;
	vp->tlbs = calloc((EMU_TLB_MODES + 1) * EMU_TLB_ENTRIES, sizeof(*vp->tlbs));
	vp->cache = emu_cache_create(vm->config.vp_max);
	vp->requests = emu_requests_create();
	if (vp->tlbs == NULL || vp->cache == NULL || vp->requests == NULL) {
		vp_free(vp);
		return -ENOMEM;
	}
	vp->tlb = vp->tlbs;
	vp_reset((struct hv_engine_vp *)(void *)vp, false);
	atomic_store(&vm->vps[index], vp);
	top = atomic_load(&vm->vp_top);
	while (top < index + 1 && !atomic_compare_exchange_weak(&vm->vp_top, &top, index + 1)) {
	}
	*ret_vp = (struct hv_engine_vp *)(void *)vp;
	return 0;
}

static void run(struct hv_engine_vp *vp, const struct hv_run *how, struct hv_exit *ret_exit)
{
	emu_run(vp_of(vp), how, ret_exit);
}

static void kick(struct hv_engine_vp *vp)
{
	atomic_fetch_or(&vp_of(vp)->attention, EMU_ATTENTION_KICK);
}

static void complete(struct hv_engine_vp *vp, const uint64_t values[4])
{
	emu_complete(vp_of(vp), values);
}

static void abandon(struct hv_engine_vp *vp)
{
	emu_abandon(vp_of(vp));
}

static void inject_exception(struct hv_engine_vp *handle, uint8_t vector, bool has_error,
			     uint32_t error, uint64_t parameter)
{
	struct emu_vp *vp = vp_of(handle);

	emu_abandon(vp);
	/* Through vp->inject: what the parent injects is not intercepted again. */
	vp->inject = (struct emu_fault){
		.vector = vector, .has_error = has_error, .error = error, .parameter = parameter};
	vp->injected = true;
}

static bool can_take(const struct emu_vp *vp)
{
	return !vp->shadow && !vp->injected && !vp->pending && vp->event == EMU_EVENT_NONE;
}

static bool can_interrupt(struct hv_engine_vp *handle)
{
	const struct emu_vp *vp = vp_of(handle);

	return can_take(vp) && (vp->flags & X86_IF);
}

static bool can_nmi(struct hv_engine_vp *handle)
{
	const struct emu_vp *vp = vp_of(handle);

	return can_take(vp) && !vp->nmi_blocked;
}

static void inject_interrupt(struct hv_engine_vp *handle, uint8_t vector)
{
	struct emu_vp *vp = vp_of(handle);

	vp->inject = (struct emu_fault){.vector = vector, .external = true};
	vp->injected = true;
}

static void inject_nmi(struct hv_engine_vp *handle)
{
	struct emu_vp *vp = vp_of(handle);

	vp->inject = (struct emu_fault){.vector = X86_EXC_NMI, .external = true};
	vp->nmi_blocked = true;
	vp->injected = true;
}

static bool reg_get(struct hv_engine_vp *vp, uint32_t name, struct hv_u128 *ret_value)
{
	return emu_reg_get(vp_of(vp), name, ret_value);
}

static bool reg_set(struct hv_engine_vp *vp, uint32_t name, const struct hv_u128 *value)
{
	return emu_reg_set(vp_of(vp), name, value);
}

static bool msr_get(struct hv_engine_vp *vp, uint32_t index, uint64_t *ret_value)
{
	return emu_msr_get(vp_of(vp), index, ret_value);
}

static bool msr_set(struct hv_engine_vp *vp, uint32_t index, uint64_t value)
{
	return emu_msr_set(vp_of(vp), index, value);
}

static void cpuid(struct hv_engine_vm *vm, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	emu_cpuid(vm_of(vm), leaf, subleaf, regs);
}

static size_t save(struct hv_engine_vp *vp, void *buf, size_t bytes)
{
	return emu_save(vp_of(vp), buf, bytes);
}

static bool restore(struct hv_engine_vp *handle, const void *buf, size_t bytes)
{
	struct emu_vp *vp = vp_of(handle);
	bool good = emu_restore(vp, buf, bytes);

	emu_drop_all(vp);
	emu_mode_update(vp);
	return good;
}

static uint64_t tsc(struct hv_engine_vm *vm)
{
	return emu_clock(vm_of(vm));
}

static bool skip(struct hv_engine_vm *vm, uint64_t ticks)
{
	if (!vm_of(vm)->config.count_instructions) {
		return false;
	}
	atomic_fetch_add(&vm_of(vm)->skipped, ticks);
	return true;
}

static uint64_t first_user(struct hv_engine_vm *vm)
{
	return atomic_load(&vm_of(vm)->first_user);
}

static uint64_t tsc_hz(struct hv_engine_vm *vm)
{
	return vm_of(vm)->tsc_hz;
}

/* Counted instructions are no time: they have one rate. */
static bool set_tsc_hz(struct hv_engine_vm *vm, uint64_t hz)
{
	if (vm_of(vm)->config.count_instructions) {
		return false;
	}
	vm_of(vm)->tsc_hz = hz;
	return true;
}

static void set_tsc_offset(struct hv_engine_vp *vp, uint64_t offset)
{
	vp_of(vp)->tsc_offset = offset;
}

static void flush_all(struct hv_engine_vp *vp, bool non_global_only)
{
	emu_post_flush(vp_of(vp), non_global_only);
}

static void flush_page(struct hv_engine_vp *vp, uint64_t gva)
{
	emu_post_flush_page(vp_of(vp), gva);
}

static bool flush_done(struct hv_engine_vp *vp)
{
	return emu_post_idle(vp_of(vp));
}

static void gpa_changed(struct hv_engine_vm *handle, uint64_t gpn, uint64_t count)
{
	struct emu_vm *vm = vm_of(handle);
	uint32_t top = atomic_load(&vm->vp_top);

	emu_spin_lock(vm, &vm->vps_lock);
	for (uint32_t n = 0; n < top; n++) {
		struct emu_vp *vp = atomic_load(&vm->vps[n]);

		if (vp != NULL) {
			emu_post_gpa(vp, gpn, count);
		}
	}
	emu_spin_unlock(&vm->vps_lock);
}

static void code_written(struct hv_engine_vm *vm, uint64_t gpa, size_t bytes)
{
	emu_code_written(vm_of(vm), NULL, gpa, bytes);
}

static void dirty_take(struct hv_engine_vm *vm, uint64_t first_gpn, uint64_t count,
		       uint64_t *bitmap)
{
	gmem_dirty_take(vm_of(vm)->gmem, first_gpn, count, bitmap);
	emu_stores_ask(vm_of(vm));
}

static bool translate(struct hv_engine_vp *vp, uint64_t gva, unsigned access, bool user,
		      uint64_t *ret_gpa, uint32_t *ret_error)
{
	return emu_translate(vp_of(vp), gva, access, user, ret_gpa, ret_error);
}

static void intercept_exceptions(struct hv_engine_vm *vm, uint32_t mask)
{
	atomic_store(&vm_of(vm)->exceptions, mask);
}

static uint64_t instructions(struct hv_engine_vp *vp)
{
	return atomic_load_explicit(&vp_of(vp)->retired, memory_order_relaxed);
}

static unsigned hypercall_insn(struct hv_engine_vm *vm, uint8_t bytes[8])
{
	static const uint8_t vmcall[] = {0x0f, 0x01, 0xc1};

	(void)vm;
	memcpy(bytes, vmcall, sizeof(vmcall));
	return sizeof(vmcall);
}

const struct hv_engine_ops emu_engine_ops = {
	.name = "emu",
	.vm_create = vm_create,
	.vm_destroy = vm_destroy,
	.vp_create = vp_create,
	.vp_destroy = vp_destroy,
	.vp_reset = vp_reset,
	.run = run,
	.kick = kick,
	.complete = complete,
	.abandon = abandon,
	.inject_exception = inject_exception,
	.can_interrupt = can_interrupt,
	.can_nmi = can_nmi,
	.inject_interrupt = inject_interrupt,
	.inject_nmi = inject_nmi,
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
	.gpa_changed = gpa_changed,
	.code_written = code_written,
	.dirty_take = dirty_take,
	.translate = translate,
	.intercept_exceptions = intercept_exceptions,
	.instructions = instructions,
	.skip = skip,
	.first_user = first_user,
	.hypercall_insn = hypercall_insn,
};
