// SPDX-License-Identifier: Apache-2.0
/* The cache of metadata pages. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhdx.h"

/* ---- Lists ---- */

static void list_add(struct vhdx_pages *l, struct vhdx_page *p)
{
	p->newer = NULL;
	p->older = l->newest;
	*(l->newest != NULL ? &l->newest->newer : &l->oldest) = p;
	l->newest = p;
	l->count++;
}

static void list_remove(struct vhdx_pages *l, struct vhdx_page *p)
{
	*(p->newer != NULL ? &p->newer->older : &l->newest) = p->older;
	*(p->older != NULL ? &p->older->newer : &l->oldest) = p->newer;
	l->count--;
}

static bool is_clean(const struct vhdx_page *p)
{
	return !p->loading && !p->dirty && !p->logged;
}

/* ---- The cache ---- */

int vhdx_cache_init(struct vhdx_cache *c, size_t limit)
{
	*c = (struct vhdx_cache){.limit = limit, .bucket_count = 4096};
	c->buckets = calloc(c->bucket_count, sizeof(struct vhdx_page *));
	return c->buckets != NULL ? 0 : -ENOMEM;
}

static struct vhdx_page **bucket_of(const struct vhdx_cache *c, uint64_t offset)
{
	return &c->buckets[((offset / VHDX_PAGE) * UINT64_C(0x9e3779b97f4a7c15) >> 40) &
			   (c->bucket_count - 1)];
}

static void page_free(struct vhdx_page *p)
{
	free(p->data);
	free(p);
}

void vhdx_cache_fini(struct vhdx_cache *c)
{
	for (size_t i = 0; c->buckets != NULL && i < c->bucket_count; i++) {
		struct vhdx_page *p = c->buckets[i];

		while (p != NULL) {
			struct vhdx_page *next = p->hash_next;

			page_free(p);
			p = next;
		}
	}
	free(c->buckets);
}

static struct vhdx_page *find(const struct vhdx_cache *c, uint64_t offset)
{
	struct vhdx_page *p = *bucket_of(c, offset);

	while (p != NULL && p->offset != offset) {
		p = p->hash_next;
	}
	return p;
}

/* Takes a page that is on no list out of the table. */
static void forget(struct vhdx_cache *c, struct vhdx_page *p)
{
	struct vhdx_page **at = bucket_of(c, p->offset);

	while (*at != p) {
		at = &(*at)->hash_next;
	}
	*at = p->hash_next;
	c->count--;
	page_free(p);
}

static struct vhdx_page *page_create(struct vhdx_cache *c, uint64_t offset)
{
	struct vhdx_page *p = calloc(1, sizeof(*p));
	struct vhdx_page **at = bucket_of(c, offset);

	while (c->count >= c->limit && c->clean.oldest != NULL) {
		struct vhdx_page *victim = c->clean.oldest;

		list_remove(&c->clean, victim);
		forget(c, victim);
	}
	if (p == NULL || (p->data = aligned_alloc(VHDX_PAGE, VHDX_PAGE)) == NULL) {
		free(p);
		return NULL;
	}
	p->offset = offset;
	p->hash_next = *at;
	*at = p;
	c->count++;
	return p;
}

static void page_loaded(struct vhdx_io *io, int result)
{
	struct vhdx_page *p = container_of(io, struct vhdx_page, io);
	struct vhdx *v = io->v;
	struct vhdx_waiters waiters = p->waiters;

	p->waiters.first = NULL;
	p->loading = false;
	if (result == 0) {
		list_add(&v->cache.clean, p);
	} else {
		forget(&v->cache, p);
	}
	vhdx_wake_all(&waiters, result);
}

static int page_load(struct vhdx *v, uint64_t offset, struct vhdx_page **ret)
{
	struct vhdx_page *p = page_create(&v->cache, offset);

	if (p == NULL) {
		return -ENOMEM;
	}
	p->loading = true;
	vhdx_io_read(v, &p->io, offset, p->data, VHDX_PAGE, page_loaded);
	*ret = p;
	return 0;
}

int vhdx_page_get(struct vhdx *v, uint64_t offset, struct vhdx_waiter *w, struct vhdx_page **ret)
{
	struct vhdx_cache *c = &v->cache;
	struct vhdx_page *p = find(c, offset);

	if (p == NULL) {
		int rc = page_load(v, offset, &p);

		if (rc != 0) {
			return rc;
		}
	}
	if (p->loading) {
		vhdx_wait_on(&p->waiters, w);
		return VHDX_WAIT;
	}
	if (is_clean(p) && c->clean.newest != p) {
		list_remove(&c->clean, p);
		list_add(&c->clean, p);
	}
	*ret = p;
	return 0;
}

int vhdx_page_get_zero(struct vhdx *v, uint64_t offset, struct vhdx_page **ret)
{
	struct vhdx_page *p = find(&v->cache, offset);

	CHECK(p == NULL);
	p = page_create(&v->cache, offset);
	if (p == NULL) {
		return -ENOMEM;
	}
	memset(p->data, 0, VHDX_PAGE);
	list_add(&v->cache.clean, p);
	*ret = p;
	return 0;
}

struct vhdx_page *vhdx_page_peek(struct vhdx *v, uint64_t offset)
{
	struct vhdx_page *p = find(&v->cache, offset);

	return p == NULL || p->loading ? NULL : p;
}

int vhdx_page_get_sync(struct vhdx *v, uint64_t offset, struct vhdx_page **ret)
{
	struct vhdx_sync s;
	int rc;

	do {
		rc = vhdx_page_get(v, offset, vhdx_sync_begin(&s), ret);
	} while (vhdx_sync_again(v, &s, &rc));
	return rc;
}

void vhdx_page_dirty(struct vhdx *v, struct vhdx_page *p, uint64_t data_flush)
{
	CHECK(!p->loading);
	if (!p->dirty) {
		if (!p->logged) {
			list_remove(&v->cache.clean, p);
		}
		list_add(&v->cache.dirty, p);
		p->dirty = true;
	}
	p->data_flush = max_u64(p->data_flush, data_flush);
}

void vhdx_page_snapshot(struct vhdx *v, struct vhdx_page *p)
{
	CHECK(p->dirty && !p->logged);
	list_remove(&v->cache.dirty, p);
	p->dirty = false;
	p->logged = true;
	p->data_flush = 0;
}

void vhdx_page_written(struct vhdx *v, struct vhdx_page *p, bool in_place)
{
	p->logged = false;
	if (!in_place && !p->dirty) {
		/* The file does not have it: memory must not lose it. */
		p->dirty = true;
		list_add(&v->cache.dirty, p);
	} else if (!p->dirty) {
		list_add(&v->cache.clean, p);
	}
}

static void forget_clean(struct vhdx_cache *c, struct vhdx_page *p)
{
	list_remove(&c->clean, p);
	forget(c, p);
}

void vhdx_pages_forget(struct vhdx *v, const struct vhdx_extent *range)
{
	struct vhdx_cache *c = &v->cache;
	struct vhdx_page *p, *newer;

	if (range->bytes / VHDX_PAGE < c->clean.count) {
		for (uint64_t at = 0; at < range->bytes; at += VHDX_PAGE) {
			p = find(c, range->offset + at);
			if (p != NULL && is_clean(p)) {
				forget_clean(c, p);
			}
		}
		return;
	}
	for (p = c->clean.oldest; p != NULL; p = newer) {
		newer = p->newer;
		if (p->offset - range->offset < range->bytes) {
			forget_clean(c, p);
		}
	}
}
