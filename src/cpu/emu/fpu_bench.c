/* SPDX-License-Identifier: Apache-2.0 */
/* How fast common floating-point and SIMD loops run in the engine: one line each, in millions of
 * guest instructions per second. */
#include <time.h>

#include "fpu_machine.h"

#define ROUNDS 400000u

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* @body runs ROUNDS times with RSI at two pages of zeroes. */
static void measure(struct machine *m, const char *name, struct code body)
{
	/* mov ecx, ROUNDS; body; dec ecx; jnz body */
	uint8_t image[256] = {0xb9, ROUNDS & 0xff, ROUNDS >> 8 & 0xff, ROUNDS >> 16 & 0xff, 0};
	size_t bytes = (size_t)(body.end - body.start);
	int32_t back = -(int32_t)(bytes + 8);
	uint64_t before = emu_engine_ops.instructions(m->vp), count;
	struct code code = {image, image + 5 + bytes + 8};
	double start = now(), seconds;
	unsigned result;

	memcpy(image + 5, body.start, bytes);
	memcpy(image + 5 + bytes, (const uint8_t[]){0xff, 0xc9, 0x0f, 0x85}, 4);
	memcpy(image + 5 + bytes + 4, &back, 4);
	result = run(m, code);
	seconds = now() - start;
	count = emu_engine_ops.instructions(m->vp) - before;
	printf("%-28s %8.1f M/s  %6.2f ns per round%s\n", name, (double)count / seconds / 1e6,
	       seconds * 1e9 / ROUNDS, result == HALTED ? "" : "  (ended by an exception)");
}

int main(void)
{
	struct machine m;

	machine_start(&m);
	(void)run(&m, ASM("fninit; fld1; fld1"));
	measure(&m, "copy 64 bytes (movups)",
		ASM("movups (%%rsi), %%xmm0; movups 16(%%rsi), %%xmm1; movups 32(%%rsi), %%xmm2; "
		    "movups 48(%%rsi), %%xmm3;"
		    "movaps %%xmm0, 64(%%rsi); movaps %%xmm1, 80(%%rsi); movaps %%xmm2, 96(%%rsi); "
		    "movaps %%xmm3, 112(%%rsi)"));
	measure(&m, "find a byte (pcmpeqb)",
		ASM("movdqa (%%rsi), %%xmm1; movdqa 16(%%rsi), %%xmm2; pminub %%xmm2, %%xmm1; "
		    "pcmpeqb %%xmm0, %%xmm1;"
		    "pmovmskb %%xmm1, %%eax; test %%eax, %%eax"));
	measure(&m, "parity (pxor)",
		ASM("movdqa (%%rsi), %%xmm0; pxor 16(%%rsi), %%xmm0; pxor 32(%%rsi), %%xmm0;"
		    "pxor 48(%%rsi), %%xmm0; movdqa %%xmm0, 64(%%rsi)"));
	measure(&m, "shuffle (pshufb, pshufd)",
		ASM("pshufb %%xmm1, %%xmm0; pshufd $0x1b, %%xmm0, %%xmm2; punpcklbw %%xmm2, "
		    "%%xmm3"));
	measure(&m, "AES round (aesenc)",
		ASM("aesenc %%xmm1, %%xmm0; aesenc %%xmm2, %%xmm0; aesenc %%xmm3, %%xmm0"));
	measure(&m, "doubles (mulsd, addsd)",
		ASM("movsd (%%rsi), %%xmm0; mulsd 8(%%rsi), %%xmm0; addsd %%xmm0, %%xmm1"));
	measure(&m, "4 floats (mulps, addps)",
		ASM("movaps (%%rsi), %%xmm0; mulps %%xmm2, %%xmm0; addps %%xmm0, %%xmm1"));
	measure(&m, "convert (cvtsi2sd)", ASM("cvtsi2sd %%ecx, %%xmm0; cvttsd2si %%xmm0, %%eax"));
	measure(&m, "compare (ucomisd)", ASM("ucomisd %%xmm1, %%xmm0; ja 3f; nop; 3:"));
	measure(&m, "x87 (fld, fmul, fadd, fstp)",
		ASM("fldl (%%rsi); fmull 8(%%rsi); fadd %%st(1), %%st; fstpl 16(%%rsi)"));
	measure(&m, "x87 (fsin)", ASM("fldl (%%rsi); fsin; fstp %%st(0)"));
	measure(&m, "xsave64, xrstor64",
		ASM("mov $3, %%eax; xor %%edx, %%edx; xsave64 256(%%rsi); xrstor64 256(%%rsi)"));
	measure(&m, "fxsave64, fxrstor64", ASM("fxsave64 256(%%rsi); fxrstor64 256(%%rsi)"));
	measure(&m, "MMX (paddw)",
		ASM("movq (%%rsi), %%mm0; paddw %%mm1, %%mm0; movq %%mm0, 8(%%rsi)"));
	machine_stop(&m);
	return 0;
}
