/* SPDX-License-Identifier: Apache-2.0 */
/* What decode.c gives to the lifters. */
#ifndef EMU_DECODE_H
#define EMU_DECODE_H

#include <Zydis/Zydis.h>

#include "vp.h"

struct emu_decoded {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	const uint8_t *code; /* the instruction's bytes */
	enum emu_mode mode;
	struct emu_vp *vp;
	const ZydisDecodedOperand *mem; /* the explicit memory operand, or NULL */
};

/* Index into vp->r, byte offset for 8-bit registers, or xmm/mm/st/seg/cr/dr number of a Zydis register. */
uint8_t emu_reg_number(ZydisRegister reg);

bool emu_lift_int(const struct emu_decoded *d, struct emu_insn *i); /* lift_int.c */
bool emu_lift_sys(const struct emu_decoded *d, struct emu_insn *i); /* lift_sys.c */
bool emu_lift_x87(const struct emu_decoded *d, struct emu_insn *i); /* lift_x87.c */
bool emu_lift_simd(const struct emu_decoded *d, struct emu_insn *i); /* lift_simd.c: MMX, SSE.., AES, PCLMUL, FXSAVE, XSAVE, LDMXCSR */

#endif
