// SPDX-License-Identifier: Apache-2.0
/*
 * A partition's memory pool: pages that its parent deposited. Small objects are cut from pages of one size size_class each; a page whose
 * last object is freed goes back to the pool, so that a partition without objects can be drained completely.
 */
#include "core.h"

struct pool_free_page {
	struct pool_free_page *next;
};

struct pool_object {
	struct pool_object *next;
};

struct pool_slab {
	struct pool_slab *next; /* in the list of pages with free objects */
	struct pool_slab **link;
	struct pool_object *free;
	uint32_t size_class;
	uint32_t used;
};

#define SLAB_HEADER 64u
_Static_assert(sizeof(struct pool_slab) <= SLAB_HEADER, "slab header");

static const uint16_t class_bytes[POOL_CLASSES] = {64, 128, 320, 1008, 2016};

static void push_page(struct hv_pool *pool, void *page)
{
	struct pool_free_page *f = page;

	f->next = pool->free_pages;
	pool->free_pages = f;
	pool->pages_free++;
}

static void *pop_page(struct hv_pool *pool)
{
	struct pool_free_page *f = pool->free_pages;

	if (f != NULL) {
		pool->free_pages = f->next;
		pool->pages_free--;
	}
	return f;
}

void pool_deposit(struct hv_pool *pool, void *page)
{
	hv_host_lock(&pool->lock);
	push_page(pool, page);
	pool->pages_total++;
	hv_host_unlock(&pool->lock);
}

void *pool_withdraw(struct hv_pool *pool)
{
	void *page;

	hv_host_lock(&pool->lock);
	page = pop_page(pool);
	if (page != NULL) {
		pool->pages_total--;
	}
	hv_host_unlock(&pool->lock);
	return page;
}

void *pool_page_alloc(struct hv_pool *pool)
{
	void *page;

	hv_host_lock(&pool->lock);
	page = pop_page(pool);
	hv_host_unlock(&pool->lock);
	if (page != NULL) {
		__builtin_memset(page, 0, HV_PAGE_SIZE);
	}
	return page;
}

void pool_page_free(struct hv_pool *pool, void *page)
{
	if (page == NULL) {
		return;
	}
	hv_host_lock(&pool->lock);
	push_page(pool, page);
	hv_host_unlock(&pool->lock);
}

static void slab_link(struct hv_pool *pool, struct pool_slab *slab)
{
	struct pool_slab **head = &pool->partial[slab->size_class];

	slab->next = *head;
	slab->link = head;
	if (slab->next != NULL) {
		slab->next->link = &slab->next;
	}
	*head = slab;
}

static void slab_unlink(struct pool_slab *slab)
{
	*slab->link = slab->next;
	if (slab->next != NULL) {
		slab->next->link = slab->link;
	}
}

static struct pool_slab *slab_create(struct hv_pool *pool, uint32_t size_class)
{
	struct pool_slab *slab = pop_page(pool);

	if (slab == NULL) {
		return NULL;
	}
	slab->size_class = size_class;
	slab->used = 0;
	slab->free = NULL;
	for (uint32_t at = SLAB_HEADER; at + class_bytes[size_class] <= HV_PAGE_SIZE;
	     at += class_bytes[size_class]) {
		struct pool_object *o = (struct pool_object *)(void *)((uint8_t *)slab + at);

		o->next = slab->free;
		slab->free = o;
	}
	slab_link(pool, slab);
	return slab;
}

void *pool_alloc(struct hv_pool *pool, size_t bytes)
{
	struct pool_object *o = NULL;
	struct pool_slab *slab;
	uint32_t size_class = 0;

	CHECK(bytes <= POOL_OBJECT_MAX);
	while (class_bytes[size_class] < bytes) {
		size_class++;
	}
	hv_host_lock(&pool->lock);
	slab = pool->partial[size_class];
	if (slab == NULL) {
		slab = slab_create(pool, size_class);
	}
	if (slab != NULL) {
		o = slab->free;
		slab->free = o->next;
		slab->used++;
		if (slab->free == NULL) {
			slab_unlink(slab);
		}
	}
	hv_host_unlock(&pool->lock);
	if (o != NULL) {
		__builtin_memset(o, 0, class_bytes[size_class]);
	}
	return o;
}

void pool_free(struct hv_pool *pool, void *object)
{
	struct pool_object *o = object;
	struct pool_slab *slab;

	if (o == NULL) {
		return;
	}
	slab = (struct pool_slab *)((uintptr_t)o & ~(uintptr_t)(HV_PAGE_SIZE - 1));
	hv_host_lock(&pool->lock);
	if (slab->free == NULL) {
		slab_link(pool, slab);
	}
	o->next = slab->free;
	slab->free = o;
	slab->used--;
	if (slab->used == 0) {
		slab_unlink(slab);
		push_page(pool, slab);
	}
	hv_host_unlock(&pool->lock);
}
