// SPDX-License-Identifier: Apache-2.0
/* Saved states of a world's VP. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/engine_state.h"
#include "lib/check.h"
#include "lib/state.h"
#include "world.h"

struct record {
	uint32_t tag;
	uint16_t version;
	struct state_reader payload;
};

/* The next record that an engine restores itself: an NMI that waits goes to the core. */
static bool next_own(struct state_reader *r, struct record *ret)
{
	while (state_next(r, &ret->tag, &ret->version, &ret->payload)) {
		if (ret->tag != HV_ENGINE_STATE_NMI) {
			return true;
		}
	}
	return false;
}

static bool same_record(const struct record *a, const struct record *b)
{
	const struct state_reader *x = &a->payload, *y = &b->payload;
	bool same = a->tag == b->tag && a->version == b->version && x->left == y->left;

	for (size_t i = 0; same && i < x->left; i++) {
		if (x->buf[i] != y->buf[i]) {
			printf("# byte %zu of record %08x: %02x before, %02x after\n", i, a->tag,
			       x->buf[i], y->buf[i]);
		}
	}
	return same && memcmp(x->buf, y->buf, x->left) == 0;
}

static bool same_states(const uint8_t *before, size_t before_bytes, const uint8_t *after,
			size_t after_bytes)
{
	struct state_reader a, b;
	struct record x, y;

	state_reader_init(&a, before, before_bytes);
	state_reader_init(&b, after, after_bytes);
	for (;;) {
		bool more = next_own(&a, &x);

		if (more != next_own(&b, &y)) {
			return false;
		}
		if (!more) {
			return !a.bad && !b.bad;
		}
		if (!same_record(&x, &y)) {
			return false;
		}
	}
}

bool world_check_state(struct world *w)
{
	size_t bytes = w->ops->save(w->vp, NULL, 0), after;
	uint8_t *first = malloc(bytes), *second = malloc(bytes);
	struct hv_engine_vp *other = w->other;
	bool same;

	CHECK(first != NULL && second != NULL && w->ops->save(w->vp, first, bytes) == bytes);
	w->ops->vp_reset(other, false);
	CHECK(w->ops->restore(other, first, bytes));
	after = w->ops->save(other, second, bytes);
	same = after <= bytes && same_states(first, bytes, second, after);
	/* Bytes that are not a saved state are refused or taken, but never harm. */
	first[world_draw(w) % bytes] ^= (uint8_t)(1u << (world_draw(w) & 7));
	(void)w->ops->restore(other, first, bytes - (world_draw(w) & 3) % bytes);
	free(first);
	free(second);
	return same;
}
