/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RDRAND and RDSEED: the host processor's own. A VM that counts instructions for its clock gets numbers that depend on nothing but that
 * count, so that its runs repeat.
 */
#include <cpuid.h>

#include "exec_sys.h"
#include "sys.h"

bool emu_rdrand_offered(bool count_instructions)
{
	unsigned a, b, c, d;

	return count_instructions || (__get_cpuid(1, &a, &b, &c, &d) && (c & BIT32(30)));
}

bool emu_rdseed_offered(bool count_instructions)
{
	unsigned a, b, c, d;

	return count_instructions || (__get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & BIT32(18)));
}

static bool host_rdrand(uint64_t *ret)
{
	bool good;

	__asm__ volatile("rdrand %0" : "=r"(*ret), "=@ccc"(good));
	return good;
}

static bool host_rdseed(uint64_t *ret)
{
	bool good;

	__asm__ volatile("rdseed %0" : "=r"(*ret), "=@ccc"(good));
	return good;
}

/* Spreads a counter over 64 bits: two rounds of multiply and fold. */
static uint64_t repeatable(const struct emu_vp *vp)
{
	uint64_t x = emu_retired(vp) + ((uint64_t)vp->index << 48) + 1;

	x = (x ^ x >> 32) * UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 29) * UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

static const struct emu_insn *deliver(struct emu_vp *vp, const struct emu_insn *i,
				      bool (*host)(uint64_t *ret))
{
	bool good = true;
	uint64_t value;

	if (vp->vm->config.count_instructions) {
		value = repeatable(vp);
	} else {
		good = host(&value);
	}
	emu_reg_write(vp, i->osize * 8u, i->rd, good ? value : 0);
	emu_arith_set(vp, good ? X86_CF : 0);
	return i + 1;
}

const struct emu_insn *emu_op_rdrand(struct emu_vp *vp, const struct emu_insn *i)
{
	return deliver(vp, i, host_rdrand);
}

const struct emu_insn *emu_op_rdseed(struct emu_vp *vp, const struct emu_insn *i)
{
	return deliver(vp, i, host_rdseed);
}
