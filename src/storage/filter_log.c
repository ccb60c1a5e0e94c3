// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "filter.h"

struct log_filter {
	struct filter filter;
	struct block_log log;
};

static const char *op_name(enum io_op op)
{
	static const char *const names[] = {
		[IO_READ] = "read",	  [IO_WRITE] = "write", [IO_FLUSH] = "flush",
		[IO_DISCARD] = "discard", [IO_ZERO] = "zero",
	};

	return names[op];
}

static void finished(struct io_request *r, int result)
{
	struct filter_request *w = r->ctx;
	struct log_filter *l = container_of(w->filter, struct log_filter, filter);
	char text[160];

	snprintf(text, sizeof(text), "%s offset=%" PRIu64 " bytes=%" PRIu64 " flags=%s%s result=%d",
		 op_name(w->io.op), w->io.offset, w->io.bytes,
		 (w->io.flags & IO_FUA) != 0 ? "fua," : "",
		 (w->io.flags & IO_UNMAP) != 0 ? "unmap," : "", result);
	l->log.line(l->log.ctx, text);
	io_complete(l->filter.block.context, w->whole, result);
	free(w);
}

static void submit(struct block_device *b, struct io_request *r)
{
	struct filter *f = filter_from_block(b);
	struct filter_request *w = filter_wrap(f, r, sizeof(*w), finished);

	if (w != NULL) {
		block_submit(f->below, &w->io);
	}
}

int block_log_create(struct block_device *below, const struct block_log *log,
		     struct block_device **ret)
{
	static const struct block_ops ops = {
		.submit = submit,
		.settle = filter_settle,
		.destroy = filter_destroy,
		.poll = filter_poll,
		.extent = filter_extent,
	};
	struct log_filter *l = filter_create(sizeof(*l), below, &ops);

	if (l == NULL) {
		return -ENOMEM;
	}
	l->log = *log;
	*ret = &l->filter.block;
	return 0;
}
