// SPDX-License-Identifier: Apache-2.0
#include "record_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

#define SECTOR_BYTES 512u
#define GRANULE_BYTES 4096u

struct recorded {
	struct storage_file base;
	struct lab *lab;
	unsigned file;
};

struct lab_request {
	struct lab_request *next;
	struct recorded *file;
	struct io_request *request;
	uint32_t event;
	uint8_t *data; /* of a write, as submitted */
	int error;
	bool applied;
};

static struct recorded *recorded_of(struct storage_file *f)
{
	return container_of(f, struct recorded, base);
}

static struct image *image_of(const struct recorded *f)
{
	return f->lab->files[f->file].image;
}

static const char *op_name(enum io_op op)
{
	static const char *const names[] = {"read", "write", "flush", "discard", "zero"};

	return names[op];
}

__attribute__((format(printf, 2, 3))) static void violate(struct lab *lab, const char *fmt, ...)
{
	va_list ap;

	if (lab->violation[0] == 0) {
		va_start(ap, fmt);
		vsnprintf(lab->violation, sizeof(lab->violation), fmt, ap);
		va_end(ap);
	}
}

/* ---- Failing ---- */

int lab_next_error(struct lab *lab)
{
	lab->calls++;
	return lab->fail_at != 0 && (lab->calls == lab->fail_at ||
				     (lab->fail_on && lab->calls > lab->fail_at))
		       ? lab->fail_error
		       : 0;
}

static int space_error(const struct lab *lab, uint64_t end)
{
	return lab->limit_bytes != 0 && end > lab->limit_bytes ? -ENOSPC : 0;
}

/* ---- Carrying out ---- */

/* A write that failed may have come some way. */
static void apply_part(struct lab_request *h)
{
	const struct io_request *r = h->request;
	uint64_t sectors = r->bytes / SECTOR_BYTES;

	if (r->op == IO_WRITE && sectors != 0 && h->error == -EIO) {
		image_write(image_of(h->file), r->offset, h->data,
			    dice_below(&h->file->lab->dice, sectors + 1) * SECTOR_BYTES);
	}
}

static void apply(struct lab_request *h)
{
	const struct io_request *r = h->request;
	struct image *i = image_of(h->file);

	if (h->applied) {
		return;
	}
	h->applied = true;
	if (h->error != 0) {
		apply_part(h);
		return;
	}
	switch (r->op) {
	case IO_WRITE:
		image_write(i, r->offset, h->data, r->bytes);
		break;
	case IO_ZERO:
		image_zero(i, r->offset, r->bytes);
		break;
	case IO_DISCARD:
		if (r->offset < image_bytes(i)) {
			image_zero(i, r->offset, min_u64(r->bytes, image_bytes(i) - r->offset));
		}
		break;
	case IO_READ:
	case IO_FLUSH:
		break;
	}
}

static void read_now(struct lab_request *h)
{
	const struct io_request *r = h->request;
	const struct io_vec *v = r->vec;
	size_t skip = r->vec_skip;
	uint64_t done = 0;

	for (; done < r->bytes; v++) {
		if (skip >= v->bytes) {
			skip -= v->bytes;
			continue;
		}
		uint64_t n = min_u64(v->bytes - skip, r->bytes - done);

		image_read(image_of(h->file), r->offset + done, (uint8_t *)v->base + skip, n);
		done += n;
		skip = 0;
	}
}

static void finish(struct lab_request *h)
{
	struct lab *lab = h->file->lab;

	apply(h);
	if (h->request->op == IO_READ && h->error == 0) {
		read_now(h);
	}
	if (lab->journal != NULL && h->request->op != IO_READ && h->error == 0) {
		journal_add(lab->journal, &(struct event){.kind = EVENT_DONE,
							  .file = h->file->file,
							  .ref = h->event});
	}
	io_complete(&lab->context, h->request, h->error);
	free(h->data);
	free(h);
}

static unsigned held_count(const struct lab *lab)
{
	unsigned n = 0;

	for (const struct lab_request *h = lab->held; h != NULL; h = h->next) {
		n++;
	}
	return n;
}

static void finish_one(struct lab *lab, unsigned which)
{
	struct lab_request **p = &lab->held;

	while (which-- != 0) {
		p = &(*p)->next;
	}
	struct lab_request *h = *p;

	*p = h->next;
	finish(h);
}

/* Some of what is held, at least one when the caller sleeps, in any order. */
void lab_poll(struct io_context *c, bool block, uint64_t timeout_ns)
{
	struct lab *lab = container_of(c, struct lab, context);
	unsigned held = held_count(lab);
	unsigned n = held == 0 ? 0 : (unsigned)dice_below(&lab->dice, held + 1);

	CHECK(!block || held != 0 || timeout_ns != UINT64_MAX); /* nothing could ever wake it */
	if (!lab->shuffle) {
		n = held;
	} else if (block && n == 0 && held != 0) {
		n = 1;
	}
	for (; n != 0; n--, held--) {
		finish_one(lab, lab->shuffle ? (unsigned)dice_below(&lab->dice, held) : 0);
	}
}

void lab_drain(struct lab *lab)
{
	while (lab->held != NULL || lab->context.ready != NULL) {
		io_poll(&lab->context, lab->held != NULL, UINT64_MAX);
	}
}

/* ---- Rules ---- */

static bool changes(enum io_op op)
{
	return op == IO_WRITE || op == IO_ZERO || op == IO_DISCARD;
}

/* Two changes of the same bytes under way at once leave the outcome to chance. */
static void check_order(struct recorded *f, const struct io_request *r)
{
	for (const struct lab_request *h = f->lab->held; h != NULL; h = h->next) {
		const struct io_request *o = h->request;

		if (h->file->file == f->file && changes(o->op) &&
		    r->offset < o->offset + o->bytes && o->offset < r->offset + r->bytes) {
			violate(f->lab,
				"%s: %s of 0x%llx bytes at 0x%llx while a %s of 0x%llx bytes at "
				"0x%llx is under way",
				f->base.name, op_name(r->op), (unsigned long long)r->bytes,
				(unsigned long long)r->offset, op_name(o->op),
				(unsigned long long)o->bytes, (unsigned long long)o->offset);
		}
	}
}

static void check_cut_order(struct recorded *f, uint64_t bytes)
{
	for (const struct lab_request *h = f->lab->held; h != NULL; h = h->next) {
		const struct io_request *o = h->request;

		if (h->file->file == f->file && changes(o->op) && o->offset + o->bytes > bytes) {
			violate(f->lab,
				"%s: cut to 0x%llx while a %s of 0x%llx bytes at 0x%llx is under "
				"way",
				f->base.name, (unsigned long long)bytes, op_name(o->op),
				(unsigned long long)o->bytes, (unsigned long long)o->offset);
		}
	}
}

/* ---- The file ---- */

static void hold(struct lab_request *h)
{
	struct lab_request **p = &h->file->lab->held;

	while (*p != NULL) {
		p = &(*p)->next;
	}
	*p = h;
}

static void record_submit(struct lab_request *h)
{
	const struct io_request *r = h->request;
	struct event e = {.kind = EVENT_SUBMIT,
			  .file = h->file->file,
			  .op = r->op,
			  .flags = r->flags,
			  .offset = r->offset,
			  .bytes = r->bytes};

	if (h->data != NULL) {
		e.data = malloc(r->bytes + 1);
		CHECK(e.data != NULL);
		memcpy(e.data, h->data, r->bytes);
	}
	h->event = journal_add(h->file->lab->journal, &e);
}

static void file_submit(struct storage_file *base, struct io_request *r)
{
	struct recorded *f = recorded_of(base);
	struct lab *lab = f->lab;
	struct lab_request *h = calloc(1, sizeof(*h));

	CHECK(h != NULL);
	*h = (struct lab_request){.file = f, .request = r, .error = lab_next_error(lab)};
	if (changes(r->op)) {
		if (!base->writable) {
			violate(lab, "%s: %s of a file opened for reading", base->name,
				op_name(r->op));
			h->error = -EROFS;
		}
		if (h->error == 0 && r->op != IO_DISCARD) {
			h->error = space_error(lab, r->offset + r->bytes);
		}
		check_order(f, r);
	}
	if (r->op == IO_WRITE) {
		h->data = malloc(r->bytes + 1);
		CHECK(h->data != NULL);
		io_copy_out(r, 0, h->data, r->bytes);
	}
	if (lab->journal != NULL && r->op != IO_READ && h->error == 0) {
		record_submit(h);
	}
	if (lab->shuffle && dice_percent(&lab->dice, 50)) {
		apply(h);
	}
	hold(h);
}

static int file_get_size(struct storage_file *base, uint64_t *ret_bytes)
{
	*ret_bytes = image_bytes(image_of(recorded_of(base)));
	return 0;
}

static int file_set_size(struct storage_file *base, uint64_t bytes)
{
	struct recorded *f = recorded_of(base);
	struct lab *lab = f->lab;
	int r = lab_next_error(lab);

	if (!base->writable) {
		violate(lab, "%s: new size of a file opened for reading", base->name);
		return -EROFS;
	}
	r = r == 0 ? space_error(lab, bytes) : r;
	if (r != 0) {
		return r;
	}
	check_cut_order(f, bytes);
	if (lab->journal != NULL) {
		journal_add(lab->journal,
			    &(struct event){.kind = EVENT_SIZE, .file = f->file, .bytes = bytes});
	}
	image_resize(image_of(f), bytes);
	return 0;
}

static int file_extent(struct storage_file *base, uint64_t offset, enum storage_extent *ret_what,
		       uint64_t *ret_bytes)
{
	struct image *i = image_of(recorded_of(base));

	if (offset >= image_bytes(i)) {
		return -ENXIO;
	}
	*ret_what = image_is_hole(i, offset, ret_bytes) ? STORAGE_HOLE : STORAGE_DATA;
	return 0;
}

static void file_close(struct storage_file *base)
{
	struct recorded *f = recorded_of(base);
	struct lab_file *l = &f->lab->files[f->file];

	for (const struct lab_request *h = f->lab->held; h != NULL; h = h->next) {
		CHECK(h->file != f); /* closed with requests under way */
	}
	*(base->writable ? &l->writers : &l->readers) -= 1;
	free(f);
}

struct storage_file *lab_open_file(struct lab *lab, unsigned number, bool write)
{
	static const struct storage_file_ops ops = {
		.submit = file_submit,
		.get_size = file_get_size,
		.set_size = file_set_size,
		.extent = file_extent,
		.close = file_close,
	};
	struct lab_file *l = &lab->files[number];
	struct recorded *f = calloc(1, sizeof(*f));

	CHECK(f != NULL);
	f->lab = lab;
	f->file = number;
	f->base = (struct storage_file){
		.ops = &ops, .context = &lab->context, .name = l->path, .writable = write};
	f->base.discard_granule_bytes = GRANULE_BYTES;
	*(write ? &l->writers : &l->readers) += 1;
	return &f->base;
}

unsigned lab_file_number(struct storage_file *f)
{
	return container_of(f, struct recorded, base)->file;
}
