// SPDX-License-Identifier: Apache-2.0
#include "hostile.h"

#include <stdlib.h>

#include "lib/bits.h"
#include "lib/check.h"

#define FILE_LIMIT (UINT64_C(256) << 20)
#define PAGE 4096u
#define PATCHES_MAX 32u
#define STEPS_MAX 24u
#define IO_MAX 65536u

/* ---- Templates: what make() makes, as pages ---- */

struct page {
	uint64_t offset;
	uint8_t data[PAGE];
};
struct file_template {
	uint64_t bytes;
	struct page *pages;
	size_t count;
};
struct template
{
	struct file_template disk, parent; /* parent: bytes 0: none */
};

/* Made once: making a disk takes longer than what is done with it. */
static struct template *templates[HOSTILE_KINDS_MAX];

static void add_page(struct file_template *t, uint64_t offset, const uint8_t *data)
{
	if ((t->count & (t->count - 1)) == 0) {
		size_t room = t->count == 0 ? 1 : 2 * t->count;

		t->pages = realloc(t->pages, room * sizeof(*t->pages));
		CHECK(t->pages != NULL);
	}
	t->pages[t->count].offset = offset;
	memcpy(t->pages[t->count++].data, data, PAGE);
}

static void take_file(struct storage_file *f, struct file_template *ret)
{
	static const uint8_t zeros[PAGE];
	uint8_t data[PAGE];

	*ret = (struct file_template){0};
	if (f == NULL) {
		return;
	}
	CHECK(storage_file_get_size(f, &ret->bytes) == 0);
	for (uint64_t at = 0; at < ret->bytes; at += PAGE) {
		CHECK(storage_file_read(f, at, data, PAGE) == 0);
		if (memcmp(data, zeros, PAGE) != 0) {
			add_page(ret, at, data);
		}
	}
}

static const struct template *template_of(const struct hostile_format *format, unsigned kind)
{
	if (templates[kind] == NULL) {
		struct vhd_testing *t = vhd_testing_create(FILE_LIMIT);

		templates[kind] = calloc(1, sizeof(*templates[kind]));
		CHECK(t != NULL && templates[kind] != NULL);
		format->make(t, kind);
		take_file(vhd_testing_file(t, HOSTILE_DISK), &templates[kind]->disk);
		take_file(vhd_testing_file(t, HOSTILE_PARENT), &templates[kind]->parent);
		vhd_testing_destroy(t);
	}
	return templates[kind];
}

static void put_file(struct vhd_testing *t, const char *path, const struct file_template *from)
{
	if (from->bytes == 0) {
		return;
	}
	CHECK(vhd_testing_add(t, path, "", 0) == 0);
	struct storage_file *f = vhd_testing_file(t, path);

	for (size_t i = 0; i < from->count; i++) {
		size_t n = (size_t)min_u64(PAGE, from->bytes - from->pages[i].offset);

		CHECK(storage_file_write(f, from->pages[i].offset, from->pages[i].data, n) == 0);
	}
	CHECK(storage_file_set_size(f, from->bytes) == 0);
}

/* ---- Damage ---- */

/* {area, offset in it, length - 1, bytes}; an area beyond the last: the length of the file, in units of 64 KiB or bytes. */
static void patch(const struct hostile_format *format, struct storage_file *f, uint8_t which,
		  struct input *in)
{
	uint32_t offset = input_u16(in);
	uint8_t data[64];
	size_t bytes = 1 + input_u8(in) % sizeof(data);
	uint64_t size;

	CHECK(storage_file_get_size(f, &size) == 0);
	if (which >= format->area_count) {
		uint64_t change = (offset & 1) != 0 ? UINT64_C(65536) * (offset >> 1) : offset;

		CHECK(storage_file_set_size(f, size - min_u64(size, change)) == 0);
		return;
	}
	const struct hostile_area *a = &format->areas[which];
	uint64_t start = a->from_end ? size - min_u64(size, a->offset) : a->offset;

	input_take(in, data, bytes);
	CHECK(storage_file_write(f, start + offset % a->bytes, data, bytes) == 0);
}

struct vhd_testing *hostile_make(const struct hostile_format *format, struct input *in)
{
	const struct template *from = template_of(format, input_u8(in) % format->kinds);
	struct vhd_testing *t = vhd_testing_create(FILE_LIMIT);
	uint8_t wrong = input_u8(in), which;

	CHECK(t != NULL);
	put_file(t, HOSTILE_DISK, &from->disk);
	put_file(t, HOSTILE_PARENT, &from->parent);
	struct storage_file *f = vhd_testing_file(t, HOSTILE_DISK);

	for (unsigned i = 0; i < PATCHES_MAX && (which = input_u8(in)) != 0; i++) {
		patch(format, f, (uint8_t)(which - 1), in);
	}
	format->sum(f, wrong);
	return t;
}

/* ---- What is done with it ---- */

static void finding(void *ctx, const struct vhd_finding *f)
{
	struct hostile_verdict *v = ctx;

	v->repairable += f->repairable && !f->repaired;
	CHECK(f->text[0] != '\0' && strlen(f->text) < sizeof(f->text));
	CHECK(f->repairable || !f->repaired);
}

struct hostile_verdict hostile_check(struct vhd_testing *t, bool repair)
{
	struct hostile_verdict v = {0};
	const struct vhd_check check = {.repair = repair, .finding = finding, .ctx = &v};
	struct vhd_check_result result = {0};
	struct vhd_error error = {""};

	v.status = vhd_check(vhd_testing_host(t), HOSTILE_DISK, &check, &result, &error);
	CHECK(v.status == 0 || error.text[0] != '\0');
	v.errors = result.errors;
	return v;
}

static uint64_t place(const struct block_device *b, struct input *in, uint64_t bytes)
{
	uint64_t sectors = (b->info.bytes - min_u64(b->info.bytes, bytes)) / b->info.sector_bytes;
	uint32_t v = input_u32(in);

	/* Half of them in the first MiB blocks, the rest anywhere. */
	return ((v & 1) != 0 ? v % 40000 : v * UINT64_C(0x9e3779b9)) % (sectors + 1) *
	       b->info.sector_bytes;
}

static void read_some(struct vhd_disk *d)
{
	static uint8_t buf[IO_MAX];
	struct block_device *b = vhd_block(d);
	struct vhd_extent e;
	uint64_t at = 0;

	for (unsigned i = 0; i < 64 && at < b->info.bytes; i++) {
		int r = vhd_map(d, at, &e, NULL);
		uint64_t bytes = r == 0 ? e.bytes : b->info.sector_bytes;

		CHECK(bytes != 0 && bytes <= b->info.bytes - at);
		(void)block_read(b, at, buf,
				 (size_t)min_u64(bytes, i % 8 == 0 ? sizeof(buf) : 4096));
		at += bytes;
	}
}

static void finish(struct vhd_job *j)
{
	struct vhd_progress p;
	struct vhd_error error;

	for (unsigned i = 0; i < 100 && vhd_job_step(j, &p, &error) == 1; i++) {
	}
	vhd_job_destroy(j);
}

static void step(struct vhd_disk *d, uint8_t what, struct input *in)
{
	static uint8_t buf[IO_MAX];
	struct block_device *b = vhd_block(d);
	size_t bytes = (size_t)min_u64((1 + input_u8(in) % 8) * 4096u, b->info.bytes);
	struct vhd_job *j;

	switch (what % 8) {
	case 0:
		memset(buf, what, bytes);
		(void)block_write(b, place(b, in, bytes), buf, bytes);
		break;
	case 1:
		(void)block_read(b, place(b, in, bytes), buf, bytes);
		break;
	case 2:
		(void)block_zero(b, place(b, in, bytes), bytes, (what & 8) != 0);
		break;
	case 3: /* whole blocks */
		(void)block_zero(b, align_down(place(b, in, 1 << 20), 1 << 20),
				 min_u64(b->info.bytes, 1 << 20), true);
		break;
	case 4:
		(void)block_flush(b);
		break;
	case 5:
		block_settle(b);
		break;
	case 6:
		if (vhd_compact(d, &j, NULL) == 0) {
			finish(j);
		}
		break;
	case 7:
		if (vhd_resize(d, (uint64_t)(1 + input_u8(in)) << 20, &j, NULL) == 0) {
			finish(j);
		}
		break;
	}
}

int hostile_use(struct vhd_testing *t, bool write, struct input *in)
{
	struct vhd_error error = {""};
	struct vhd_info *info = malloc(sizeof(*info));
	struct vhd_disk *d;
	int r = vhd_open(vhd_testing_host(t), HOSTILE_DISK, write ? VHD_OPEN_WRITE : 0, &d, &error);
	uint8_t what;

	CHECK(info != NULL);
	CHECK(r == 0 || error.text[0] != '\0');
	if (r == 0) {
		vhd_get_info(d, info);
		read_some(d);
		for (unsigned i = 0; write && i < STEPS_MAX && (what = input_u8(in)) != 0; i++) {
			step(d, what, in);
		}
		(void)vhd_close(d);
	}
	free(info);
	return r;
}
