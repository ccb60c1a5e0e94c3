// SPDX-License-Identifier: Apache-2.0
/* The cache of BAT and bitmap pages: found by file offset, loaded when first wanted, the least recently used go when it is full. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "vhd_image.h"

static struct vhd_page **bucket_of(struct vhd_image *v, uint64_t offset)
{
	uint64_t hash = (offset / VHD_SECTOR_BYTES) * UINT64_C(0x9e3779b97f4a7c15);

	return &v->buckets[hash >> 32 & (VHD_PAGE_BUCKETS - 1)];
}

struct vhd_page *vhd_page_find(struct vhd_image *v, uint64_t offset)
{
	struct vhd_page *p = *bucket_of(v, offset);

	while (p != NULL && p->offset != offset) {
		p = p->hash_next;
	}
	return p;
}

/* ---- The order of use ---- */

static void unlink_used(struct vhd_page *p)
{
	struct vhd_image *v = p->v;

	*(p->newer == NULL ? &v->newest : &p->newer->older) = p->older;
	*(p->older == NULL ? &v->oldest : &p->older->newer) = p->newer;
}

static void link_newest(struct vhd_page *p)
{
	struct vhd_image *v = p->v;

	p->newer = NULL;
	p->older = v->newest;
	*(v->newest == NULL ? &v->oldest : &v->newest->newer) = p;
	v->newest = p;
}

static void touch(struct vhd_page *p)
{
	if (p->newer != NULL) {
		unlink_used(p);
		link_newest(p);
	}
}

static size_t footprint(const struct vhd_page *p)
{
	return sizeof(*p) + p->bytes + (p->shadow == NULL ? 0 : p->bytes);
}

static void destroy(struct vhd_page *p)
{
	struct vhd_page **link = bucket_of(p->v, p->offset);

	while (*link != p) {
		link = &(*link)->hash_next;
	}
	*link = p->hash_next;
	unlink_used(p);
	p->v->cached_bytes -= footprint(p);
	free(p->shadow);
	free(p);
}

static bool is_busy(const struct vhd_page *p)
{
	return !p->ready || p->pins != 0 || p->dirty != 0 || p->writing != 0;
}

/* Makes room. Dirty pages stay; there is a limit to them elsewhere. */
static void evict(struct vhd_image *v)
{
	struct vhd_page *p = v->oldest;

	while (p != NULL && v->cached_bytes > VHD_CACHE_BYTES) {
		struct vhd_page *newer = p->newer;

		if (!is_busy(p)) {
			destroy(p);
		}
		p = newer;
	}
}

static struct vhd_page *create(struct vhd_image *v, enum vhd_page_kind kind, uint64_t offset,
			       uint32_t bytes)
{
	struct vhd_page *p;
	struct vhd_page **bucket = bucket_of(v, offset);

	evict(v);
	p = calloc(1, sizeof(*p) + bytes);
	if (p == NULL) {
		return NULL;
	}
	p->v = v;
	p->kind = kind;
	p->offset = offset;
	p->bytes = bytes;
	vhd_queue_init(&p->waiting);
	p->hash_next = *bucket;
	*bucket = p;
	link_newest(p);
	v->cached_bytes += footprint(p);
	return p;
}

/* ---- Loading ---- */

static void load_done(struct io_request *r, int result)
{
	struct vhd_page *p = container_of(r, struct vhd_page, r);

	p->ready = result == 0;
	vhd_page_pin(p); /* those who waited may push it out of the cache */
	vhd_queue_wake(&p->waiting, result);
	vhd_page_unpin(p);
	if (result != 0) {
		destroy(p);
	}
}

static void load(struct vhd_page *p)
{
	p->vec = (struct io_vec){.base = p->data, .bytes = p->bytes};
	p->r = (struct io_request){
		.op = IO_READ,
		.offset = p->offset,
		.bytes = p->bytes,
		.vec = &p->vec,
		.vec_count = 1,
		.done = load_done,
	};
	storage_file_submit(p->v->layer.file, &p->r);
}

bool vhd_page_get(struct vhd_op *op, enum vhd_page_kind kind, uint64_t offset, uint32_t bytes,
		  struct vhd_page **ret)
{
	struct vhd_page *p = vhd_page_find(op->v, offset);

	if (p != NULL && p->ready) {
		touch(p);
		*ret = p;
		return true;
	}
	if (p == NULL) {
		p = create(op->v, kind, offset, bytes);
		if (p == NULL) {
			return vhd_op_fail(op, -ENOMEM);
		}
		load(p);
	}
	vhd_op_park(op, &p->waiting);
	return false;
}

struct vhd_page *vhd_page_insert(struct vhd_image *v, enum vhd_page_kind kind, uint64_t offset,
				 uint32_t bytes, const uint8_t *data, uint8_t fill)
{
	struct vhd_page *p = vhd_page_find(v, offset);

	if (p == NULL) {
		p = create(v, kind, offset, bytes);
	}
	if (p == NULL) {
		return NULL;
	}
	CHECK(p->dirty == 0 && p->writing == 0 && p->pins == 0);
	if (data != NULL) {
		memcpy(p->data, data, bytes);
	} else {
		memset(p->data, fill, bytes);
	}
	p->ready = true;
	return p;
}

/* ---- Changes ---- */

bool vhd_page_prepare(struct vhd_page *p)
{
	if (p->shadow == NULL) {
		p->shadow = malloc(p->bytes);
		p->v->cached_bytes += p->shadow == NULL ? 0 : p->bytes;
	}
	return p->shadow != NULL;
}

void vhd_page_mark(struct vhd_page *p, uint32_t at)
{
	CHECK(p->shadow != NULL && at < p->bytes);
	if (p->dirty == 0) {
		p->dirty_next = p->v->dirty;
		p->v->dirty = p;
		p->v->dirty_pages++;
	}
	p->dirty |= (uint8_t)(1u << at / VHD_SECTOR_BYTES);
}

void vhd_page_drop(struct vhd_image *v, uint64_t offset, uint64_t bytes)
{
	for (uint64_t at = offset; at < offset + bytes; at += VHD_SECTOR_BYTES) {
		struct vhd_page *p = vhd_page_find(v, at);

		if (p != NULL) {
			CHECK(!is_busy(p));
			destroy(p);
		}
	}
}

void vhd_page_drop_all(struct vhd_image *v)
{
	while (v->newest != NULL) {
		destroy(v->newest);
	}
}
