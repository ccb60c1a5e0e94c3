// SPDX-License-Identifier: Apache-2.0
/*
 * A file that may not be written, seen as if its log had been replayed: reads go to the file, and what the log has is laid over them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "lib/check.h"
#include "vhdx_log.h"

/* Decision: a log of a gigabyte is not held in memory. Real ones have 1 MiB. */
#define PAGES_MAX 16384u

struct patch {
	uint64_t offset, bytes;
	uint8_t *page; /* NULL: zeros */
};

struct view {
	struct storage_file file;
	struct storage_file *below;
	uint64_t bytes;
	struct patch *patches; /* by offset, apart from each other */
	size_t count, capacity;
	size_t pages;
};

struct view_read {
	struct io_request r;
	struct io_request *outer;
	struct view *view;
};

/* The first patch that ends behind @offset. */
static size_t first_patch(const struct view *v, uint64_t offset)
{
	size_t low = 0, high = v->count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (v->patches[mid].offset + v->patches[mid].bytes > offset) {
			high = mid;
		} else {
			low = mid + 1;
		}
	}
	return low;
}

static bool touches(const struct view *v, uint64_t offset, uint64_t bytes)
{
	size_t i = first_patch(v, offset);

	return i < v->count && v->patches[i].offset < offset + bytes;
}

static void read_done(struct io_request *r, int result)
{
	struct view_read *vr = container_of(r, struct view_read, r);
	struct io_request *outer = vr->outer;
	const struct view *v = vr->view;
	uint64_t end = outer->offset + outer->bytes;

	for (size_t i = first_patch(v, outer->offset);
	     result == 0 && i < v->count && v->patches[i].offset < end; i++) {
		const struct patch *p = &v->patches[i];
		uint64_t from = max_u64(p->offset, outer->offset);
		size_t n = (size_t)(min_u64(p->offset + p->bytes, end) - from);

		if (p->page != NULL) {
			io_copy_in(outer, (size_t)(from - outer->offset),
				   p->page + (from - p->offset), n);
		} else {
			io_fill_zero(outer, (size_t)(from - outer->offset), n);
		}
	}
	free(vr);
	outer->done(outer, result);
}

static void submit_read(struct view *v, struct io_request *r)
{
	struct view_read *vr;

	if (!touches(v, r->offset, r->bytes)) {
		storage_file_submit(v->below, r);
		return;
	}
	vr = malloc(sizeof(*vr));
	if (vr == NULL) {
		io_complete(v->file.context, r, -ENOMEM);
		return;
	}
	*vr = (struct view_read){.r = *r, .outer = r, .view = v};
	vr->r.done = read_done;
	storage_file_submit(v->below, &vr->r);
}

static void view_submit(struct storage_file *f, struct io_request *r)
{
	struct view *v = container_of(f, struct view, file);

	if (r->op == IO_READ) {
		submit_read(v, r);
	} else {
		io_complete(f->context, r, r->op == IO_FLUSH ? 0 : -EROFS);
	}
}

static int view_get_size(struct storage_file *f, uint64_t *ret_bytes)
{
	*ret_bytes = container_of(f, struct view, file)->bytes;
	return 0;
}

static int view_set_size(struct storage_file *f, uint64_t bytes)
{
	return -EROFS;
}

static int view_extent(struct storage_file *f, uint64_t offset, enum storage_extent *ret_what,
		       uint64_t *ret_bytes)
{
	struct view *v = container_of(f, struct view, file);
	size_t i = first_patch(v, offset);
	const struct patch *p = i < v->count ? &v->patches[i] : NULL;
	uint64_t left = v->bytes - offset;
	int rc;

	if (offset >= v->bytes) {
		return -ENXIO;
	}
	if (p != NULL && p->offset <= offset) {
		*ret_what = p->page != NULL ? STORAGE_DATA : STORAGE_HOLE;
		*ret_bytes = min_u64(left, p->offset + p->bytes - offset);
		return 0;
	}
	rc = v->below->ops->extent(v->below, offset, ret_what, ret_bytes);
	if (rc == -ENXIO) {
		*ret_what = STORAGE_HOLE;
		*ret_bytes = left;
	} else if (rc != 0) {
		return rc;
	}
	*ret_bytes = min_u64(*ret_bytes, p != NULL ? p->offset - offset : left);
	return 0;
}

static void view_free(struct view *v)
{
	for (size_t i = 0; i < v->count; i++) {
		free(v->patches[i].page);
	}
	free(v->patches);
	free(v);
}

static void view_close(struct storage_file *f)
{
	struct view *v = container_of(f, struct view, file);

	storage_file_close(v->below);
	view_free(v);
}

/* ---- Building it ---- */

/* Makes room for two more: a patch, and what is left of one that it splits. */
static bool reserve(struct view *v)
{
	size_t capacity = v->capacity * 2 + 16;
	struct patch *patches;

	if (v->count + 2 <= v->capacity) {
		return true;
	}
	patches = realloc(v->patches, capacity * sizeof(*patches));
	if (patches == NULL) {
		return false;
	}
	v->patches = patches;
	v->capacity = capacity;
	return true;
}

static void insert(struct view *v, size_t at, const struct patch *p)
{
	memmove(v->patches + at + 1, v->patches + at, (v->count - at) * sizeof(*p));
	v->patches[at] = *p;
	v->count++;
}

static void drop(struct view *v, size_t at)
{
	v->pages -= v->patches[at].page != NULL;
	free(v->patches[at].page);
	memmove(v->patches + at, v->patches + at + 1, (--v->count - at) * sizeof(*v->patches));
}

/* Takes [@from, @to) out of all patches. Pages are whole, so only zeros are ever cut. */
static void clear(struct view *v, uint64_t from, uint64_t to)
{
	size_t i = first_patch(v, from);

	while (i < v->count && v->patches[i].offset < to) {
		struct patch *p = &v->patches[i];
		struct patch right = {to, p->offset + p->bytes - to, NULL};
		bool left_stays = p->offset<from, right_stays = p->offset + p->bytes> to;

		if (!left_stays && !right_stays) {
			drop(v, i);
			continue;
		}
		CHECK(p->page == NULL);
		if (left_stays) {
			p->bytes = from - p->offset;
			i++;
			if (right_stays) {
				insert(v, i, &right);
			}
		} else {
			*p = right;
		}
		if (right_stays) {
			return;
		}
	}
}

static int lay(struct view *v, const struct patch *p)
{
	if (!reserve(v)) {
		return -ENOMEM;
	}
	clear(v, p->offset, p->offset + p->bytes);
	insert(v, first_patch(v, p->offset), p);
	v->pages += p->page != NULL;
	return 0;
}

static int lay_begin(void *ctx, uint64_t file_bytes)
{
	struct view *v = ctx;

	v->bytes = file_bytes;
	return 0;
}

static int lay_zero(void *ctx, uint64_t offset, uint64_t bytes)
{
	return bytes == 0 ? 0 : lay(ctx, &(struct patch){offset, bytes, NULL});
}

static int lay_data(void *ctx, uint64_t offset, uint8_t *page)
{
	struct view *v = ctx;
	int rc = v->pages >= PAGES_MAX ? -ENOMEM : lay(v, &(struct patch){offset, VHDX_PAGE, page});

	if (rc != 0) {
		free(page);
		return rc;
	}
	v->bytes = max_u64(v->bytes, offset + VHDX_PAGE);
	return 0;
}

int vhdx_log_replay_view(struct storage_file **f, const struct vhdx_header *header,
			 struct vhd_error *error)
{
	static const struct storage_file_ops ops = {
		.submit = view_submit,
		.get_size = view_get_size,
		.set_size = view_set_size,
		.extent = view_extent,
		.close = view_close,
	};
	struct view *v = calloc(1, sizeof(*v));
	const struct vhdx_log_target to = {lay_begin, lay_zero, lay_data, v};

	if (v == NULL) {
		return vhd_fail_errno(error, -ENOMEM, (*f)->name, "cannot read the log");
	}
	v->file = (struct storage_file){.ops = &ops, .context = (*f)->context, .name = (*f)->name};
	v->below = *f;

	int rc = vhdx_log_apply(*f, header, &to, error);

	if (rc != 0) {
		view_free(v);
		return rc;
	}
	*f = &v->file;
	return 0;
}
