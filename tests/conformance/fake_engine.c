// SPDX-License-Identifier: Apache-2.0
/* The scripted engine. Preconditions of engine.h are checked here: the hypervisor must keep them. */
#include "fake_engine.h"

#include <stdlib.h>
#include <string.h>

#include "abi/hv.h"
#include "hv/engine_state.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "lib/err.h"
#include "lib/state.h"
#include "x86/arch.h"

#define STATE_FAKE STATE_TAG('F', 'A', 'K', 'E')

struct hv_engine_vm;
struct hv_engine_vp;

static struct fake_vm *to_vm(struct hv_engine_vm *vm)
{
	return (struct fake_vm *)(void *)vm;
}

static struct fake_vp *to_vp(struct hv_engine_vp *vp)
{
	return (struct fake_vp *)(void *)vp;
}

uint64_t fake_clock(void *machine)
{
	struct fake_machine *m = machine;

	if (m->look_in > 0 && --m->look_in == 0) {
		m->look(m->look_ctx);
	}
	return __atomic_load_n(&m->now, __ATOMIC_SEQ_CST);
}

/* ---- Registers ---- */

static const struct {
	uint32_t first;
	uint32_t last;
} known_registers[] = {
	{HvX64RegisterRax, HvX64RegisterRflags}, {HvX64RegisterXmm0, HvX64RegisterXmmControlStatus},
	{HvX64RegisterCr0, HvX64RegisterCr4},	 {HvX64RegisterXfem, HvX64RegisterXfem},
	{HvX64RegisterDr0, HvX64RegisterDr7},	 {HvX64RegisterEs, HvX64RegisterTr},
	{HvX64RegisterIdtr, HvX64RegisterGdtr},	 {HvX64RegisterEfer, HvX64RegisterKernelGsBase},
	{HvX64RegisterPat, HvX64RegisterSfmask}, {HvX64RegisterTscAux, HvX64RegisterTscAux},
};

static bool is_known(uint32_t name)
{
	for (size_t i = 0; i < ARRAY_LEN(known_registers); i++) {
		if (name >= known_registers[i].first && name <= known_registers[i].last) {
			return true;
		}
	}
	return false;
}

struct hv_u128 *fake_reg(struct fake_vp *vp, uint32_t name)
{
	CHECK(is_known(name));
	return &vp->reg[(name >> 16) - 2][name & 0xFF];
}

static bool reg_get(struct hv_engine_vp *vp, uint32_t name, struct hv_u128 *ret_value)
{
	if (!is_known(name)) {
		return false;
	}
	*ret_value = *fake_reg(to_vp(vp), name);
	return true;
}

static bool reg_set(struct hv_engine_vp *vp, uint32_t name, const struct hv_u128 *value)
{
	/* One value that this processor refuses, so that a test can see it. */
	if (!is_known(name) || (name == HvX64RegisterCr0 && value->lo >> 32 != 0) ||
	    name == to_vp(vp)->locked) {
		return false;
	}
	*fake_reg(to_vp(vp), name) = *value;
	return true;
}

static const uint32_t owned_msrs[] = {0x174,	  0x175,      0x176,	 0x277,
				      0xC0000080, 0xC0000081, 0xC0000102};

static bool msr_get(struct hv_engine_vp *vp, uint32_t index, uint64_t *ret_value)
{
	for (size_t i = 0; i < ARRAY_LEN(owned_msrs); i++) {
		if (owned_msrs[i] == index) {
			*ret_value = to_vp(vp)->msr[i];
			return true;
		}
	}
	return false;
}

static bool msr_set(struct hv_engine_vp *vp, uint32_t index, uint64_t value)
{
	for (size_t i = 0; i < ARRAY_LEN(owned_msrs); i++) {
		if (owned_msrs[i] == index) {
			to_vp(vp)->msr[i] = value;
			return true;
		}
	}
	return false;
}

/* ---- Life ---- */

static int vm_create(const struct hv_engine_config *config, struct hv_engine_vm **ret_vm)
{
	struct fake_machine *machine = config->clock_ctx;
	struct fake_vm *vm = machine->fail_create ? NULL : calloc(1, sizeof(*vm));

	if (vm == NULL) {
		return -ERR_NOMEM;
	}
	vm->machine = machine;
	vm->gmem = config->gmem;
	vm->machine->vm = vm;
	vm->machine->vms++;
	*ret_vm = (struct hv_engine_vm *)(void *)vm;
	return 0;
}

static void vm_destroy(struct hv_engine_vm *vm)
{
	struct fake_vm *v = to_vm(vm);

	for (unsigned i = 0; i < FAKE_VPS_MAX; i++) {
		CHECK(v->vps[i] == NULL);
	}
	v->machine->vms--;
	if (v->machine->vm == v) {
		v->machine->vm = NULL;
	}
	free(v);
}

static void reset_registers(struct fake_vp *vp)
{
	const struct hv_x64_segment_register cs = {
		.base = 0xFFFF0000, .limit = 0xFFFF, .selector = 0xF000, .attributes = 0x9B};
	const struct hv_x64_segment_register data = {.limit = 0xFFFF, .attributes = 0x93};

	memset(vp->reg, 0, sizeof(vp->reg));
	for (uint32_t name = HvX64RegisterEs; name <= HvX64RegisterTr; name++) {
		memcpy(fake_reg(vp, name), &data, sizeof(data));
	}
	memcpy(fake_reg(vp, HvX64RegisterCs), &cs, sizeof(cs));
	fake_reg(vp, HvX64RegisterRip)->lo = 0xFFF0;
	fake_reg(vp, HvX64RegisterRflags)->lo = 2;
	fake_reg(vp, HvX64RegisterCr0)->lo = X86_CR0_ET;
	vp->pending = false;
	vp->retry = false;
	vp->event_pending = false;
	vp->shadow = false;
	vp->nmi_blocked = false;
}

static int vp_create(struct hv_engine_vm *vm, uint32_t index, struct hv_engine_vp **ret_vp)
{
	struct fake_vp *vp = to_vm(vm)->machine->fail_create ? NULL : calloc(1, sizeof(*vp));

	if (vp == NULL) {
		return -ERR_NOMEM;
	}
	CHECK(index < FAKE_VPS_MAX && to_vm(vm)->vps[index] == NULL);
	vp->vm = to_vm(vm);
	vp->index = index;
	vp->vm->vps[index] = vp;
	vp->vm->machine->vps++;
	reset_registers(vp);
	*ret_vp = (struct hv_engine_vp *)(void *)vp;
	return 0;
}

static void vp_destroy(struct hv_engine_vp *vp)
{
	struct fake_vp *v = to_vp(vp);

	v->vm->vps[v->index] = NULL;
	v->vm->machine->vps--;
	free(v);
}

static void vp_reset(struct hv_engine_vp *vp, bool init)
{
	reset_registers(to_vp(vp));
	to_vp(vp)->resets++;
	to_vp(vp)->inits += init;
}

/* ---- The script ---- */

static void push(struct fake_vp *vp, const struct fake_step *step)
{
	CHECK(vp->tail - vp->head < FAKE_SCRIPT_MAX);
	vp->script[vp->tail++ % FAKE_SCRIPT_MAX] = *step;
}

void fake_push(struct fake_vp *vp, const struct hv_exit *exit)
{
	push(vp, &(struct fake_step){.exit = *exit});
}

void fake_push_code(struct fake_vp *vp, void (*code)(struct fake_vp *vp, void *ctx), void *ctx)
{
	push(vp, &(struct fake_step){.code = code, .ctx = ctx});
}

bool fake_done(const struct fake_vp *vp)
{
	return vp->head == vp->tail && !vp->pending && !vp->retry;
}

void fake_clear_script(struct fake_vp *vp)
{
	vp->head = vp->tail;
	vp->retry = false;
}

static bool can_interrupt(struct hv_engine_vp *vp)
{
	struct fake_vp *v = to_vp(vp);

	return (fake_reg(v, HvX64RegisterRflags)->lo & X86_IF) && !v->shadow && !v->event_pending;
}

static bool can_nmi(struct hv_engine_vp *vp)
{
	return !to_vp(vp)->nmi_blocked && !to_vp(vp)->event_pending;
}

static bool has_instruction(enum hv_exit_kind kind)
{
	return kind == HV_EXIT_PORT || kind == HV_EXIT_MEMORY || kind == HV_EXIT_MSR ||
	       kind == HV_EXIT_CR8 || kind == HV_EXIT_CPUID || kind == HV_EXIT_HYPERCALL ||
	       kind == HV_EXIT_EXCEPTION;
}

static void start_instruction(struct fake_vp *vp, const struct hv_exit *exit, struct hv_exit *ret)
{
	*ret = *exit;
	if (has_instruction(exit->kind)) {
		vp->pending = true;
		vp->last = *exit;
		vp->last_rip = fake_reg(vp, HvX64RegisterRip)->lo;
	}
}

static bool stop_early(struct fake_vp *vp, const struct hv_run *how, struct hv_exit *ret)
{
	ret->kind = HV_EXIT_INTERRUPTED;
	if (__atomic_exchange_n(&vp->kicked, 0, __ATOMIC_SEQ_CST)) {
		return true;
	}
	if (fake_clock(vp->vm->machine) >= how->deadline_tsc) {
		return true;
	}
	if (how->want_nmi_window && !vp->nmi_blocked) {
		ret->kind = HV_EXIT_IRET_NMI;
		return true;
	}
	if (how->want_interrupt_window && (fake_reg(vp, HvX64RegisterRflags)->lo & X86_IF) &&
	    !vp->shadow) {
		ret->kind = HV_EXIT_INTERRUPT_WINDOW;
		return true;
	}
	return false;
}

/* Runs scripted code; true when a step with an exit is next. */
static bool next_exit(struct fake_vp *vp, struct hv_exit *ret)
{
	struct fake_step *step = &vp->script[vp->head++ % FAKE_SCRIPT_MAX];

	if (step->code != NULL) {
		step->code(vp, step->ctx);
		return false;
	}
	start_instruction(vp, &step->exit, ret);
	return true;
}

static void run(struct hv_engine_vp *vp, const struct hv_run *how, struct hv_exit *ret_exit)
{
	struct fake_vp *v = to_vp(vp);

	CHECK(!v->pending);
	memset(ret_exit, 0, sizeof(*ret_exit));
	v->runs++;
	v->how = *how;
	v->event_pending = false;
	fake_timers_look(v);
	for (;;) {
		if (stop_early(v, how, ret_exit)) {
			return;
		}
		v->shadow = false;
		if (v->retry) {
			v->retry = false;
			if (fake_reg(v, HvX64RegisterRip)->lo == v->last_rip) {
				v->retries++;
				start_instruction(v, &v->last, ret_exit);
				return;
			}
		}
		if (v->head == v->tail) {
			CHECK(v->hv_vp != NULL);
			hv_vp_kick(v->hv_vp);
			/* This return is the answer to that kick, and to any other until now. */
			__atomic_store_n(&v->kicked, 0, __ATOMIC_SEQ_CST);
			ret_exit->kind = HV_EXIT_INTERRUPTED;
			return;
		}
		if (next_exit(v, ret_exit)) {
			return;
		}
	}
}

static const struct hv_engine_apic_ops *apic(struct hv_engine_vm *vm)
{
	return to_vm(vm)->machine->apics ? &fake_apic : NULL;
}

static bool deadline_exits(struct hv_engine_vm *vm)
{
	return !to_vm(vm)->machine->no_deadlines;
}

static void kick(struct hv_engine_vp *vp)
{
	__atomic_store_n(&to_vp(vp)->kicked, 1, __ATOMIC_SEQ_CST);
}

/* ---- Answers to exits, events ---- */

static void complete(struct hv_engine_vp *vp, const uint64_t values[4])
{
	struct fake_vp *v = to_vp(vp);

	CHECK(v->pending && v->last.kind != HV_EXIT_EXCEPTION);
	CHECK(v->last.kind != HV_EXIT_MEMORY || v->last.memory.access != HV_ACCESS_EXECUTE);
	v->pending = false;
	v->completions++;
	memcpy(v->values, values, sizeof(v->values));
	fake_reg(v, HvX64RegisterRip)->lo += v->last.insn_bytes;
}

static void abandon(struct hv_engine_vp *vp)
{
	struct fake_vp *v = to_vp(vp);

	v->abandons++;
	v->retry = v->pending;
	v->pending = false;
}

static void log_event(struct fake_vp *vp, const struct fake_event *event)
{
	CHECK(vp->event_count < FAKE_LOG_MAX);
	vp->events[vp->event_count] = *event;
	vp->events[vp->event_count++].tsc = fake_clock(vp->vm->machine);
	vp->event_pending = true;
}

static void inject_exception(struct hv_engine_vp *vp, uint8_t vector, bool has_error,
			     uint32_t error, uint64_t parameter)
{
	to_vp(vp)->pending = false;
	log_event(to_vp(vp),
		  &(struct fake_event){FAKE_EXCEPTION, vector, has_error, error, parameter, 0});
}

static void inject_interrupt(struct hv_engine_vp *vp, uint8_t vector)
{
	CHECK(can_interrupt(vp) && !to_vp(vp)->pending);
	log_event(to_vp(vp), &(struct fake_event){.kind = FAKE_INTERRUPT, .vector = vector});
}

static void inject_nmi(struct hv_engine_vp *vp)
{
	CHECK(can_nmi(vp) && !to_vp(vp)->pending);
	log_event(to_vp(vp), &(struct fake_event){.kind = FAKE_NMI, .vector = X86_EXC_NMI});
	to_vp(vp)->nmi_blocked = true;
}

/* ---- The rest ---- */

static void cpuid(struct hv_engine_vm *vm, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	static const struct {
		uint32_t leaf;
		uint32_t regs[4];
	} leaves[] = {
		{0, {7, 0x65706341, 0x20797265, 0x746F6F74}},
		{1, {0x000306A9, 0x00000800, 0x08000001, 0x078BFBFF}},
		{4, {0x21, 0x01C0003F, 0x3F, 0}},
		{7, {0, 0x00000003, 0, 0}},
		{0x80000000, {0x80000008, 0, 0, 0}},
		{0x80000007, {0, 0, 0, 0x100}},
		{0x80000008, {0x00003034, 0, 0, 0}},
	};

	memset(regs, 0, 4 * sizeof(regs[0]));
	for (size_t i = 0; i < ARRAY_LEN(leaves); i++) {
		if (leaves[i].leaf == leaf) {
			memcpy(regs, leaves[i].regs, sizeof(leaves[i].regs));
		}
	}
}

static size_t save(struct hv_engine_vp *vp, void *buf, size_t bytes)
{
	struct fake_vp *v = to_vp(vp);
	struct state_writer w;

	state_writer_init(&w, buf, bytes);
	state_begin(&w, STATE_FAKE, 1);
	state_put_u8(&w, v->shadow);
	state_put_u8(&w, v->nmi_blocked);
	state_end(&w);
	if (v->nmi_waits) {
		state_begin(&w, HV_ENGINE_STATE_NMI, 1);
		state_end(&w);
	}
	return w.used;
}

static bool restore(struct hv_engine_vp *vp, const void *buf, size_t bytes)
{
	struct fake_vp *v = to_vp(vp);
	struct state_reader r, payload;
	uint32_t tag = 0;
	uint16_t version = 0;

	state_reader_init(&r, buf, bytes);
	if (!state_next(&r, &tag, &version, &payload) || tag != STATE_FAKE) {
		return false;
	}
	v->shadow = state_get_u8(&payload) != 0;
	v->nmi_blocked = state_get_u8(&payload) != 0;
	return !payload.bad;
}

static uint64_t tsc(struct hv_engine_vm *vm)
{
	return fake_clock(to_vm(vm)->machine);
}

static uint64_t tsc_hz(struct hv_engine_vm *vm)
{
	return to_vm(vm)->machine->hz;
}

static bool set_tsc_hz(struct hv_engine_vm *vm, uint64_t hz)
{
	struct fake_machine *machine = to_vm(vm)->machine;

	if (machine->scales) {
		machine->hz = hz;
	}
	return machine->scales;
}

static void set_tsc_offset(struct hv_engine_vp *vp, uint64_t offset)
{
	to_vp(vp)->tsc_offset = offset;
}

static void flush_all(struct hv_engine_vp *vp, bool non_global_only)
{
	struct fake_vp *v = to_vp(vp);

	__atomic_fetch_add(&v->flush_all_count, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&v->flush_non_global_count, non_global_only, __ATOMIC_SEQ_CST);
}

static void flush_page(struct hv_engine_vp *vp, uint64_t gva)
{
	struct fake_vp *v = to_vp(vp);
	uint32_t n = __atomic_fetch_add(&v->flush_page_count, 1, __ATOMIC_SEQ_CST);

	__atomic_store_n(&v->flush_pages[n % FAKE_LOG_MAX], gva, __ATOMIC_RELAXED);
}

static bool flush_done(struct hv_engine_vp *vp)
{
	struct fake_vp *v = to_vp(vp);

	if (__atomic_load_n(&v->flush_busy, __ATOMIC_SEQ_CST) == 0) {
		return true;
	}
	__atomic_fetch_sub(&v->flush_busy, 1, __ATOMIC_SEQ_CST);
	return false;
}

static void hold(struct hv_engine_vm *vm, bool on)
{
	struct fake_vm *v = to_vm(vm);

	CHECK(on || v->holds > 0);
	v->holds += on ? 1 : -1;
	v->held += on;
}

static void gpa_changed(struct hv_engine_vm *vm, uint64_t gpn, uint64_t count)
{
	struct fake_vm *v = to_vm(vm);

	__atomic_fetch_add(&v->gpa_changes, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&v->changed_gpn, gpn, __ATOMIC_RELAXED);
	__atomic_store_n(&v->changed_count, count, __ATOMIC_RELAXED);
}

static void code_written(struct hv_engine_vm *vm, uint64_t gpa, size_t bytes)
{
}

/* Paging of this processor: identity below 1 TiB, user pages below 512 GiB, read-only from 256 GiB. */
static bool translate(struct hv_engine_vp *vp, uint64_t gva, unsigned access, bool user,
		      uint64_t *ret_gpa, uint32_t *ret_error)
{
	uint32_t error = (access == HV_ACCESS_WRITE ? X86_PF_W : 0) | (user ? X86_PF_U : 0);

	*ret_gpa = gva;
	*ret_error = gva >> 40 ? error : error | X86_PF_P;
	return !(gva >> 40) && !(user && gva >> 39) && !(access == HV_ACCESS_WRITE && gva >> 38);
}

static void intercept_exceptions(struct hv_engine_vm *vm, uint32_t mask)
{
	to_vm(vm)->exception_mask = mask;
}

static uint64_t instructions(struct hv_engine_vp *vp)
{
	return to_vp(vp)->runs;
}

static uint64_t first_user(struct hv_engine_vm *vm)
{
	return 0;
}

static unsigned hypercall_insn(struct hv_engine_vm *vm, uint8_t bytes[8])
{
	static const uint8_t vmcall[] = {0x0F, 0x01, 0xC1};

	memcpy(bytes, vmcall, sizeof(vmcall));
	return sizeof(vmcall);
}

const struct hv_engine_ops fake_engine = {
	.name = "scripted",
	.vm_create = vm_create,
	.vm_destroy = vm_destroy,
	.vp_create = vp_create,
	.vp_destroy = vp_destroy,
	.vp_reset = vp_reset,
	.run = run,
	.apic = apic,
	.deadline_exits = deadline_exits,
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
	.hold = hold,
	.gpa_changed = gpa_changed,
	.code_written = code_written,
	.translate = translate,
	.intercept_exceptions = intercept_exceptions,
	.instructions = instructions,
	.first_user = first_user,
	.hypercall_insn = hypercall_insn,
};
