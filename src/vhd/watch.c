// SPDX-License-Identifier: Apache-2.0
#include "watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

/* Larger disks have larger regions. */
#define REGIONS_MAX (UINT64_C(1) << 23)

/* A change on its way. */
struct seen {
	struct io_request io;
	struct io_request *whole;
	struct vhd_watch *watch;
};

static bool is_dirty(const struct vhd_watch *w, uint64_t region)
{
	return (w->bits[region / 64] >> region % 64 & 1) != 0;
}

static void mark(struct vhd_watch *w, uint64_t offset, uint64_t bytes)
{
	for (uint64_t i = offset >> w->shift; i <= (offset + bytes - 1) >> w->shift; i++) {
		w->dirty += !is_dirty(w, i);
		w->bits[i / 64] |= UINT64_C(1) << i % 64;
	}
}

/* Also when it failed: then nobody knows what is there now. */
static void on_changed(struct io_request *r, int result)
{
	struct seen *s = r->ctx;
	struct vhd_watch *w = s->watch;
	struct io_request *whole = s->whole;

	mark(w, whole->offset, whole->bytes);
	w->in_flight--;
	free(s);
	whole->done(whole, result);
}

static void watch_submit(struct block_device *b, struct io_request *r)
{
	struct vhd_watch *w = container_of(b, struct vhd_layer, block)->watch;

	if (r->op == IO_READ || r->op == IO_FLUSH) {
		w->plain->submit(b, r);
		return;
	}
	struct seen *s = malloc(sizeof(*s));

	if (s == NULL) {
		io_complete(b->context, r, -ENOMEM);
		return;
	}
	*s = (struct seen){.io = *r, .whole = r, .watch = w};
	s->io.done = on_changed;
	s->io.ctx = s;
	w->in_flight++;
	w->plain->submit(b, &s->io);
}

int vhd_watch_start(struct vhd_watch *w, struct vhd_layer *layer, uint64_t least_bytes)
{
	uint64_t bytes = layer->block.info.bytes;

	*w = (struct vhd_watch){.layer = layer,
				.plain = layer->block.ops,
				.ops = *layer->block.ops,
				.shift = (unsigned)__builtin_ctzll(least_bytes)};
	while (((bytes - 1) >> w->shift) + 1 > REGIONS_MAX) {
		w->shift++;
	}
	w->regions = ((bytes - 1) >> w->shift) + 1;
	w->bits = calloc(w->regions / 64 + 1, sizeof(*w->bits));
	if (w->bits == NULL) {
		return -ENOMEM;
	}
	mark(w, 0, bytes);
	w->ops.submit = watch_submit;
	CHECK(layer->watch == NULL);
	layer->watch = w;
	layer->block.ops = &w->ops;
	return 0;
}

void vhd_watch_stop(struct vhd_watch *w)
{
	if (w->layer == NULL) {
		return;
	}
	w->layer->block.ops = w->plain;
	while (w->in_flight != 0) {
		io_poll(w->layer->block.context, true, UINT64_MAX);
	}
	w->layer->watch = NULL;
	w->layer = NULL;
	free(w->bits);
	w->bits = NULL;
}

uint64_t vhd_watch_find(const struct vhd_watch *w, uint64_t offset)
{
	uint64_t i = offset >> w->shift;

	while (i < w->regions) {
		uint64_t word = w->bits[i / 64] >> i % 64;

		if (word != 0) {
			i += (unsigned)__builtin_ctzll(word);
			return max_u64(i << w->shift, offset);
		}
		i = (i / 64 + 1) * 64;
	}
	return UINT64_MAX;
}

uint64_t vhd_watch_take(struct vhd_watch *w, uint64_t offset)
{
	uint64_t i = offset >> w->shift;

	CHECK(is_dirty(w, i));
	w->bits[i / 64] &= ~(UINT64_C(1) << i % 64);
	w->dirty--;
	return (i + 1) << w->shift;
}
