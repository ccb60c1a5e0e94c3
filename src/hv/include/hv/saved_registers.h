/* SPDX-License-Identifier: Apache-2.0 */
/* Which registers of a VP are saved by name, as runs, in the order in which they are put back: mode first. */
#ifndef HV_SAVED_REGISTERS_H
#define HV_SAVED_REGISTERS_H

#include "abi/hv.h"

static const struct {
	uint32_t first;
	uint32_t last;
} hv_saved_registers[] = {
	{HvX64RegisterEfer, HvX64RegisterEfer},
	{HvX64RegisterCr4, HvX64RegisterCr4},
	{HvX64RegisterCr3, HvX64RegisterCr3},
	{HvX64RegisterCr0, HvX64RegisterCr0},
	{HvX64RegisterCr2, HvX64RegisterCr2},
	{HvX64RegisterXfem, HvX64RegisterXfem},
	{HvX64RegisterEs, HvX64RegisterTr},
	{HvX64RegisterIdtr, HvX64RegisterGdtr},
	{HvX64RegisterRax, HvX64RegisterRflags},
	{HvX64RegisterXmm0, HvX64RegisterXmmControlStatus},
	{HvX64RegisterDr0, HvX64RegisterDr7},
	{HvX64RegisterKernelGsBase, HvX64RegisterKernelGsBase},
	{HvX64RegisterPat, HvX64RegisterSfmask},
	{HvX64RegisterMsrMtrrDefType, HvX64RegisterDebugCtl},
	{HvX64RegisterSpecCtrl, HvX64RegisterSpecCtrl},
	{HvX64RegisterMsrIa32MiscEnable, HvX64RegisterIa32FeatureControl},
};

#endif
