// SPDX-License-Identifier: Apache-2.0
#include "image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

#define PAGE_BYTES UINT64_C(4096)

struct page {
	unsigned owners;
	uint8_t bytes[PAGE_BYTES];
};

struct image {
	uint64_t bytes;
	size_t slots;
	struct page **pages; /* NULL: zeros */
};

static void *must(void *p)
{
	CHECK(p != NULL);
	return p;
}

static void release(struct page *p)
{
	if (p != NULL && --p->owners == 0) {
		free(p);
	}
}

struct image *image_create(void)
{
	return must(calloc(1, sizeof(struct image)));
}

struct image *image_copy(struct image *i)
{
	struct image *copy = image_create();

	*copy = *i;
	copy->pages = must(malloc((i->slots + 1) * sizeof(*i->pages)));
	for (size_t n = 0; n < i->slots; n++) {
		copy->pages[n] = i->pages[n];
		if (copy->pages[n] != NULL) {
			copy->pages[n]->owners++;
		}
	}
	return copy;
}

void image_destroy(struct image *i)
{
	if (i == NULL) {
		return;
	}
	for (size_t n = 0; n < i->slots; n++) {
		release(i->pages[n]);
	}
	free(i->pages);
	free(i);
}

uint64_t image_bytes(const struct image *i)
{
	return i->bytes;
}

static size_t slot_of(uint64_t offset)
{
	return (size_t)(offset / PAGE_BYTES);
}

static struct page *page_at(const struct image *i, uint64_t offset)
{
	size_t slot = slot_of(offset);

	return slot < i->slots ? i->pages[slot] : NULL;
}

static void make_room(struct image *i, size_t slots)
{
	if (slots <= i->slots) {
		return;
	}
	i->pages = must(realloc(i->pages, slots * sizeof(*i->pages)));
	memset(i->pages + i->slots, 0, (slots - i->slots) * sizeof(*i->pages));
	i->slots = slots;
}

/* The page at @offset for changing: nobody else's. */
static struct page *own_page(struct image *i, uint64_t offset)
{
	size_t slot = slot_of(offset);

	make_room(i, slot + 1);
	struct page *old = i->pages[slot];

	if (old != NULL && old->owners == 1) {
		return old;
	}
	struct page *mine = must(old == NULL ? calloc(1, sizeof(*mine)) : malloc(sizeof(*mine)));

	if (old != NULL) {
		memcpy(mine->bytes, old->bytes, PAGE_BYTES);
		release(old);
	}
	mine->owners = 1;
	i->pages[slot] = mine;
	return mine;
}

static size_t in_page(uint64_t offset, uint64_t bytes)
{
	return (size_t)min_u64(bytes, PAGE_BYTES - offset % PAGE_BYTES);
}

void image_read(const struct image *i, uint64_t offset, void *buf, uint64_t bytes)
{
	uint8_t *to = buf;

	while (bytes != 0) {
		size_t n = in_page(offset, bytes);
		const struct page *p = page_at(i, offset);

		if (p != NULL) {
			memcpy(to, p->bytes + offset % PAGE_BYTES, n);
		} else {
			memset(to, 0, n);
		}
		offset += n;
		to += n;
		bytes -= n;
	}
}

void image_write(struct image *i, uint64_t offset, const void *buf, uint64_t bytes)
{
	const uint8_t *from = buf;

	while (bytes != 0) {
		size_t n = in_page(offset, bytes);

		memcpy(own_page(i, offset)->bytes + offset % PAGE_BYTES, from, n);
		offset += n;
		from += n;
		bytes -= n;
		i->bytes = max_u64(i->bytes, offset);
	}
}

static void clear(struct image *i, uint64_t offset, uint64_t bytes)
{
	while (bytes != 0) {
		size_t n = in_page(offset, bytes);
		size_t slot = slot_of(offset);

		if (slot >= i->slots) {
			return;
		}
		if (n == PAGE_BYTES) {
			release(i->pages[slot]);
			i->pages[slot] = NULL;
		} else if (i->pages[slot] != NULL) {
			memset(own_page(i, offset)->bytes + offset % PAGE_BYTES, 0, n);
		}
		offset += n;
		bytes -= n;
	}
}

void image_zero(struct image *i, uint64_t offset, uint64_t bytes)
{
	clear(i, offset, bytes);
	i->bytes = max_u64(i->bytes, offset + bytes);
}

void image_resize(struct image *i, uint64_t bytes)
{
	if (bytes < i->bytes) {
		clear(i, bytes, i->bytes - bytes);
	}
	i->bytes = bytes;
}

bool image_is_hole(const struct image *i, uint64_t offset, uint64_t *ret_bytes)
{
	bool hole = page_at(i, offset) == NULL;
	uint64_t at = offset;

	while (at < i->bytes && (page_at(i, at) == NULL) == hole) {
		at += PAGE_BYTES - at % PAGE_BYTES;
	}
	*ret_bytes = min_u64(at, i->bytes) - offset;
	return hole;
}

bool image_save(const struct image *i, const char *path)
{
	uint8_t buf[PAGE_BYTES];
	FILE *f = fopen(path, "wbe");
	bool ok = f != NULL;

	for (uint64_t at = 0; ok && at < i->bytes; at += PAGE_BYTES) {
		size_t n = (size_t)min_u64(PAGE_BYTES, i->bytes - at);

		image_read(i, at, buf, n);
		ok = fwrite(buf, 1, n, f) == n;
	}
	return f != NULL && fclose(f) == 0 && ok;
}
