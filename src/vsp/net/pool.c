// SPDX-License-Identifier: Apache-2.0
/*
 * Suballocations of the receive buffer: free ones in one stack for all queues, with a few kept by each queue so that the lock is taken once
 * for many frames. A guest that does not give them back gets no more, and nobody else notices.
 */
#include "adapter.h"

#include <stdlib.h>
#include <string.h>

#include "lib/check.h"

bool net_pool_create(struct vsp_net *n, uint32_t count)
{
	struct net_pool *p = &n->pool;
	struct net_pool made = {.count = count, .free_count = count};

	CHECK(p->count == 0 && count != 0);
	made.free = calloc(count, sizeof(*made.free));
	made.next = calloc(count, sizeof(*made.next));
	made.owner = calloc(count, sizeof(*made.owner));
	if (made.free == NULL || made.next == NULL || made.owner == NULL) {
		free(made.free);
		free(made.next);
		free(made.owner);
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		made.free[i] = count - 1 - i; /* the first one leaves first */
	}
	*p = made;
	return true;
}

void net_pool_destroy(struct vsp_net *n)
{
	free(n->pool.free);
	free(n->pool.next);
	free(n->pool.owner);
	n->pool = (struct net_pool){0};
}

/* How many of @p data must leave to control messages: none of them when there are few. */
static uint32_t reserve(const struct net_pool *p)
{
	return p->count > 4 * NET_RESERVE ? NET_RESERVE : p->count / 4;
}

/* Small buffers are not spread over queues. */
static uint32_t cache_max(const struct vsp_net *n)
{
	return (uint32_t)min_u64(NET_CACHE, n->pool.count / (4 * n->config.queues_max));
}

/* Others may wait for what came back. Not under the lock. */
static void wake_waiting(struct vsp_net *n, uint64_t waiting)
{
	for (; waiting != 0; waiting &= waiting - 1) {
		net_wake(n, (unsigned)__builtin_ctzll(waiting));
	}
}

/* To the stack, but for @keep. */
static void give_back(struct net_queue *q, uint32_t keep)
{
	struct net_pool *p = &q->net->pool;
	uint32_t count = q->cache_count - keep;
	uint64_t waiting;

	net_lock(q->net);
	CHECK(count <= p->count - p->free_count);
	memcpy(p->free + p->free_count, q->cache + keep, count * sizeof(*p->free));
	p->free_count += count;
	waiting = p->waiting & ~BIT64(q->index);
	p->waiting &= BIT64(q->index);
	net_unlock(q->net);
	q->cache_count = keep;
	wake_waiting(q->net, waiting);
}

/* Gets what is missing to @count, and some for the next time; or nothing, and a wake-up when there is more. */
static bool refill(struct net_queue *q, uint32_t count)
{
	struct vsp_net *n = q->net;
	struct net_pool *p = &n->pool;
	uint32_t need = count - q->cache_count, have;
	uint32_t want = (uint32_t)max_u64(count, cache_max(n) / 2) - q->cache_count;

	net_lock(n);
	have = p->free_count > reserve(p) ? p->free_count - reserve(p) : 0;
	want = have < need ? 0 : (uint32_t)min_u64(want, have);
	if (want == 0) {
		p->waiting |= BIT64(q->index);
	}
	p->free_count -= want;
	memcpy(q->cache + q->cache_count, p->free + p->free_count, want * sizeof(*p->free));
	net_unlock(n);
	q->cache_count += want;
	return want != 0;
}

bool net_pool_take(struct net_queue *q, uint32_t count, uint32_t *ret)
{
	CHECK(count <= NET_CACHE);
	if (q->cache_count < count && !refill(q, count)) {
		return false;
	}
	q->cache_count -= count;
	for (uint32_t i = 0; i < count; i++) {
		ret[i] = q->cache[q->cache_count + count - 1 - i];
	}
	return true;
}

uint32_t net_pool_take_reserved(struct net_queue *q)
{
	struct vsp_net *n = q->net;
	uint32_t suballoc = NET_SUBALLOC_NONE;

	net_lock(n);
	if (n->pool.free_count != 0) {
		suballoc = n->pool.free[--n->pool.free_count];
	} else if (q->cache_count != 0) {
		suballoc = q->cache[--q->cache_count];
	} else {
		n->pool.waiting |= BIT64(q->index);
	}
	net_unlock(n);
	return suballoc;
}

void net_pool_give(struct net_queue *q, uint32_t suballoc)
{
	uint32_t max = cache_max(q->net);

	if (q->cache_count == NET_CACHE) {
		give_back(q, max / 2);
	}
	q->cache[q->cache_count++] = suballoc;
	if (q->cache_count > max) {
		give_back(q, max / 2);
	}
}

void net_pool_lend(struct net_queue *q, uint32_t first)
{
	__atomic_store_n(&q->net->pool.owner[first], (uint8_t)(q->index + 1), __ATOMIC_RELAXED);
	q->lent++;
}

static void give_chain(struct net_queue *q, uint32_t first)
{
	struct net_pool *p = &q->net->pool;
	uint32_t next;

	__atomic_store_n(&p->owner[first], 0, __ATOMIC_RELAXED);
	q->lent--;
	for (uint32_t i = first; i != NET_SUBALLOC_NONE; i = next) {
		next = p->next[i];
		net_pool_give(q, i);
	}
}

/* What only this queue writes with its number was written by it: another thread cannot make the comparison true. */
bool net_pool_complete(struct net_queue *q, uint64_t transaction)
{
	struct net_pool *p = &q->net->pool;

	if (!q->s.receive || transaction == 0 || transaction > p->count ||
	    __atomic_load_n(&p->owner[transaction - 1], __ATOMIC_RELAXED) != q->index + 1) {
		return false;
	}
	give_chain(q, (uint32_t)transaction - 1);
	return true;
}

void net_pool_reclaim(struct net_queue *q)
{
	struct net_pool *p = &q->net->pool;

	if (!q->s.receive) {
		return;
	}
	for (uint32_t i = 0; i < p->count; i++) {
		if (__atomic_load_n(&p->owner[i], __ATOMIC_RELAXED) == q->index + 1) {
			give_chain(q, i);
		}
	}
	if (q->cache_count != 0) {
		give_back(q, 0);
	}
}
