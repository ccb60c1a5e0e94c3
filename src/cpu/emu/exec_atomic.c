/* SPDX-License-Identifier: Apache-2.0 */
/* Locked read-modify-writes on guest memory by host atomics; XCHG, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B. */
#define EMU_HOT
#include "exec.h"

#define COMPUTE_add (a + b)
#define COMPUTE_or (a | b)
#define COMPUTE_adc (a + b + carry)
#define COMPUTE_sbb (a - b - carry)
#define COMPUTE_and (a & b)
#define COMPUTE_sub (a - b)
#define COMPUTE_xor (a ^ b)
#define COMPUTE_inc (a + 1)
#define COMPUTE_dec (a - 1)
#define COMPUTE_neg (0 - a)
#define COMPUTE_not (~a)

#define FLAGS_add(bits) emu_flags_add(vp, bits, a, b, r)
#define FLAGS_or(bits) emu_flags_logic(vp, bits, r)
#define FLAGS_adc(bits) emu_flags_add(vp, bits, a, b, r)
#define FLAGS_sbb(bits) emu_flags_sub(vp, bits, a, b, r)
#define FLAGS_and(bits) emu_flags_logic(vp, bits, r)
#define FLAGS_sub(bits) emu_flags_sub(vp, bits, a, b, r)
#define FLAGS_xor(bits) emu_flags_logic(vp, bits, r)
#define KEEP_CF(flags)                                                                             \
	do {                                                                                       \
		uint64_t before = vp->lf_carry;                                                    \
                                                                                                   \
		flags;                                                                             \
		vp->lf_carry ^= (0 - ((before ^ vp->lf_carry) >> 63)) & (EMU_LF_CF | EMU_LF_PO);   \
	} while (0)
#define FLAGS_inc(bits) KEEP_CF(emu_flags_add(vp, bits, a, 1, r))
#define FLAGS_dec(bits) KEEP_CF(emu_flags_sub(vp, bits, a, 1, r))
#define FLAGS_neg(bits) emu_flags_sub(vp, bits, 0, a, r)
#define FLAGS_not(bits) ((void)0)

/*
 * a becomes the old value of the memory at la and r = @compute of it is stored, atomically; @on_fault runs before the handler leaves. The
 * operand is either reached by a host pointer (vp->slow) or under the split lock.
 */
#define ATOMICALLY(bits, compute)                                                                  \
	do {                                                                                       \
		uint##bits##_t *host;                                                              \
                                                                                                   \
		if (!emu_atomic_host(vp, la, bits / 8)) {                                          \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		host = (void *)(uintptr_t)vp->slow;                                                \
		if (likely(host != NULL)) {                                                        \
			uint##bits##_t seen = __atomic_load_n(host, __ATOMIC_RELAXED);             \
                                                                                                   \
			for (;;) {                                                                 \
				uint##bits##_t was;                                                \
                                                                                                   \
				a = seen;                                                          \
				r = (uint##bits##_t)(compute);                                     \
				was = __sync_val_compare_and_swap(host, a, r);                     \
				if (was == a) {                                                    \
					break;                                                     \
				}                                                                  \
				seen = was;                                                        \
			}                                                                          \
			emu_atomic_done(vp, la, bits / 8, host);                                   \
		} else {                                                                           \
			if (!emu_rmw_begin(vp, la, bits / 8)) {                                    \
				emu_atomic_done(vp, la, bits / 8, NULL);                           \
				return emu_leave(vp, i);                                           \
			}                                                                          \
			a = (uint##bits##_t)vp->slow;                                              \
			r = (uint##bits##_t)(compute);                                             \
			if (!emu_store_slow(vp, la, bits / 8, r)) {                                \
				emu_atomic_done(vp, la, bits / 8, NULL);                           \
				return emu_leave(vp, i);                                           \
			}                                                                          \
			emu_atomic_done(vp, la, bits / 8, NULL);                                   \
		}                                                                                  \
	} while (0)

#define ADDRESS(bits)                                                                              \
	do {                                                                                       \
		if (!emu_address(vp, i, bits / 8, HV_ACCESS_WRITE, &la)) {                         \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
	} while (0)

#define DEFINE_LOCKED(op, bits)                                                                    \
	static EMU_OP(op##bits##_l)                                                                \
	{                                                                                          \
		uint##bits##_t a, b, r;                                                            \
		unsigned carry = emu_cf(vp);                                                       \
		uint64_t la;                                                                       \
                                                                                                   \
		(void)carry;                                                                       \
		ADDRESS(bits);                                                                     \
		b = (uint##bits##_t)(i->rs == EMU_ATOMIC_IMM ? i->imm                              \
							     : emu_reg_read(vp, bits, i->rs));     \
		ATOMICALLY(bits, COMPUTE_##op);                                                    \
		FLAGS_##op(bits);                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}
#define DEFINE_LOCKED_UNARY(op, bits)                                                              \
	static EMU_OP(op##bits##_l)                                                                \
	{                                                                                          \
		uint##bits##_t a, r;                                                               \
		uint64_t la;                                                                       \
                                                                                                   \
		ADDRESS(bits);                                                                     \
		ATOMICALLY(bits, COMPUTE_##op);                                                    \
		FLAGS_##op(bits);                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}
#define ALL_SIZES(define, op) define(op, 8) define(op, 16) define(op, 32) define(op, 64)
ALL_SIZES(DEFINE_LOCKED, add)
ALL_SIZES(DEFINE_LOCKED, or)
ALL_SIZES(DEFINE_LOCKED, adc)
ALL_SIZES(DEFINE_LOCKED, sbb)
ALL_SIZES(DEFINE_LOCKED, and)
ALL_SIZES(DEFINE_LOCKED, sub)
ALL_SIZES(DEFINE_LOCKED, xor)
ALL_SIZES(DEFINE_LOCKED_UNARY, inc)
ALL_SIZES(DEFINE_LOCKED_UNARY, dec)
ALL_SIZES(DEFINE_LOCKED_UNARY, neg)
ALL_SIZES(DEFINE_LOCKED_UNARY, not )

#define LOCKED_SIZES(op)                                                                           \
	{                                                                                          \
		op##8_l, op##16_l, op##32_l, op##64_l                                              \
	}

emu_fn *emu_find_locked_alu(enum emu_alu op, unsigned log)
{
	static emu_fn *const table[EMU_CMP][4] = {
		LOCKED_SIZES(add), LOCKED_SIZES(or),  LOCKED_SIZES(adc), LOCKED_SIZES(sbb),
		LOCKED_SIZES(and), LOCKED_SIZES(sub), LOCKED_SIZES(xor),
	};

	return op < EMU_CMP ? table[op][log] : NULL;
}

emu_fn *emu_find_locked_unary(enum emu_unary op, unsigned log)
{
	static emu_fn *const table[EMU_UNARY_OPS][4] = {LOCKED_SIZES(inc), LOCKED_SIZES(dec),
							LOCKED_SIZES(neg), LOCKED_SIZES(not )};

	return table[op][log];
}

/* ---- XCHG with memory (always locked), XADD ---- */

#define DEFINE_XCHG(bits)                                                                          \
	static EMU_OP(xchg##bits##_m)                                                              \
	{                                                                                          \
		uint##bits##_t a, r;                                                               \
		uint64_t la;                                                                       \
                                                                                                   \
		ADDRESS(bits);                                                                     \
		ATOMICALLY(bits, emu_reg_read(vp, bits, i->rs));                                   \
		(void)r;                                                                           \
		emu_reg_write(vp, bits, i->rs, a);                                                 \
		EMU_NEXT(vp, i);                                                                   \
	}
DEFINE_XCHG(8)
DEFINE_XCHG(16)
DEFINE_XCHG(32)
DEFINE_XCHG(64)

emu_fn *emu_find_xchg(unsigned log)
{
	static emu_fn *const table[4] = {xchg8_m, xchg16_m, xchg32_m, xchg64_m};

	return table[log];
}

/* The unlocked form on memory is atomic too: nobody can tell. */
#define DEFINE_XADD(bits)                                                                          \
	static EMU_OP(xadd##bits##_m)                                                              \
	{                                                                                          \
		uint##bits##_t a, b = (uint##bits##_t)emu_reg_read(vp, bits, i->rs), r;            \
		uint64_t la;                                                                       \
                                                                                                   \
		ADDRESS(bits);                                                                     \
		ATOMICALLY(bits, a + b);                                                           \
		emu_flags_add(vp, bits, a, b, r);                                                  \
		emu_reg_write(vp, bits, i->rs, a);                                                 \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static EMU_OP(xadd##bits##_r)                                                              \
	{                                                                                          \
		uint##bits##_t a = (uint##bits##_t)emu_reg_read(vp, bits, i->rd);                  \
		uint##bits##_t b = (uint##bits##_t)emu_reg_read(vp, bits, i->rs);                  \
		uint##bits##_t r = (uint##bits##_t)(a + b);                                        \
                                                                                                   \
		emu_flags_add(vp, bits, a, b, r);                                                  \
		emu_reg_write(vp, bits, i->rs, a);                                                 \
		emu_reg_write(vp, bits, i->rd, r);                                                 \
		EMU_NEXT(vp, i);                                                                   \
	}
DEFINE_XADD(8)
DEFINE_XADD(16)
DEFINE_XADD(32)
DEFINE_XADD(64)

emu_fn *emu_find_xadd(unsigned log, bool memory, bool lock)
{
	static emu_fn *const table[4][2] = {{xadd8_r, xadd8_m},
					    {xadd16_r, xadd16_m},
					    {xadd32_r, xadd32_m},
					    {xadd64_r, xadd64_m}};

	(void)lock;
	return table[log][memory];
}

/* ---- CMPXCHG ---- */

#define DEFINE_CMPXCHG(bits)                                                                       \
	static EMU_OP(cmpxchg##bits##_m)                                                           \
	{                                                                                          \
		uint##bits##_t a, b = (uint##bits##_t)emu_reg_read(vp, bits, i->rs), r;            \
		uint##bits##_t wanted = (uint##bits##_t)emu_reg_read(vp, bits, X86_RAX);           \
		uint64_t la;                                                                       \
                                                                                                   \
		ADDRESS(bits);                                                                     \
		ATOMICALLY(bits, a == wanted ? b : a);                                             \
		emu_flags_sub(vp, bits, wanted, a, (uint##bits##_t)(wanted - a));                  \
		if (a != wanted) {                                                                 \
			emu_reg_write(vp, bits, X86_RAX, a);                                       \
		}                                                                                  \
		(void)r;                                                                           \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static EMU_OP(cmpxchg##bits##_r)                                                           \
	{                                                                                          \
		uint##bits##_t a = (uint##bits##_t)emu_reg_read(vp, bits, i->rd);                  \
		uint##bits##_t wanted = (uint##bits##_t)emu_reg_read(vp, bits, X86_RAX);           \
                                                                                                   \
		emu_flags_sub(vp, bits, wanted, a, (uint##bits##_t)(wanted - a));                  \
		if (a == wanted) {                                                                 \
			emu_reg_write(vp, bits, i->rd, emu_reg_read(vp, bits, i->rs));             \
		} else {                                                                           \
			emu_reg_write(vp, bits, X86_RAX, a);                                       \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}
DEFINE_CMPXCHG(8)
DEFINE_CMPXCHG(16)
DEFINE_CMPXCHG(32)
DEFINE_CMPXCHG(64)

emu_fn *emu_find_cmpxchg(unsigned log, bool memory, bool lock)
{
	static emu_fn *const table[4][2] = {
		{cmpxchg8_r, cmpxchg8_m},
		{cmpxchg16_r, cmpxchg16_m},
		{cmpxchg32_r, cmpxchg32_m},
		{cmpxchg64_r, cmpxchg64_m},
	};

	(void)lock;
	return table[log][memory];
}

EMU_OP(emu_op_cmpxchg8b)
{
	uint64_t wanted = vp->r[X86_RDX] << 32 | (uint32_t)vp->r[X86_RAX];
	uint64_t b = vp->r[X86_RCX] << 32 | (uint32_t)vp->r[X86_RBX];
	uint64_t a, r, la;

	ADDRESS(64);
	ATOMICALLY(64, a == wanted ? b : a);
	(void)r;
	emu_set_zf(vp, a == wanted);
	if (a != wanted) {
		vp->r[X86_RAX] = (uint32_t)a;
		vp->r[X86_RDX] = a >> 32;
	}
	EMU_NEXT(vp, i);
}

/* Value at *@host compared with RDX:RAX; true and RCX:RBX stored, or false and RDX:RAX loaded. */
static bool exchange16(struct emu_vp *vp, void *host)
{
	bool equal;

	__asm__ volatile("lock cmpxchg16b %1"
			 : "=@ccz"(equal), "+m"(*(unsigned __int128 *)host), "+a"(vp->r[X86_RAX]),
			   "+d"(vp->r[X86_RDX])
			 : "b"(vp->r[X86_RBX]), "c"(vp->r[X86_RCX])
			 : "memory");
	return equal;
}

EMU_OP(emu_op_cmpxchg16b)
{
	uint64_t la;
	bool equal;

	ADDRESS(128);
	if (la & 15) {
		emu_raise_error(vp, X86_EXC_GP, 0);
		return emu_leave(vp, i);
	}
	if (!emu_atomic_host(vp, la, 16)) {
		return emu_leave(vp, i);
	}
	if (vp->slow == 0) {
		/* Device memory: a pair of reads and writes is all there is. */
		emu_atomic_done(vp, la, 16, NULL);
		emu_raise_error(vp, X86_EXC_GP, 0);
		return emu_leave(vp, i);
	}
	equal = exchange16(vp, (void *)(uintptr_t)vp->slow);
	emu_atomic_done(vp, la, 16, (void *)1);
	emu_set_zf(vp, equal);
	EMU_NEXT(vp, i);
}
