// SPDX-License-Identifier: Apache-2.0
/* The hypervisor itself, and the life of partitions: created, initialized, finalized, deleted. Spec: TLFS 5. */
#include "core.h"

struct hv_partition *partition_find(struct hv *hv, uint64_t id)
{
	struct hv_partition *p = hv->partitions;

	if (id == hv->root->id) {
		return hv->root;
	}
	while (p != NULL && p->id != id) {
		p = p->next;
	}
	return p;
}

uint64_t partition_default_privileges(void)
{
	return HV_PRIVILEGE_AccessVpRunTimeReg | HV_PRIVILEGE_AccessPartitionReferenceCounter |
	       HV_PRIVILEGE_AccessSynicRegs | HV_PRIVILEGE_AccessSyntheticTimerRegs |
	       HV_PRIVILEGE_AccessIntrCtrlRegs | HV_PRIVILEGE_AccessHypercallMsrs |
	       HV_PRIVILEGE_AccessVpIndex | HV_PRIVILEGE_AccessResetReg |
	       HV_PRIVILEGE_AccessPartitionReferenceTsc | HV_PRIVILEGE_AccessGuestIdleReg |
	       HV_PRIVILEGE_AccessFrequencyRegs | HV_PRIVILEGE_PostMessages |
	       HV_PRIVILEGE_SignalEvents | HV_PRIVILEGE_AccessVpRegisters |
	       HV_PRIVILEGE_FastHypercallOutput | HV_PRIVILEGE_StartVirtualProcessor;
}

/* ---- The hypervisor ---- */

struct hv *hv_init(const struct hv_config *config)
{
	uint8_t *memory = config->memory;
	struct hv *hv = config->memory;
	struct hv_partition *root;

	_Static_assert(sizeof(struct hv) <= HV_PAGE_SIZE, "the hypervisor's state is one page");
	if (config->pages < HV_MEMORY_PAGES_MIN) {
		return NULL;
	}
	root = (struct hv_partition *)(void *)(memory + HV_PAGE_SIZE);
	*hv = (struct hv){.engine = config->engine,
			  .engine_config = config->engine_config,
			  .root_cookie = config->root_cookie,
			  .root = root,
			  .last_id = HV_ROOT_PARTITION_ID};
	*root = (struct hv_partition){.hv = hv,
				      .id = HV_ROOT_PARTITION_ID,
				      .state = PARTITION_ACTIVE,
				      .privileges = UINT64_MAX};
	for (size_t i = 2; i < config->pages; i++) {
		pool_deposit(&root->pool, memory + i * HV_PAGE_SIZE);
	}
	return hv;
}

void hv_fini(struct hv *hv)
{
	CHECK(hv->partitions == NULL);
	hv_host_lock(&hv->lock);
	port_remove_all(hv->root);
	hv_host_unlock(&hv->lock);
}

struct hv_partition *hv_root_partition(struct hv *hv, uint64_t partition_id)
{
	struct hv_partition *p;

	hv_host_lock(&hv->lock);
	p = partition_find(hv, partition_id);
	hv_host_unlock(&hv->lock);
	return p == hv->root ? NULL : p;
}

struct gmem *hv_partition_gmem(struct hv_partition *p)
{
	return &p->gmem;
}

uint64_t hv_partition_reference_time(struct hv_partition *p)
{
	return time_reference(p);
}

/* ---- Life cycle ---- */

uint16_t partition_create(struct hv *hv, const struct hv_input_create_partition *in,
			  uint64_t *ret_id)
{
	struct hv_partition *p;

	if (in->padding != 0 || in->isolation != 0) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	hv_host_lock(&hv->lock);
	p = pool_page_alloc(&hv->root->pool);
	if (p != NULL) {
		p->hv = hv;
		p->id = ++hv->last_id;
		p->privileges = partition_default_privileges();
		p->settings.cpu_cap = 0x10000;
		p->settings.cpu_weight = 100;
		p->settings.pa_bits = 40;
		p->next = hv->partitions;
		hv->partitions = p;
		*ret_id = p->id;
	}
	hv_host_unlock(&hv->lock);
	return p != NULL ? HV_STATUS_SUCCESS : HV_STATUS_INSUFFICIENT_MEMORY;
}

static void *tables_alloc(void *ctx)
{
	struct hv_partition *p = ctx;

	return pool_page_alloc(&p->pool);
}

static void tables_free(void *ctx, void *page)
{
	struct hv_partition *p = ctx;

	pool_page_free(&p->pool, page);
}

static void code_written(void *ctx, uint64_t gpa, size_t bytes)
{
	struct hv_partition *p = ctx;

	p->hv->engine->code_written(p->engine, gpa, bytes);
}

static void vp_cpuid(void *ctx, uint32_t vp_index, uint32_t leaf, uint32_t subleaf,
		     uint32_t regs[4])
{
	struct hv_vp *vp = vp_find(ctx, vp_index);

	CHECK(vp != NULL);
	cpuid_answer(vp, leaf, subleaf, regs);
}

void partition_fill_hypercall_page(struct hv_partition *p)
{
	uint8_t insn[8], *page = overlay_begin(&p->hypercall_page);
	unsigned bytes = p->hv->engine->hypercall_insn(p->engine, insn);

	CHECK(bytes <= sizeof(insn));
	__builtin_memset(page, 0xCC, HV_PAGE_SIZE);
	__builtin_memcpy(page, insn, bytes);
	page[bytes] = 0xC3; /* near return */
	overlay_end(&p->hypercall_page);
}

/* Also after the clock was set to another rate: a new sequence number tells the guest. */
void partition_fill_reference_tsc(struct hv_partition *p)
{
	struct hv_reference_tsc_page *page = overlay_begin(&p->reference_tsc);
	uint32_t sequence = p->tsc_sequence + 1;

	__atomic_store_n(&page->tsc_sequence, 0, __ATOMIC_SEQ_CST);
	page->tsc_scale = p->time.scale;
	page->tsc_offset = p->time.reference_offset;
	if (sequence == 0 || sequence == UINT32_MAX) {
		sequence = 1;
	}
	p->tsc_sequence = sequence;
	__atomic_store_n(&page->tsc_sequence, sequence, __ATOMIC_SEQ_CST);
	overlay_end(&p->reference_tsc);
	overlay_touch(p, &p->reference_tsc, 0, 24);
}

static bool alloc_pages(struct hv_partition *p)
{
	const struct gmem_pages pages = {tables_alloc, tables_free, p};

	p->hypercall_page.own = pool_page_alloc(&p->pool);
	p->reference_tsc.own = pool_page_alloc(&p->pool);
	return p->hypercall_page.own != NULL && p->reference_tsc.own != NULL &&
	       gmem_init(&p->gmem, (unsigned)p->settings.pa_bits, &pages) == 0;
}

static void free_pages(struct hv_partition *p)
{
	gmem_fini(&p->gmem);
	pool_page_free(&p->pool, p->hypercall_page.own);
	pool_page_free(&p->pool, p->reference_tsc.own);
	p->hypercall_page = (struct hv_overlay){0};
	p->reference_tsc = (struct hv_overlay){0};
	for (unsigned i = 0; i < VP_TABLE_PAGES; i++) {
		pool_page_free(&p->pool, p->vp_table[i]);
		p->vp_table[i] = NULL;
	}
}

static uint16_t start_engine(struct hv_partition *p)
{
	const struct gmem_watch watch = {code_written, p};
	struct hv_engine_config config = p->hv->engine_config;

	config.gmem = &p->gmem;
	config.cpuid = vp_cpuid;
	config.cpuid_ctx = p;
	config.moves_apics = (config.without & HV_WITHOUT_APICS) == 0;
	if (p->hv->engine->vm_create(&config, &p->engine) != 0) {
		return HV_STATUS_NO_RESOURCES;
	}
	p->apic = p->hv->engine->apic != NULL ? p->hv->engine->apic(p->engine) : NULL;
	p->has_deadline = p->apic != NULL || p->hv->engine->deadline_exits == NULL ||
			  p->hv->engine->deadline_exits(p->engine);
	p->deadline = p->has_deadline;
	gmem_set_watch(&p->gmem, &watch);
	p->hypercall_page.rights = GMEM_R | GMEM_X;
	p->reference_tsc.rights = GMEM_R | GMEM_W;
	time_init(p, p->time.frozen);
	p->in_place = p->hv->engine->hold != NULL && !(config.without & HV_WITHOUT_PLACES);
	partition_fill_hypercall_page(p);
	partition_fill_reference_tsc(p);
	if (p->settings.access_tracking && partition_track_writes(p, true) != HV_STATUS_SUCCESS) {
		p->hv->engine->vm_destroy(p->engine);
		return HV_STATUS_NO_RESOURCES;
	}
	return HV_STATUS_SUCCESS;
}

uint16_t partition_initialize(struct hv_partition *p)
{
	uint16_t status;

	if (p->state != PARTITION_UNINITIALIZED) {
		return HV_STATUS_INVALID_PARTITION_STATE;
	}
	if (!alloc_pages(p)) {
		free_pages(p);
		return HV_STATUS_INSUFFICIENT_MEMORY;
	}
	status = start_engine(p);
	if (status != HV_STATUS_SUCCESS) {
		free_pages(p);
		return status;
	}
	p->state = PARTITION_ACTIVE;
	return HV_STATUS_SUCCESS;
}

static bool take_all_vps(struct hv_partition *p)
{
	struct hv_vp *vp;

	for (uint32_t i = 0; (vp = vp_next(p, &i)) != NULL;) {
		if (!vp_try_acquire(vp)) {
			uint32_t stop = i - 1;

			for (i = 0; (vp = vp_next(p, &i)) != NULL && i <= stop;) {
				vp_release(vp);
			}
			return false;
		}
	}
	return true;
}

static uint16_t finalize_locked(struct hv_partition *p)
{
	struct hv_vp *vp;

	if (p->state != PARTITION_ACTIVE) {
		return HV_STATUS_INVALID_PARTITION_STATE;
	}
	if (!take_all_vps(p)) {
		return HV_STATUS_OPERATION_DENIED;
	}
	p->state = PARTITION_FINALIZED;
	port_remove_all(p);
	for (uint32_t i = 0; (vp = vp_next(p, &i)) != NULL;) {
		vp_destroy(vp);
	}
	overlay_set(p, &p->hypercall_page, 0);
	overlay_set(p, &p->reference_tsc, 0);
	intercept_fini(p);
	p->hv->engine->vm_destroy(p->engine);
	free_pages(p);
	return HV_STATUS_SUCCESS;
}

uint16_t partition_finalize(struct hv_partition *p)
{
	uint16_t status;

	hv_host_lock(&p->apic_lock);
	hv_host_lock(&p->hv->lock);
	status = finalize_locked(p);
	hv_host_unlock(&p->hv->lock);
	hv_host_unlock(&p->apic_lock);
	return status;
}

uint16_t partition_delete(struct hv_partition *p)
{
	struct hv *hv = p->hv;
	struct hv_partition **link = &hv->partitions;

	if (p->state == PARTITION_ACTIVE) {
		return HV_STATUS_INVALID_PARTITION_STATE;
	}
	if (p->pool.pages_total != 0) {
		return HV_STATUS_OPERATION_DENIED;
	}
	hv_host_lock(&hv->lock);
	while (*link != p) {
		link = &(*link)->next;
	}
	*link = p->next;
	hv_host_unlock(&hv->lock);
	pool_page_free(&hv->root->pool, p);
	return HV_STATUS_SUCCESS;
}

uint16_t partition_track_writes(struct hv_partition *p, bool on)
{
	const struct hv_engine_ops *ops = p->hv->engine;

	if (on && ops->dirty_start != NULL && ops->dirty_start(p->engine) != 0) {
		return HV_STATUS_NO_RESOURCES;
	}
	if (on) {
		hv_host_lock(&p->lock);
		gmem_dirty_all(&p->gmem);
		hv_host_unlock(&p->lock);
	} else if (ops->dirty_stop != NULL) {
		ops->dirty_stop(p->engine);
	}
	return HV_STATUS_SUCCESS;
}

void partition_written_take(struct hv_partition *p, uint64_t gpn, uint64_t count, uint64_t *bitmap)
{
	const struct hv_engine_ops *ops = p->hv->engine;

	if (ops->dirty_take != NULL) {
		ops->dirty_take(p->engine, gpn, count, bitmap);
	} else {
		gmem_dirty_take(&p->gmem, gpn, count, bitmap);
	}
}

void partition_gpa_changed(struct hv_partition *p, uint64_t gpn, uint64_t count, bool wait)
{
	const struct hv_engine_ops *ops = p->hv->engine;
	struct hv_vp *vp;

	ops->gpa_changed(p->engine, gpn, count);
	if (!wait) {
		return;
	}
	for (uint32_t i = 0; (vp = vp_next(p, &i)) != NULL;) {
		for (unsigned round = 0; !ops->flush_done(vp->engine); round++) {
			hv_host_relax(round);
		}
	}
}

bool hv_partition_skip(struct hv_partition *p, uint64_t ns)
{
	const struct hv_engine_ops *ops = p->hv->engine;

	return ops->skip != NULL &&
	       ops->skip(p->engine, mul_div_u64(ns, p->time.tsc_hz, UINT64_C(1000000000)) + 1);
}

uint64_t hv_partition_first_user(struct hv_partition *p)
{
	const struct hv_engine_ops *ops = p->hv->engine;

	return ops->first_user != NULL ? ops->first_user(p->engine) : 0;
}
