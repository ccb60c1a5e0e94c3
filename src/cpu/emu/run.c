/* SPDX-License-Identifier: Apache-2.0 */
/* The run loop: what is looked at between blocks, single steps, events, and the exits that an instruction waits for. */
#include "core.h"
#include "flags.h"
#include "fpu.h"

#define REFILL 20000

/* ---- Events ---- */

bool emu_raise_error(struct emu_vp *vp, uint8_t vector, uint32_t error)
{
	vp->fault = (struct emu_fault){.vector = vector, .has_error = true, .error = error};
	vp->event = EMU_EVENT_FAULT;
	vp->noncanonical = false;
	return false;
}

bool emu_raise(struct emu_vp *vp, uint8_t vector)
{
	vp->fault = (struct emu_fault){.vector = vector};
	vp->event = EMU_EVENT_FAULT;
	vp->noncanonical = false;
	return false;
}

bool emu_raise_page_fault(struct emu_vp *vp, uint64_t la, uint32_t error)
{
	vp->fault = (struct emu_fault){
		.vector = X86_EXC_PF, .has_error = true, .error = error, .parameter = la};
	vp->event = EMU_EVENT_FAULT;
	vp->noncanonical = false;
	return false;
}

bool emu_exit(struct emu_vp *vp, enum hv_exit_kind kind)
{
	vp->exit.kind = kind;
	vp->exit.insn_bytes = 0;
	vp->event = EMU_EVENT_EXIT;
	return false;
}

bool emu_answer(struct emu_vp *vp, enum hv_exit_kind kind, uint64_t address, unsigned count,
		uint64_t *ret_values)
{
	uint64_t key = (uint64_t)kind << 56 ^ address;

	if (vp->replay_next + count > vp->replay_count || vp->replay[vp->replay_next].key != key) {
		/* Whatever was answered was for another access. */
		vp->replay_count = vp->replay_next;
		vp->replay[vp->replay_next].key = key;
		return false;
	}
	for (unsigned n = 0; n < count; n++) {
		ret_values[n] = vp->replay[vp->replay_next++].data;
	}
	return true;
}

/* ---- Ends of handlers ---- */

uint64_t emu_insn_rip(const struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t rip = vp->r[EMU_REG_BASE] + i->offset;

	return vp->mode == EMU_MODE_64 ? rip : (uint32_t)rip;
}

uint64_t emu_insn_next_rip(const struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t rip = vp->r[EMU_REG_BASE] + i->offset + i->bytes;

	return vp->mode == EMU_MODE_64 ? rip : (uint32_t)rip;
}

/* Takes the instructions of the running block from number @from on off the count again. */
static void uncount(struct emu_vp *vp, int64_t from)
{
	vp->budget += (int64_t)vp->block->count - from;
}

static bool exit_has_length(enum hv_exit_kind kind)
{
	return kind == HV_EXIT_PORT || kind == HV_EXIT_MSR || kind == HV_EXIT_CPUID ||
	       kind == HV_EXIT_HYPERCALL || kind == HV_EXIT_CR8;
}

const struct emu_insn *emu_leave(struct emu_vp *vp, const struct emu_insn *i)
{
	vp->rip = emu_insn_rip(vp, i);
	uncount(vp, i - vp->block->insns);
	if (vp->event == EMU_EVENT_FAULT && vp->noncanonical && i->seg == X86_SS) {
		vp->fault.vector = X86_EXC_SS;
	}
	if (vp->event == EMU_EVENT_EXIT) {
		vp->exit.insn_bytes = exit_has_length(vp->exit.kind) ? i->bytes : 0;
		vp->pending = exit_has_length(vp->exit.kind) || vp->exit.kind == HV_EXIT_MEMORY;
	}
	vp->noncanonical = false;
	return NULL;
}

const struct emu_insn *emu_end(struct emu_vp *vp, const struct emu_insn *i)
{
	vp->rip = emu_insn_next_rip(vp, i);
	uncount(vp, i - vp->block->insns + 1);
	return NULL;
}

const struct emu_insn *emu_goto(struct emu_vp *vp, const struct emu_insn *i, uint64_t rip)
{
	const struct emu_block *b;

	(void)i;
	b = emu_block_at(vp, rip);
	if (b == NULL) {
		vp->rip = rip;
		return NULL;
	}
	vp->r[EMU_REG_BASE] = rip;
	if (vp->budget <= 0 || atomic_load_explicit(&vp->attention, memory_order_relaxed) != 0) {
		vp->rip = rip;
		return NULL;
	}
	vp->budget -= b->count;
	vp->block = b;
	return b->insns;
}

/* ---- Clock ---- */

uint64_t emu_clock(struct emu_vm *vm)
{
	struct emu_vp *vp;

	if (!vm->config.count_instructions) {
		uint64_t now = vm->config.clock(vm->config.clock_ctx);

		return likely(vm->tsc_hz == vm->config.clock_hz)
			       ? now
			       : mul_div_u64(now, vm->tsc_hz, vm->config.clock_hz);
	}
	vp = vm->config.vp_max > 0 ? atomic_load(&vm->vps[0]) : NULL;
	return atomic_load_explicit(&vm->skipped, memory_order_relaxed) +
	       (vp == NULL ? 0 : atomic_load_explicit(&vp->retired, memory_order_relaxed));
}

uint64_t emu_tsc(struct emu_vp *vp)
{
	if (vp->vm->config.count_instructions && vp->index == 0) {
		return emu_retired(vp) +
		       atomic_load_explicit(&vp->vm->skipped, memory_order_relaxed) +
		       vp->tsc_offset;
	}
	return emu_clock(vp->vm) + vp->tsc_offset;
}

uint64_t emu_tsc_at(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t tsc = emu_tsc(vp);

	if (vp->vm->config.count_instructions && vp->index == 0) {
		tsc -= vp->block->count - (uint64_t)(i - vp->block->insns);
	}
	return tsc;
}

static void settle_retired(struct emu_vp *vp)
{
	atomic_store_explicit(&vp->retired, emu_retired(vp), memory_order_relaxed);
	vp->refill = vp->budget;
}

/* New budget, or false when the deadline has come. */
static bool refill(struct emu_vp *vp)
{
	uint64_t now, left;

	settle_retired(vp);
	vp->budget = REFILL;
	vp->refill = REFILL;
	if (vp->how.deadline_tsc == UINT64_MAX) {
		return true;
	}
	now = emu_clock(vp->vm);
	if (now >= vp->how.deadline_tsc) {
		vp->budget = 0;
		vp->refill = 0;
		return false;
	}
	left = vp->how.deadline_tsc - now;
	if (vp->vm->config.count_instructions && vp->index == 0 && left < REFILL) {
		vp->budget = (int64_t)left;
		vp->refill = vp->budget;
	}
	return true;
}

/* ---- Running ---- */

static void run_block(struct emu_vp *vp, const struct emu_block *b)
{
	const struct emu_insn *i = b->insns;

	vp->r[EMU_REG_BASE] = vp->rip;
	vp->block = b;
	vp->budget -= b->count;
	while (i != NULL) {
		i = i->fn(vp, i);
	}
}

static bool code_breakpoint(struct emu_vp *vp)
{
	uint64_t la = emu_code_address(vp, vp->rip);
	uint64_t hits = 0;

	for (unsigned n = 0; n < 4; n++) {
		bool enabled = (vp->dr[7] >> (2 * n)) & 3;

		if (enabled && ((vp->dr[7] >> (16 + 4 * n)) & 3) == 0 && vp->dr[n] == la) {
			hits |= BIT64(n);
		}
	}
	if (hits == 0 || (vp->flags & X86_RF)) {
		return false;
	}
	emu_raise(vp, X86_EXC_DB);
	vp->fault.parameter = hits;
	return true;
}

/* Debug traps of the instruction that has just retired. */
static void debug_traps(struct emu_vp *vp, bool trace)
{
	uint64_t bits = vp->debug_hits | (trace ? 0x4000u : 0);

	if (bits == 0 || vp->shadow_ss || vp->event == EMU_EVENT_EXIT) {
		return;
	}
	if (vp->event == EMU_EVENT_FAULT) {
		if (vp->fault.vector != X86_EXC_DB) {
			return;
		}
		bits |= vp->fault.parameter;
	}
	emu_raise(vp, X86_EXC_DB);
	vp->fault.parameter = bits;
}

void emu_step(struct emu_vp *vp)
{
	bool trace = vp->flags & X86_TF, resume = vp->flags & X86_RF, retired;
	const struct emu_block *b;
	uint64_t before;

	b = !vp->shadow_ss && code_breakpoint(vp) ? NULL : emu_block_find(vp, true);
	if (b == NULL) {
		if (vp->event == EMU_EVENT_FAULT) {
			vp->replay_count = 0;
		}
		return;
	}
	vp->shadow = false;
	vp->shadow_ss = false;
	vp->debug_hits = 0;
	vp->paused = false;
	vp->stepping = true;
	vp->untraced = false;
	vp->replay_next = 0;
	before = emu_retired(vp);
	atomic_fetch_or(&vp->attention, EMU_ATTENTION_STOP);
	run_block(vp, b);
	atomic_fetch_and(&vp->attention, ~EMU_ATTENTION_STOP);
	vp->stepping = false;
	retired = emu_retired(vp) != before;
	if (retired || vp->event == EMU_EVENT_FAULT) {
		vp->replay_count = 0;
	}
	if (retired && resume) {
		vp->flags &= ~X86_RF;
	}
	if (retired || vp->paused) {
		debug_traps(vp, trace && !vp->untraced);
	}
}

static void run_blocks(struct emu_vp *vp)
{
	bool window = vp->how.want_interrupt_window || vp->how.want_nmi_window;
	const struct emu_block *b;

	if ((vp->flags & (X86_TF | X86_RF)) || vp->replay_count != 0 || (vp->dr[7] & 0xff) ||
	    (vp->shadow && window)) {
		emu_step(vp);
		return;
	}
	b = emu_block_find(vp, false);
	if (b != NULL) {
		vp->shadow = false;
		vp->shadow_ss = false;
		vp->replay_next = 0;
		run_block(vp, b);
	}
}

/* INT3 and INTO count as exceptions for the parent, INT n does not. */
static bool intercepted(const struct emu_vp *vp, const struct emu_fault *fault)
{
	uint32_t mask = atomic_load_explicit(&vp->vm->exceptions, memory_order_relaxed);

	if (fault->external || fault->vector >= 32 || !(mask & BIT32(fault->vector))) {
		return false;
	}
	return !fault->software || fault->vector == X86_EXC_BP || fault->vector == X86_EXC_OF;
}

/* An exception goes to the parent if it asked for it, else through the IDT. */
static void deliver(struct emu_vp *vp)
{
	struct emu_fault fault = vp->fault;

	vp->event = EMU_EVENT_NONE;
	if (!intercepted(vp, &fault)) {
		vp->shadow = false;
		vp->shadow_ss = false;
		emu_deliver(vp, &fault);
		return;
	}
	emu_exit(vp, HV_EXIT_EXCEPTION);
	if (fault.software) {
		/* The parameter is the instruction's length: the parent sees RIP at the instruction. */
		vp->exit.insn_bytes = (uint8_t)fault.parameter;
		vp->rip -= fault.parameter;
		fault.parameter = 0;
	}
	vp->exit.exception.vector = fault.vector;
	vp->exit.exception.has_error = fault.has_error;
	vp->exit.exception.error = fault.error;
	vp->exit.exception.parameter = fault.parameter;
}

/*
 * A handler that faults at its first instruction loops without retiring anything: the deadline must come all the same. Where instructions
 * are the clock, a delivered fault counts as one.
 */
static void pass_fault_time(struct emu_vp *vp)
{
	struct emu_vm *vm = vp->vm;

	if (vm->config.count_instructions && vp->index == 0) {
		atomic_fetch_add_explicit(&vm->skipped, 1, memory_order_relaxed);
	}
	if (vp->event == EMU_EVENT_NONE && vp->how.deadline_tsc != UINT64_MAX &&
	    emu_clock(vm) >= vp->how.deadline_tsc) {
		emu_exit(vp, HV_EXIT_INTERRUPTED);
	}
}

static bool window_open(struct emu_vp *vp)
{
	if (vp->shadow) {
		return false;
	}
	return (vp->how.want_interrupt_window && (vp->flags & X86_IF)) ||
	       (vp->how.want_nmi_window && !vp->nmi_blocked);
}

static void loop(struct emu_vp *vp)
{
	while (vp->event != EMU_EVENT_EXIT) {
		uint32_t attention = atomic_load(&vp->attention);

		if (vp->event == EMU_EVENT_FAULT) {
			deliver(vp);
			pass_fault_time(vp);
		} else if (attention & EMU_ATTENTION_REQUEST) {
			emu_requests_handle(vp);
		} else if (attention & EMU_ATTENTION_KICK) {
			atomic_fetch_and(&vp->attention, ~EMU_ATTENTION_KICK);
			emu_exit(vp, HV_EXIT_INTERRUPTED);
		} else if (vp->injected) {
			vp->injected = false;
			vp->shadow = false;
			vp->shadow_ss = false;
			emu_deliver(vp, &vp->inject);
		} else if (vp->budget <= 0 && !refill(vp)) {
			emu_exit(vp, HV_EXIT_INTERRUPTED);
		} else if (window_open(vp)) {
			emu_exit(vp, HV_EXIT_INTERRUPT_WINDOW);
		} else {
			run_blocks(vp);
		}
	}
}

void emu_guest_enter(struct emu_vp *vp)
{
	atomic_store(&vp->in_guest, true);
	if (atomic_load(&vp->attention) & EMU_ATTENTION_REQUEST) {
		emu_requests_handle(vp);
	}
}

void emu_guest_leave(struct emu_vp *vp)
{
	settle_retired(vp);
	emu_fpu_sync(vp);
	atomic_store(&vp->in_guest, false);
}

void emu_run(struct emu_vp *vp, const struct hv_run *how, struct hv_exit *ret_exit)
{
	vp->how = *how;
	emu_guest_enter(vp);
	/* The deadline may have moved. */
	settle_retired(vp);
	vp->budget = 0;
	vp->refill = 0;
	loop(vp);
	emu_guest_leave(vp);
	*ret_exit = vp->exit;
	vp->event = EMU_EVENT_NONE;
}

/* ---- Pending instructions ---- */

static void append_answer(struct emu_vp *vp, unsigned count, const uint64_t *values)
{
	uint64_t key = vp->replay[vp->replay_count].key;

	for (unsigned n = 0; n < count; n++) {
		vp->replay[vp->replay_count + n] =
			(struct emu_replay){.key = key, .data = values[n]};
	}
	vp->replay_count = (uint8_t)(vp->replay_count + count);
}

void emu_complete(struct emu_vp *vp, const uint64_t values[4])
{
	unsigned count = vp->exit.kind == HV_EXIT_CPUID ? 4 : 1;

	if (!vp->pending) {
		return;
	}
	vp->pending = false;
	if (vp->exit.kind == HV_EXIT_HYPERCALL) {
		vp->rip = vp->mode == EMU_MODE_64 ? vp->rip + vp->exit.insn_bytes
						  : (uint32_t)(vp->rip + vp->exit.insn_bytes);
		vp->shadow = false;
		vp->shadow_ss = false;
		return;
	}
	if (vp->exit.kind == HV_EXIT_MEMORY && vp->exit.memory.access == HV_ACCESS_EXECUTE) {
		return;
	}
	if (vp->replay_count + count >= ARRAY_LEN(vp->replay)) {
		/* No instruction that software uses on device memory comes near this. */
		vp->replay_count = 0;
		emu_raise_error(vp, X86_EXC_GP, 0);
		return;
	}
	append_answer(vp, count, values);
	/* The instruction retires here, so that an interrupt finds the next one; or it exits once more, which the next run() reports. */
	/* An event whose delivery asked the parent (emu_deliver) is delivered by the next run(), with the answers at hand. */
	emu_guest_enter(vp);
	while (vp->event == EMU_EVENT_NONE && vp->replay_count != 0 && !vp->injected) {
		emu_step(vp);
	}
	if (vp->event == EMU_EVENT_FAULT && !intercepted(vp, &vp->fault)) {
		deliver(vp);
	}
	emu_guest_leave(vp);
}

void emu_abandon(struct emu_vp *vp)
{
	vp->pending = false;
	vp->replay_count = 0;
	vp->event = EMU_EVENT_NONE;
}
