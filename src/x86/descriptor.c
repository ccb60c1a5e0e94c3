/* SPDX-License-Identifier: Apache-2.0 */
#include "x86/descriptor.h"

void x86_segment_from_descriptor(struct x86_segment *s, uint16_t selector, uint64_t raw)
{
	s->base = x86_desc_base(raw);
	s->limit = x86_desc_limit(raw);
	s->selector = selector;
	s->attributes = x86_desc_attributes(raw);
}

bool x86_segment_contains(const struct x86_segment *s, uint32_t offset, unsigned bytes)
{
	uint32_t last = offset + bytes - 1;

	if (last < offset) {
		/* Wraps around 4 GiB: only a segment without any limit would hold it, and processors differ there. */
		return false;
	}
	if ((s->attributes & (X86_SEG_S | X86_TYPE_CODE | X86_TYPE_DC)) ==
	    (X86_SEG_S | X86_TYPE_DC)) {
		return offset > s->limit &&
		       last <= (s->attributes & X86_SEG_DB ? 0xffffffffu : 0xffffu);
	}
	return last <= s->limit;
}

unsigned x86_check_data_load(uint64_t raw, unsigned rpl, unsigned cpl)
{
	if (!x86_desc_is_readable(raw)) {
		return X86_EXC_GP;
	}
	if (!x86_desc_is_conforming(raw) && (rpl > x86_desc_dpl(raw) || cpl > x86_desc_dpl(raw))) {
		return X86_EXC_GP;
	}
	return x86_desc_present(raw) ? 0 : X86_EXC_NP;
}

unsigned x86_check_stack_load(uint64_t raw, unsigned rpl, unsigned cpl)
{
	if (rpl != cpl || !x86_desc_is_writable(raw) || x86_desc_dpl(raw) != cpl) {
		return X86_EXC_GP;
	}
	return x86_desc_present(raw) ? 0 : X86_EXC_SS;
}

static bool long_and_default(uint64_t raw)
{
	return (raw >> 53 & 3) == 3;
}

unsigned x86_check_code_transfer(uint64_t raw, unsigned rpl, unsigned cpl, bool gate,
				 bool long_mode)
{
	unsigned dpl = x86_desc_dpl(raw);

	if (!x86_desc_is_code(raw) || (long_mode && long_and_default(raw))) {
		return X86_EXC_GP;
	}
	if (x86_desc_is_conforming(raw)) {
		if (dpl > cpl) {
			return X86_EXC_GP;
		}
	} else if (dpl != cpl || (!gate && rpl > cpl)) {
		/* The selector inside a gate counts as if its RPL were 0. */
		return X86_EXC_GP;
	}
	return x86_desc_present(raw) ? 0 : X86_EXC_NP;
}

unsigned x86_check_code_return(uint64_t raw, unsigned rpl, unsigned cpl, bool long_mode)
{
	unsigned dpl = x86_desc_dpl(raw);

	if (rpl < cpl || !x86_desc_is_code(raw) || (long_mode && long_and_default(raw))) {
		return X86_EXC_GP;
	}
	if (x86_desc_is_conforming(raw) ? dpl > rpl : dpl != rpl) {
		return X86_EXC_GP;
	}
	return x86_desc_present(raw) ? 0 : X86_EXC_NP;
}

static bool visible(uint64_t raw, unsigned rpl, unsigned cpl)
{
	return x86_desc_is_conforming(raw) ||
	       (cpl <= x86_desc_dpl(raw) && rpl <= x86_desc_dpl(raw));
}

bool x86_lar_accepts(uint64_t raw, unsigned rpl, unsigned cpl, bool long_mode)
{
	/* Spec: SDM vol. 2, LAR, table of segment and gate types. */
	static const uint16_t legacy = 0x1a3e, in_long = 0x1a04;

	if (!x86_desc_is_segment(raw) &&
	    !((long_mode ? in_long : legacy) >> x86_desc_type(raw) & 1)) {
		return false;
	}
	return visible(raw, rpl, cpl);
}

bool x86_lsl_accepts(uint64_t raw, unsigned rpl, unsigned cpl, bool long_mode)
{
	static const uint16_t legacy = 0x0a0e, in_long = 0x0a04;

	if (!x86_desc_is_segment(raw) &&
	    !((long_mode ? in_long : legacy) >> x86_desc_type(raw) & 1)) {
		return false;
	}
	return visible(raw, rpl, cpl);
}

bool x86_verr_accepts(uint64_t raw, unsigned rpl, unsigned cpl)
{
	return x86_desc_is_readable(raw) && visible(raw, rpl, cpl);
}

bool x86_verw_accepts(uint64_t raw, unsigned rpl, unsigned cpl)
{
	return x86_desc_is_writable(raw) && visible(raw, rpl, cpl);
}

bool x86_segment_survives_return(const struct x86_segment *s, unsigned cpl)
{
	unsigned type = s->attributes & (X86_SEG_S | X86_SEG_TYPE);

	if ((type & (X86_SEG_S | X86_TYPE_CODE | X86_TYPE_DC)) ==
	    (X86_SEG_S | X86_TYPE_CODE | X86_TYPE_DC)) {
		return true;
	}
	return x86_segment_dpl(s) >= cpl;
}
