// SPDX-License-Identifier: Apache-2.0
/*
 * TLB flushes and interprocessor interrupts by hypercall, with plain masks and sparse VP sets. Spec: TLFS 8.8, 11.11, 7.8.
 *
 * A flush is complete when no target runs under an old translation: the engines are asked first, all at once, then waited for. A VP that
 * waits here is itself outside its engine, so two VPs that flush each other do not wait for ever.
 */
#include "hypercall.h"

struct vp_set {
	bool all;
	uint64_t valid_banks;
	const uint8_t *banks; /* packed qwords */
	uint64_t mask;	      /* bank 0 without a sparse set */
	bool sparse;
};

/* The compiler's builtin would call its run-time library. */
static unsigned count_ones(uint64_t v)
{
	unsigned n = 0;

	for (; v != 0; v &= v - 1) {
		n++;
	}
	return n;
}

static uint64_t bank(const struct vp_set *set, unsigned n)
{
	unsigned at;

	if (!set->sparse) {
		return n == 0 ? set->mask : 0;
	}
	if (n >= 64 || !((set->valid_banks >> n) & 1)) {
		return 0;
	}
	at = count_ones(set->valid_banks & ((UINT64_C(1) << n) - 1));
	return load_le64(set->banks + 8 * at);
}

static struct hv_vp *next_in_set(struct hv_partition *p, const struct vp_set *set, uint32_t *cursor)
{
	struct hv_vp *vp;

	while ((vp = vp_next(p, cursor)) != NULL) {
		if (set->all || ((bank(set, vp->index / 64) >> (vp->index % 64)) & 1)) {
			return vp;
		}
	}
	return NULL;
}

/* HV_VP_SET at @at of the input, its banks in the variable header. */
static uint16_t parse_set(const struct hv_call *c, size_t at, struct vp_set *ret)
{
	uint64_t format = load_le64(c->input + at);
	uint64_t valid = load_le64(c->input + at + 8);

	*ret = (struct vp_set){.sparse = true};
	if (format == HV_GENERIC_SET_ALL) {
		ret->all = true;
		return HV_STATUS_SUCCESS;
	}
	if (format != HV_GENERIC_SET_SPARSE_4K) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	if (count_ones(valid) != c->variable) {
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	}
	ret->valid_banks = valid;
	ret->banks = c->input + at + 16;
	return HV_STATUS_SUCCESS;
}

/* ---- Flushes ---- */

static void wait_done(struct hv_call *c, const struct vp_set *set)
{
	struct hv_vp *vp;

	for (uint32_t i = 0; (vp = next_in_set(c->caller, set, &i)) != NULL;) {
		for (unsigned round = 0; !vp_ops(vp)->flush_done(vp->engine); round++) {
			hv_host_relax(round);
		}
	}
}

static uint16_t check_flags(uint64_t flags, uint64_t allowed, struct vp_set *set)
{
	if (flags & ~allowed) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	if (flags & HV_FLUSH_ALL_PROCESSORS) {
		set->all = true;
	} else if (!set->sparse && set->mask == 0) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	return HV_STATUS_SUCCESS;
}

#define SPACE_FLAGS                                                                                \
	(HV_FLUSH_ALL_PROCESSORS | HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES |                           \
	 HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY)
#define LIST_FLAGS (HV_FLUSH_ALL_PROCESSORS | HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES)

static uint16_t flush_target(struct hv_call *c, bool ex, uint64_t allowed, struct vp_set *set)
{
	uint64_t flags = load_le64(c->input + 8);
	uint16_t status = HV_STATUS_SUCCESS;

	if (ex) {
		status = parse_set(c, 16, set);
	} else {
		*set = (struct vp_set){.mask = load_le64(c->input + 16)};
	}
	return status != HV_STATUS_SUCCESS ? status : check_flags(flags, allowed, set);
}

static uint16_t flush_space(struct hv_call *c, bool ex)
{
	struct vp_set set;
	struct hv_vp *vp;
	uint16_t status = flush_target(c, ex, SPACE_FLAGS, &set);
	bool non_global = (load_le64(c->input + 8) & HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY) != 0;

	if (status != HV_STATUS_SUCCESS) {
		return status;
	}
	for (uint32_t i = 0; (vp = next_in_set(c->caller, &set, &i)) != NULL;) {
		vp_ops(vp)->flush_all(vp->engine, non_global);
	}
	wait_done(c, &set);
	return HV_STATUS_SUCCESS;
}

uint16_t call_flush_space(struct hv_call *c)
{
	return flush_space(c, false);
}

uint16_t call_flush_space_ex(struct hv_call *c)
{
	return flush_space(c, true);
}

/* An element of many pages is cheaper as one flush of everything. */
#define PAGES_ONE_BY_ONE 32u

static uint16_t flush_range(struct hv_call *c, bool ex, unsigned n)
{
	uint64_t range = load_le64(call_element(c, n));
	uint64_t first = range & GMEM_PAGE_MASK, pages = (range & (HV_PAGE_SIZE - 1)) + 1;
	struct vp_set set;
	struct hv_vp *vp;
	uint16_t status = flush_target(c, ex, LIST_FLAGS, &set);

	if (status != HV_STATUS_SUCCESS) {
		return status;
	}
	for (uint32_t i = 0; (vp = next_in_set(c->caller, &set, &i)) != NULL;) {
		if (pages > PAGES_ONE_BY_ONE) {
			vp_ops(vp)->flush_all(vp->engine, false);
			continue;
		}
		for (uint64_t page = 0; page < pages; page++) {
			vp_ops(vp)->flush_page(vp->engine, first + page * HV_PAGE_SIZE);
		}
	}
	return HV_STATUS_SUCCESS;
}

static void flush_list_done(struct hv_call *c, bool ex)
{
	struct vp_set set;

	if (flush_target(c, ex, LIST_FLAGS, &set) == HV_STATUS_SUCCESS) {
		wait_done(c, &set);
	}
}

uint16_t call_flush_list(struct hv_call *c, unsigned n)
{
	return flush_range(c, false, n);
}

void call_flush_list_done(struct hv_call *c, unsigned first, unsigned end)
{
	flush_list_done(c, false);
}

uint16_t call_flush_list_ex(struct hv_call *c, unsigned n)
{
	return flush_range(c, true, n);
}

void call_flush_list_ex_done(struct hv_call *c, unsigned first, unsigned end)
{
	flush_list_done(c, true);
}

/* ---- Interprocessor interrupts ---- */

static uint16_t send_ipi(struct hv_call *c, const struct vp_set *set)
{
	uint32_t vector = load_le32(c->input);
	struct hv_vp *vp;

	if (vector < 0x10 || vector > 0xFF || (load_le32(c->input + 4) & ~0x1Fu) ||
	    (c->input[4] & 0xF)) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	for (uint32_t i = 0; (vp = next_in_set(c->caller, set, &i)) != NULL;) {
		lapic_request(vp, (uint8_t)vector);
	}
	return HV_STATUS_SUCCESS;
}

uint16_t call_send_ipi(struct hv_call *c)
{
	struct vp_set set = {.mask = load_le64(c->input + 8)};

	return send_ipi(c, &set);
}

uint16_t call_send_ipi_ex(struct hv_call *c)
{
	struct vp_set set;
	uint16_t status = parse_set(c, 8, &set);

	return status != HV_STATUS_SUCCESS ? status : send_ipi(c, &set);
}
