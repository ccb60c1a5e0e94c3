/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lazy arithmetic flags. Every flag-setting instruction leaves two words; a flag is worked out when somebody asks.
 *   lf_result  sign-extended result: ZF = (result == 0), SF = bit 63, PF = even parity of its low byte
 *   lf_carry   carries: CF = bit 63, OF = bit 63 ^ bit 62, AF = bit 3
 * Flags that disagree with the result (POPF, SAHF, ..) need help only when ZF is set, that is result 0: then lf_carry's bit 9 sets SF and
 * bit 16 turns PF over. All other bits of lf_carry's low half are 0 (or meaningless above bit 31).
 */
#ifndef EMU_FLAGS_H
#define EMU_FLAGS_H

#include "vp.h"

#define EMU_LF_CF (UINT64_C(1) << 63)
#define EMU_LF_PO (UINT64_C(1) << 62) /* carry into the top bit: OF = CF ^ this */
#define EMU_LF_AF (UINT64_C(1) << 3)
#define EMU_LF_SF_SET (UINT64_C(1) << 9)
#define EMU_LF_PF_XOR (UINT64_C(1) << 16)

static inline bool emu_cf(const struct emu_vp *vp)
{
	return vp->lf_carry >> 63;
}

static inline bool emu_of(const struct emu_vp *vp)
{
	return (vp->lf_carry ^ (vp->lf_carry << 1)) >> 63;
}

static inline bool emu_zf(const struct emu_vp *vp)
{
	return vp->lf_result == 0;
}

static inline bool emu_sf(const struct emu_vp *vp)
{
	return (vp->lf_result | (vp->lf_carry << 54)) >> 63;
}

static inline bool emu_pf(const struct emu_vp *vp)
{
	return !__builtin_parity((uint32_t)((vp->lf_result ^ (vp->lf_carry >> 16)) & 0xff));
}

static inline bool emu_af(const struct emu_vp *vp)
{
	return vp->lf_carry & EMU_LF_AF;
}

/* SF != OF */
static inline bool emu_less(const struct emu_vp *vp)
{
	return ((vp->lf_result | (vp->lf_carry << 54)) ^ vp->lf_carry ^ (vp->lf_carry << 1)) >> 63;
}

/* The condition of Jcc, SETcc, CMOVcc: @cc is the low four bits of the opcode. */
static inline __attribute__((always_inline)) bool emu_condition(const struct emu_vp *vp,
								unsigned cc)
{
	bool yes = false;

	switch (cc >> 1) {
	case 0:
		yes = emu_of(vp);
		break;
	case 1:
		yes = emu_cf(vp);
		break;
	case 2:
		yes = emu_zf(vp);
		break;
	case 3:
		yes = emu_cf(vp) || emu_zf(vp);
		break;
	case 4:
		yes = emu_sf(vp);
		break;
	case 5:
		yes = emu_pf(vp);
		break;
	case 6:
		yes = emu_less(vp);
		break;
	default:
		yes = emu_zf(vp) || emu_less(vp);
		break;
	}
	return yes != (cc & 1);
}

/* @result: sign-extended from @bits; @vector: carry out of each bit position (bits above @bits may be anything). */
static inline __attribute__((always_inline)) void emu_flags_vector(struct emu_vp *vp, unsigned bits,
								   uint64_t result, uint64_t vector)
{
	vp->lf_result = result;
	if (bits == 64) {
		vp->lf_carry = vector & (EMU_LF_CF | EMU_LF_PO | EMU_LF_AF);
	} else {
		vp->lf_carry = (vector << (64 - bits)) | (vector & EMU_LF_AF);
	}
}

static inline __attribute__((always_inline)) uint64_t emu_sign_extend(uint64_t value, unsigned bits)
{
	return bits == 8    ? (uint64_t)(int64_t)(int8_t)value
	       : bits == 16 ? (uint64_t)(int64_t)(int16_t)value
	       : bits == 32 ? (uint64_t)(int64_t)(int32_t)value
			    : value;
}

/* @sum = @a + @b (+ carry), low @bits bits of each count. */
static inline __attribute__((always_inline)) void
emu_flags_add(struct emu_vp *vp, unsigned bits, uint64_t a, uint64_t b, uint64_t sum)
{
	emu_flags_vector(vp, bits, emu_sign_extend(sum, bits), (a & b) | ((a | b) & ~sum));
}

/* @difference = @a - @b (- borrow). */
static inline __attribute__((always_inline)) void
emu_flags_sub(struct emu_vp *vp, unsigned bits, uint64_t a, uint64_t b, uint64_t difference)
{
	emu_flags_vector(vp, bits, emu_sign_extend(difference, bits),
			 (~a & b) | (~(a ^ b) & difference));
}

/* AND, OR, XOR, TEST: CF = OF = AF = 0. */
static inline __attribute__((always_inline)) void emu_flags_logic(struct emu_vp *vp, unsigned bits,
								  uint64_t result)
{
	vp->lf_result = emu_sign_extend(result, bits);
	vp->lf_carry = 0;
}

/* ZF, SF, PF from @result, the rest as given. */
static inline __attribute__((always_inline)) void
emu_flags_result(struct emu_vp *vp, unsigned bits, uint64_t result, bool cf, bool of, bool af)
{
	vp->lf_result = emu_sign_extend(result, bits);
	vp->lf_carry = (uint64_t)cf << 63 | (uint64_t)(cf != of) << 62 | (uint64_t)af << 3;
}

/* CF alone; the others stay. */
static inline void emu_set_cf(struct emu_vp *vp, bool cf)
{
	if (emu_cf(vp) != cf) {
		vp->lf_carry ^= EMU_LF_CF | EMU_LF_PO;
	}
}

/* CF and OF; the others stay. */
static inline void emu_set_cf_of(struct emu_vp *vp, bool cf, bool of)
{
	vp->lf_carry = (vp->lf_carry & ~(EMU_LF_CF | EMU_LF_PO)) | (uint64_t)cf << 63 |
		       (uint64_t)(cf != of) << 62;
}

/* The six arithmetic flags at once, as X86_* bits. */
static inline uint32_t emu_arith_get(const struct emu_vp *vp)
{
	return (emu_cf(vp) ? X86_CF : 0) | (emu_pf(vp) ? X86_PF : 0) | (emu_af(vp) ? X86_AF : 0) |
	       (emu_zf(vp) ? X86_ZF : 0) | (emu_sf(vp) ? X86_SF : 0) | (emu_of(vp) ? X86_OF : 0);
}

static inline void emu_arith_set(struct emu_vp *vp, uint32_t flags)
{
	bool cf = flags & X86_CF, of = flags & X86_OF, pf = flags & X86_PF;
	uint64_t carry =
		(uint64_t)cf << 63 | (uint64_t)(cf != of) << 62 | (flags & X86_AF ? EMU_LF_AF : 0);

	if (flags & X86_ZF) {
		vp->lf_result = 0;
		vp->lf_carry =
			carry | (flags & X86_SF ? EMU_LF_SF_SET : 0) | (pf ? 0 : EMU_LF_PF_XOR);
	} else {
		vp->lf_result = (flags & X86_SF ? UINT64_C(1) << 63 : 0) | (pf ? 3 : 1);
		vp->lf_carry = carry;
	}
}

/* ZF alone; the others stay. */
static inline void emu_set_zf(struct emu_vp *vp, bool zf)
{
	emu_arith_set(vp, (emu_arith_get(vp) & ~X86_ZF) | (zf ? X86_ZF : 0));
}

#endif
