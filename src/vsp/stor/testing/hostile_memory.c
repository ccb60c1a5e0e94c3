// SPDX-License-Identifier: Apache-2.0
/* What guest memory is there, and how it changes. */
#include <string.h>

#include "hostile_player.h"
#include "lib/check.h"

#define READ_ONLY_FIRST 290u /* data pages that the guest may only read */
#define HOLE_FIRST 295u	     /* and those that are not there */
#define CANARY 0xc5

void player_fill_canaries(struct rig *r)
{
	struct fake_guest *g = r->g;

	g->pages -= PLAYER_CANARY_PAGES; /* nobody gets these */
	memset(g->memory, CANARY, GMEM_PAGE_BYTES);
	memset(g->memory + (size_t)g->pages * GMEM_PAGE_BYTES, CANARY,
	       PLAYER_CANARY_PAGES * GMEM_PAGE_BYTES);
	gmem_unmap(&g->gm, 0);
	for (unsigned i = 0; i < PLAYER_CANARY_PAGES; i++) {
		gmem_unmap(&g->gm, g->pages + i);
	}
	for (unsigned i = READ_ONLY_FIRST; i < RIG_DATA_PAGES; i++) {
		memset(fake_guest_page(g, r->data_pfns[i]), CANARY, GMEM_PAGE_BYTES);
		if (i < HOLE_FIRST) {
			gmem_protect(&g->gm, r->data_pfns[i], GMEM_R);
		} else {
			gmem_unmap(&g->gm, r->data_pfns[i]);
		}
	}
}

static bool canary_lives(const uint8_t *page)
{
	for (unsigned i = 0; i < GMEM_PAGE_BYTES; i++) {
		if (page[i] != CANARY) {
			return false;
		}
	}
	return true;
}

void player_check_canaries(struct rig *r)
{
	struct fake_guest *g = r->g;

	CHECK(canary_lives(g->memory));
	for (unsigned i = 0; i < PLAYER_CANARY_PAGES; i++) {
		CHECK(canary_lives(g->memory + (size_t)(g->pages + i) * GMEM_PAGE_BYTES));
	}
	for (unsigned i = READ_ONLY_FIRST; i < RIG_DATA_PAGES; i++) {
		CHECK(canary_lives(fake_guest_page(g, r->data_pfns[i])));
	}
}

/* A page: data, read-only, missing, of a ring, or not of this world. */
uint64_t player_pick_pfn(struct player *p)
{
	struct rig *r = p->r;
	uint8_t kind = (uint8_t)player_take(p, 1);
	uint32_t n = (uint32_t)player_take(p, 1);
	const struct fake_guest_channel *ch = &r->channels[n % RIG_CHANNELS];

	switch (kind & 15) {
	case 0:
		return r->data_pfns[READ_ONLY_FIRST + n % (RIG_DATA_PAGES - READ_ONLY_FIRST)];
	case 1:
		return r->g->pages + n % (2 * PLAYER_CANARY_PAGES);
	case 2:
		return n & 1 ? 0 : player_take(p, 8);
	case 3:
	case 4: /* what the disk gives lands in the ring while it is read */
		return ch->pfns != NULL ? ch->pfns[(n >> 3) % ch->page_count] : 0;
	default:
		return r->data_pfns[n % READ_ONLY_FIRST];
	}
}

void player_do_data_bytes(struct player *p)
{
	uint32_t n = (uint32_t)player_take(p, 1) % READ_ONLY_FIRST;

	memset(fake_guest_page(p->r->g, p->r->data_pfns[n]), (int)player_take(p, 1),
	       GMEM_PAGE_BYTES);
}

/* Pages come, go and change their rights while they may be in use. */
void player_do_map(struct player *p)
{
	struct fake_guest *g = p->r->g;
	uint64_t pfn = player_pick_pfn(p);
	uint8_t how = (uint8_t)player_take(p, 1);

	for (unsigned i = READ_ONLY_FIRST; i < RIG_DATA_PAGES; i++) {
		if (pfn == p->r->data_pfns[i]) {
			return; /* these stay as they are */
		}
	}
	if (pfn == 0 || pfn >= g->pages) {
		return;
	}
	if (how & 1) {
		gmem_map(&g->gm, pfn, fake_guest_page(g, pfn), GMEM_R | GMEM_W | GMEM_X);
	} else if (how & 2) {
		gmem_unmap(&g->gm, pfn);
	} else {
		gmem_protect(&g->gm, pfn, how >> 2 & GMEM_RIGHTS);
	}
}
