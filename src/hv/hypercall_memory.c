// SPDX-License-Identifier: Apache-2.0
/* Memory pools and GPA space, as the parent manages them. Spec: TLFS 5 (pools), 6 (GPA space). */
#include "hypercall.h"

static struct hv_partition *active_child(struct hv_call *c, uint64_t id, uint16_t *ret_status)
{
	struct hv_partition *p = call_partition(c, id);

	*ret_status = HV_STATUS_SUCCESS;
	if (p == NULL || p == c->caller) {
		*ret_status = HV_STATUS_INVALID_PARTITION_ID;
		return NULL;
	}
	if (p->state != PARTITION_ACTIVE) {
		*ret_status = HV_STATUS_INVALID_PARTITION_STATE;
		return NULL;
	}
	return p;
}

/* ---- Pools ---- */

uint16_t call_deposit_memory(struct hv_call *c, unsigned n)
{
	struct hv_partition *p = call_partition(c, load_le64(c->input));
	void *page = hv_host_page(load_le64(call_element(c, n)));

	if (p == NULL) {
		return HV_STATUS_INVALID_PARTITION_ID;
	}
	if (page == NULL) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	pool_deposit(&p->pool, page);
	return HV_STATUS_SUCCESS;
}

uint16_t call_withdraw_memory(struct hv_call *c, unsigned n)
{
	struct hv_partition *p = call_partition(c, load_le64(c->input));
	void *page;

	if (p == NULL) {
		return HV_STATUS_INVALID_PARTITION_ID;
	}
	page = pool_withdraw(&p->pool);
	if (page == NULL) {
		return HV_STATUS_NO_RESOURCES;
	}
	store_le64(call_output_element(c, n), hv_host_spn(page));
	return HV_STATUS_SUCCESS;
}

uint16_t call_get_memory_balance(struct hv_call *c)
{
	struct hv_partition *p = call_partition(c, load_le64(c->input));

	if (p == NULL) {
		return HV_STATUS_INVALID_PARTITION_ID;
	}
	hv_host_lock(&p->pool.lock);
	store_le64(c->output, p->pool.pages_free);
	store_le64(c->output + 8, p->pool.pages_total - p->pool.pages_free);
	hv_host_unlock(&p->pool.lock);
	return HV_STATUS_SUCCESS;
}

/* ---- GPA space ---- */

#define MAP_FLAGS                                                                                  \
	(HV_MAP_GPA_READABLE | HV_MAP_GPA_WRITABLE | HV_MAP_GPA_KERNEL_EXECUTABLE |                \
	 HV_MAP_GPA_USER_EXECUTABLE)

static uint16_t map_rights(uint32_t flags, uint32_t *ret)
{
	if (flags & ~MAP_FLAGS) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	/* The engines do not tell kernel from user mode in the GPA map: execution is one right. */
	*ret = (flags & HV_MAP_GPA_READABLE ? GMEM_R : 0) |
	       (flags & HV_MAP_GPA_WRITABLE ? GMEM_W : 0) |
	       (flags & (HV_MAP_GPA_KERNEL_EXECUTABLE | HV_MAP_GPA_USER_EXECUTABLE) ? GMEM_X : 0);
	return HV_STATUS_SUCCESS;
}

static uint16_t map_status(int err)
{
	switch (err) {
	case 0:
		return HV_STATUS_SUCCESS;
	case -ERR_NOMEM:
		return HV_STATUS_INSUFFICIENT_MEMORY;
	default:
		return HV_STATUS_INVALID_PARAMETER;
	}
}

/* A guest's memory comes in hundreds of thousands of pages: one lock for a whole run of them. */
uint16_t call_map_gpa_pages(struct hv_call *c, unsigned *at, unsigned limit)
{
	const struct hv_input_map_gpa *in = (const void *)c->input;
	uint16_t status;
	struct hv_partition *p = active_child(c, in->target_partition_id, &status);
	uint32_t rights;

	if (p == NULL) {
		return status;
	}
	status = map_rights(in->map_flags, &rights);
	if (status != HV_STATUS_SUCCESS) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	hv_host_lock(&p->lock);
	while (*at < limit && status == HV_STATUS_SUCCESS) {
		void *page = hv_host_page(load_le64(call_element(c, *at)));

		overlay_ground(p, in->target_gpa_base + *at);
		status = page == NULL ? HV_STATUS_INVALID_PARAMETER
				      : map_status(gmem_map(&p->gmem, in->target_gpa_base + *at,
							    page, rights));
		*at += status == HV_STATUS_SUCCESS;
	}
	hv_host_unlock(&p->lock);
	return status;
}

void call_map_gpa_done(struct hv_call *c, unsigned first, unsigned end)
{
	const struct hv_input_map_gpa *in = (const void *)c->input;
	struct hv_partition *p = call_partition(c, in->target_partition_id);

	partition_gpa_changed(p, in->target_gpa_base + first, end - first, true);
}

uint16_t call_unmap_gpa_pages(struct hv_call *c, unsigned n)
{
	const struct hv_input_map_gpa *in = (const void *)c->input;
	uint16_t status;
	struct hv_partition *p = active_child(c, in->target_partition_id, &status);

	if (p == NULL) {
		return status;
	}
	hv_host_lock(&p->lock);
	overlay_ground(p, in->target_gpa_base + n);
	status = gmem_unmap(&p->gmem, in->target_gpa_base + n) == 0 ? HV_STATUS_SUCCESS
								    : HV_STATUS_INVALID_PARAMETER;
	hv_host_unlock(&p->lock);
	return status;
}

uint16_t call_modify_sparse_gpa_pages(struct hv_call *c, unsigned n)
{
	uint64_t gpn = load_le64(call_element(c, n));
	uint16_t status;
	struct hv_partition *p = active_child(c, load_le64(c->input), &status);
	uint32_t rights;

	if (p == NULL) {
		return status;
	}
	status = map_rights(load_le32(c->input + 8), &rights);
	if (status != HV_STATUS_SUCCESS) {
		return status;
	}
	hv_host_lock(&p->lock);
	overlay_ground(p, gpn);
	status = gmem_protect(&p->gmem, gpn, rights) == 0 ? HV_STATUS_SUCCESS
							  : HV_STATUS_INVALID_PARAMETER;
	hv_host_unlock(&p->lock);
	return status;
}

void call_modify_sparse_gpa_done(struct hv_call *c, unsigned first, unsigned end)
{
	struct hv_partition *p = call_partition(c, load_le64(c->input));

	for (unsigned n = first; n < end; n++) {
		partition_gpa_changed(p, load_le64(call_element(c, n)), 1, true);
	}
}

/*
 * Which pages were written since the call before. Only that is known, and only by taking it; a page that was not written may have been read all
 * the same.
 */
uint16_t call_get_gpa_pages_access_state(struct hv_call *c, unsigned *at, unsigned limit)
{
	const struct hv_input_get_gpa_pages_access_state *in = (const void *)c->input;
	uint64_t written[(BIT32(HV_HYPERCALL_REP_BITS) + 63) / 64];
	uint64_t first = in->gpa_page + *at;
	uint16_t status;
	struct hv_partition *p = active_child(c, in->partition_id, &status);

	if (p == NULL) {
		return status;
	}
	if (!p->settings.access_tracking) {
		return HV_STATUS_INVALID_PARTITION_STATE;
	}
	if (in->flags != HV_GPA_PAGE_CLEAR_DIRTY ||
	    in->gpa_page >> (p->gmem.pa_bits - HV_PAGE_SHIFT) != 0) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	partition_written_take(p, first, limit - *at, written);
	for (unsigned n = *at; n < limit; n++) {
		uint8_t *state = call_output_element(c, n);

		*state = written[(n - *at) / 64] >> ((n - *at) % 64) & 1
				 ? HV_GPA_PAGE_STATE_ACCESSED | HV_GPA_PAGE_STATE_DIRTY
				 : 0;
	}
	*at = limit;
	return HV_STATUS_SUCCESS;
}

/* ---- Access on behalf of the parent ---- */

static uint16_t target_vp(struct hv_call *c, uint64_t partition_id, uint32_t index,
			  struct hv_vp **ret)
{
	uint16_t status;
	struct hv_partition *p = active_child(c, partition_id, &status);

	if (p == NULL) {
		return status;
	}
	*ret = vp_find(p, index);
	return *ret == NULL ? HV_STATUS_INVALID_VP_INDEX : HV_STATUS_SUCCESS;
}

static uint32_t translate_result(struct hv_vp *vp, uint64_t flags, uint64_t gva, uint64_t *ret_gpn)
{
	unsigned access = flags & HV_TRANSLATE_GVA_VALIDATE_WRITE     ? HV_ACCESS_WRITE
			  : flags & HV_TRANSLATE_GVA_VALIDATE_EXECUTE ? HV_ACCESS_EXECUTE
								      : HV_ACCESS_READ;
	uint64_t gpa, entry;
	uint32_t error;

	if (!vp_ops(vp)->translate(vp->engine, gva, access, false, &gpa, &error)) {
		return error & X86_PF_RSVD ? HvTranslateGvaInvalidPageTableFlags
		       : error & X86_PF_P  ? HvTranslateGvaPrivilegeViolation
					   : HvTranslateGvaPageNotPresent;
	}
	*ret_gpn = gpa >> HV_PAGE_SHIFT;
	entry = gmem_entry(&vp->partition->gmem, *ret_gpn);
	if (gmem_entry_page(entry) == NULL) {
		return HvTranslateGvaGpaUnmapped;
	}
	if (!(entry & GMEM_R)) {
		return HvTranslateGvaGpaNoReadAccess;
	}
	return access == HV_ACCESS_WRITE && !(entry & GMEM_W) ? HvTranslateGvaGpaNoWriteAccess
							      : HvTranslateGvaSuccess;
}

uint16_t call_translate_virtual_address(struct hv_call *c)
{
	const struct hv_input_translate_gva *in = (const void *)c->input;
	struct hv_output_translate_gva out = {0};
	struct hv_vp *vp = NULL;
	uint16_t status = target_vp(c, in->partition_id, in->vp_index, &vp);

	if (status != HV_STATUS_SUCCESS) {
		return status;
	}
	if ((in->control_flags & 7) == 0) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	if (!vp_try_acquire(vp)) {
		return HV_STATUS_INVALID_VP_STATE;
	}
	out.result_code = translate_result(vp, in->control_flags, in->gva_page << HV_PAGE_SHIFT,
					   &out.gpa_page);
	vp_release(vp);
	__builtin_memcpy(c->output, &out, sizeof(out));
	return HV_STATUS_SUCCESS;
}

static uint16_t gpa_access(struct hv_call *c, bool write)
{
	const struct hv_input_read_gpa *in = (const void *)c->input;
	uint32_t result = HvAccessGpaSuccess;
	uint8_t data[16] = {0};
	struct hv_vp *vp = NULL;
	uint16_t status = target_vp(c, in->partition_id, in->vp_index, &vp);

	if (status != HV_STATUS_SUCCESS) {
		return status;
	}
	if (in->byte_count == 0 || in->byte_count > 16 ||
	    (in->gpa & (HV_PAGE_SIZE - 1)) + in->byte_count > HV_PAGE_SIZE) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	if (write) {
		if (!gmem_write_any(&vp->partition->gmem, in->gpa, in->data, in->byte_count)) {
			result = HvAccessGpaUnmapped;
		}
	} else if (!gmem_read_any(&vp->partition->gmem, in->gpa, data, in->byte_count)) {
		result = HvAccessGpaUnmapped;
	}
	store_le32(c->output, result);
	store_le32(c->output + 4, 0);
	if (!write) {
		__builtin_memcpy(c->output + 8, data, 16);
	}
	return HV_STATUS_SUCCESS;
}

uint16_t call_read_gpa(struct hv_call *c)
{
	return gpa_access(c, false);
}

uint16_t call_write_gpa(struct hv_call *c)
{
	return gpa_access(c, true);
}
