// SPDX-License-Identifier: Apache-2.0
/*
 * Two limits, each kept as one number: the time at which all that was let through would have been done at exactly the allowed rate.
 * A request may go while that time is at most burst_ns ahead of now, and moves it by its cost. So an idle device saves up at most
 * burst_ns, one request of any size can always go, and over a longer time the rate is exact.
 */
#include <errno.h>
#include <stdlib.h>

#include "filter.h"
#include "lib/check.h"

#define NS_PER_S UINT64_C(1000000000)
#define IO_UNIT_BYTES 8192u
#define DEFAULT_BURST_NS (NS_PER_S / 10)
#define COST_MAX (UINT64_C(1) << 33) /* times NS_PER_S it still fits */

struct limit {
	uint64_t rate; /* units per second; 0: none */
	uint64_t paid_ns;
	uint64_t remainder; /* of the division, in units * ns, below rate */
};

struct throttle {
	struct filter filter;
	struct block_clock clock;
	uint64_t burst_ns;
	struct limit ops, bytes;
	struct io_request *queue; /* first come, first served */
	struct io_request **queue_tail;
};

static const struct block_ops throttle_ops;

static struct throttle *from_block(struct block_device *b)
{
	CHECK(b->ops == &throttle_ops);
	return container_of(filter_from_block(b), struct throttle, filter);
}

static uint64_t limit_wait_ns(const struct limit *l, uint64_t now, uint64_t burst_ns)
{
	if (l->rate == 0 || l->paid_ns <= now || l->paid_ns - now <= burst_ns) {
		return 0;
	}
	return l->paid_ns - now - burst_ns;
}

static void limit_pay(struct limit *l, uint64_t now, uint64_t cost)
{
	if (l->rate == 0) {
		return;
	}
	uint64_t due = min_u64(cost, COST_MAX) * NS_PER_S + l->remainder;

	l->paid_ns = max_u64(l->paid_ns, now) + due / l->rate;
	l->remainder = due % l->rate;
}

static uint64_t bytes_moved(const struct io_request *r)
{
	return r->op == IO_READ || r->op == IO_WRITE ? r->bytes : 0;
}

static uint64_t cost_in_ops(const struct io_request *r)
{
	return max_u64(1, bytes_moved(r) / IO_UNIT_BYTES + (bytes_moved(r) % IO_UNIT_BYTES != 0));
}

/* Lets go what may go; returns how long the first of the others waits. */
static uint64_t release(struct throttle *t)
{
	while (t->queue != NULL) {
		struct io_request *r = t->queue;
		uint64_t now = t->clock.now_ns(t->clock.ctx);
		uint64_t wait = max_u64(limit_wait_ns(&t->ops, now, t->burst_ns),
					limit_wait_ns(&t->bytes, now, t->burst_ns));

		if (wait != 0) {
			return wait;
		}
		limit_pay(&t->ops, now, cost_in_ops(r));
		limit_pay(&t->bytes, now, bytes_moved(r));
		t->queue = r->next;
		if (t->queue == NULL) {
			t->queue_tail = &t->queue;
		}
		block_submit(t->filter.below, r);
	}
	return UINT64_MAX;
}

static void submit(struct block_device *b, struct io_request *r)
{
	struct throttle *t = from_block(b);

	if (r->op == IO_FLUSH) {
		/* It promises nothing about writes that still wait here. */
		block_submit(t->filter.below, r);
		return;
	}
	r->next = NULL;
	*t->queue_tail = r;
	t->queue_tail = &r->next;
	release(t);
}

static uint64_t poll(struct block_device *b)
{
	uint64_t own_ns = release(from_block(b));

	return min_u64(own_ns, filter_poll(b));
}

static void destroy(struct block_device *b)
{
	CHECK(from_block(b)->queue == NULL);
	filter_destroy(b);
}

static const struct block_ops throttle_ops = {
	.submit = submit,
	.settle = filter_settle,
	.destroy = destroy,
	.poll = poll,
	.extent = filter_extent,
};

static void limit_set(struct limit *l, uint64_t rate, uint64_t latest_ns)
{
	l->rate = rate;
	l->remainder = 0;
	/* A debt from a slower time must not outlive it. */
	l->paid_ns = min_u64(l->paid_ns, latest_ns);
}

void block_throttle_set(struct block_device *b, const struct block_throttle *limits)
{
	struct throttle *t = from_block(b);
	uint64_t now = t->clock.now_ns(t->clock.ctx);

	t->burst_ns = limits->burst_ns != 0 ? limits->burst_ns : DEFAULT_BURST_NS;
	limit_set(&t->ops, limits->max_iops, now + t->burst_ns);
	limit_set(&t->bytes, limits->max_bytes_per_s, now + t->burst_ns);
	release(t);
}

int block_throttle_create(struct block_device *below, const struct block_throttle *limits,
			  const struct block_clock *clock, struct block_device **ret)
{
	struct throttle *t = filter_create(sizeof(*t), below, &throttle_ops);

	if (t == NULL) {
		return -ENOMEM;
	}
	t->clock = *clock;
	t->queue_tail = &t->queue;
	block_throttle_set(&t->filter.block, limits);
	*ret = &t->filter.block;
	return 0;
}
