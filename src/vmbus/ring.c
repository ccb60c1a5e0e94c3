// SPDX-License-Identifier: Apache-2.0
/* The memory of a channel's two rings: found once at open, never by the guest's lists again. */
#include "ring.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"

/* Plain memory that the guest may read and write; what covers it for a while (overlays) is none. */
static bool map_page(struct gmem *gm, uint64_t gpn, struct ring_page *ret)
{
	uint64_t entry = gmem_entry(gm, gpn);

	if (gmem_entry_page(entry) == NULL || (entry & GMEM_OVERLAY) ||
	    (entry & (GMEM_R | GMEM_W)) != (GMEM_R | GMEM_W)) {
		return false;
	}
	*ret = (struct ring_page){.host = gmem_entry_page(entry), .gpn = gpn, .run = 1};
	return true;
}

/* From the back: how many pages from each on are neighbours. */
static void find_runs(struct ring_page *pages, uint32_t count)
{
	for (uint32_t i = count - 1; i-- > 0;) {
		if (pages[i].host + VMBUS_PAGE_BYTES == pages[i + 1].host) {
			pages[i].run = pages[i + 1].run + 1;
		}
	}
}

/* @pages[0] is the control page. */
static void set_half(struct ring_half *h, struct ring_page *pages, uint32_t count)
{
	h->control = (struct vmbus_ring_control *)(void *)pages[0].host;
	h->control_gpa = pages[0].gpn << GMEM_PAGE_SHIFT;
	h->pages = pages + 1;
	h->size = (count - 1) * VMBUS_PAGE_BYTES;
	find_runs(h->pages, count - 1);
}

bool ring_map(struct ring *r, struct gmem *gm, const uint64_t *pfns, uint32_t count,
	      uint32_t downstream)
{
	struct ring_page *pages;

	if (downstream < 2 || downstream >= count || count - downstream < 2) {
		return false;
	}
	pages = calloc(count, sizeof(*pages));
	if (pages == NULL) {
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (!map_page(gm, pfns[i], &pages[i])) {
			free(pages);
			return false;
		}
	}
	*r = (struct ring){.gm = gm, .pages = pages};
	set_half(&r->in, pages, downstream);
	set_half(&r->out, pages + downstream, count - downstream);
	return true;
}

void ring_unmap(struct ring *r)
{
	free(r->pages);
	*r = (struct ring){0};
}

bool ring_start(struct ring *r)
{
	struct vmbus_ring_control *in = r->in.control, *out = r->out.control;

	r->in_read = r->in_published = ring_control_load(&in->read_index);
	r->in_write = ring_control_load(&in->write_index);
	r->out_write = r->out_published = ring_control_load(&out->write_index);
	r->out_read = ring_control_load(&out->read_index);
	if (!ring_index_valid(&r->in, r->in_read) || !ring_index_valid(&r->in, r->in_write) ||
	    !ring_index_valid(&r->out, r->out_write) || !ring_index_valid(&r->out, r->out_read)) {
		return false;
	}
	ring_control_store(r->gm, &r->in, &in->interrupt_mask, 0);
	ring_control_store(r->gm, &r->out, &out->pending_send_size, 0);
	ring_control_store(r->gm, &r->out, &out->features,
			   ring_control_load(&out->features) |
				   VMBUS_RING_FEATURE_PENDING_SEND_SIZE);
	return true;
}

void ring_control_store(struct gmem *gm, const struct ring_half *h, uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
	gmem_touch(gm, h->control_gpa + (uint64_t)((uint8_t *)word - (uint8_t *)h->control),
		   sizeof(*word));
}

/* The piece of ring data at @offset that can be copied at once. */
static uint8_t *piece(const struct ring_half *h, uint32_t offset, uint32_t bytes,
		      uint32_t *ret_bytes)
{
	const struct ring_page *page = &h->pages[offset / VMBUS_PAGE_BYTES];
	uint32_t in_page = offset % VMBUS_PAGE_BYTES;

	*ret_bytes = (uint32_t)min_u64(bytes, page->run * VMBUS_PAGE_BYTES - in_page);
	return page->host + in_page;
}

void ring_copy_out(const struct ring_half *h, uint32_t offset, void *buf, uint32_t bytes)
{
	uint8_t *to = buf;

	while (bytes != 0) {
		uint32_t n;
		const uint8_t *from = piece(h, offset, bytes, &n);

		memcpy(to, from, n);
		to += n;
		bytes -= n;
		offset = ring_advance(h, offset, n);
	}
}

void ring_copy_in(const struct ring_half *h, uint32_t offset, const void *buf, uint32_t bytes)
{
	const uint8_t *from = buf;

	while (bytes != 0) {
		uint32_t n;
		uint8_t *to = piece(h, offset, bytes, &n);

		memcpy(to, from, n);
		from += n;
		bytes -= n;
		offset = ring_advance(h, offset, n);
	}
}

void ring_touch(struct gmem *gm, const struct ring_half *h, uint32_t offset, uint32_t bytes)
{
	while (bytes != 0) {
		uint32_t in_page = offset % VMBUS_PAGE_BYTES;
		uint32_t n = (uint32_t)min_u64(bytes, VMBUS_PAGE_BYTES - in_page);

		gmem_touch(gm,
			   (h->pages[offset / VMBUS_PAGE_BYTES].gpn << GMEM_PAGE_SHIFT) + in_page,
			   n);
		bytes -= n;
		offset = ring_advance(h, offset, n);
	}
}
