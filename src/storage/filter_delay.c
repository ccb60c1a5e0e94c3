// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "filter.h"
#include "lib/check.h"

struct delayed {
	struct filter_request request;
	uint64_t due_ns;
	int result;
	struct delayed *next;
};

struct delay_filter {
	struct filter filter;
	struct block_clock clock;
	uint64_t delay_ns;
	struct delayed *held; /* finished below, in rising order of due_ns */
	struct delayed *last;
};

static struct delay_filter *from_block(struct block_device *b)
{
	return container_of(filter_from_block(b), struct delay_filter, filter);
}

/* Mostly at the end: what was submitted later is due later. */
static void hold(struct delay_filter *f, struct delayed *d)
{
	struct delayed **at = &f->held;

	if (f->last != NULL && f->last->due_ns <= d->due_ns) {
		at = &f->last->next;
	}
	while (*at != NULL && (*at)->due_ns <= d->due_ns) {
		at = &(*at)->next;
	}
	d->next = *at;
	*at = d;
	if (d->next == NULL) {
		f->last = d;
	}
}

static void finished(struct io_request *r, int result)
{
	struct delayed *d = r->ctx;

	d->result = result;
	hold(container_of(d->request.filter, struct delay_filter, filter), d);
}

static void submit(struct block_device *b, struct io_request *r)
{
	struct delay_filter *f = from_block(b);
	struct delayed *d = filter_wrap(&f->filter, r, sizeof(*d), finished);

	if (d != NULL) {
		d->due_ns = f->clock.now_ns(f->clock.ctx) + f->delay_ns;
		block_submit(f->filter.below, &d->request.io);
	}
}

static uint64_t poll(struct block_device *b)
{
	struct delay_filter *f = from_block(b);
	uint64_t below_ns = filter_poll(b), now = f->clock.now_ns(f->clock.ctx);

	while (f->held != NULL && f->held->due_ns <= now) {
		struct delayed *d = f->held;

		f->held = d->next;
		f->last = f->held == NULL ? NULL : f->last;
		io_complete(b->context, d->request.whole, d->result);
		free(d);
	}
	return f->held == NULL ? below_ns : min_u64(below_ns, f->held->due_ns - now);
}

static void destroy(struct block_device *b)
{
	CHECK(from_block(b)->held == NULL);
	filter_destroy(b);
}

int block_delay_create(struct block_device *below, uint64_t delay_ns,
		       const struct block_clock *clock, struct block_device **ret)
{
	static const struct block_ops ops = {
		.submit = submit,
		.settle = filter_settle,
		.destroy = destroy,
		.poll = poll,
		.extent = filter_extent,
	};
	struct delay_filter *f = filter_create(sizeof(*f), below, &ops);

	if (f == NULL) {
		return -ENOMEM;
	}
	f->clock = *clock;
	f->delay_ns = delay_ns;
	*ret = &f->filter.block;
	return 0;
}
