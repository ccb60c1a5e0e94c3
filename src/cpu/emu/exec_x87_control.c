/* SPDX-License-Identifier: Apache-2.0 */
/* x87 control instructions: control and status words, environment and state images. */
#include <string.h>

#include "x87.h"

#define ENV16_BYTES 14u
#define ENV32_BYTES 28u
#define STATE_BYTES_MAX 108u

void x87_init(struct emu_fpu *fpu)
{
	fpu->fcw = X87_FCW_INIT;
	fpu->fsw = 0;
	fpu->ftw = 0;
	fpu->fop = 0;
	fpu->fcs = 0;
	fpu->fds = 0;
	fpu->fip = 0;
	fpu->fdp = 0;
}

const struct emu_insn *x87_fwait(struct emu_vp *vp, const struct emu_insn *i)
{
	if ((vp->cr0 & (X86_CR0_MP | X86_CR0_TS)) == (X86_CR0_MP | X86_CR0_TS)) {
		emu_raise(vp, X86_EXC_NM);
		return emu_leave(vp, i);
	}
	if (vp->fpu.fsw & X87_FSW_ES) {
		emu_raise(vp, X86_EXC_MF);
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

const struct emu_insn *x87_fnop(struct emu_vp *vp, const struct emu_insn *i)
{
	if (x87_blocked(vp)) {
		return x87_refuse(vp, i);
	}
	EMU_NEXT(vp, i);
}

const struct emu_insn *x87_nop8087(struct emu_vp *vp, const struct emu_insn *i)
{
	if (x87_unavailable(vp)) {
		return x87_refuse(vp, i);
	}
	EMU_NEXT(vp, i);
}

const struct emu_insn *x87_fnclex(struct emu_vp *vp, const struct emu_insn *i)
{
	if (x87_unavailable(vp)) {
		return x87_refuse(vp, i);
	}
	vp->fpu.fsw &= (uint16_t) ~(X87_EXCEPTIONS | X87_FSW_SF | X87_FSW_ES | X87_FSW_B);
	EMU_NEXT(vp, i);
}

const struct emu_insn *x87_fninit(struct emu_vp *vp, const struct emu_insn *i)
{
	if (x87_unavailable(vp)) {
		return x87_refuse(vp, i);
	}
	x87_init(&vp->fpu);
	EMU_NEXT(vp, i);
}

static bool store_word(struct emu_vp *vp, const struct emu_insn *i, uint16_t value)
{
	uint64_t la;

	return emu_address(vp, i, 2, HV_ACCESS_WRITE, &la) && emu_store16(vp, la, value);
}

const struct emu_insn *x87_fnstcw(struct emu_vp *vp, const struct emu_insn *i)
{
	if (x87_unavailable(vp)) {
		return x87_refuse(vp, i);
	}
	if (!store_word(vp, i, vp->fpu.fcw)) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

static void control_word_set(struct emu_fpu *fpu, uint16_t value)
{
	fpu->fcw = (value & X87_FCW_WRITABLE) | X87_FCW_FIXED;
	x87_summarize(fpu);
}

static bool load_control_word(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t la;
	uint16_t value;

	if (!emu_address(vp, i, 2, HV_ACCESS_READ, &la) || !emu_load16(vp, la, &value)) {
		return false;
	}
	control_word_set(&vp->fpu, value);
	return true;
}

const struct emu_insn *x87_fldcw(struct emu_vp *vp, const struct emu_insn *i)
{
	if (x87_blocked(vp)) {
		return x87_refuse(vp, i);
	}
	if (!load_control_word(vp, i)) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

const struct emu_insn *x87_fnstsw_ax(struct emu_vp *vp, const struct emu_insn *i)
{
	if (x87_unavailable(vp)) {
		return x87_refuse(vp, i);
	}
	vp->r[X86_RAX] = (vp->r[X86_RAX] & ~UINT64_C(0xffff)) | vp->fpu.fsw;
	EMU_NEXT(vp, i);
}

const struct emu_insn *x87_fnstsw_mem(struct emu_vp *vp, const struct emu_insn *i)
{
	if (x87_unavailable(vp)) {
		return x87_refuse(vp, i);
	}
	if (!store_word(vp, i, vp->fpu.fsw)) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

/* Two bits of the full tag word: 0 valid, 1 zero, 2 special, 3 empty. */
static unsigned full_tag(const struct emu_fpu *fpu, unsigned physical)
{
	uint64_t mantissa = load_le64(fpu->st[physical]);
	unsigned exponent = load_le16(fpu->st[physical] + 8) & 0x7fff;

	if (!(fpu->ftw & 1u << physical)) {
		return 3;
	}
	if (exponent == 0 && mantissa == 0) {
		return 1;
	}
	return exponent == 0 || exponent == 0x7fff || !(mantissa >> 63) ? 2 : 0;
}

static uint16_t tag_word_get(const struct emu_fpu *fpu)
{
	unsigned word = 0;

	for (unsigned n = 0; n < 8; n++) {
		word |= full_tag(fpu, n) << n * 2;
	}
	return (uint16_t)word;
}

static void tag_word_set(struct emu_fpu *fpu, uint16_t word)
{
	fpu->ftw = 0;
	for (unsigned n = 0; n < 8; n++) {
		fpu->ftw |= (uint8_t)(((word >> n * 2 & 3) != 3) << n);
	}
}

/* The real-address formats hold linear addresses and the opcode, the protected ones selectors. */
static void env_put16(const struct emu_vp *vp, uint8_t *p)
{
	const struct emu_fpu *fpu = &vp->fpu;
	uint32_t ip = (uint32_t)fpu->fip + ((uint32_t)fpu->fcs << 4);
	uint32_t dp = (uint32_t)fpu->fdp + ((uint32_t)fpu->fds << 4);
	bool real = vp->mode == EMU_MODE_REAL;

	store_le16(p, fpu->fcw);
	store_le16(p + 2, fpu->fsw);
	store_le16(p + 4, tag_word_get(fpu));
	store_le16(p + 6, (uint16_t)(real ? ip : fpu->fip));
	store_le16(p + 8, real ? (uint16_t)((ip >> 16 & 0xf) << 12 | fpu->fop) : fpu->fcs);
	store_le16(p + 10, (uint16_t)(real ? dp : fpu->fdp));
	store_le16(p + 12, real ? (uint16_t)((dp >> 16 & 0xf) << 12) : fpu->fds);
}

static void env_put32(const struct emu_vp *vp, uint8_t *p)
{
	const struct emu_fpu *fpu = &vp->fpu;
	uint32_t ip = (uint32_t)fpu->fip + ((uint32_t)fpu->fcs << 4);
	uint32_t dp = (uint32_t)fpu->fdp + ((uint32_t)fpu->fds << 4);
	bool real = vp->mode == EMU_MODE_REAL;

	store_le32(p, 0xffff0000u | fpu->fcw);
	store_le32(p + 4, 0xffff0000u | fpu->fsw);
	store_le32(p + 8, 0xffff0000u | tag_word_get(fpu));
	store_le32(p + 12, real ? 0xffff0000u | ip : (uint32_t)fpu->fip);
	store_le32(p + 16, real ? ip >> 16 << 12 | fpu->fop : (uint32_t)fpu->fop << 16 | fpu->fcs);
	store_le32(p + 20, real ? 0xffff0000u | dp : (uint32_t)fpu->fdp);
	store_le32(p + 24, real ? dp >> 16 << 12 : 0xffff0000u | fpu->fds);
}

static void env_get16(struct emu_vp *vp, const uint8_t *p)
{
	struct emu_fpu *fpu = &vp->fpu;

	fpu->fsw = load_le16(p + 2);
	tag_word_set(fpu, load_le16(p + 4));
	fpu->fip = load_le16(p + 6);
	fpu->fdp = load_le16(p + 10);
	if (vp->mode == EMU_MODE_REAL) {
		fpu->fip |= (uint64_t)(load_le16(p + 8) >> 12) << 16;
		fpu->fop = load_le16(p + 8) & 0x7ff;
		fpu->fdp |= (uint64_t)(load_le16(p + 12) >> 12) << 16;
		fpu->fcs = 0;
		fpu->fds = 0;
	} else {
		fpu->fcs = load_le16(p + 8);
		fpu->fds = load_le16(p + 12);
		fpu->fop = 0;
	}
	control_word_set(fpu, load_le16(p));
}

static void env_get32(struct emu_vp *vp, const uint8_t *p)
{
	struct emu_fpu *fpu = &vp->fpu;

	fpu->fsw = load_le16(p + 4);
	tag_word_set(fpu, load_le16(p + 8));
	if (vp->mode == EMU_MODE_REAL) {
		fpu->fip = load_le16(p + 12) | (load_le32(p + 16) >> 12 & 0xffff) << 16;
		fpu->fop = load_le32(p + 16) & 0x7ff;
		fpu->fdp = load_le16(p + 20) | (load_le32(p + 24) >> 12 & 0xffff) << 16;
		fpu->fcs = 0;
		fpu->fds = 0;
	} else {
		fpu->fip = load_le32(p + 12);
		fpu->fcs = load_le16(p + 16);
		fpu->fop = load_le16(p + 18) & 0x7ff;
		fpu->fdp = load_le32(p + 20);
		fpu->fds = load_le16(p + 24);
	}
	control_word_set(fpu, load_le16(p));
}

/* The environment's bytes within an image of @bytes: 14 or 28 alone, 94 or 108 with registers. */
static unsigned env_bytes(unsigned bytes)
{
	return bytes == ENV16_BYTES || bytes == ENV16_BYTES + 80 ? ENV16_BYTES : ENV32_BYTES;
}

static __attribute__((noinline)) bool image_store(struct emu_vp *vp, const struct emu_insn *i)
{
	uint8_t image[STATE_BYTES_MAX];
	uint8_t st[8][16];
	unsigned env = env_bytes(i->rs);
	uint64_t la;

	if (!emu_address(vp, i, i->rs, HV_ACCESS_WRITE, &la)) {
		return false;
	}
	if (env == ENV16_BYTES) {
		env_put16(vp, image);
	} else {
		env_put32(vp, image);
	}
	if (i->rs > env) {
		x87_st_get(&vp->fpu, st);
		for (unsigned k = 0; k < 8; k++) {
			memcpy(image + env + k * 10, st[k], 10);
		}
	}
	return emu_store_bytes(vp, la, image, i->rs);
}

static __attribute__((noinline)) bool image_load(struct emu_vp *vp, const struct emu_insn *i)
{
	uint8_t image[STATE_BYTES_MAX];
	uint8_t st[8][16];
	unsigned env = env_bytes(i->rs);
	uint64_t la;

	if (!emu_address(vp, i, i->rs, HV_ACCESS_READ, &la) ||
	    !emu_load_bytes(vp, la, image, i->rs)) {
		return false;
	}
	if (env == ENV16_BYTES) {
		env_get16(vp, image);
	} else {
		env_get32(vp, image);
	}
	if (i->rs > env) {
		for (unsigned k = 0; k < 8; k++) {
			memcpy(st[k], image + env + k * 10, 10);
		}
		x87_st_set(&vp->fpu, st);
	}
	return true;
}

const struct emu_insn *x87_fnstenv(struct emu_vp *vp, const struct emu_insn *i)
{
	if (x87_unavailable(vp)) {
		return x87_refuse(vp, i);
	}
	if (!image_store(vp, i)) {
		return emu_leave(vp, i);
	}
	control_word_set(&vp->fpu, vp->fpu.fcw | X87_EXCEPTIONS);
	EMU_NEXT(vp, i);
}

const struct emu_insn *x87_fnsave(struct emu_vp *vp, const struct emu_insn *i)
{
	if (x87_unavailable(vp)) {
		return x87_refuse(vp, i);
	}
	if (!image_store(vp, i)) {
		return emu_leave(vp, i);
	}
	x87_init(&vp->fpu);
	EMU_NEXT(vp, i);
}

const struct emu_insn *x87_fldenv(struct emu_vp *vp, const struct emu_insn *i)
{
	if (x87_blocked(vp)) {
		return x87_refuse(vp, i);
	}
	if (!image_load(vp, i)) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

const struct emu_insn *x87_frstor(struct emu_vp *vp, const struct emu_insn *i)
{
	if (x87_blocked(vp)) {
		return x87_refuse(vp, i);
	}
	if (!image_load(vp, i)) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}
