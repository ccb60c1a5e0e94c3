/* SPDX-License-Identifier: Apache-2.0 */
/* SSE4.2 string comparison: as in exec_sse_imm.c, but with lengths in general registers and results
 * in ECX or XMM0 and EFLAGS. */
#include "decode.h"
#include "flags.h"
#include "simd.h"

#define FOR_EACH(X)                                                                                \
	X(PCMPESTRM, "0x60")                                                                       \
	X(PCMPESTRI, "0x61")                                                                       \
	X(PCMPISTRM, "0x62")                                                                       \
	X(PCMPISTRI, "0x63")

#define STUB_BYTES 8
#define STUBS(name, code)                                                                          \
	__asm__(".pushsection .text\n"                                                             \
		"	.balign 64\n"                                                                    \
		"emu_stubs_" #name ":\n"                                                           \
		"	.set emu_stub_n, 0\n"                                                            \
		"	.rept 256\n"                                                                     \
		"	.byte 0x66, 0x0f, 0x3a, " code ", 0xc1, emu_stub_n, 0xc3\n"                \
		"	.balign 8\n"                                                                     \
		"	.set emu_stub_n, emu_stub_n + 1\n"                                               \
		"	.endr\n"                                                                         \
		"	.popsection\n");                                                           \
	extern const uint8_t emu_stubs_##name[256][STUB_BYTES] __asm__("emu_stubs_" #name);
FOR_EACH(STUBS)

/* A length register, as the host's 32-bit form may see it: 64-bit lengths saturate at 16 either
 * way. */
static uint32_t length_get(const struct emu_vp *vp, const struct emu_insn *i, unsigned reg)
{
	int64_t v = i->osize == 8 ? (int64_t)vp->r[reg] : (int32_t)vp->r[reg];

	return (uint32_t)(v > 16 ? 16 : v < -16 ? -16 : v);
}

static __attribute__((noinline)) void compare(struct emu_vp *vp, const struct emu_insn *i,
					      __m128i s)
{
	register __m128i a __asm__("xmm0") = *simd_xmm(vp, i->rd);
	register __m128i b __asm__("xmm1") = s;
	uint32_t index = 0;
	uint64_t flags;

	/* The call must not write to the red zone. */
	__asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"
			 "call *%[stub]\n\t"
			 "pushfq\n\t"
			 "popq %[flags]\n\t"
			 "leaq 128(%%rsp), %%rsp"
			 : "+x"(a), "+c"(index), [flags] "=&r"(flags)
			 : "x"(b), "a"(length_get(vp, i, X86_RAX)),
			   "d"(length_get(vp, i, X86_RDX)), [stub] "r"(i->aux)
			 : "cc", "memory");
	emu_arith_set(vp, (uint32_t)flags & X86_ARITH);
	if (i->imm) {
		*simd_xmm(vp, 0) = a;
	} else {
		vp->r[X86_RCX] = index;
	}
}

static const struct emu_insn *string_rr(struct emu_vp *vp, const struct emu_insn *i)
{
	if (simd_sse_blocked(vp)) {
		return simd_sse_refuse(vp, i);
	}
	compare(vp, i, *simd_xmm(vp, i->rs));
	EMU_NEXT(vp, i);
}

static const struct emu_insn *string_rm(struct emu_vp *vp, const struct emu_insn *i)
{
	__m128i s;

	if (simd_sse_blocked(vp)) {
		return simd_sse_refuse(vp, i);
	}
	if (!simd_load128(vp, i, false, &s)) {
		return emu_leave(vp, i);
	}
	compare(vp, i, s);
	EMU_NEXT(vp, i);
}

bool simd_lift_string(const struct emu_decoded *d, struct emu_insn *i)
{
	const uint8_t(*stubs)[STUB_BYTES];

	switch (d->insn.mnemonic) { /* NOLINT */
#define CASE(name, code)                                                                           \
	case ZYDIS_MNEMONIC_##name:                                                                \
		stubs = emu_stubs_##name;                                                          \
		break;
		FOR_EACH(CASE)
	default:
		return false;
	}
	i->aux = (uintptr_t)stubs[i->imm & 0xff];
	i->imm = d->insn.mnemonic == ZYDIS_MNEMONIC_PCMPESTRM ||
		 d->insn.mnemonic == ZYDIS_MNEMONIC_PCMPISTRM;
	i->osize = d->insn.attributes & ZYDIS_ATTRIB_HAS_REX && d->insn.raw.rex.W ? 8 : 4;
	i->fn = d->mem != NULL ? string_rm : string_rr;
	return true;
}
