/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lazy arithmetic flags. Every flag-setting instruction leaves two words; a flag is worked out when somebody asks.
 *   lf_result  sign-extended result: ZF = (result == 0), SF = bit 63, PF = parity of its low byte
 *   lf_carry   carries: CF = bit 63, OF = bit 63 ^ bit 62, AF = bit 3
 * Flags that disagree with the result (POPF, SAHF, CMPXCHG8B's ZF alone, ..) use the deltas kept in lf_carry bits:
 *   bit 8: ZF delta, bits 16..23: xored into the low byte for PF (bit 16 used), bit 9: SF delta
 * so that any combination can be written.
 */
#ifndef EMU_FLAGS_H
#define EMU_FLAGS_H

#include "vp.h"

#endif
