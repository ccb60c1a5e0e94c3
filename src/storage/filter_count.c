// SPDX-License-Identifier: Apache-2.0
/* Counts what goes through a device. One thread writes the counters, so that reading and adding need no lock. */
#include <errno.h>
#include <stdlib.h>

#include "filter.h"

#define NORMAL_BYTES 8192u /* a request counts 1 for each such part, as Hyper-V counts */
#define SPARE_MAX 64u

struct count_request {
	struct filter_request request;
	struct count_request *next_spare;
	uint64_t since_ns;
};

struct count_filter {
	struct filter filter;
	struct block_counters *counters;
	const struct block_clock *clock;
	struct count_request *spare; /* kept, as every request needs one */
	unsigned spare_count;
};

static struct count_filter *of(struct filter *f)
{
	return container_of(f, struct count_filter, filter);
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static uint64_t normalized(uint64_t bytes)
{
	return bytes / NORMAL_BYTES + (bytes % NORMAL_BYTES != 0);
}

static void count_done(struct block_counters *c, const struct io_request *r, uint64_t took_ns,
		       int result)
{
	add(&c->queue, UINT64_MAX); /* one less */
	add(&c->latency_ns, took_ns);
	if (result != 0) {
		add(&c->errors, 1);
		return;
	}
	switch (r->op) {
	case IO_READ:
		add(&c->reads, 1);
		add(&c->read_bytes, r->bytes);
		add(&c->normalized, normalized(r->bytes));
		break;
	case IO_WRITE:
		add(&c->writes, 1);
		add(&c->write_bytes, r->bytes);
		add(&c->normalized, normalized(r->bytes));
		break;
	case IO_FLUSH:
		add(&c->flushes, 1);
		break;
	case IO_DISCARD:
	case IO_ZERO:
		add(&c->unmaps, 1);
		break;
	}
}

/* ---- Requests on their way ---- */

static struct count_request *take(struct count_filter *f)
{
	struct count_request *q = f->spare;

	if (q == NULL) {
		return malloc(sizeof(*q));
	}
	f->spare = q->next_spare;
	f->spare_count--;
	return q;
}

static void give_back(struct count_filter *f, struct count_request *q)
{
	if (f->spare_count >= SPARE_MAX) {
		free(q);
		return;
	}
	q->next_spare = f->spare;
	f->spare = q;
	f->spare_count++;
}

static void finished(struct io_request *r, int result)
{
	struct filter_request *w = r->ctx;
	struct count_filter *f = of(w->filter);
	struct count_request *q = container_of(w, struct count_request, request);
	uint64_t took_ns = f->clock->now_ns(f->clock->ctx) - q->since_ns;
	struct io_request *whole = w->whole;

	count_done(f->counters, whole, took_ns, result);
	give_back(f, q);
	/* This is a done function already: nothing is re-entered. */
	whole->done(whole, result);
}

static void submit(struct block_device *b, struct io_request *r)
{
	struct count_filter *f = of(filter_from_block(b));
	struct count_request *q = take(f);

	if (q == NULL) {
		add(&f->counters->errors, 1);
		io_complete(b->context, r, -ENOMEM);
		return;
	}
	filter_wrap_in(&q->request, &f->filter, r, finished);
	q->since_ns = f->clock->now_ns(f->clock->ctx);
	add(&f->counters->queue, 1);
	block_submit(f->filter.below, &q->request.io);
}

/* ---- Life ---- */

static void destroy(struct block_device *b)
{
	struct count_filter *f = of(filter_from_block(b));

	while (f->spare != NULL) {
		struct count_request *q = f->spare;

		f->spare = q->next_spare;
		free(q);
	}
	filter_destroy(b);
}

int block_count_create(struct block_device *below, const struct block_clock *clock,
		       struct block_counters *counters, struct block_device **ret)
{
	static const struct block_ops ops = {
		.submit = submit,
		.settle = filter_settle,
		.destroy = destroy,
		.poll = filter_poll,
		.extent = filter_extent,
	};
	struct count_filter *f = filter_create(sizeof(*f), below, &ops);

	if (f == NULL) {
		return -ENOMEM;
	}
	f->counters = counters;
	f->clock = clock;
	*ret = &f->filter.block;
	return 0;
}
