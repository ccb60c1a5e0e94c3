// SPDX-License-Identifier: Apache-2.0
/* Holds requests: those that met trouble, and those before a closed gate. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "filter.h"
#include "lib/check.h"

/* Free ones kept for the next requests. */
#define KEEP_MAX 256u
#define NAME_BYTES 1024u

/* A request on its way below. */
struct passage {
	struct filter_request request;
	struct passage *next; /* held, or free */
	int error;
	bool again; /* it was held */
};

struct hold {
	struct filter filter;
	struct block_hold config;
	bool told, gate, give_up;
	unsigned in_flight;
	unsigned again; /* of these, such that were held */
	struct passage *held, **held_tail;
	unsigned held_count;
	struct io_request *waiting, **waiting_tail; /* before the gate */
	struct passage *free;
	unsigned free_count;
	char name[NAME_BYTES]; /* of what is below now; filters above keep pointers to it */
};

static const struct block_ops hold_ops;

static struct hold *from_block(struct block_device *b)
{
	CHECK(b->ops == &hold_ops);
	return container_of(filter_from_block(b), struct hold, filter);
}

enum block_trouble block_trouble_of(int error)
{
	switch (-error) {
	case ENOSPC:
	case EDQUOT:
		return BLOCK_TROUBLE_SPACE;
	case ENODEV:
	case ENXIO:
	case ESTALE:
	case ETIMEDOUT:
	case ENOLINK:
	case ENOTCONN:
	case ECONNRESET:
	case ECONNREFUSED:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENETDOWN:
	case ENETUNREACH:
		return BLOCK_TROUBLE_GONE;
	default:
		return BLOCK_TROUBLE_NONE;
	}
}

/* ---- Passing ---- */

static void passage_free(struct hold *h, struct passage *p)
{
	if (h->free_count >= KEEP_MAX) {
		free(p);
		return;
	}
	p->next = h->free;
	h->free = p;
	h->free_count++;
}

static void finish(struct hold *h, struct passage *p, int result)
{
	struct io_request *whole = p->request.whole;

	passage_free(h, p);
	whole->done(whole, result);
}

static void keep(struct hold *h, struct passage *p, enum block_trouble trouble, int error)
{
	bool first = !h->told;

	p->error = error;
	p->next = NULL;
	*h->held_tail = p;
	h->held_tail = &p->next;
	h->held_count++;
	h->told = true;
	if (first) {
		h->config.trouble(h->config.ctx, trouble, error);
	}
}

static void passed(struct io_request *r, int result)
{
	struct passage *p = r->ctx;
	struct hold *h = container_of(p->request.filter, struct hold, filter);
	enum block_trouble trouble = block_trouble_of(result);

	h->in_flight--;
	h->again -= p->again;
	p->again = false;
	if (trouble != BLOCK_TROUBLE_NONE && !h->give_up) {
		keep(h, p, trouble, result);
	} else {
		finish(h, p, result);
	}
}

static void send(struct hold *h, struct passage *p)
{
	p->request.io = *p->request.whole;
	p->request.io.done = passed;
	p->request.io.ctx = p;
	h->in_flight++;
	h->again += p->again;
	block_submit(h->filter.below, &p->request.io);
}

static void pass(struct hold *h, struct io_request *r)
{
	struct passage *p = h->free;

	if (p != NULL) {
		h->free = p->next;
		h->free_count--;
	} else if ((p = malloc(sizeof(*p))) == NULL) {
		io_complete(h->filter.block.context, r, -ENOMEM);
		return;
	}
	p->again = false;
	p->request.whole = r;
	p->request.filter = &h->filter;
	send(h, p);
}

static void submit(struct block_device *b, struct io_request *r)
{
	struct hold *h = from_block(b);

	if (!h->gate) {
		pass(h, r);
		return;
	}
	r->next = NULL;
	*h->waiting_tail = r;
	h->waiting_tail = &r->next;
}

/* ---- Trouble ---- */

static struct passage *take_held(struct hold *h)
{
	struct passage *p = h->held;

	h->held = NULL;
	h->held_tail = &h->held;
	h->held_count = 0;
	h->told = false;
	return p;
}

void block_hold_retry(struct block_device *b)
{
	struct hold *h = from_block(b);
	struct passage *p = take_held(h);

	while (p != NULL) {
		struct passage *next = p->next;

		p->again = true;
		send(h, p);
		p = next;
	}
}

void block_hold_give_up(struct block_device *b, bool give_up)
{
	struct hold *h = from_block(b);

	h->give_up = give_up;
	if (!give_up) {
		return;
	}
	struct passage *p = take_held(h);

	while (p != NULL) {
		struct passage *next = p->next;

		io_complete(b->context, p->request.whole, p->error);
		passage_free(h, p);
		p = next;
	}
}

unsigned block_hold_count(struct block_device *b)
{
	const struct hold *h = from_block(b);

	return h->held_count + h->again;
}

/* ---- The gate ---- */

void block_hold_gate(struct block_device *b, bool closed)
{
	struct hold *h = from_block(b);
	struct io_request *r = h->waiting;

	h->gate = closed;
	if (closed) {
		return;
	}
	h->waiting = NULL;
	h->waiting_tail = &h->waiting;
	while (r != NULL) {
		struct io_request *next = r->next;

		pass(h, r);
		r = next;
	}
}

bool block_hold_idle(struct block_device *b)
{
	return from_block(b)->in_flight == 0;
}

static bool same_info(const struct block_info *a, const struct block_info *b)
{
	return a->bytes == b->bytes && a->sector_bytes == b->sector_bytes &&
	       a->physical_sector_bytes == b->physical_sector_bytes &&
	       a->read_only == b->read_only && a->discards == b->discards &&
	       a->discard_granularity_bytes == b->discard_granularity_bytes &&
	       a->discard_zeros == b->discard_zeros && a->rotational == b->rotational &&
	       guid_equal(&a->id, &b->id);
}

void block_hold_exchange(struct block_device *b, struct block_device *below)
{
	struct hold *h = from_block(b);
	struct filter *f = &h->filter;

	CHECK(h->in_flight == 0 && below->context == b->context);
	f->below->listener = NULL;
	f->below = below;
	below->listener = &f->listener;
	snprintf(h->name, sizeof(h->name), "%s", below->name);
	if (!same_info(&b->info, &below->info)) {
		b->info = below->info;
		block_changed(b);
	}
}

/* ---- The device ---- */

static void destroy(struct block_device *b)
{
	struct hold *h = from_block(b);

	CHECK(h->in_flight == 0 && h->held == NULL && h->waiting == NULL);
	while (h->free != NULL) {
		struct passage *p = h->free;

		h->free = p->next;
		free(p);
	}
	filter_destroy(b);
}

static const struct block_ops hold_ops = {
	.submit = submit,
	.settle = filter_settle,
	.destroy = destroy,
	.poll = filter_poll,
	.extent = filter_extent,
};

int block_hold_create(struct block_device *below, const struct block_hold *config,
		      struct block_device **ret)
{
	struct hold *h = filter_create(sizeof(*h), below, &hold_ops);

	if (h == NULL) {
		return -ENOMEM;
	}
	snprintf(h->name, sizeof(h->name), "%s", below->name);
	h->filter.block.name = h->name;
	h->config = *config;
	h->held_tail = &h->held;
	h->waiting_tail = &h->waiting;
	*ret = &h->filter.block;
	return 0;
}
