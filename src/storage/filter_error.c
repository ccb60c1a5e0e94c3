// SPDX-License-Identifier: Apache-2.0
/* Fails requests by rules, for tests of everything above. */
#include <errno.h>
#include <stdlib.h>

#include "filter.h"

struct rule {
	struct block_error_rule what;
	uint64_t seen, failed;
};

struct error_filter {
	struct filter filter;
	size_t count;
	struct rule rules[];
};

static bool rule_matches(const struct block_error_rule *what, const struct io_request *r)
{
	if ((what->ops & BIT32(r->op)) == 0) {
		return false;
	}
	if (what->bytes == 0 || r->op == IO_FLUSH) {
		return true;
	}
	/* block_submit has checked the request's range; the rule's is the tester's and may end anywhere */
	return r->offset < what->offset ? what->offset - r->offset < r->bytes
					: r->offset - what->offset < what->bytes;
}

/* Counts the request on @rule; true: it is to fail. */
static bool rule_fires(struct rule *rule, const struct io_request *r)
{
	if (!rule_matches(&rule->what, r) || rule->seen++ < rule->what.after) {
		return false;
	}
	return rule->what.count == UINT64_MAX || rule->failed++ < rule->what.count;
}

static void submit(struct block_device *b, struct io_request *r)
{
	struct error_filter *e = container_of(filter_from_block(b), struct error_filter, filter);

	for (size_t i = 0; i < e->count; i++) {
		if (rule_fires(&e->rules[i], r)) {
			io_complete(b->context, r, e->rules[i].what.error);
			return;
		}
	}
	block_submit(e->filter.below, r);
}

int block_error_create(struct block_device *below, const struct block_error_rule *rules,
		       size_t count, struct block_device **ret)
{
	static const struct block_ops ops = {
		.submit = submit,
		.settle = filter_settle,
		.destroy = filter_destroy,
		.poll = filter_poll,
		.extent = filter_extent,
	};
	struct error_filter *e =
		filter_create(sizeof(*e) + count * sizeof(e->rules[0]), below, &ops);

	if (e == NULL) {
		return -ENOMEM;
	}
	e->count = count;
	for (size_t i = 0; i < count; i++) {
		e->rules[i].what = rules[i];
	}
	*ret = &e->filter.block;
	return 0;
}
