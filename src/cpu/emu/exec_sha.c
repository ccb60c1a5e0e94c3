/* SPDX-License-Identifier: Apache-2.0 */
/* SHA extensions, in C: few hosts have them and the rounds are short. Words are numbered as in the
 * registers: 3 is the highest. */
#include "simd.h"

static uint32_t rotl(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static uint32_t rotr(uint32_t v, unsigned n)
{
	return v >> n | v << (32 - n);
}

static uint32_t choose(uint32_t x, uint32_t y, uint32_t z)
{
	return (x & y) ^ (~x & z);
}

static uint32_t majority(uint32_t x, uint32_t y, uint32_t z)
{
	return (x & y) ^ (x & z) ^ (y & z);
}

static uint32_t sha1_function(unsigned which, uint32_t b, uint32_t c, uint32_t d)
{
	return which == 0 ? choose(b, c, d) : which == 2 ? majority(b, c, d) : b ^ c ^ d;
}

static void SHA1RNDS4_do(struct emu_vp *vp, const struct emu_insn *i, union emu_xmm *x,
			 const union emu_xmm *s)
{
	static const uint32_t constants[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
	unsigned which = i->imm & 3;
	uint32_t a = x->u32[3], b = x->u32[2], c = x->u32[1], d = x->u32[0], e = 0;

	for (unsigned n = 0; n < 4; n++) {
		uint32_t next = sha1_function(which, b, c, d) + rotl(a, 5) + s->u32[3 - n] + e +
				constants[which];

		e = d;
		d = c;
		c = rotl(b, 30);
		b = a;
		a = next;
	}
	x->u32[3] = a;
	x->u32[2] = b;
	x->u32[1] = c;
	x->u32[0] = d;
}

static void SHA1NEXTE_do(struct emu_vp *vp, const struct emu_insn *i, union emu_xmm *x,
			 const union emu_xmm *s)
{
	uint32_t next = s->u32[3] + rotl(x->u32[3], 30);

	*x = *s;
	x->u32[3] = next;
}

static void SHA1MSG1_do(struct emu_vp *vp, const struct emu_insn *i, union emu_xmm *x,
			const union emu_xmm *s)
{
	uint32_t w2 = x->u32[1], w3 = x->u32[0];

	x->u32[3] ^= w2;
	x->u32[2] ^= w3;
	x->u32[1] = s->u32[3] ^ w2;
	x->u32[0] = s->u32[2] ^ w3;
}

static void SHA1MSG2_do(struct emu_vp *vp, const struct emu_insn *i, union emu_xmm *x,
			const union emu_xmm *s)
{
	x->u32[3] = rotl(x->u32[3] ^ s->u32[2], 1);
	x->u32[2] = rotl(x->u32[2] ^ s->u32[1], 1);
	x->u32[1] = rotl(x->u32[1] ^ s->u32[0], 1);
	x->u32[0] = rotl(x->u32[0] ^ x->u32[3], 1);
}

static void SHA256RNDS2_do(struct emu_vp *vp, const struct emu_insn *i, union emu_xmm *x,
			   const union emu_xmm *s)
{
	const union emu_xmm *wk = &vp->fpu.xmm[0];
	uint32_t a = s->u32[3], b = s->u32[2], c = x->u32[3], d = x->u32[2];
	uint32_t e = s->u32[1], f = s->u32[0], g = x->u32[1], h = x->u32[0];
	uint32_t words[2] = {wk->u32[0], wk->u32[1]};

	for (unsigned n = 0; n < 2; n++) {
		uint32_t t =
			choose(e, f, g) + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + words[n] + h;
		uint32_t next = t + majority(a, b, c) + (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22));

		h = g;
		g = f;
		f = e;
		e = d + t;
		d = c;
		c = b;
		b = a;
		a = next;
	}
	x->u32[3] = a;
	x->u32[2] = b;
	x->u32[1] = e;
	x->u32[0] = f;
}

static uint32_t sigma0(uint32_t v)
{
	return rotr(v, 7) ^ rotr(v, 18) ^ v >> 3;
}

static uint32_t sigma1(uint32_t v)
{
	return rotr(v, 17) ^ rotr(v, 19) ^ v >> 10;
}

static void SHA256MSG1_do(struct emu_vp *vp, const struct emu_insn *i, union emu_xmm *x,
			  const union emu_xmm *s)
{
	x->u32[0] += sigma0(x->u32[1]);
	x->u32[1] += sigma0(x->u32[2]);
	x->u32[2] += sigma0(x->u32[3]);
	x->u32[3] += sigma0(s->u32[0]);
}

static void SHA256MSG2_do(struct emu_vp *vp, const struct emu_insn *i, union emu_xmm *x,
			  const union emu_xmm *s)
{
	x->u32[0] += sigma1(s->u32[2]);
	x->u32[1] += sigma1(s->u32[3]);
	x->u32[2] += sigma1(x->u32[0]);
	x->u32[3] += sigma1(x->u32[1]);
}

#define FOR_EACH(X)                                                                                \
	X(SHA1RNDS4)                                                                               \
	X(SHA1NEXTE)                                                                               \
	X(SHA1MSG1)                                                                                \
	X(SHA1MSG2)                                                                                \
	X(SHA256RNDS2)                                                                             \
	X(SHA256MSG1)                                                                              \
	X(SHA256MSG2)

/* Destination and source may be the same register: both go through copies. */
#define DEFINE(name)                                                                               \
	static __attribute__((noinline)) void name##_run(struct emu_vp *vp,                        \
							 const struct emu_insn *i, __m128i source) \
	{                                                                                          \
		union emu_xmm s, x = vp->fpu.xmm[i->rd];                                           \
                                                                                                   \
		*(__m128i *)(void *)&s = source;                                                   \
		name##_do(vp, i, &x, &s);                                                          \
		vp->fpu.xmm[i->rd] = x;                                                            \
	}                                                                                          \
	static const struct emu_insn *name##_rr(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		name##_run(vp, i, *simd_xmm(vp, i->rs));                                           \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static const struct emu_insn *name##_rm(struct emu_vp *vp, const struct emu_insn *i)       \
	{                                                                                          \
		__m128i s;                                                                         \
                                                                                                   \
		if (simd_sse_blocked(vp)) {                                                        \
			return simd_sse_refuse(vp, i);                                             \
		}                                                                                  \
		if (!simd_load128(vp, i, true, &s)) {                                              \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		name##_run(vp, i, s);                                                              \
		EMU_NEXT(vp, i);                                                                   \
	}
FOR_EACH(DEFINE)

const struct simd_pair *simd_find_sha(ZydisMnemonic mnemonic)
{
#define PAIR(name) static const struct simd_pair name##_pair = {name##_rr, name##_rm};
	FOR_EACH(PAIR)

	switch (mnemonic) { /* NOLINT */
#define CASE(name)                                                                                 \
	case ZYDIS_MNEMONIC_##name:                                                                \
		return &name##_pair;
		FOR_EACH(CASE)
	default:
		return NULL;
	}
}
