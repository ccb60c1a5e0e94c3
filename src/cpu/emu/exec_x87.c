/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87 operations. The guest's whole x87 state (with the guest's masks and tags) is loaded into the
 * host's FPU, the very instruction is executed there, and the state is read back with FXSAVE, which
 * does not wait. So stack faults, unmasked responses, precision and rounding control, condition
 * codes and transcendental results are the processor's own. The exception flags are clear before
 * the instruction, so that nothing is ever pending on the host.
 */
#include "x87.h"

#include <string.h>

#include "flags.h"

/*
 * Host code, one entry of four bytes per opcode: all register forms, and all memory forms with the
 * operand at (%rdx). The callers: %rdi image, %rsi entry, %rdx operand, %rcx flags (second one
 * only). They leave the FPU as the C ABI wants it.
 */
__asm__(".pushsection .text\n"
	"	.balign 64\n"
	"emu_x87_reg_stubs:\n"
	"	.set emu_x87_n, 0\n"
	"	.rept 512\n"
	"	.byte 0xd8 + (emu_x87_n >> 6), 0xc0 + (emu_x87_n & 63), 0xc3, 0x90\n"
	"	.set emu_x87_n, emu_x87_n + 1\n"
	"	.endr\n"
	"emu_x87_mem_stubs:\n"
	"	.set emu_x87_n, 0\n"
	"	.rept 64\n"
	"	.byte 0xd8 + (emu_x87_n >> 3), ((emu_x87_n & 7) << 3) | 2, 0xc3, 0x90\n"
	"	.set emu_x87_n, emu_x87_n + 1\n"
	"	.endr\n"
	"	.balign 16\n"
	"	.type emu_x87_host, @function\n"
	"emu_x87_host:\n"
	"	fxrstor64 (%rdi)\n"
	"	call *%rsi\n"
	"	fxsave64 (%rdi)\n"
	"	fninit\n"
	"	ret\n"
	"	.size emu_x87_host, . - emu_x87_host\n"
	"	.balign 16\n"
	"	.type emu_x87_host_flags, @function\n"
	"emu_x87_host_flags:\n"
	"	fxrstor64 (%rdi)\n"
	"	pushq %rcx\n"
	"	popfq\n"
	"	call *%rsi\n"
	"	pushfq\n"
	"	popq %rax\n"
	"	fxsave64 (%rdi)\n"
	"	fninit\n"
	"	ret\n"
	"	.size emu_x87_host_flags, . - emu_x87_host_flags\n"
	"	.popsection\n");

extern const uint8_t emu_x87_reg_stubs[512][4] __asm__("emu_x87_reg_stubs");
extern const uint8_t emu_x87_mem_stubs[64][4] __asm__("emu_x87_mem_stubs");
void emu_x87_host(struct x87_image *image, uint64_t stub, void *operand) __asm__("emu_x87_host");
uint64_t emu_x87_host_flags(struct x87_image *image, uint64_t stub, void *operand,
			    uint64_t flags) __asm__("emu_x87_host_flags");

unsigned x87_stub_index(uint8_t opcode, uint8_t modrm)
{
	return (opcode & 7u) << 6 | (modrm & 63u);
}

uint64_t x87_stub_reg_index(unsigned index)
{
	return (uintptr_t)emu_x87_reg_stubs[index];
}

uint64_t x87_stub_mem(uint8_t opcode, uint8_t reg)
{
	return (uintptr_t)emu_x87_mem_stubs[(opcode & 7) << 3 | reg];
}

const struct emu_insn *x87_refuse(struct emu_vp *vp, const struct emu_insn *i)
{
	emu_raise(vp, x87_unavailable(vp) ? X86_EXC_NM : X86_EXC_MF);
	return emu_leave(vp, i);
}

void x87_st_get(const struct emu_fpu *fpu, uint8_t st[8][16])
{
	unsigned top = x87_top(fpu);

	for (unsigned k = 0; k < 8; k++) {
		memcpy(st[k], fpu->st[(top + k) & 7], 16);
	}
}

void x87_st_set(struct emu_fpu *fpu, const uint8_t st[8][16])
{
	unsigned top = x87_top(fpu);

	for (unsigned k = 0; k < 8; k++) {
		memcpy(fpu->st[(top + k) & 7], st[k], 10);
	}
}

/* The image brings its own MXCSR. */
static void image_fill(struct emu_vp *vp, struct x87_image *image)
{
	const struct emu_fpu *fpu = &vp->fpu;

	emu_fpu_sync(vp);
	image->fcw = fpu->fcw;
	image->fsw = fpu->fsw & (uint16_t) ~(X87_EXCEPTIONS | X87_FSW_SF | X87_FSW_ES | X87_FSW_B);
	image->ftw = fpu->ftw;
	image->zero = 0;
	image->fop = 0;
	image->fip = 0;
	image->fdp = 0;
	image->mxcsr = EMU_MXCSR_RESET;
	image->mxcsr_mask = 0;
	x87_st_get(fpu, image->st);
}

static void image_commit(struct emu_vp *vp, const struct emu_insn *i, const struct x87_image *image)
{
	struct emu_fpu *fpu = &vp->fpu;
	uint16_t sticky = fpu->fsw & (X87_EXCEPTIONS | X87_FSW_SF);

	fpu->fsw = (image->fsw & (uint16_t) ~(X87_FSW_ES | X87_FSW_B)) | sticky;
	fpu->ftw = image->ftw;
	x87_st_set(fpu, image->st);
	x87_summarize(fpu);
	fpu->fip = emu_insn_rip(vp, i);
	fpu->fcs = vp->seg[X86_CS].selector;
	fpu->fop = (uint16_t)i->imm;
}

/* FDP is the offset within the operand's segment. */
void x87_data_pointer_set(struct emu_vp *vp, const struct emu_insn *i, uint64_t la)
{
	bool based = vp->mode != EMU_MODE_64 || i->seg == X86_FS || i->seg == X86_GS;
	uint64_t offset = la - (based ? vp->seg[i->seg].base : 0);

	vp->fpu.fdp = vp->mode == EMU_MODE_64 ? offset : (uint32_t)offset;
	vp->fpu.fds = vp->seg[i->seg].selector;
}

static __attribute__((noinline)) void run_reg(struct emu_vp *vp, const struct emu_insn *i)
{
	struct x87_image image;

	image_fill(vp, &image);
	emu_x87_host(&image, i->aux, NULL);
	image_commit(vp, i, &image);
}

static __attribute__((noinline)) void run_flags(struct emu_vp *vp, const struct emu_insn *i)
{
	struct x87_image image;
	uint64_t flags;

	image_fill(vp, &image);
	flags = emu_x87_host_flags(&image, i->aux, NULL, emu_arith_get(vp) | 0x202);
	image_commit(vp, i, &image);
	emu_arith_set(vp, (uint32_t)flags & X86_ARITH);
}

static __attribute__((noinline)) bool run_load(struct emu_vp *vp, const struct emu_insn *i)
{
	struct x87_image image;
	uint8_t operand[16];
	uint64_t la;

	if (!emu_address(vp, i, i->rs, HV_ACCESS_READ, &la) ||
	    !emu_load_bytes(vp, la, operand, i->rs)) {
		return false;
	}
	image_fill(vp, &image);
	emu_x87_host(&image, i->aux, operand);
	image_commit(vp, i, &image);
	x87_data_pointer_set(vp, i, la);
	return true;
}

static __attribute__((noinline)) bool run_store(struct emu_vp *vp, const struct emu_insn *i)
{
	struct x87_image image;
	uint8_t operand[16];
	uint64_t la;

	if (!emu_address(vp, i, i->rs, HV_ACCESS_WRITE, &la)) {
		return false;
	}
	image_fill(vp, &image);
	emu_x87_host(&image, i->aux, operand);
	/* All unmasked exceptions but the inexact result keep the processor from storing. */
	if (image.fsw & ~vp->fpu.fcw & X87_EXCEPTIONS & ~X87_FSW_PE) {
		if (!emu_probe(vp, la, i->rs, HV_ACCESS_WRITE)) {
			return false;
		}
	} else if (!emu_store_bytes(vp, la, operand, i->rs)) {
		return false;
	}
	image_commit(vp, i, &image);
	x87_data_pointer_set(vp, i, la);
	return true;
}

const struct emu_insn *x87_op_reg(struct emu_vp *vp, const struct emu_insn *i)
{
	if (x87_blocked(vp)) {
		return x87_refuse(vp, i);
	}
	run_reg(vp, i);
	EMU_NEXT(vp, i);
}

const struct emu_insn *x87_op_flags(struct emu_vp *vp, const struct emu_insn *i)
{
	if (x87_blocked(vp)) {
		return x87_refuse(vp, i);
	}
	run_flags(vp, i);
	EMU_NEXT(vp, i);
}

const struct emu_insn *x87_op_load(struct emu_vp *vp, const struct emu_insn *i)
{
	if (x87_blocked(vp)) {
		return x87_refuse(vp, i);
	}
	if (!run_load(vp, i)) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

const struct emu_insn *x87_op_store(struct emu_vp *vp, const struct emu_insn *i)
{
	if (x87_blocked(vp)) {
		return x87_refuse(vp, i);
	}
	if (!run_store(vp, i)) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}
