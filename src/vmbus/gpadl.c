// SPDX-License-Identifier: Apache-2.0
/*
 * GPADLs: lists of guest pages, sent in pieces. They are kept as sent, checked once when complete. Devices' threads read them without a
 * lock (gpadl_access.c): a GPADL is unlinked first and freed when no reader is left in the channel.
 */
#include "bus.h"

#include <stdlib.h>
#include <string.h>

#include "lib/check.h"

static void created(struct vmbus *bus, uint32_t relid, uint32_t id, uint32_t status)
{
	const struct vmbus_gpadl_created m = {
		.header.type = CHANNELMSG_GPADL_CREATED,
		.relid = relid,
		.gpadl = id,
		.status = status,
	};

	if (status != VMBUS_STATUS_SUCCESS) {
		bus_log(bus, "relid %u: GPADL 0x%x refused, status 0x%x", relid, id, status);
	}
	queue_send(bus, &m, sizeof(m));
}

static void torndown(struct vmbus *bus, uint32_t id)
{
	const struct vmbus_gpadl_torndown m = {
		.header.type = CHANNELMSG_GPADL_TORNDOWN,
		.gpadl = id,
	};

	queue_send(bus, &m, sizeof(m));
}

/* ---- Life ---- */

static struct gpadl **find_link(struct gpadl **list, const struct vmbus_channel *ch, uint32_t id)
{
	while (*list != NULL && ((*list)->id != id || (ch != NULL && (*list)->channel != ch))) {
		list = &(*list)->next;
	}
	return list;
}

bool gpadl_collecting(struct vmbus *bus, uint32_t id)
{
	return *find_link(&bus->collecting, NULL, id) != NULL;
}

struct gpadl *gpadl_add(struct vmbus_channel *ch, uint32_t id, uint32_t range_count, uint32_t words)
{
	struct vmbus *bus = ch->bus;
	uint32_t charge = words + BUS_GPADL_WORDS_BASE;
	struct gpadl *g;

	if (ch->gpadl_count >= BUS_CHANNEL_GPADLS_MAX ||
	    bus->collecting_count >= BUS_COLLECTING_MAX ||
	    charge > BUS_GPADL_WORDS_MAX - bus->gpadl_words) {
		return NULL;
	}
	g = malloc(sizeof(*g) + words * sizeof(g->word[0]));
	if (g == NULL) {
		return NULL;
	}
	*g = (struct gpadl){.channel = ch,
			    .id = id,
			    .range_count = range_count,
			    .words_wanted = words,
			    .next = bus->collecting};
	bus->collecting = g;
	bus->collecting_count++;
	bus->gpadl_words += charge;
	ch->gpadl_count++;
	return g;
}

static void release(struct gpadl *g)
{
	struct vmbus_channel *ch = g->channel;

	ch->gpadl_count--;
	ch->bus->gpadl_words -= g->words_wanted + BUS_GPADL_WORDS_BASE;
	free(g);
}

static void stop_collecting(struct gpadl *g)
{
	struct vmbus *bus = g->channel->bus;
	struct gpadl **link = &bus->collecting;

	while (*link != g) {
		link = &(*link)->next;
	}
	*link = g->next;
	bus->collecting_count--;
}

/* Every range has a length, starts in its first page, and has all its page frames. */
static bool ranges_valid(struct gpadl *g)
{
	uint32_t at = 0;

	g->bytes = 0;
	for (uint32_t i = 0; i < g->range_count; i++) {
		uint64_t bytes, offset, pages;

		if (at >= g->words) {
			return false;
		}
		bytes = (uint32_t)g->word[at];
		offset = g->word[at] >> 32;
		pages = (bytes + offset + VMBUS_PAGE_BYTES - 1) / VMBUS_PAGE_BYTES;
		at++;
		if (bytes == 0 || offset >= VMBUS_PAGE_BYTES || pages > g->words - at) {
			return false;
		}
		g->bytes += bytes;
		at += (uint32_t)pages;
	}
	return true;
}

bool gpadl_complete(struct gpadl *g)
{
	struct vmbus_channel *ch = g->channel;

	stop_collecting(g);
	if (!ranges_valid(g)) {
		release(g);
		return false;
	}
	g->next = ch->gpadls;
	__atomic_store_n(&ch->gpadls, g, __ATOMIC_RELEASE);
	return true;
}

bool gpadl_reap(struct vmbus_channel *ch)
{
	if (ch->gpadls_retired == NULL) {
		return true;
	}
	if (__atomic_load_n(&ch->gpadl_users, __ATOMIC_SEQ_CST) != 0) {
		return false;
	}
	while (ch->gpadls_retired != NULL) {
		struct gpadl *g = ch->gpadls_retired;

		ch->gpadls_retired = g->retired_next;
		if (g->teardown_pending && !g->dropped && ch->bus->state == CONNECTION_UP) {
			torndown(ch->bus, g->id);
		}
		release(g);
	}
	ch->bus->retiring_count--;
	__atomic_store_n(&ch->gpadl_retiring, false, __ATOMIC_SEQ_CST);
	return true;
}

/* Out of the readers' sight; freed at once if no reader is in the channel, else when the last one leaves (which wakes the bus). */
static void retire(struct gpadl *g)
{
	struct vmbus_channel *ch = g->channel;
	struct gpadl **link = &ch->gpadls;

	while (*link != g) {
		link = &(*link)->next;
	}
	__atomic_store_n(link, g->next, __ATOMIC_SEQ_CST);
	if (ch->gpadls_retired == NULL) {
		ch->bus->retiring_count++;
	}
	g->retired_next = ch->gpadls_retired; /* a reader may still follow g->next */
	ch->gpadls_retired = g;
	__atomic_store_n(&ch->gpadl_retiring, true, __ATOMIC_SEQ_CST);
	gpadl_reap(ch);
}

struct gpadl *gpadl_find(const struct vmbus_channel *ch, uint32_t id)
{
	struct gpadl *g = __atomic_load_n(&ch->gpadls, __ATOMIC_SEQ_CST);

	while (g != NULL && g->id != id) {
		g = __atomic_load_n(&g->next, __ATOMIC_ACQUIRE);
	}
	return g;
}

void gpadl_ring_done(struct gpadl *g)
{
	if (g->teardown_pending || g->dropped) {
		retire(g);
	}
}

void gpadl_drop_all(struct vmbus_channel *ch)
{
	struct vmbus *bus = ch->bus;
	struct gpadl *next;

	for (struct gpadl *g = bus->collecting; g != NULL; g = next) {
		next = g->next;
		if (g->channel == ch) {
			stop_collecting(g);
			release(g);
		}
	}
	for (struct gpadl *g = ch->gpadls; g != NULL; g = next) {
		next = g->next;
		g->dropped = true;
		if (!g->ring) {
			retire(g);
		}
	}
}

/* ---- Messages ---- */

/* Takes up to @bytes of words; what is more than announced is ignored. */
static void append(struct gpadl *g, const uint8_t *data, size_t bytes)
{
	struct vmbus *bus = g->channel->bus;
	uint32_t relid = g->channel->relid, id = g->id;
	uint64_t n = min_u64(bytes / sizeof(uint64_t), g->words_wanted - g->words);

	memcpy(&g->word[g->words], data, n * sizeof(uint64_t));
	g->words += (uint32_t)n;
	if (g->words == g->words_wanted) {
		created(bus, relid, id,
			gpadl_complete(g) ? VMBUS_STATUS_SUCCESS : VMBUS_STATUS_UNEXPECTED);
	}
}

static bool header_valid(struct vmbus *bus, const struct vmbus_channel *ch,
			 const struct vmbus_gpadl_header *m)
{
	uint32_t words = m->range_bytes / 8u;

	if (ch == NULL || !ch->offered || ch->revoked) {
		return false;
	}
	if (m->range_bytes % 8 != 0 || m->range_count == 0 || words < 2u * m->range_count) {
		return false;
	}
	return gpadl_find(ch, m->gpadl) == NULL && !gpadl_collecting(bus, m->gpadl);
}

void gpadl_header_message(struct vmbus *bus, const struct vmbus_gpadl_header *m, size_t bytes)
{
	struct vmbus_channel *ch = bus_channel(bus, m->relid);
	struct gpadl *g;

	if (!header_valid(bus, ch, m)) {
		created(bus, m->relid, m->gpadl, VMBUS_STATUS_UNEXPECTED);
		return;
	}
	g = gpadl_add(ch, m->gpadl, m->range_count, m->range_bytes / 8u);
	if (g == NULL) {
		created(bus, m->relid, m->gpadl, VMBUS_STATUS_INSUFFICIENT_RESOURCES);
		return;
	}
	append(g, (const uint8_t *)(m + 1), bytes - sizeof(*m));
}

void gpadl_body_message(struct vmbus *bus, const struct vmbus_gpadl_body *m, size_t bytes)
{
	struct gpadl *g = *find_link(&bus->collecting, NULL, m->gpadl);

	if (g == NULL) {
		bus_log(bus, "GPADL_BODY for 0x%x, which waits for none: ignored", m->gpadl);
		return;
	}
	append(g, (const uint8_t *)(m + 1), bytes - sizeof(*m));
}

/* One that still collects: the guest gave up. */
static bool abandon(struct vmbus_channel *ch, uint32_t id)
{
	struct gpadl *g = *find_link(&ch->bus->collecting, ch, id);

	if (g == NULL || g->id != id) {
		return false;
	}
	stop_collecting(g);
	release(g);
	return true;
}

void gpadl_teardown_message(struct vmbus *bus, const struct vmbus_gpadl_teardown *m)
{
	struct vmbus_channel *ch = bus_channel(bus, m->relid);
	struct gpadl *g = ch != NULL ? gpadl_find(ch, m->gpadl) : NULL;

	if (g == NULL) {
		if (ch == NULL || !abandon(ch, m->gpadl)) {
			bus_log(bus, "relid %u: GPADL_TEARDOWN of 0x%x, which does not exist",
				m->relid, m->gpadl);
		}
		torndown(bus, m->gpadl);
		return;
	}
	g->teardown_pending = true;
	if (!g->ring) {
		retire(g);
	}
}

bool gpadl_free_for_ring(const struct gpadl *g)
{
	return !g->teardown_pending && !g->dropped && !g->ring;
}

const uint64_t *gpadl_ring_pfns(const struct gpadl *g, uint32_t *ret_count)
{
	uint64_t bytes = (uint32_t)g->word[0], offset = g->word[0] >> 32;

	if (g->range_count != 1 || offset != 0 || bytes % VMBUS_PAGE_BYTES != 0) {
		return NULL;
	}
	*ret_count = (uint32_t)(bytes / VMBUS_PAGE_BYTES);
	return &g->word[1];
}
