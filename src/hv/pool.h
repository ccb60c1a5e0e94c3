/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c: memory that the parent has deposited, in pages and small objects. */
#ifndef HV_POOL_H
#define HV_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "hv/host.h"

#define POOL_CLASSES 5

struct hv_pool {
	struct hv_lock lock;
	struct pool_free_page *free_pages;
	struct pool_slab *partial[POOL_CLASSES];
	uint64_t pages_free;
	uint64_t pages_total;
};

/* Gives @page to the pool; its content is lost. */
void pool_deposit(struct hv_pool *pool, void *page);
/* Takes an unused page out of the pool; NULL: none. */
void *pool_withdraw(struct hv_pool *pool);
/* Zeroed page or object of at most POOL_OBJECT_MAX bytes; NULL: HV_STATUS_INSUFFICIENT_MEMORY. */
#define POOL_OBJECT_MAX 2016u
void *pool_page_alloc(struct hv_pool *pool);
void pool_page_free(struct hv_pool *pool, void *page);
void *pool_alloc(struct hv_pool *pool, size_t bytes);
void pool_free(struct hv_pool *pool, void *object);

#endif
