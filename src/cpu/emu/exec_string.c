/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MOVS, STOS, LODS, CMPS, SCAS. Each element commits on its own, so that a fault, an exit or an interruption in the middle of a repetition
 * finds the registers where they belong. REP MOVS and REP STOS work page by page on host memory when that is all the same.
 */
#include <string.h>

#include "exec.h"

/* Elements or bytes after which a repetition lets the run loop look around. */
#define ELEMENTS_MAX 2048u

const struct emu_insn *emu_string_pause(struct emu_vp *vp, const struct emu_insn *i)
{
	vp->paused = true;
	emu_leave(vp, i);
	/* Make the run loop look at the clock. */
	vp->refill -= vp->budget;
	vp->budget = 0;
	return NULL;
}

static uint64_t masked_write(const struct emu_insn *i, uint64_t old, uint64_t value)
{
	return i->asize == 8   ? value
	       : i->asize == 4 ? (uint32_t)value
			       : (old & ~UINT64_C(0xffff)) | (uint16_t)value;
}

static void move_by(struct emu_vp *vp, const struct emu_insn *i, unsigned reg, uint64_t elements)
{
	uint64_t step = elements * i->osize;

	vp->r[reg] = masked_write(i, vp->r[reg],
				  vp->flags & X86_DF ? vp->r[reg] - step : vp->r[reg] + step);
}

void emu_string_advance(struct emu_vp *vp, const struct emu_insn *i, unsigned reg)
{
	move_by(vp, i, reg, 1);
}

static bool repeated(const struct emu_insn *i)
{
	return i->flags & (EMU_I_REP | EMU_I_REPNE);
}

static uint64_t count_left(const struct emu_vp *vp, const struct emu_insn *i)
{
	return vp->r[X86_RCX] & emu_asize_mask(i);
}

/* Takes @n elements off the counter; the answers of the parent belong to the element that is done. */
static void count_down(struct emu_vp *vp, const struct emu_insn *i, uint64_t n)
{
	vp->r[X86_RCX] = masked_write(i, vp->r[X86_RCX], count_left(vp, i) - n);
	vp->replay_count = 0;
	vp->replay_next = 0;
}

bool emu_string_count(struct emu_vp *vp, const struct emu_insn *i)
{
	count_down(vp, i, 1);
	return count_left(vp, i) == 0;
}

static bool source(struct emu_vp *vp, const struct emu_insn *i)
{
	return emu_segment_address(vp, i->seg, vp->r[X86_RSI] & emu_asize_mask(i), i->osize,
				   HV_ACCESS_READ) &&
	       emu_load_slow(vp, vp->slow, i->osize);
}

static bool destination(struct emu_vp *vp, const struct emu_insn *i, unsigned access)
{
	return emu_segment_address(vp, X86_ES, vp->r[X86_RDI] & emu_asize_mask(i), i->osize,
				   access);
}

/* REP with a counter of 0 does nothing. With 32-bit addresses some processors clear the counter's upper half, some do not: it stays. */
static bool nothing_to_do(const struct emu_vp *vp, const struct emu_insn *i)
{
	return repeated(i) && count_left(vp, i) == 0;
}

/* What an element's function has done. */
enum element {
	ELEMENT_FAILED,
	ELEMENT_DONE,
	ELEMENT_LAST, /* the repetition's condition ends it */
};

static enum element movs_element(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t value;

	if (!source(vp, i)) {
		return ELEMENT_FAILED;
	}
	value = vp->slow;
	if (!destination(vp, i, HV_ACCESS_WRITE) ||
	    !emu_store_slow(vp, vp->slow, i->osize, value)) {
		return ELEMENT_FAILED;
	}
	emu_string_advance(vp, i, X86_RSI);
	emu_string_advance(vp, i, X86_RDI);
	return ELEMENT_DONE;
}

static enum element stos_element(struct emu_vp *vp, const struct emu_insn *i)
{
	if (!destination(vp, i, HV_ACCESS_WRITE) ||
	    !emu_store_slow(vp, vp->slow, i->osize, vp->r[X86_RAX])) {
		return ELEMENT_FAILED;
	}
	emu_string_advance(vp, i, X86_RDI);
	return ELEMENT_DONE;
}

static enum element lods_element(struct emu_vp *vp, const struct emu_insn *i)
{
	if (!source(vp, i)) {
		return ELEMENT_FAILED;
	}
	switch (i->osize) {
	case 1:
		emu_reg_write(vp, 8, 0, vp->slow);
		break;
	case 2:
		emu_reg_write(vp, 16, X86_RAX, vp->slow);
		break;
	default:
		vp->r[X86_RAX] = vp->slow;
		break;
	}
	emu_string_advance(vp, i, X86_RSI);
	return ELEMENT_DONE;
}

static enum element compare(struct emu_vp *vp, const struct emu_insn *i, uint64_t a, uint64_t b)
{
	unsigned bits = 8u * i->osize;
	uint64_t mask = bits == 64 ? ~UINT64_C(0) : BIT64(bits) - 1;

	emu_flags_sub(vp, bits, a & mask, b & mask, (a - b) & mask);
	if ((i->flags & EMU_I_REP) && !emu_zf(vp)) {
		return ELEMENT_LAST;
	}
	return (i->flags & EMU_I_REPNE) && emu_zf(vp) ? ELEMENT_LAST : ELEMENT_DONE;
}

static enum element cmps_element(struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t a;

	if (!source(vp, i)) {
		return ELEMENT_FAILED;
	}
	a = vp->slow;
	if (!destination(vp, i, HV_ACCESS_READ) || !emu_load_slow(vp, vp->slow, i->osize)) {
		return ELEMENT_FAILED;
	}
	emu_string_advance(vp, i, X86_RSI);
	emu_string_advance(vp, i, X86_RDI);
	return compare(vp, i, a, vp->slow);
}

static enum element scas_element(struct emu_vp *vp, const struct emu_insn *i)
{
	if (!destination(vp, i, HV_ACCESS_READ) || !emu_load_slow(vp, vp->slow, i->osize)) {
		return ELEMENT_FAILED;
	}
	emu_string_advance(vp, i, X86_RDI);
	return compare(vp, i, vp->r[X86_RAX], vp->slow);
}

/* ---- Whole runs within a page ---- */

/* No segment limit is near, no watching, upwards, not single-stepping. */
static bool run_allowed(const struct emu_vp *vp, const struct emu_insn *i, unsigned seg)
{
	const struct x86_segment *s = &vp->seg[seg];

	if (vp->careful || vp->stepping || (vp->flags & X86_DF) || i->asize == 2) {
		return false;
	}
	return vp->mode == EMU_MODE_64 ||
	       (s->limit == 0xffffffffu && (s->attributes & (X86_SEG_P | 0xe)) == (X86_SEG_P | 2));
}

static uint64_t elements_in_page(uint64_t la, const struct emu_insn *i)
{
	return (4096 - (la & 0xfff)) / i->osize;
}

static uint64_t run_address(const struct emu_vp *vp, const struct emu_insn *i, unsigned seg,
			    unsigned reg)
{
	uint64_t ea = vp->r[reg] & emu_asize_mask(i);

	if (vp->mode == EMU_MODE_64) {
		return seg == X86_FS || seg == X86_GS ? ea + vp->seg[seg].base : ea;
	}
	return (uint32_t)(ea + vp->seg[seg].base);
}

/* Copies as the instruction does: ascending, so that an overlap repeats a pattern. */
static void copy_ascending(uint8_t *to, const uint8_t *from, uint64_t elements, unsigned size)
{
	uint64_t bytes = elements * size;

	if ((uintptr_t)(to - from) >= bytes) {
		memmove(to, from, bytes);
		return;
	}
	for (uint64_t n = 0; n < bytes; n += size) {
		uint64_t element = 0;

		memcpy(&element, from + n, size);
		memcpy(to + n, &element, size);
	}
}

/* The number of elements moved; 0: do one the slow way. */
static uint64_t movs_run(struct emu_vp *vp, const struct emu_insn *i, uint64_t left)
{
	uint64_t from, to, n;
	uint8_t *source_host, *to_host;

	if (!run_allowed(vp, i, i->seg) || !run_allowed(vp, i, X86_ES)) {
		return 0;
	}
	from = run_address(vp, i, i->seg, X86_RSI);
	to = run_address(vp, i, X86_ES, X86_RDI);
	n = min_u64(left, min_u64(elements_in_page(from, i), elements_in_page(to, i)));
	if (n < 2) {
		return 0;
	}
	source_host = emu_fast_read(vp, from, (unsigned)n * i->osize);
	to_host = emu_fast_write(vp, to, (unsigned)n * i->osize);
	if (source_host == NULL || to_host == NULL) {
		return 0;
	}
	copy_ascending(to_host, source_host, n, i->osize);
	move_by(vp, i, X86_RSI, n);
	move_by(vp, i, X86_RDI, n);
	return n;
}

static void fill(uint8_t *to, uint64_t value, uint64_t elements, unsigned size)
{
	if (size == 1 || value == 0) {
		memset(to, (int)(value & 0xff), elements * size);
		return;
	}
	for (uint64_t n = 0; n < elements; n++) {
		memcpy(to + n * size, &value, size);
	}
}

static uint64_t stos_run(struct emu_vp *vp, const struct emu_insn *i, uint64_t left)
{
	uint64_t to, n, value = vp->r[X86_RAX];
	uint8_t *host;

	if (!run_allowed(vp, i, X86_ES)) {
		return 0;
	}
	to = run_address(vp, i, X86_ES, X86_RDI);
	n = min_u64(left, elements_in_page(to, i));
	host = n < 2 ? NULL : emu_fast_write(vp, to, (unsigned)n * i->osize);
	if (host == NULL) {
		return 0;
	}
	value = i->osize == 8 ? value : value & (BIT64(8u * i->osize) - 1);
	fill(host, value, n, i->osize);
	move_by(vp, i, X86_RDI, n);
	return n;
}

static uint64_t no_run(struct emu_vp *vp, const struct emu_insn *i, uint64_t left)
{
	(void)vp;
	(void)i;
	(void)left;
	return 0;
}

/* ---- The repetition ---- */

static bool somebody_waits(const struct emu_vp *vp)
{
	return atomic_load_explicit(&vp->attention, memory_order_relaxed) != 0;
}

/* A fault leaves the flags as the repetition found them, whatever the elements before it compared (SDM, REP). */
static const struct emu_insn *
repeat(struct emu_vp *vp, const struct emu_insn *i,
       enum element (*element)(struct emu_vp *vp, const struct emu_insn *i),
       uint64_t (*run)(struct emu_vp *vp, const struct emu_insn *i, uint64_t left))
{
	const uint64_t result = vp->lf_result, carry = vp->lf_carry;

	for (uint64_t work = 0;; work++) {
		uint64_t n = run(vp, i, count_left(vp, i));
		enum element outcome = ELEMENT_DONE;

		if (n == 0) {
			n = 1;
			outcome = element(vp, i);
		}
		if (outcome == ELEMENT_FAILED) {
			vp->lf_result = result;
			vp->lf_carry = carry;
			return emu_leave(vp, i);
		}
		count_down(vp, i, n);
		if (outcome == ELEMENT_LAST || count_left(vp, i) == 0) {
			return i + 1;
		}
		/* A run of a page is worth as much as some dozens of elements. */
		work += n / 64;
		if (vp->stepping || work >= ELEMENTS_MAX || somebody_waits(vp)) {
			return emu_string_pause(vp, i);
		}
	}
}

#define DEFINE_STRING(name, run)                                                                   \
	static EMU_OP(op_##name)                                                                   \
	{                                                                                          \
		if (nothing_to_do(vp, i)) {                                                        \
			return i + 1;                                                              \
		}                                                                                  \
		if (repeated(i)) {                                                                 \
			return repeat(vp, i, name##_element, run);                                 \
		}                                                                                  \
		return name##_element(vp, i) == ELEMENT_FAILED ? emu_leave(vp, i) : i + 1;         \
	}
DEFINE_STRING(movs, movs_run)
DEFINE_STRING(stos, stos_run)
DEFINE_STRING(lods, no_run)
DEFINE_STRING(cmps, no_run)
DEFINE_STRING(scas, no_run)

emu_fn *emu_find_string(enum emu_string op)
{
	static emu_fn *const table[EMU_STRING_OPS] = {op_movs, op_stos, op_lods, op_cmps, op_scas};

	return table[op];
}
