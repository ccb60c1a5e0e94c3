// SPDX-License-Identifier: Apache-2.0
/* The fake guest's channels: opening, closing, and rings by the rules of Linux's ring_buffer.c. */
#include "vmbus/testing/guest.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

/* ---- Open and close ---- */

static void init_ring(struct fake_guest *g, struct fake_guest_ring *r, const uint64_t *pfns,
		      uint32_t pages)
{
	r->control = fake_guest_page(g, pfns[0]);
	r->size = (pages - 1) * GMEM_PAGE_BYTES;
	r->pages = calloc(pages, sizeof(*r->pages));
	CHECK(r->pages != NULL);
	for (uint32_t i = 1; i < pages; i++) {
		r->pages[i - 1] = fake_guest_page(g, pfns[i]);
	}
	r->control->read_index = 0;
	r->control->write_index = 0;
	r->control->interrupt_mask = 0;
	r->control->pending_send_size = 0;
	/* Guests before WIN8 know nothing of it. */
	r->control->features =
		g->version >= VERSION_WIN8 ? VMBUS_RING_FEATURE_PENDING_SEND_SIZE : 0;
}

uint32_t fake_guest_prepare(struct fake_guest *g, const struct fake_guest_offer *offer,
			    uint32_t out_pages, uint32_t in_pages, struct fake_guest_channel *ret)
{
	uint32_t pages = out_pages + in_pages;

	*ret = (struct fake_guest_channel){.g = g,
					   .offer = offer->message,
					   .gpadl = g->next_gpadl++,
					   .page_count = pages,
					   .out_pages = out_pages};
	ret->pfns = calloc(pages, sizeof(*ret->pfns));
	CHECK(ret->pfns != NULL);
	fake_guest_alloc(g, pages, ret->pfns);
	uint32_t status = fake_guest_gpadl(g, ret->offer.relid, ret->gpadl, pages * GMEM_PAGE_BYTES,
					   0, ret->pfns);

	init_ring(g, &ret->out, ret->pfns, out_pages);
	init_ring(g, &ret->in, ret->pfns + out_pages, in_pages);
	return status;
}

void fake_guest_post_open(struct fake_guest_channel *ch, uint32_t vp)
{
	const struct vmbus_open_channel m = {.header.type = CHANNELMSG_OPENCHANNEL,
					     .relid = ch->offer.relid,
					     .open_id = ch->offer.relid,
					     .ring_gpadl = ch->gpadl,
					     .downstream_page = ch->out_pages,
					     .target_vp = vp,
					     .user = {0x55, 0xaa}};

	ch->vp = ch->g->version < VERSION_WIN8 ? 0 : vp;
	fake_guest_post(ch->g, &m, sizeof(m));
}

uint32_t fake_guest_open(struct fake_guest *g, const struct fake_guest_offer *offer,
			 uint32_t out_pages, uint32_t in_pages, uint32_t vp,
			 struct fake_guest_channel *ret)
{
	uint32_t status = fake_guest_prepare(g, offer, out_pages, in_pages, ret);
	struct fake_guest_message r;

	if (status != 0) {
		return status;
	}
	fake_guest_post_open(ret, vp);
	if (!fake_guest_take(g, CHANNELMSG_OPENCHANNEL_RESULT, &r)) {
		return UINT32_MAX;
	}
	CHECK(r.open_result.relid == ret->offer.relid && r.open_result.open_id == ret->offer.relid);
	return r.open_result.status;
}

bool fake_guest_open_index(struct fake_guest *g, const struct guid *instance, uint32_t index,
			   uint32_t pages, struct fake_guest_channel *ret)
{
	const struct fake_guest_offer *offer = fake_guest_find(g, instance, index);

	return offer != NULL &&
	       fake_guest_open(g, offer, pages, pages, index % FAKE_GUEST_VPS, ret) == 0;
}

void fake_guest_post_close(struct fake_guest_channel *ch)
{
	const struct vmbus_relid_message m = {.header.type = CHANNELMSG_CLOSECHANNEL,
					      .relid = ch->offer.relid};

	fake_guest_post(ch->g, &m, sizeof(m));
}

void fake_guest_begin_close(struct fake_guest_channel *ch)
{
	const struct vmbus_gpadl_teardown m = {.header.type = CHANNELMSG_GPADL_TEARDOWN,
					       .relid = ch->offer.relid,
					       .gpadl = ch->gpadl};

	fake_guest_post_close(ch);
	fake_guest_post(ch->g, &m, sizeof(m));
}

bool fake_guest_end_close(struct fake_guest_channel *ch)
{
	if (!fake_guest_take(ch->g, CHANNELMSG_GPADL_TORNDOWN, NULL)) {
		return false;
	}
	fake_guest_abandon(ch);
	return true;
}

bool fake_guest_close(struct fake_guest_channel *ch)
{
	fake_guest_begin_close(ch);
	return fake_guest_end_close(ch);
}

void fake_guest_abandon(struct fake_guest_channel *ch)
{
	free(ch->pfns);
	free(ch->out.pages);
	free(ch->in.pages);
	ch->pfns = NULL;
	ch->out.pages = ch->in.pages = NULL;
}

/* ---- Signals ---- */

static void set_interrupt_page_bit(struct fake_guest *g, uint32_t relid)
{
	uint8_t *page = fake_guest_page(g, g->interrupt_page_gpa >> GMEM_PAGE_SHIFT);
	uint32_t *word = (uint32_t *)(void *)(page + VMBUS_INTERRUPT_SEND_OFFSET) + relid / 32;

	__atomic_fetch_or(word, BIT32(relid % 32), __ATOMIC_SEQ_CST);
}

/* vmbus_setevent and vmbus_set_event */
void fake_guest_signal(struct fake_guest_channel *ch)
{
	struct fake_guest *g = ch->g;
	struct vmbus_monitor_page *page;

	ch->signals++;
	if (ch->offer.monitor_allocated) {
		page = fake_guest_page(g, g->monitor_gpa[1] >> GMEM_PAGE_SHIFT);
		__atomic_fetch_or(&page->trigger_group[ch->offer.monitor_id / 32].pending,
				  BIT32(ch->offer.monitor_id % 32), __ATOMIC_SEQ_CST);
		return;
	}
	if (!ch->offer.is_dedicated_interrupt) {
		set_interrupt_page_bit(g, ch->offer.relid);
	}
	CHECK(g->connections[ch->offer.connection_id]);
	vmbus_event(g->bus, ch->offer.connection_id, 0);
}

uint32_t fake_guest_interrupts(struct fake_guest_channel *ch)
{
	struct fake_guest *g = ch->g;
	uint8_t *page;
	uint32_t *word, bit = BIT32(ch->offer.relid % 32);

	if (g->version >= VERSION_WIN8) {
		return __atomic_exchange_n(&g->events[ch->vp][ch->offer.relid], 0,
					   __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&g->events[0][0], 0, __ATOMIC_SEQ_CST);
	page = fake_guest_page(g, g->interrupt_page_gpa >> GMEM_PAGE_SHIFT);
	word = (uint32_t *)(void *)(page + VMBUS_INTERRUPT_RECEIVE_OFFSET) + ch->offer.relid / 32;
	return (__atomic_fetch_and(word, ~bit, __ATOMIC_SEQ_CST) & bit) != 0;
}

/* ---- Rings ---- */

static uint32_t copy_in(struct fake_guest_ring *r, uint32_t at, const void *data, size_t bytes)
{
	const uint8_t *from = data;

	while (bytes != 0) {
		uint32_t in_page = at % GMEM_PAGE_BYTES;
		size_t n = min_u64(bytes, GMEM_PAGE_BYTES - in_page);

		memcpy(r->pages[at / GMEM_PAGE_BYTES] + in_page, from, n);
		from += n;
		bytes -= n;
		at = (at + (uint32_t)n) % r->size;
	}
	return at;
}

static uint32_t copy_out(const struct fake_guest_ring *r, uint32_t at, void *data, size_t bytes)
{
	uint8_t *to = data;

	while (bytes != 0) {
		uint32_t in_page = at % GMEM_PAGE_BYTES;
		size_t n = min_u64(bytes, GMEM_PAGE_BYTES - in_page);

		memcpy(to, r->pages[at / GMEM_PAGE_BYTES] + in_page, n);
		to += n;
		bytes -= n;
		at = (at + (uint32_t)n) % r->size;
	}
	return at;
}

static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static uint32_t bytes_to_write(const struct fake_guest_ring *r)
{
	uint32_t read = load(&r->control->read_index), write = load(&r->control->write_index);

	return write >= read ? r->size - (write - read) : read - write;
}

bool fake_guest_write(struct fake_guest_channel *ch, uint16_t type, bool wants_completion,
		      uint64_t transaction, const void *header, size_t header_bytes,
		      const void *payload, size_t bytes)
{
	struct fake_guest_ring *r = &ch->out;
	size_t total = sizeof(struct vmbus_packet_descriptor) + header_bytes + align_up(bytes, 8);
	const struct vmbus_packet_descriptor d = {
		.type = type,
		.offset8 = (uint16_t)((sizeof(d) + header_bytes) / 8),
		.length8 = (uint16_t)(total / 8),
		.flags = wants_completion ? VMBUS_PACKET_COMPLETION_REQUESTED : 0,
		.transaction = transaction,
	};
	const uint64_t zero = 0;
	uint32_t old = load(&r->control->write_index), at = old;
	uint64_t trailer = (uint64_t)old << 32;

	if (bytes_to_write(r) <= total + sizeof(trailer)) {
		return false;
	}
	at = copy_in(r, at, &d, sizeof(d));
	at = copy_in(r, at, header, header_bytes);
	at = copy_in(r, at, payload, bytes);
	at = copy_in(r, at, &zero, align_up(bytes, 8) - bytes);
	at = copy_in(r, at, &trailer, sizeof(trailer));
	__atomic_store_n(&r->control->write_index, at, __ATOMIC_SEQ_CST);
	if (load(&r->control->interrupt_mask) == 0 && old == load(&r->control->read_index)) {
		fake_guest_signal(ch);
	}
	return true;
}

bool fake_guest_send(struct fake_guest_channel *ch, uint64_t transaction, const void *payload,
		     size_t bytes)
{
	return fake_guest_write(ch, VMBUS_PACKET_DATA_INBAND, true, transaction, NULL, 0, payload,
				bytes);
}

bool fake_guest_send_gpa(struct fake_guest_channel *ch, uint64_t transaction, uint32_t range_bytes,
			 uint32_t offset, const uint64_t *pfns, const void *payload, size_t bytes)
{
	uint32_t pages = (offset + range_bytes + GMEM_PAGE_BYTES - 1) / GMEM_PAGE_BYTES;
	size_t header_bytes = 16 + (size_t)pages * 8;
	const struct vmbus_packet_gpa_direct direct = {.reserved = 0xdeadbeef, .range_count = 1};
	const struct vmbus_gpa_range range = {range_bytes, offset};
	uint8_t *header = malloc(header_bytes);
	bool ok;

	CHECK(header != NULL);
	memcpy(header, &direct, 8);
	memcpy(header + 8, &range, 8);
	memcpy(header + 16, pfns, (size_t)pages * 8);
	ok = fake_guest_write(ch, VMBUS_PACKET_DATA_USING_GPA_DIRECT, true, transaction, header,
			      header_bytes, payload, bytes);
	free(header);
	return ok;
}

void fake_guest_set_pending(struct fake_guest_channel *ch, uint32_t bytes)
{
	__atomic_store_n(&ch->out.control->pending_send_size, bytes, __ATOMIC_SEQ_CST);
}

/* hv_pkt_iter_close: says when the host, which waits for room, has some now and had not before. */
static void read_close(struct fake_guest_channel *ch, uint32_t start)
{
	struct fake_guest_ring *r = &ch->in;
	uint32_t pending, now, bytes_read = (r->private_read + r->size - start) % r->size;

	__atomic_store_n(&r->control->read_index, r->private_read, __ATOMIC_SEQ_CST);
	if (!(load(&r->control->features) & VMBUS_RING_FEATURE_PENDING_SEND_SIZE) ||
	    ch->g->version < VERSION_WIN8) {
		return;
	}
	pending = load(&r->control->pending_send_size);
	if (pending == 0) {
		return;
	}
	now = bytes_to_write(r);
	if (now - bytes_read <= pending && now > pending) {
		fake_guest_signal(ch);
	}
}

size_t fake_guest_read(struct fake_guest_channel *ch, void *buf, size_t capacity)
{
	struct fake_guest_ring *r = &ch->in;
	struct vmbus_packet_descriptor d;
	uint32_t start = r->private_read;
	uint32_t avail = (load(&r->control->write_index) + r->size - start) % r->size;
	uint64_t trailer;
	size_t length;

	if (avail == 0) {
		return 0;
	}
	copy_out(r, start, &d, sizeof(d));
	length = d.length8 * 8u;
	CHECK(length >= sizeof(d) && length + 8 <= avail && d.offset8 >= 2 &&
	      d.offset8 <= d.length8);
	CHECK(length <= capacity);
	r->private_read = copy_out(r, start, buf, length);
	r->private_read = copy_out(r, r->private_read, &trailer, sizeof(trailer));
	CHECK(trailer == (uint64_t)start << 32);
	read_close(ch, start);
	return length;
}

const void *fake_guest_payload(const void *packet, size_t *ret_bytes)
{
	struct vmbus_packet_descriptor d;

	memcpy(&d, packet, sizeof(d));
	*ret_bytes = (d.length8 - d.offset8) * 8u;
	return (const uint8_t *)packet + d.offset8 * 8u;
}

void fake_guest_begin_read(struct fake_guest_channel *ch)
{
	__atomic_store_n(&ch->in.control->interrupt_mask, 1, __ATOMIC_SEQ_CST);
}

bool fake_guest_end_read(struct fake_guest_channel *ch)
{
	struct vmbus_ring_control *c = ch->in.control;

	__atomic_store_n(&c->interrupt_mask, 0, __ATOMIC_SEQ_CST);
	return load(&c->write_index) == ch->in.private_read;
}
