// SPDX-License-Identifier: Apache-2.0
/*
 * The fuzzer's CPU engine and host: run() returns the one exit that the target queued; registers are plain memory. The promises of
 * hv/engine.h that the core relies on are checked on the core's side of the bargain.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#include "abi/hv.h"
#include "hv/host.h"
#include "hv/hv.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "x86/arch.h"

#define RUNS_MAX 300u /* a rep call of 4095 elements goes round 64 times */

struct hv_engine_vm {
	struct fuzz_world *world;
};

struct hv_engine_vp {
	struct hv_engine_vm *vm;
	uint32_t index;
	struct hv_u128 reg[7][0x100];
	bool pending;
	struct hv_exit last;
	uint64_t rip;
	bool retry;
	bool injected;
	bool nmi_blocked;
	bool kicked;
	unsigned runs;
};

static bool known(uint32_t name)
{
	return name >= HvX64RegisterRax && name < HvRegisterVpRuntime && (name & 0xFFFF) < 0x100;
}

static struct hv_u128 *reg(struct hv_engine_vp *vp, uint32_t name)
{
	CHECK(known(name));
	return &vp->reg[(name >> 16) - 2][name & 0xFF];
}

static bool reg_get(struct hv_engine_vp *vp, uint32_t name, struct hv_u128 *ret_value)
{
	if (known(name)) {
		*ret_value = *reg(vp, name);
	}
	return known(name);
}

static bool reg_set(struct hv_engine_vp *vp, uint32_t name, const struct hv_u128 *value)
{
	if (known(name)) {
		*reg(vp, name) = *value;
	}
	return known(name);
}

void fuzz_reg_set(struct hv_engine_vp *vp, uint32_t name, uint64_t lo, uint64_t hi)
{
	*reg(vp, name) = (struct hv_u128){lo, hi};
}

static bool msr_get(struct hv_engine_vp *vp, uint32_t index, uint64_t *ret_value)
{
	*ret_value = 0;
	return false;
}

static bool msr_set(struct hv_engine_vp *vp, uint32_t index, uint64_t value)
{
	return false;
}

static int vm_create(const struct hv_engine_config *config, struct hv_engine_vm **ret_vm)
{
	struct hv_engine_vm *vm = calloc(1, sizeof(*vm));

	CHECK(vm != NULL);
	vm->world = config->clock_ctx;
	*ret_vm = vm;
	return 0;
}

static void vm_destroy(struct hv_engine_vm *vm)
{
	free(vm);
}

static void vp_reset(struct hv_engine_vp *vp, bool init)
{
	memset(vp->reg, 0, sizeof(vp->reg));
	vp->pending = false;
	vp->retry = false;
	vp->injected = false;
	vp->nmi_blocked = false;
}

static int vp_create(struct hv_engine_vm *vm, uint32_t index, struct hv_engine_vp **ret_vp)
{
	struct hv_engine_vp *vp = calloc(1, sizeof(*vp));

	CHECK(vp != NULL);
	vp->vm = vm;
	vp->index = index;
	vm->world->newest = vp;
	if (index < ARRAY_LEN(vm->world->vp)) {
		vm->world->vp[index] = vp;
	}
	*ret_vp = vp;
	return 0;
}

static void vp_destroy(struct hv_engine_vp *vp)
{
	struct fuzz_world *w = vp->vm->world;

	if (vp->index < ARRAY_LEN(w->vp) && w->vp[vp->index] == vp) {
		w->vp[vp->index] = NULL;
	}
	free(vp);
}

static bool start(struct hv_engine_vp *vp, const struct hv_exit *exit, struct hv_exit *ret)
{
	*ret = *exit;
	vp->last = *exit;
	vp->rip = reg(vp, HvX64RegisterRip)->lo;
	vp->pending = exit->kind == HV_EXIT_PORT || exit->kind == HV_EXIT_MEMORY ||
		      exit->kind == HV_EXIT_MSR || exit->kind == HV_EXIT_CR8 ||
		      exit->kind == HV_EXIT_CPUID || exit->kind == HV_EXIT_HYPERCALL ||
		      exit->kind == HV_EXIT_EXCEPTION;
	return true;
}

/* The instruction that the core asked to run again, or the queued one. */
static bool next_exit(struct hv_engine_vp *vp, struct hv_exit *ret)
{
	struct fuzz_world *w = vp->vm->world;

	if (vp->retry) {
		vp->retry = false;
		if (reg(vp, HvX64RegisterRip)->lo == vp->rip) {
			return start(vp, &vp->last, ret);
		}
	}
	if (!w->queued) {
		return false;
	}
	w->queued = false;
	return start(vp, &w->exit, ret);
}

static void run(struct hv_engine_vp *vp, const struct hv_run *how, struct hv_exit *ret_exit)
{
	struct fuzz_world *w = vp->vm->world;

	CHECK(!vp->pending);
	memset(ret_exit, 0, sizeof(*ret_exit));
	ret_exit->kind = HV_EXIT_INTERRUPTED;
	vp->injected = false;
	vp->nmi_blocked = false;
	w->now += 1000;
	if (vp->kicked) {
		vp->kicked = false;
		return;
	}
	if (++w->runs > RUNS_MAX || !next_exit(vp, ret_exit)) {
		hv_vp_kick(w->running);
	}
}

static void kick(struct hv_engine_vp *vp)
{
	vp->kicked = true;
}

static void complete(struct hv_engine_vp *vp, const uint64_t values[4])
{
	CHECK(vp->pending && vp->last.kind != HV_EXIT_EXCEPTION);
	CHECK(vp->last.kind != HV_EXIT_MEMORY || vp->last.memory.access != HV_ACCESS_EXECUTE);
	vp->pending = false;
	reg(vp, HvX64RegisterRip)->lo += 3;
}

static void abandon(struct hv_engine_vp *vp)
{
	vp->retry = vp->pending && vp->last.kind == HV_EXIT_HYPERCALL;
	vp->pending = false;
}

static void inject_exception(struct hv_engine_vp *vp, uint8_t vector, bool has_error,
			     uint32_t error, uint64_t parameter)
{
	CHECK(vector < 32);
	vp->pending = false;
	vp->injected = true;
}

static bool can_interrupt(struct hv_engine_vp *vp)
{
	return (reg(vp, HvX64RegisterRflags)->lo & X86_IF) && !vp->injected;
}

static bool can_nmi(struct hv_engine_vp *vp)
{
	return !vp->nmi_blocked && !vp->injected;
}

static void inject_interrupt(struct hv_engine_vp *vp, uint8_t vector)
{
	CHECK(can_interrupt(vp) && !vp->pending);
	vp->injected = true;
}

static void inject_nmi(struct hv_engine_vp *vp)
{
	CHECK(can_nmi(vp) && !vp->pending);
	vp->injected = true;
	vp->nmi_blocked = true;
}

static void cpuid(struct hv_engine_vm *vm, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	regs[0] = leaf;
	regs[1] = subleaf;
	regs[2] = ~leaf;
	regs[3] = leaf * 3;
}

static size_t save(struct hv_engine_vp *vp, void *buf, size_t bytes)
{
	if (bytes >= 4) {
		memcpy(buf, "fuzz", 4);
	}
	return 4;
}

static bool restore(struct hv_engine_vp *vp, const void *buf, size_t bytes)
{
	return bytes >= 4;
}

static uint64_t tsc(struct hv_engine_vm *vm)
{
	return vm->world->now;
}

static uint64_t tsc_hz(struct hv_engine_vm *vm)
{
	return UINT64_C(1000000000);
}

static void set_tsc_offset(struct hv_engine_vp *vp, uint64_t offset)
{
}

static void flush_all(struct hv_engine_vp *vp, bool non_global_only)
{
}

static void flush_page(struct hv_engine_vp *vp, uint64_t gva)
{
}

static bool flush_done(struct hv_engine_vp *vp)
{
	return true;
}

static void gpa_changed(struct hv_engine_vm *vm, uint64_t gpn, uint64_t count)
{
}

static void code_written(struct hv_engine_vm *vm, uint64_t gpa, size_t bytes)
{
}

static bool translate(struct hv_engine_vp *vp, uint64_t gva, unsigned access, bool user,
		      uint64_t *ret_gpa, uint32_t *ret_error)
{
	*ret_gpa = gva;
	*ret_error = (uint32_t)(gva >> 60);
	return gva >> 60 == 0;
}

static void intercept_exceptions(struct hv_engine_vm *vm, uint32_t mask)
{
}

static uint64_t instructions(struct hv_engine_vp *vp)
{
	return vp->runs;
}

static uint64_t first_user(struct hv_engine_vm *vm)
{
	return 0;
}

static unsigned hypercall_insn(struct hv_engine_vm *vm, uint8_t bytes[8])
{
	memcpy(bytes, "\x0F\x01\xC1", 3);
	return 3;
}

const struct hv_engine_ops fuzz_engine = {
	.name = "fuzz",
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
	.set_tsc_offset = set_tsc_offset,
	.flush_all = flush_all,
	.flush_page = flush_page,
	.flush_done = flush_done,
	.gpa_changed = gpa_changed,
	.code_written = code_written,
	.translate = translate,
	.intercept_exceptions = intercept_exceptions,
	.instructions = instructions,
	.first_user = first_user,
	.hypercall_insn = hypercall_insn,
};
