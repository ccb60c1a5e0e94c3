/* SPDX-License-Identifier: Apache-2.0 */
/* What engine.c and run.c need of the system part: registers by name, MSRs, CPUID, reset, saved state. Contracts: hv/engine.h. */
#ifndef EMU_SYS_H
#define EMU_SYS_H

#include "vp.h"

/* RESET or INIT: every architectural register. The caller drops TLB and blocks. */
void emu_reset(struct emu_vp *vp, bool init);
bool emu_reg_get(struct emu_vp *vp, uint32_t name, struct hv_u128 *ret_value);
bool emu_reg_set(struct emu_vp *vp, uint32_t name, const struct hv_u128 *value);
bool emu_msr_get(struct emu_vp *vp, uint32_t index, uint64_t *ret_value);
bool emu_msr_set(struct emu_vp *vp, uint32_t index, uint64_t value);
/* What a VM gets that does not say. */
void emu_cpu_usual(bool count_instructions, struct x86_cpu *ret);
void emu_cpuid(struct emu_vm *vm, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);
/* Whether VMs can have RDRAND, RDSEED: as the host's processor; those that count instructions always. */
bool emu_rdrand_offered(bool count_instructions);
bool emu_rdseed_offered(bool count_instructions);
bool emu_translate(struct emu_vp *vp, uint64_t gva, unsigned access, bool user, uint64_t *ret_gpa,
		   uint32_t *ret_error);
size_t emu_save(struct emu_vp *vp, void *buf, size_t bytes);
bool emu_restore(struct emu_vp *vp, const void *buf, size_t bytes);

#endif
