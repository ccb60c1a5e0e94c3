// SPDX-License-Identifier: Apache-2.0
/* Virtual processors: creation, the table, ownership, wake-ups, INIT and SIPI. */
#include "core.h"

struct hv_vp *vp_find(struct hv_partition *p, uint32_t index)
{
	struct hv_vp **page;

	if (index >= HV_MAXIMUM_PROCESSORS) {
		return NULL;
	}
	page = __atomic_load_n(&p->vp_table[index / VPS_PER_TABLE_PAGE], __ATOMIC_ACQUIRE);
	return page != NULL ? __atomic_load_n(&page[index % VPS_PER_TABLE_PAGE], __ATOMIC_ACQUIRE)
			    : NULL;
}

struct hv_vp *vp_next(struct hv_partition *p, uint32_t *cursor)
{
	uint32_t limit = __atomic_load_n(&p->vp_limit, __ATOMIC_ACQUIRE);

	while (*cursor < limit) {
		struct hv_vp *vp = vp_find(p, (*cursor)++);

		if (vp != NULL) {
			return vp;
		}
	}
	return NULL;
}

void vp_notify(struct hv_vp *vp)
{
	/* Pairs with run.c: it announces "running" or "blocked" and only then looks for work once more. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&vp->running, __ATOMIC_SEQ_CST)) {
		vp_ops(vp)->kick(vp->engine);
	}
	if (__atomic_load_n(&vp->blocked, __ATOMIC_SEQ_CST) &&
	    __atomic_exchange_n(&vp->blocked, 0, __ATOMIC_SEQ_CST)) {
		hv_host_wake(vp->cookie);
	}
}

void vp_request(struct hv_vp *vp, uint32_t bits)
{
	__atomic_fetch_or(&vp->requests, bits, __ATOMIC_SEQ_CST);
	vp_notify(vp);
}

bool vp_try_acquire(struct hv_vp *vp)
{
	uint32_t expected = 0;

	return __atomic_compare_exchange_n(&vp->owned, &expected, 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

void vp_acquire(struct hv_vp *vp)
{
	for (unsigned round = 0; !vp_try_acquire(vp); round++) {
		hv_host_relax(round);
	}
}

void vp_claim(struct hv_vp *vp)
{
	__atomic_fetch_add(&vp->wanted, 1, __ATOMIC_SEQ_CST);
	vp_notify(vp);
	vp_acquire(vp);
	__atomic_fetch_sub(&vp->wanted, 1, __ATOMIC_SEQ_CST);
}

bool vp_claim_for(struct hv_vp *vp, const struct hv_vp *owned)
{
	bool taken = false;

	if (owned == NULL) {
		vp_claim(vp);
		return true;
	}
	__atomic_fetch_add(&vp->wanted, 1, __ATOMIC_SEQ_CST);
	vp_notify(vp);
	for (unsigned round = 0; !taken; round++) {
		if (__atomic_load_n(&owned->wanted, __ATOMIC_SEQ_CST) != 0) {
			break;
		}
		taken = vp_try_acquire(vp);
		hv_host_relax(round);
	}
	__atomic_fetch_sub(&vp->wanted, 1, __ATOMIC_SEQ_CST);
	return taken;
}

void vp_release(struct hv_vp *vp)
{
	__atomic_store_n(&vp->owned, 0, __ATOMIC_RELEASE);
}

void vp_claim_all(struct hv_partition *p)
{
	struct hv_vp *vp;

	for (uint32_t i = 0; (vp = vp_next(p, &i)) != NULL;) {
		vp_claim(vp);
	}
}

void vp_release_all(struct hv_partition *p)
{
	struct hv_vp *vp;

	for (uint32_t i = 0; (vp = vp_next(p, &i)) != NULL;) {
		vp_release(vp);
	}
}

void vp_tsc_apply(struct hv_vp *vp)
{
	uint64_t offset =
		__atomic_load_n(&vp->partition->time.offset, __ATOMIC_RELAXED) + vp->tsc_offset;

	if (offset != vp->tsc_applied) {
		vp->tsc_applied = offset;
		vp_ops(vp)->set_tsc_offset(vp->engine, offset);
	}
}

bool vp_waits_for_start(const struct hv_vp *vp)
{
	if (apic_away(vp)) {
		return vp->partition->apic->activity(vp->engine) == HV_ACTIVITY_WAITS_FOR_SIPI;
	}
	return vp->startup_suspend;
}

uint64_t vp_runtime_100ns(const struct hv_vp *vp)
{
	return time_100ns(vp->partition, vp->runtime);
}

uint64_t vp_reg(struct hv_vp *vp, uint32_t name)
{
	struct hv_u128 v = {0, 0};

	CHECK(vp_ops(vp)->reg_get(vp->engine, name, &v));
	return v.lo;
}

void vp_reg_set(struct hv_vp *vp, uint32_t name, uint64_t value)
{
	struct hv_u128 v = {value, 0};

	CHECK(vp_ops(vp)->reg_set(vp->engine, name, &v));
}

static bool is_bsp(const struct hv_vp *vp)
{
	return vp->index == 0;
}

void vp_do_init(struct hv_vp *vp)
{
	if (vp->intercept) {
		vp_ops(vp)->abandon(vp->engine);
		vp->intercept = false;
	}
	vp_ops(vp)->vp_reset(vp->engine, true);
	lapic_reset(vp, true);
	vp->halted = false;
	vp->idle = false;
	vp->dead = false;
	vp->startup_suspend = !is_bsp(vp);
}

static void set_segment(struct hv_vp *vp, uint32_t name, const struct hv_x64_segment_register *s)
{
	struct hv_u128 v;

	__builtin_memcpy(&v, s, sizeof(v));
	vp_ops(vp)->reg_set(vp->engine, name, &v);
}

void vp_do_sipi(struct hv_vp *vp, uint8_t vector)
{
	struct hv_x64_segment_register cs = {
		.base = (uint64_t)vector << 12,
		.limit = 0xFFFF,
		.selector = (uint16_t)(vector << 8),
		.attributes = X86_SEG_P | X86_SEG_S | 0xB,
	};

	if (!vp->startup_suspend) {
		return;
	}
	set_segment(vp, HvX64RegisterCs, &cs);
	vp_reg_set(vp, HvX64RegisterRip, 0);
	vp->startup_suspend = false;
}

static void set_table(struct hv_vp *vp, uint32_t name, const struct hv_x64_table_register *t)
{
	struct hv_u128 v;

	__builtin_memcpy(&v, t, sizeof(v));
	vp_ops(vp)->reg_set(vp->engine, name, &v);
}

void vp_set_initial_context(struct hv_vp *vp, const struct hv_initial_vp_context *c)
{
	/* Values that the processor refuses keep what they had: the VP then starts with a fault of its own. */
	static const struct {
		uint32_t name;
		uint32_t offset;
	} words[] = {
		{HvX64RegisterEfer, offsetof(struct hv_initial_vp_context, efer)},
		{HvX64RegisterCr4, offsetof(struct hv_initial_vp_context, cr4)},
		{HvX64RegisterCr3, offsetof(struct hv_initial_vp_context, cr3)},
		{HvX64RegisterCr0, offsetof(struct hv_initial_vp_context, cr0)},
		{HvX64RegisterPat, offsetof(struct hv_initial_vp_context, msr_cr_pat)},
		{HvX64RegisterRip, offsetof(struct hv_initial_vp_context, rip)},
		{HvX64RegisterRsp, offsetof(struct hv_initial_vp_context, rsp)},
		{HvX64RegisterRflags, offsetof(struct hv_initial_vp_context, rflags)},
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		struct hv_u128 v = {load_le64((const uint8_t *)c + words[i].offset), 0};

		vp_ops(vp)->reg_set(vp->engine, words[i].name, &v);
	}
	set_segment(vp, HvX64RegisterCs, &c->cs);
	set_segment(vp, HvX64RegisterDs, &c->ds);
	set_segment(vp, HvX64RegisterEs, &c->es);
	set_segment(vp, HvX64RegisterFs, &c->fs);
	set_segment(vp, HvX64RegisterGs, &c->gs);
	set_segment(vp, HvX64RegisterSs, &c->ss);
	set_segment(vp, HvX64RegisterTr, &c->tr);
	set_segment(vp, HvX64RegisterLdtr, &c->ldtr);
	set_table(vp, HvX64RegisterIdtr, &c->idtr);
	set_table(vp, HvX64RegisterGdtr, &c->gdtr);
	vp->startup_suspend = false;
	if (apic_away(vp)) {
		vp->partition->apic->set_activity(vp->engine, HV_ACTIVITY_RUNNING);
	}
}

static void free_pages(struct hv_vp *vp)
{
	struct hv_pool *pool = &vp->partition->pool;

	pool_page_free(pool, vp->message);
	pool_page_free(pool, vp->call_input);
	pool_page_free(pool, vp->call_output);
	pool_page_free(pool, vp->call_counts);
	pool_page_free(pool, vp->synic.sim.own);
	pool_page_free(pool, vp->synic.sief.own);
	pool_page_free(pool, vp->assist.overlay.own);
	pool_page_free(pool, vp);
}

static bool alloc_pages(struct hv_vp *vp)
{
	struct hv_pool *pool = &vp->partition->pool;

	vp->message = pool_page_alloc(pool);
	vp->call_input = pool_page_alloc(pool);
	vp->call_output = pool_page_alloc(pool);
	vp->call_counts = pool_page_alloc(pool);
	vp->synic.sim.own = pool_page_alloc(pool);
	vp->synic.sief.own = pool_page_alloc(pool);
	vp->assist.overlay.own = pool_page_alloc(pool);
	return vp->message && vp->call_input && vp->call_output && vp->call_counts &&
	       vp->synic.sim.own && vp->synic.sief.own && vp->assist.overlay.own;
}

static void init_state(struct hv_vp *vp)
{
	vp->synic.sim.rights = GMEM_R | GMEM_W;
	vp->synic.sief.rights = GMEM_R | GMEM_W;
	vp->assist.overlay.rights = GMEM_R | GMEM_W;
	vp->extint_vector = -1;
	vp->explicit_suspend =
		1; /* Spec: TLFS 7.4: the parent starts it by clearing the register */
	vp->startup_suspend = !is_bsp(vp);
	lapic_reset(vp, false);
	synic_reset(vp);
	vp->tsc_applied = 0;
}

uint16_t vp_create(struct hv_partition *p, uint32_t index)
{
	struct hv_vp ***table = &p->vp_table[index / VPS_PER_TABLE_PAGE];
	struct hv_vp *vp;

	if (*table == NULL) {
		struct hv_vp **page = pool_page_alloc(&p->pool);

		if (page == NULL) {
			return HV_STATUS_INSUFFICIENT_MEMORY;
		}
		__atomic_store_n(table, page, __ATOMIC_RELEASE);
	}
	vp = pool_page_alloc(&p->pool);
	if (vp == NULL) {
		return HV_STATUS_INSUFFICIENT_MEMORY;
	}
	vp->partition = p;
	vp->index = index;
	if (!alloc_pages(vp)) {
		free_pages(vp);
		return HV_STATUS_INSUFFICIENT_MEMORY;
	}
	if (p->hv->engine->vp_create(p->engine, index, &vp->engine) != 0) {
		free_pages(vp);
		return HV_STATUS_NO_RESOURCES;
	}
	init_state(vp);
	p->vp_count++;
	__atomic_store_n(&(*table)[index % VPS_PER_TABLE_PAGE], vp, __ATOMIC_RELEASE);
	__atomic_store_n(&p->vp_limit, (uint32_t)max_u64(p->vp_limit, index + 1), __ATOMIC_RELEASE);
	apic_adopt(vp);
	return HV_STATUS_SUCCESS;
}

void vp_destroy(struct hv_vp *vp)
{
	struct hv_partition *p = vp->partition;

	synic_purge(vp, NULL);
	synic_page_write(vp, &vp->synic.sim, 0);
	synic_page_write(vp, &vp->synic.sief, 0);
	overlay_set(p, &vp->assist.overlay, 0);
	__atomic_store_n(
		&p->vp_table[vp->index / VPS_PER_TABLE_PAGE][vp->index % VPS_PER_TABLE_PAGE], NULL,
		__ATOMIC_RELEASE);
	p->vp_count--;
	p->hv->engine->vp_destroy(vp->engine);
	free_pages(vp);
}

void hv_vp_set_cookie(struct hv_vp *vp, void *cookie)
{
	vp->cookie = cookie;
}

void hv_vp_kick(struct hv_vp *vp)
{
	vp_request(vp, REQUEST_KICK);
}

struct hv_vp *hv_root_vp(struct hv_partition *p, uint32_t vp_index)
{
	return vp_find(p, vp_index);
}
