/* SPDX-License-Identifier: Apache-2.0 */
/* Control, debug and model-specific registers, CPUID, time stamps, flags with privileges, and what talks to the hypervisor. */
#include "exec_sys.h"
#include "fpu.h"
#include "x86/msr.h"
#include "x86/paging.h"

/* In 64-bit code these registers move with 64 bits whatever the prefixes say. */
static uint64_t wide_source(const struct emu_vp *vp, const struct emu_insn *i)
{
	return vp->mode == EMU_MODE_64 ? vp->r[i->rd] : (uint32_t)vp->r[i->rd];
}

static void wide_result(struct emu_vp *vp, const struct emu_insn *i, uint64_t value)
{
	vp->r[i->rd] = vp->mode == EMU_MODE_64 ? value : (uint32_t)value;
}

static const struct emu_insn *checked(struct emu_vp *vp, const struct emu_insn *i, bool good)
{
	return good ? emu_end(vp, i) : emu_gp(vp, i);
}

/* ---- Control registers ---- */

static const struct emu_insn *cr8_access(struct emu_vp *vp, const struct emu_insn *i, bool write)
{
	uint64_t data = write ? vp->r[i->rd] : 0, answer;

	if (write && (data & ~UINT64_C(15))) {
		return emu_gp(vp, i);
	}
	if (!emu_answer(vp, HV_EXIT_CR8, write, 1, &answer)) {
		vp->exit.cr8.write = write;
		vp->exit.cr8.data = data;
		emu_exit(vp, HV_EXIT_CR8);
		return emu_leave(vp, i);
	}
	if (!write) {
		vp->r[i->rd] = answer;
	}
	return emu_end(vp, i);
}

const struct emu_insn *emu_op_mov_from_cr(struct emu_vp *vp, const struct emu_insn *i)
{
	if (vp->cpl != 0) {
		return emu_gp(vp, i);
	}
	switch (i->rs) {
	case 0:
		wide_result(vp, i, vp->cr0);
		break;
	case 2:
		wide_result(vp, i, vp->cr2);
		break;
	case 3:
		wide_result(vp, i, vp->cr3);
		break;
	case 4:
		wide_result(vp, i, vp->cr4);
		break;
	case 8:
		return cr8_access(vp, i, false);
	default:
		return emu_undefined(vp, i);
	}
	return emu_end(vp, i);
}

const struct emu_insn *emu_op_mov_to_cr(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t value = wide_source(vp, i);

	if (vp->cpl != 0) {
		return emu_gp(vp, i);
	}
	switch (i->rs) {
	case 0:
		return checked(vp, i, emu_cr0_write(vp, value));
	case 2:
		vp->cr2 = value;
		return emu_end(vp, i);
	case 3:
		return checked(vp, i, emu_cr3_write(vp, value));
	case 4:
		return checked(vp, i, emu_cr4_write(vp, value));
	case 8:
		return cr8_access(vp, i, true);
	default:
		return emu_undefined(vp, i);
	}
}

const struct emu_insn *emu_op_clts(struct emu_vp *vp, const struct emu_insn *i)
{
	if (vp->cpl != 0) {
		return emu_gp(vp, i);
	}
	vp->cr0 &= ~(uint64_t)X86_CR0_TS;
	return emu_end(vp, i);
}

const struct emu_insn *emu_op_smsw(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t la;

	if (vp->cpl != 0 && (vp->cr4 & X86_CR4_UMIP)) {
		return emu_gp(vp, i);
	}
	if (i->rd != EMU_SYS_MEMORY) {
		emu_reg_write(vp, i->osize * 8u, i->rd, vp->cr0);
		return i + 1;
	}
	if (!emu_address(vp, i, 2, HV_ACCESS_WRITE, &la) ||
	    !emu_store16(vp, la, (uint16_t)vp->cr0)) {
		return emu_leave(vp, i);
	}
	return i + 1;
}

const struct emu_insn *emu_op_lmsw(struct emu_vp *vp, const struct emu_insn *i)
{
	uint16_t value = 0;
	uint64_t la;

	if (vp->cpl != 0) {
		return emu_gp(vp, i);
	}
	if (i->rd != EMU_SYS_MEMORY) {
		value = (uint16_t)vp->r[i->rd];
	} else if (!emu_address(vp, i, 2, HV_ACCESS_READ, &la) || !emu_load16(vp, la, &value)) {
		return emu_leave(vp, i);
	}
	/* PE can be set, not cleared. */
	return checked(vp, i, emu_cr0_write(vp, (vp->cr0 & ~UINT64_C(0xe)) | (value & 0xf)));
}

/* ---- Debug registers ---- */

/* DR4 and DR5 are DR6 and DR7 unless CR4.DE forbids it. @return 0xff: #UD. */
static unsigned debug_number(const struct emu_vp *vp, unsigned n)
{
	if (n >= 8 || ((n == 4 || n == 5) && (vp->cr4 & X86_CR4_DE))) {
		return 0xff;
	}
	return n == 4 || n == 5 ? n + 2 : n;
}

/* True: the access faults, recorded. */
static bool debug_denied(struct emu_vp *vp, unsigned n)
{
	if (n == 0xff) {
		emu_raise(vp, X86_EXC_UD);
		return true;
	}
	if (vp->cpl != 0) {
		emu_raise_error(vp, X86_EXC_GP, 0);
		return true;
	}
	if (vp->dr[7] & EMU_DR7_GD) {
		emu_raise(vp, X86_EXC_DB);
		vp->fault.parameter = EMU_DR6_BD;
		return true;
	}
	return false;
}

const struct emu_insn *emu_op_mov_from_dr(struct emu_vp *vp, const struct emu_insn *i)
{
	unsigned n = debug_number(vp, i->rs);

	if (debug_denied(vp, n)) {
		return emu_leave(vp, i);
	}
	wide_result(vp, i, vp->dr[n]);
	return emu_end(vp, i);
}

const struct emu_insn *emu_op_mov_to_dr(struct emu_vp *vp, const struct emu_insn *i)
{
	unsigned n = debug_number(vp, i->rs);
	uint64_t value = wide_source(vp, i);

	if (debug_denied(vp, n)) {
		return emu_leave(vp, i);
	}
	if (n >= 6 && value >> 32) {
		return emu_gp(vp, i);
	}
	emu_dr_write(vp, n, value);
	return emu_end(vp, i);
}

/* ---- MSRs ---- */

static void pair_set(struct emu_vp *vp, uint64_t value)
{
	vp->r[X86_RAX] = (uint32_t)value;
	vp->r[X86_RDX] = value >> 32;
}

static uint64_t pair_get(const struct emu_vp *vp)
{
	return (uint32_t)vp->r[X86_RAX] | vp->r[X86_RDX] << 32;
}

/* An MSR that the hypervisor owns. True: answered. */
static bool msr_foreign(struct emu_vp *vp, uint32_t index, bool write, uint64_t *data)
{
	uint64_t answer;

	if (emu_answer(vp, HV_EXIT_MSR, (uint64_t)write << 32 | index, 1, &answer)) {
		*data = answer;
		return true;
	}
	vp->exit.msr.index = index;
	vp->exit.msr.write = write;
	vp->exit.msr.data = write ? *data : 0;
	return emu_exit(vp, HV_EXIT_MSR);
}

const struct emu_insn *emu_op_rdmsr(struct emu_vp *vp, const struct emu_insn *i)
{
	uint32_t index = (uint32_t)vp->r[X86_RCX];
	uint64_t value = 0;

	if (vp->cpl != 0) {
		return emu_gp(vp, i);
	}
	switch (emu_msr_read(vp, index, &value)) {
	case X86_MSRS_DONE:
		break;
	case X86_MSRS_FOREIGN:
		if (msr_foreign(vp, index, false, &value)) {
			break;
		}
		return emu_leave(vp, i);
	case X86_MSRS_REFUSED:
	default:
		return emu_gp(vp, i);
	}
	pair_set(vp, value);
	return emu_end(vp, i);
}

const struct emu_insn *emu_op_wrmsr(struct emu_vp *vp, const struct emu_insn *i)
{
	uint32_t index = (uint32_t)vp->r[X86_RCX];
	uint64_t value = pair_get(vp);

	if (vp->cpl != 0) {
		return emu_gp(vp, i);
	}
	switch (emu_msr_write(vp, index, value)) {
	case X86_MSRS_DONE:
		return emu_end(vp, i);
	case X86_MSRS_FOREIGN:
		return msr_foreign(vp, index, true, &value) ? emu_end(vp, i) : emu_leave(vp, i);
	case X86_MSRS_REFUSED:
	default:
		return emu_gp(vp, i);
	}
}

/* ---- CPUID, time stamps ---- */

#define CPUID_1_ECX_OSXSAVE (1u << 27)

const struct emu_insn *emu_op_cpuid(struct emu_vp *vp, const struct emu_insn *i)
{
	uint32_t leaf = (uint32_t)vp->r[X86_RAX], subleaf = (uint32_t)vp->r[X86_RCX];
	uint64_t answer[4];

	if (!emu_answer(vp, HV_EXIT_CPUID, leaf, 4, answer)) {
		vp->exit.cpuid.leaf = leaf;
		vp->exit.cpuid.subleaf = subleaf;
		emu_exit(vp, HV_EXIT_CPUID);
		return emu_leave(vp, i);
	}
	if (leaf == 1) {
		/* The one bit that follows the operating system. */
		answer[2] = (answer[2] & ~(uint64_t)CPUID_1_ECX_OSXSAVE) |
			    (vp->cr4 & X86_CR4_OSXSAVE ? CPUID_1_ECX_OSXSAVE : 0);
	}
	vp->r[X86_RAX] = (uint32_t)answer[0];
	vp->r[X86_RBX] = (uint32_t)answer[1];
	vp->r[X86_RCX] = (uint32_t)answer[2];
	vp->r[X86_RDX] = (uint32_t)answer[3];
	return emu_end(vp, i);
}

static bool tsc_forbidden(const struct emu_vp *vp)
{
	return vp->cpl != 0 && (vp->cr4 & X86_CR4_TSD);
}

const struct emu_insn *emu_op_rdtsc(struct emu_vp *vp, const struct emu_insn *i)
{
	if (tsc_forbidden(vp)) {
		return emu_gp(vp, i);
	}
	pair_set(vp, emu_tsc_at(vp, i));
	return i + 1;
}

const struct emu_insn *emu_op_rdtscp(struct emu_vp *vp, const struct emu_insn *i)
{
	if (tsc_forbidden(vp)) {
		return emu_gp(vp, i);
	}
	pair_set(vp, emu_tsc_at(vp, i));
	vp->r[X86_RCX] = (uint32_t)vp->msr.tsc_aux;
	return i + 1;
}

const struct emu_insn *emu_op_rdpid(struct emu_vp *vp, const struct emu_insn *i)
{
	vp->r[i->rd] = (uint32_t)vp->msr.tsc_aux;
	return i + 1;
}

/* There are no performance counters. */
const struct emu_insn *emu_op_rdpmc(struct emu_vp *vp, const struct emu_insn *i)
{
	return emu_gp(vp, i);
}

/* ---- XCR0 ---- */

const struct emu_insn *emu_op_xgetbv(struct emu_vp *vp, const struct emu_insn *i)
{
	if (!(vp->cr4 & X86_CR4_OSXSAVE)) {
		return emu_undefined(vp, i);
	}
	if ((uint32_t)vp->r[X86_RCX] != 0) {
		return emu_gp(vp, i);
	}
	pair_set(vp, vp->xcr0);
	return i + 1;
}

const struct emu_insn *emu_op_xsetbv(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t value = pair_get(vp);

	if (!(vp->cr4 & X86_CR4_OSXSAVE)) {
		return emu_undefined(vp, i);
	}
	/* x87 state cannot be turned off. */
	if (vp->cpl != 0 || (uint32_t)vp->r[X86_RCX] != 0 || !(value & 1) ||
	    (value & ~(uint64_t)EMU_XCR0_MASK)) {
		return emu_gp(vp, i);
	}
	vp->xcr0 = value;
	return emu_end(vp, i);
}

/* ---- To the hypervisor ---- */

const struct emu_insn *emu_op_hypercall(struct emu_vp *vp, const struct emu_insn *i)
{
	emu_exit(vp, HV_EXIT_HYPERCALL);
	return emu_leave(vp, i);
}

const struct emu_insn *emu_op_hlt(struct emu_vp *vp, const struct emu_insn *i)
{
	if (vp->cpl != 0) {
		return emu_gp(vp, i);
	}
	emu_exit(vp, HV_EXIT_HALT);
	return emu_end(vp, i);
}

/* ---- Caches and translations ---- */

/* WBINVD, INVD: guest memory is always coherent. */
const struct emu_insn *emu_op_cache(struct emu_vp *vp, const struct emu_insn *i)
{
	return checked(vp, i, vp->cpl == 0);
}

const struct emu_insn *emu_op_invlpg(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t la;

	if (vp->cpl != 0) {
		return emu_gp(vp, i);
	}
	if (!emu_address(vp, i, 1, HV_ACCESS_READ, &la)) {
		/* Limits do not matter here: without a page there is nothing to forget. */
		vp->event = EMU_EVENT_NONE;
		return emu_end(vp, i);
	}
	emu_tlb_flush_page(vp, la);
	return emu_end(vp, i);
}

enum invpcid_type {
	INVPCID_ADDRESS,
	INVPCID_CONTEXT,
	INVPCID_ALL_GLOBAL,
	INVPCID_ALL,
};

static bool invpcid_valid(const struct emu_vp *vp, uint64_t type, const uint64_t descriptor[2])
{
	bool pcid_used = type == INVPCID_ADDRESS || type == INVPCID_CONTEXT;

	if (type > INVPCID_ALL || descriptor[0] >> 12) {
		return false;
	}
	if (pcid_used && descriptor[0] != 0 && !(vp->cr4 & X86_CR4_PCIDE)) {
		return false;
	}
	return type != INVPCID_ADDRESS || x86_canonical(descriptor[1]);
}

const struct emu_insn *emu_op_invpcid(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t type = vp->mode == EMU_MODE_64 ? vp->r[i->rd] : (uint32_t)vp->r[i->rd];
	uint64_t descriptor[2], la;

	if (vp->cpl != 0) {
		return emu_gp(vp, i);
	}
	if (!emu_address(vp, i, 16, HV_ACCESS_READ, &la) ||
	    !emu_load_bytes(vp, la, descriptor, 16)) {
		return emu_leave(vp, i);
	}
	if (!invpcid_valid(vp, type, descriptor)) {
		return emu_gp(vp, i);
	}
	if (type == INVPCID_ALL_GLOBAL || type == INVPCID_ALL) {
		emu_tlb_flush(vp, type == INVPCID_ALL);
	} else if (descriptor[0] == ((vp->cr4 & X86_CR4_PCIDE) ? (vp->cr3 & 0xfff) : 0)) {
		/* Other contexts have nothing cached: every change of CR3 forgets. */
		if (type == INVPCID_ADDRESS) {
			emu_tlb_flush_page(vp, descriptor[1]);
		} else {
			emu_tlb_flush(vp, true);
		}
	}
	return emu_end(vp, i);
}

/* ---- Flags with privileges ---- */

enum if_access {
	IF_REAL,    /* the interrupt flag itself */
	IF_VIRTUAL, /* VIF instead (VME, PVI) */
	IF_DENIED,
};

static enum if_access if_access(const struct emu_vp *vp)
{
	if (!(vp->cr0 & X86_CR0_PE) || vp->cpl <= emu_iopl(vp)) {
		return IF_REAL;
	}
	if (vp->cpl == 3 && (vp->cr4 & (emu_v86(vp) ? X86_CR4_VME : X86_CR4_PVI))) {
		return IF_VIRTUAL;
	}
	return IF_DENIED;
}

const struct emu_insn *emu_op_cli(struct emu_vp *vp, const struct emu_insn *i)
{
	switch (if_access(vp)) {
	case IF_REAL:
		vp->flags &= ~X86_IF;
		return i + 1;
	case IF_VIRTUAL:
		vp->flags &= ~X86_VIF;
		return i + 1;
	case IF_DENIED:
	default:
		return emu_gp(vp, i);
	}
}

const struct emu_insn *emu_op_sti(struct emu_vp *vp, const struct emu_insn *i)
{
	switch (if_access(vp)) {
	case IF_REAL:
		vp->shadow = !(vp->flags & X86_IF);
		vp->flags |= X86_IF;
		return emu_end(vp, i);
	case IF_VIRTUAL:
		if (vp->flags & X86_VIP) {
			return emu_gp(vp, i);
		}
		vp->flags |= X86_VIF;
		return emu_end(vp, i);
	case IF_DENIED:
	default:
		return emu_gp(vp, i);
	}
}

static const struct emu_insn *set_ac(struct emu_vp *vp, const struct emu_insn *i, bool on)
{
	if (vp->cpl != 0 || emu_v86(vp)) {
		return emu_undefined(vp, i);
	}
	vp->flags = on ? vp->flags | X86_AC : vp->flags & ~X86_AC;
	emu_mode_update(vp);
	return emu_goto(vp, i, emu_insn_next_rip(vp, i));
}

const struct emu_insn *emu_op_clac(struct emu_vp *vp, const struct emu_insn *i)
{
	return set_ac(vp, i, false);
}

const struct emu_insn *emu_op_stac(struct emu_vp *vp, const struct emu_insn *i)
{
	return set_ac(vp, i, true);
}

/* A virtual-8086 task with IOPL below 3: PUSHF and POPF work on VIF if VME is on and the operand has 16 bits. */
static bool v86_virtual_flags(const struct emu_vp *vp)
{
	return emu_v86(vp) && emu_iopl(vp) < 3;
}

const struct emu_insn *emu_op_pushf(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t flags = emu_flags_get(vp) & ~(uint64_t)(X86_VM | X86_RF);

	if (v86_virtual_flags(vp)) {
		if (!(vp->cr4 & X86_CR4_VME) || i->osize != 2) {
			return emu_gp(vp, i);
		}
		flags = (flags & ~(uint64_t)X86_IF) | X86_IOPL | (flags & X86_VIF ? X86_IF : 0);
	}
	if (!emu_push(vp, i->osize, flags)) {
		return emu_leave(vp, i);
	}
	return i + 1;
}

const struct emu_insn *emu_op_popf(struct emu_vp *vp, const struct emu_insn *i)
{
	/* Bits whose change the run loop has to see. */
	static const uint64_t steering = X86_IF | X86_TF | X86_AC | X86_NT | X86_RF | X86_VIF;
	uint32_t mask = emu_flags_changeable(vp, i->osize) & ~X86_RF;
	uint64_t image, old, new;

	if (!emu_stack_load(vp, 0, i->osize)) {
		return emu_leave(vp, i);
	}
	image = vp->slow;
	if (v86_virtual_flags(vp)) {
		if (!(vp->cr4 & X86_CR4_VME) || i->osize != 2 || (image & X86_TF) ||
		    ((image & X86_IF) && (vp->flags & X86_VIP))) {
			return emu_gp(vp, i);
		}
		mask = (mask & ~X86_IF) | X86_VIF;
		image = (image & ~(uint64_t)X86_VIF) | (image & X86_IF ? X86_VIF : 0);
	}
	emu_sp_set(vp, vp->r[X86_RSP] + i->osize);
	old = emu_flags_get(vp);
	new = (old & ~(uint64_t)(mask | X86_RF)) | (image & mask);
	emu_flags_set(vp, new);
	if ((old ^ new) & steering) {
		emu_mode_update(vp);
		return emu_end(vp, i);
	}
	return emu_goto(vp, i, emu_insn_next_rip(vp, i));
}
