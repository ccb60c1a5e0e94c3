// SPDX-License-Identifier: Apache-2.0
/* The laboratory's names for files, and the vhd_host that opens them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "record_file.h"

/* ---- The host ---- */

/* @path without "." and "..". */
static void plain_path(const char *path, char *ret, size_t size)
{
	size_t used = 0;

	CHECK(path[0] == '/' && strlen(path) < size);
	while (*path != 0) {
		path += strspn(path, "/");
		size_t n = strcspn(path, "/");

		if (n == 2 && path[0] == '.' && path[1] == '.') {
			while (used != 0 && ret[--used] != '/') {
			}
		} else if (n != 0 && !(n == 1 && path[0] == '.')) {
			ret[used++] = '/';
			memcpy(ret + used, path, n);
			used += n;
		}
		path += n;
	}
	ret[used] = 0;
}

int lab_find(const struct lab *lab, const char *path)
{
	char plain[4096];

	plain_path(path, plain, sizeof(plain));
	for (unsigned i = 0; i < lab->file_count; i++) {
		if (strcmp(lab->files[i].path, plain) == 0) {
			return (int)i;
		}
	}
	return -1;
}

/* @number came into being or got another name. */
static void record_name(struct lab *lab, enum event_kind kind, unsigned number)
{
	struct event e = {.kind = kind, .file = number};

	if (lab->journal == NULL) {
		return;
	}
	e.data = (uint8_t *)strdup(lab->files[number].path);
	CHECK(e.data != NULL);
	journal_add(lab->journal, &e);
}

static int host_open(void *ctx, const char *path, bool write, bool create,
		     struct storage_file **ret)
{
	struct lab *lab = ctx;
	int n = lab_find(lab, path);
	int r = lab_next_error(lab);

	if (r != 0) {
		return r;
	}
	if (create) {
		if (n >= 0) {
			return -EEXIST;
		}
		n = (int)lab->file_count;
		lab_add(lab, path, image_create());
		record_name(lab, EVENT_CREATE, (unsigned)n);
	}
	if (n < 0) {
		return -ENOENT;
	}
	struct lab_file *l = &lab->files[n];

	if (l->writers != 0 || (write && l->readers != 0)) {
		return VHD_IN_USE;
	}
	*ret = lab_open_file(lab, (unsigned)n, write || create);
	return 0;
}

static int host_claim(void *ctx, const char *path, struct storage_file *present,
		      struct storage_file **ret)
{
	struct lab *lab = ctx;
	int n = lab_find(lab, path);
	int r = lab_next_error(lab);

	if (r != 0 || n < 0) {
		return r != 0 ? r : -ENOENT;
	}
	CHECK(!present->writable);
	if (lab->files[n].writers != 0 || lab->files[n].readers != 1) {
		return VHD_IN_USE;
	}
	*ret = lab_open_file(lab, (unsigned)n, true);
	return 0;
}

static void host_unclaim(void *ctx, struct storage_file *f)
{
	struct lab *lab = ctx;
	struct lab_file *l = &lab->files[lab_file_number(f)];

	l->readers += f->writable;
	l->writers -= f->writable;
	f->writable = false;
}

static int host_remove(void *ctx, const char *path)
{
	struct lab *lab = ctx;
	int n = lab_find(lab, path);

	if (n < 0) {
		return -ENOENT;
	}
	lab->files[n].path[0] = 0;
	record_name(lab, EVENT_NAME, (unsigned)n);
	return 0;
}

static int host_rename(void *ctx, const char *from, const char *to)
{
	struct lab *lab = ctx;
	int n = lab_find(lab, from);
	int r = lab_next_error(lab);

	if (r != 0) {
		return r;
	}
	if (n < 0 || lab_find(lab, to) >= 0) {
		return n < 0 ? -ENOENT : -EEXIST;
	}
	plain_path(to, lab->files[n].path, sizeof(lab->files[n].path));
	record_name(lab, EVENT_NAME, (unsigned)n);
	return 0;
}

static bool host_same_file(void *ctx, const char *a, const char *b)
{
	int n = lab_find(ctx, a);

	return n >= 0 && n == lab_find(ctx, b);
}

/* Folders are there when there is something in them. */
static bool is_folder(const struct lab *lab, const char *path)
{
	char plain[4096];

	plain_path(path, plain, sizeof(plain));
	for (unsigned i = 0; i < lab->file_count; i++) {
		const char *name = lab->files[i].path;

		if (strncmp(name, plain, strlen(plain)) == 0 && name[strlen(plain)] == '/') {
			return true;
		}
	}
	return strcmp(plain, "/lab") == 0;
}

static int host_real_path(void *ctx, const char *path, char *ret, size_t size)
{
	if (lab_find(ctx, path) < 0 && !is_folder(ctx, path)) {
		return -ENOENT;
	}
	plain_path(path, ret, size);
	return 0;
}

static void host_random(void *ctx, void *buf, size_t bytes)
{
	struct lab *lab = ctx;

	for (size_t i = 0; i < bytes; i++) {
		((uint8_t *)buf)[i] = (uint8_t)dice_roll(&lab->dice);
	}
}

static int64_t host_now_s(void *ctx)
{
	return 1700000000;
}

/* ---- The laboratory ---- */

void lab_init(struct lab *lab, uint64_t seed)
{
	static const struct io_context_ops ops = {.poll = lab_poll};

	*lab = (struct lab){.dice = {seed}};
	io_context_init(&lab->context, &ops);
	lab->host = (struct vhd_host){
		.context = &lab->context,
		.open = host_open,
		.remove = host_remove,
		.rename = host_rename,
		.same_file = host_same_file,
		.real_path = host_real_path,
		.random = host_random,
		.now_s = host_now_s,
		.claim = host_claim,
		.unclaim = host_unclaim,
		.ctx = lab,
	};
}

void lab_fini(struct lab *lab)
{
	CHECK(lab->held == NULL && lab->context.ready == NULL);
	for (unsigned i = 0; i < lab->file_count; i++) {
		CHECK(lab->files[i].readers == 0 && lab->files[i].writers == 0);
		image_destroy(lab->files[i].image);
	}
}

void lab_add(struct lab *lab, const char *path, struct image *image)
{
	struct lab_file *l = &lab->files[lab->file_count];

	CHECK(lab->file_count < LAB_FILES);
	*l = (struct lab_file){.image = image};
	if (path[0] != 0) {
		plain_path(path, l->path, sizeof(l->path));
	}
	lab->file_count++;
}

void lab_copy(struct lab *lab, struct lab *from, uint64_t seed)
{
	lab_init(lab, seed);
	for (unsigned i = 0; i < from->file_count; i++) {
		lab_add(lab, from->files[i].path, image_copy(from->files[i].image));
	}
}
