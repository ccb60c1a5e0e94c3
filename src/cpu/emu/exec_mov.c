/* SPDX-License-Identifier: Apache-2.0 */
/* Moves, extensions, conditional moves, flag bits, and instructions that do nothing. */
#define EMU_HOT
#include "exec.h"

#define PAUSES_PER_YIELD 128u

/* ---- MOV ---- */

#define DEFINE_MOV_STORE(bits, form, source)                                                       \
	EMU_SLOW_OP(mov##bits##_##form##_slow)                                                     \
	{                                                                                          \
		uint64_t la;                                                                       \
                                                                                                   \
		if (!emu_address(vp, i, bits / 8, HV_ACCESS_WRITE, &la) ||                         \
		    !emu_store##bits(vp, la, (uint##bits##_t)(source))) {                          \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static EMU_OP(mov##bits##_##form)                                                          \
	{                                                                                          \
		volatile struct emu_u##bits *p;                                                    \
		uint64_t la;                                                                       \
                                                                                                   \
		if (!emu_address_quick(vp, i, &la)) {                                              \
			return mov##bits##_##form##_slow(vp, i);                                   \
		}                                                                                  \
		p = emu_fast_write(vp, la, bits / 8);                                              \
		if (unlikely(p == NULL)) {                                                         \
			return mov##bits##_##form##_slow(vp, i);                                   \
		}                                                                                  \
		p->v = (uint##bits##_t)(source);                                                   \
		EMU_NEXT(vp, i);                                                                   \
	}

#define DEFINE_MOV(bits)                                                                           \
	static EMU_OP(mov##bits##_rr)                                                              \
	{                                                                                          \
		emu_reg_write(vp, bits, i->rd, emu_reg_read(vp, bits, i->rs));                     \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static EMU_OP(mov##bits##_ri)                                                              \
	{                                                                                          \
		emu_reg_write(vp, bits, i->rd, i->imm);                                            \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	EMU_SLOW_OP(mov##bits##_rm_slow)                                                           \
	{                                                                                          \
		uint##bits##_t value;                                                              \
		uint64_t la;                                                                       \
                                                                                                   \
		if (!emu_address(vp, i, bits / 8, HV_ACCESS_READ, &la) ||                          \
		    !emu_load##bits(vp, la, &value)) {                                             \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		emu_reg_write(vp, bits, i->rd, value);                                             \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static EMU_OP(mov##bits##_rm)                                                              \
	{                                                                                          \
		const volatile struct emu_u##bits *p;                                              \
		uint64_t la;                                                                       \
                                                                                                   \
		if (!emu_address_quick(vp, i, &la)) {                                              \
			return mov##bits##_rm_slow(vp, i);                                         \
		}                                                                                  \
		p = emu_fast_read(vp, la, bits / 8);                                               \
		if (unlikely(p == NULL)) {                                                         \
			return mov##bits##_rm_slow(vp, i);                                         \
		}                                                                                  \
		emu_reg_write(vp, bits, i->rd, p->v);                                              \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	DEFINE_MOV_STORE(bits, mr, emu_reg_read(vp, bits, i->rs))                                  \
	DEFINE_MOV_STORE(bits, mi, i->imm)
DEFINE_MOV(8)
DEFINE_MOV(16)
DEFINE_MOV(32)
DEFINE_MOV(64)

#define MOV_FORMS(bits)                                                                            \
	{                                                                                          \
		mov##bits##_rr, mov##bits##_ri, mov##bits##_rm, mov##bits##_mr, mov##bits##_mi     \
	}

emu_fn *emu_find_mov(unsigned log, enum emu_form form)
{
	static emu_fn *const table[4][EMU_FORMS] = {MOV_FORMS(8), MOV_FORMS(16), MOV_FORMS(32),
						    MOV_FORMS(64)};

	return table[log][form];
}

/* MOV with a 64-bit absolute offset in imm. */
EMU_OP(emu_op_mov_load_absolute)
{
	if (!emu_segment_address(vp, i->seg, i->imm, i->osize, HV_ACCESS_READ) ||
	    !emu_load_slow(vp, vp->slow, i->osize)) {
		return emu_leave(vp, i);
	}
	switch (i->osize) {
	case 1:
		emu_reg_write(vp, 8, X86_RAX, vp->slow);
		break;
	case 2:
		emu_reg_write(vp, 16, X86_RAX, vp->slow);
		break;
	default:
		vp->r[X86_RAX] = vp->slow;
		break;
	}
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_mov_store_absolute)
{
	if (!emu_segment_address(vp, i->seg, i->imm, i->osize, HV_ACCESS_WRITE) ||
	    !emu_store_slow(vp, vp->slow, i->osize, vp->r[X86_RAX])) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

/* ---- MOVZX, MOVSX ---- */

#define DEFINE_EXTEND(name, to, from, type)                                                        \
	static EMU_OP(name##_r)                                                                    \
	{                                                                                          \
		emu_reg_write(vp, to, i->rd,                                                       \
			      (uint64_t)(int64_t)(type)emu_reg_read(vp, from, i->rs));             \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	EMU_SLOW_OP(name##_m_slow)                                                                 \
	{                                                                                          \
		uint##from##_t value;                                                              \
		uint64_t la;                                                                       \
                                                                                                   \
		if (!emu_address(vp, i, from / 8, HV_ACCESS_READ, &la) ||                          \
		    !emu_load##from(vp, la, &value)) {                                             \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		emu_reg_write(vp, to, i->rd, (uint64_t)(int64_t)(type)value);                      \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static EMU_OP(name##_m)                                                                    \
	{                                                                                          \
		const volatile struct emu_u##from *p;                                              \
		uint64_t la;                                                                       \
                                                                                                   \
		if (!emu_address_quick(vp, i, &la)) {                                              \
			return name##_m_slow(vp, i);                                               \
		}                                                                                  \
		p = emu_fast_read(vp, la, from / 8);                                               \
		if (unlikely(p == NULL)) {                                                         \
			return name##_m_slow(vp, i);                                               \
		}                                                                                  \
		emu_reg_write(vp, to, i->rd, (uint64_t)(int64_t)(type)p->v);                       \
		EMU_NEXT(vp, i);                                                                   \
	}
DEFINE_EXTEND(movzx16_8, 16, 8, uint8_t)
DEFINE_EXTEND(movzx32_8, 32, 8, uint8_t)
DEFINE_EXTEND(movzx32_16, 32, 16, uint16_t)
DEFINE_EXTEND(movsx16_8, 16, 8, int8_t)
DEFINE_EXTEND(movsx32_8, 32, 8, int8_t)
DEFINE_EXTEND(movsx64_8, 64, 8, int8_t)
DEFINE_EXTEND(movsx16_16, 16, 16, int16_t)
DEFINE_EXTEND(movsx32_16, 32, 16, int16_t)
DEFINE_EXTEND(movsx64_16, 64, 16, int16_t)
DEFINE_EXTEND(movsx32_32, 32, 32, int32_t)
DEFINE_EXTEND(movsx64_32, 64, 32, int32_t)

/* MOVZX to 64 bits is MOVZX to 32; MOVSXD with a 16- or 32-bit destination is a move of that size. */
emu_fn *emu_find_extend(bool sign, unsigned to_log, unsigned from_log, bool memory)
{
	static emu_fn *const zero[2][4][2] = {
		{{NULL},
		 {movzx16_8_r, movzx16_8_m},
		 {movzx32_8_r, movzx32_8_m},
		 {movzx32_8_r, movzx32_8_m}},
		{{NULL},
		 {movsx16_16_r, movsx16_16_m},
		 {movzx32_16_r, movzx32_16_m},
		 {movzx32_16_r, movzx32_16_m}},
	};
	static emu_fn *const extend[3][4][2] = {
		{{NULL},
		 {movsx16_8_r, movsx16_8_m},
		 {movsx32_8_r, movsx32_8_m},
		 {movsx64_8_r, movsx64_8_m}},
		{{NULL},
		 {movsx16_16_r, movsx16_16_m},
		 {movsx32_16_r, movsx32_16_m},
		 {movsx64_16_r, movsx64_16_m}},
		{{NULL},
		 {movsx16_16_r, movsx16_16_m},
		 {movsx32_32_r, movsx32_32_m},
		 {movsx64_32_r, movsx64_32_m}},
	};

	if (from_log > (sign ? 2u : 1u)) {
		return NULL;
	}
	return sign ? extend[from_log][to_log][memory] : zero[from_log][to_log][memory];
}

/* ---- LEA ---- */

EMU_OP(emu_op_lea64)
{
	vp->r[i->rd] = emu_effective(vp, i);
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_lea32)
{
	vp->r[i->rd] = (uint32_t)emu_effective(vp, i);
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_lea16)
{
	emu_reg_write(vp, 16, i->rd, emu_effective(vp, i));
	EMU_NEXT(vp, i);
}

/* ---- CMOVcc, SETcc ---- */

#define DEFINE_CMOV_SIZE(cc, bits)                                                                 \
	static EMU_OP(cmov_##cc##_##bits##_r)                                                      \
	{                                                                                          \
		uint64_t value = emu_reg_read(vp, bits, emu_condition(vp, cc) ? i->rs : i->rd);    \
                                                                                                   \
		emu_reg_write(vp, bits, i->rd, value);                                             \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static EMU_OP(cmov_##cc##_##bits##_m)                                                      \
	{                                                                                          \
		uint##bits##_t value;                                                              \
		uint64_t la;                                                                       \
                                                                                                   \
		if (!emu_address(vp, i, bits / 8, HV_ACCESS_READ, &la) ||                          \
		    !emu_load##bits(vp, la, &value)) {                                             \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		emu_reg_write(vp, bits, i->rd,                                                     \
			      emu_condition(vp, cc) ? value : emu_reg_read(vp, bits, i->rd));      \
		EMU_NEXT(vp, i);                                                                   \
	}

#define DEFINE_CONDITION(cc)                                                                       \
	DEFINE_CMOV_SIZE(cc, 16)                                                                   \
	DEFINE_CMOV_SIZE(cc, 32)                                                                   \
	DEFINE_CMOV_SIZE(cc, 64)                                                                   \
	static EMU_OP(set_##cc##_r)                                                                \
	{                                                                                          \
		*emu_r8(vp, i->rd) = emu_condition(vp, cc);                                        \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static EMU_OP(set_##cc##_m)                                                                \
	{                                                                                          \
		uint64_t la;                                                                       \
                                                                                                   \
		if (!emu_address(vp, i, 1, HV_ACCESS_WRITE, &la) ||                                \
		    !emu_store8(vp, la, emu_condition(vp, cc))) {                                  \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}
DEFINE_CONDITION(0)
DEFINE_CONDITION(1)
DEFINE_CONDITION(2)
DEFINE_CONDITION(3)
DEFINE_CONDITION(4)
DEFINE_CONDITION(5)
DEFINE_CONDITION(6)
DEFINE_CONDITION(7)
DEFINE_CONDITION(8)
DEFINE_CONDITION(9)
DEFINE_CONDITION(10)
DEFINE_CONDITION(11)
DEFINE_CONDITION(12)
DEFINE_CONDITION(13)
DEFINE_CONDITION(14)
DEFINE_CONDITION(15)

#define CMOV_FORMS(cc)                                                                             \
	{                                                                                          \
		{NULL, NULL}, {cmov_##cc##_16_r, cmov_##cc##_16_m},                                \
			{cmov_##cc##_32_r, cmov_##cc##_32_m},                                      \
		{                                                                                  \
			cmov_##cc##_64_r, cmov_##cc##_64_m                                         \
		}                                                                                  \
	}
#define ALL_CONDITIONS(x)                                                                          \
	x(0), x(1), x(2), x(3), x(4), x(5), x(6), x(7), x(8), x(9), x(10), x(11), x(12), x(13),    \
		x(14), x(15)

emu_fn *emu_find_cmov(unsigned cc, unsigned log, bool memory)
{
	static emu_fn *const table[16][4][2] = {ALL_CONDITIONS(CMOV_FORMS)};

	return table[cc][log][memory];
}

#define SET_FORMS(cc)                                                                              \
	{                                                                                          \
		set_##cc##_r, set_##cc##_m                                                         \
	}

emu_fn *emu_find_setcc(unsigned cc, bool memory)
{
	static emu_fn *const table[16][2] = {ALL_CONDITIONS(SET_FORMS)};

	return table[cc][memory];
}

/* ---- Register exchange, byte order, sign words ---- */

EMU_OP(emu_op_xchg_rr)
{
	uint64_t a, b;

	switch (i->osize) {
	case 1:
		a = *emu_r8(vp, i->rd);
		*emu_r8(vp, i->rd) = *emu_r8(vp, i->rs);
		*emu_r8(vp, i->rs) = (uint8_t)a;
		break;
	case 2:
		a = vp->r[i->rd];
		b = vp->r[i->rs];
		emu_reg_write(vp, 16, i->rd, b);
		emu_reg_write(vp, 16, i->rs, a);
		break;
	case 4:
		a = (uint32_t)vp->r[i->rd];
		vp->r[i->rd] = (uint32_t)vp->r[i->rs];
		vp->r[i->rs] = a;
		break;
	default:
		a = vp->r[i->rd];
		vp->r[i->rd] = vp->r[i->rs];
		vp->r[i->rs] = a;
		break;
	}
	EMU_NEXT(vp, i);
}

/* Undefined by the manuals; processors leave 0. */
EMU_OP(emu_op_bswap16)
{
	emu_reg_write(vp, 16, i->rd, 0);
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_bswap32)
{
	vp->r[i->rd] = __builtin_bswap32((uint32_t)vp->r[i->rd]);
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_bswap64)
{
	vp->r[i->rd] = __builtin_bswap64(vp->r[i->rd]);
	EMU_NEXT(vp, i);
}

static uint64_t swap_bytes(uint64_t value, unsigned bytes)
{
	return __builtin_bswap64(value) >> (64 - 8 * bytes);
}

static void write_sized(struct emu_vp *vp, unsigned n, unsigned bytes, uint64_t value)
{
	if (bytes == 2) {
		emu_reg_write(vp, 16, n, value);
	} else {
		vp->r[n] = bytes == 4 ? (uint32_t)value : value;
	}
}

EMU_OP(emu_op_movbe_load)
{
	uint64_t la;

	if (!emu_address(vp, i, i->osize, HV_ACCESS_READ, &la) ||
	    !emu_load_slow(vp, la, i->osize)) {
		return emu_leave(vp, i);
	}
	write_sized(vp, i->rd, i->osize, swap_bytes(vp->slow, i->osize));
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_movbe_store)
{
	uint64_t la;

	if (!emu_address(vp, i, i->osize, HV_ACCESS_WRITE, &la) ||
	    !emu_store_slow(vp, la, i->osize, swap_bytes(vp->r[i->rs], i->osize))) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_cbw)
{
	emu_reg_write(vp, 16, X86_RAX, (uint64_t)(int64_t)(int8_t)vp->r[X86_RAX]);
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_cwde)
{
	vp->r[X86_RAX] = (uint32_t)(int32_t)(int16_t)vp->r[X86_RAX];
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_cdqe)
{
	vp->r[X86_RAX] = (uint64_t)(int64_t)(int32_t)vp->r[X86_RAX];
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_cwd)
{
	emu_reg_write(vp, 16, X86_RDX, (int16_t)vp->r[X86_RAX] < 0 ? 0xffff : 0);
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_cdq)
{
	vp->r[X86_RDX] = (int32_t)vp->r[X86_RAX] < 0 ? 0xffffffffu : 0;
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_cqo)
{
	vp->r[X86_RDX] = 0 - (vp->r[X86_RAX] >> 63);
	EMU_NEXT(vp, i);
}

/* ---- Flags ---- */

EMU_OP(emu_op_lahf)
{
	*emu_r8(vp, 1) = (uint8_t)(emu_arith_get(vp) | 2);
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_sahf)
{
	emu_arith_set(vp, (*emu_r8(vp, 1) & (X86_CF | X86_PF | X86_AF | X86_ZF | X86_SF)) |
				  (emu_of(vp) ? X86_OF : 0));
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_clc)
{
	emu_set_cf(vp, false);
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_stc)
{
	emu_set_cf(vp, true);
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_cmc)
{
	emu_set_cf(vp, !emu_cf(vp));
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_cld)
{
	vp->flags &= ~X86_DF;
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_std)
{
	vp->flags |= X86_DF;
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_salc)
{
	*emu_r8(vp, 0) = emu_cf(vp) ? 0xff : 0;
	EMU_NEXT(vp, i);
}

/* ---- Table lookup, BOUND ---- */

EMU_OP(emu_op_xlat)
{
	uint64_t ea = (vp->r[X86_RBX] + *emu_r8(vp, 0)) & emu_asize_mask(i);

	if (!emu_segment_address(vp, i->seg, ea, 1, HV_ACCESS_READ) ||
	    !emu_load_slow(vp, vp->slow, 1)) {
		return emu_leave(vp, i);
	}
	*emu_r8(vp, 0) = (uint8_t)vp->slow;
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_bound)
{
	int64_t index, low, high;
	uint64_t la;

	if (!emu_address(vp, i, 2u * i->osize, HV_ACCESS_READ, &la) ||
	    !emu_load_slow(vp, la, i->osize)) {
		return emu_leave(vp, i);
	}
	low = i->osize == 2 ? (int16_t)vp->slow : (int32_t)vp->slow;
	if (!emu_load_slow(vp, la + i->osize, i->osize)) {
		return emu_leave(vp, i);
	}
	high = i->osize == 2 ? (int16_t)vp->slow : (int32_t)vp->slow;
	index = i->osize == 2 ? (int16_t)vp->r[i->rd] : (int32_t)vp->r[i->rd];
	if (index < low || index > high) {
		emu_raise(vp, X86_EXC_BR);
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

/* ---- Nothing ---- */

EMU_OP(emu_op_nop)
{
	EMU_NEXT(vp, i);
}

/* A VP that goes on spinning gives the host's processor away now and then: whoever it waits for may need it. */
EMU_OP(emu_op_pause)
{
	emu_relax(vp->vm, ++vp->pauses % PAUSES_PER_YIELD == 0 ? PAUSES_PER_YIELD : 0);
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_fence)
{
	atomic_thread_fence(memory_order_seq_cst);
	EMU_NEXT(vp, i);
}

/* CLFLUSH, CLFLUSHOPT, CLWB: a read as far as faults go. */
EMU_OP(emu_op_clflush)
{
	uint64_t la;

	if (!emu_address(vp, i, 1, HV_ACCESS_READ, &la) || !emu_probe(vp, la, 1, HV_ACCESS_READ)) {
		return emu_leave(vp, i);
	}
	EMU_NEXT(vp, i);
}

EMU_OP(emu_op_ud)
{
	emu_raise(vp, X86_EXC_UD);
	return emu_leave(vp, i);
}

EMU_OP(emu_op_too_long)
{
	emu_raise_error(vp, X86_EXC_GP, 0);
	return emu_leave(vp, i);
}
