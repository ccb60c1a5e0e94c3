// SPDX-License-Identifier: Apache-2.0
/* How a worker tells the switch which queue is for which frame: a sequence lock with one writer that may be hostile. */
#include "vswitch/wire.h"

void wire_set_rss(void *memory, const struct net_rss *rss, unsigned queues_used)
{
	struct wire_rss *w = (void *)((uint8_t *)memory + WIRE_PAGE_BYTES);
	uint32_t generation = atomic_load_explicit(&w->generation, memory_order_relaxed) | 1;

	atomic_store_explicit(&w->generation, generation, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	w->queues_used = queues_used;
	w->rss = *rss;
	atomic_store_explicit(&w->generation, generation + 1, memory_order_release);
}

static bool rss_is_sane(const struct net_rss *rss, unsigned queues_used, unsigned queues)
{
	uint32_t entries = rss->table_entries;

	if (queues_used < 1 || queues_used > queues) {
		return false;
	}
	if (rss->types == 0) {
		return true;
	}
	if (entries == 0 || entries > NET_RSS_TABLE_MAX || (entries & (entries - 1)) != 0) {
		return false;
	}
	for (uint32_t i = 0; i < entries; i++) {
		if (rss->table[i] >= queues_used) {
			return false;
		}
	}
	return true;
}

bool wire_get_rss(const void *memory, unsigned queues, uint32_t *generation, struct net_rss *ret,
		  unsigned *ret_queues_used)
{
	const struct wire_rss *w = (const void *)((const uint8_t *)memory + WIRE_PAGE_BYTES);
	uint32_t before = atomic_load_explicit(&w->generation, memory_order_acquire);
	struct net_rss rss;
	unsigned queues_used;

	if (before == *generation || before % 2 != 0) {
		return false;
	}
	queues_used = w->queues_used;
	rss = w->rss;
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&w->generation, memory_order_relaxed) != before) {
		return false; /* it changes right now: next time */
	}
	*generation = before;
	if (!rss_is_sane(&rss, queues_used, queues)) {
		return false;
	}
	*ret = rss;
	*ret_queues_used = queues_used;
	return true;
}
