// SPDX-License-Identifier: Apache-2.0
#include "testing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

struct entry {
	struct entry *next;
	char *path; /* absolute */
	struct storage_file *file;
	unsigned readers, writers;
	bool removed;
};

struct vhd_testing {
	struct vhd_host host;
	struct io_context context;
	struct entry *entries;
	struct vhd_testing_hook hook;
	uint64_t limit_bytes;
	uint64_t random;
};

/* An open file. */
struct handle {
	struct storage_file file;
	struct vhd_testing *testing;
	struct entry *entry;
	char name[]; /* the entry may be renamed */
};

static struct handle *from_file(struct storage_file *f)
{
	return container_of(f, struct handle, file);
}

/* The lexically normal absolute form of @path, the working directory being the root. */
static int normalise(const char *path, char *ret, size_t size)
{
	size_t used = 0;

	while (*path != '\0') {
		size_t length = strcspn(path, "/");

		if (length == 2 && memcmp(path, "..", 2) == 0) {
			while (used > 0 && ret[--used] != '/') {
			}
		} else if (length != 0 && !(length == 1 && *path == '.')) {
			if (length + 2 > size - used) {
				return -ENAMETOOLONG;
			}
			ret[used] = '/';
			memcpy(ret + used + 1, path, length);
			used += length + 1;
		}
		path += length;
		path += *path == '/';
	}
	if (used == 0) {
		ret[used++] = '/';
	}
	ret[used] = '\0';
	return 0;
}

static struct entry *find(struct vhd_testing *t, const char *path)
{
	char normal[4096];

	if (normalise(path, normal, sizeof(normal)) != 0) {
		return NULL;
	}
	for (struct entry *e = t->entries; e != NULL; e = e->next) {
		if (!e->removed && strcmp(e->path, normal) == 0) {
			return e;
		}
	}
	return NULL;
}

static struct entry *add(struct vhd_testing *t, const char *path)
{
	struct entry *e = calloc(1, sizeof(*e));
	char normal[4096];

	CHECK(e != NULL && normalise(path, normal, sizeof(normal)) == 0);
	e->path = strdup(normal);
	e->file = storage_memory_file(&t->context, normal, t->limit_bytes);
	CHECK(e->path != NULL && e->file != NULL);
	e->next = t->entries;
	t->entries = e;
	return e;
}

/* ---- Handles ---- */

static void handle_submit(struct storage_file *f, struct io_request *r)
{
	struct handle *h = from_file(f);
	const struct vhd_testing_hook *hook = &h->testing->hook;
	int err = hook->before == NULL ? 0 : hook->before(hook->ctx, h->entry->path, r);

	if (!f->writable && r->op != IO_READ && r->op != IO_FLUSH) {
		err = -EROFS;
	}
	if (err != 0) {
		io_complete(f->context, r, err);
		return;
	}
	storage_file_submit(h->entry->file, r);
}

static int handle_get_size(struct storage_file *f, uint64_t *ret_bytes)
{
	return storage_file_get_size(from_file(f)->entry->file, ret_bytes);
}

static int handle_set_size(struct storage_file *f, uint64_t bytes)
{
	return f->writable ? storage_file_set_size(from_file(f)->entry->file, bytes) : -EROFS;
}

static int handle_extent(struct storage_file *f, uint64_t offset, enum storage_extent *ret_what,
			 uint64_t *ret_bytes)
{
	struct storage_file *file = from_file(f)->entry->file;

	return file->ops->extent(file, offset, ret_what, ret_bytes);
}

static void handle_close(struct storage_file *f)
{
	struct handle *h = from_file(f);

	h->entry->readers -= !f->writable;
	h->entry->writers -= f->writable;
	free(h);
}

static const struct storage_file_ops handle_ops = {
	.submit = handle_submit,
	.get_size = handle_get_size,
	.set_size = handle_set_size,
	.extent = handle_extent,
	.close = handle_close,
};

/* ---- The host ---- */

static struct storage_file *open_handle(struct vhd_testing *t, struct entry *e, bool write)
{
	size_t name_bytes = strlen(e->path) + 1;
	struct handle *h = calloc(1, sizeof(*h) + name_bytes);

	CHECK(h != NULL);
	memcpy(h->name, e->path, name_bytes);
	h->testing = t;
	h->entry = e;
	h->file = (struct storage_file){
		.ops = &handle_ops, .context = &t->context, .name = h->name, .writable = write};
	e->readers += !write;
	e->writers += write;
	return &h->file;
}

static int host_open(void *ctx, const char *path, bool write, bool create,
		     struct storage_file **ret)
{
	struct vhd_testing *t = ctx;
	struct entry *e = find(t, path);

	if (create && e != NULL) {
		return -EEXIST;
	}
	if (!create && e == NULL) {
		return -ENOENT;
	}
	e = create ? add(t, path) : e;
	if (e->writers != 0 || (write && e->readers != 0)) {
		return VHD_IN_USE;
	}
	*ret = open_handle(t, e, write);
	return 0;
}

/* As on Linux an open file stays usable; its memory is freed at the end. */
static int host_remove(void *ctx, const char *path)
{
	struct entry *e = find(ctx, path);

	if (e == NULL) {
		return -ENOENT;
	}
	e->removed = true;
	return 0;
}

static int host_rename(void *ctx, const char *from, const char *to)
{
	struct vhd_testing *t = ctx;
	struct entry *e = find(t, from), *old = find(t, to);
	char normal[4096];

	if (e == NULL) {
		return -ENOENT;
	}
	if (old != NULL && old != e) {
		return -EEXIST;
	}
	CHECK(normalise(to, normal, sizeof(normal)) == 0);
	free(e->path);
	e->path = strdup(normal);
	CHECK(e->path != NULL);
	return 0;
}

static bool host_same_file(void *ctx, const char *a, const char *b)
{
	struct entry *e = find(ctx, a);

	return e != NULL && e == find(ctx, b);
}

static int host_real_path(void *ctx, const char *path, char *ret, size_t size)
{
	return normalise(path, ret, size);
}

static void host_random(void *ctx, void *buf, size_t bytes)
{
	struct vhd_testing *t = ctx;

	for (size_t i = 0; i < bytes; i++) {
		t->random =
			t->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		((uint8_t *)buf)[i] = (uint8_t)(t->random >> 56);
	}
}

static int64_t host_now_s(void *ctx)
{
	(void)ctx;
	return INT64_C(1700000000);
}

static int host_claim(void *ctx, const char *path, struct storage_file *present,
		      struct storage_file **ret)
{
	struct vhd_testing *t = ctx;
	struct entry *e = find(t, path);

	CHECK(!present->writable);
	if (e == NULL || e != from_file(present)->entry) {
		return -ENOENT;
	}
	if (e->writers != 0 || e->readers != 1) {
		return VHD_IN_USE;
	}
	*ret = open_handle(t, e, true);
	return 0;
}

static void host_unclaim(void *ctx, struct storage_file *f)
{
	struct entry *e = from_file(f)->entry;

	CHECK(e->writers == f->writable);
	e->readers += f->writable;
	e->writers -= f->writable;
	f->writable = false;
}

struct vhd_testing *vhd_testing_create(uint64_t limit_bytes)
{
	struct vhd_testing *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		return NULL;
	}
	io_context_init(&t->context, NULL);
	t->limit_bytes = limit_bytes;
	t->host = (struct vhd_host){
		.context = &t->context,
		.open = host_open,
		.remove = host_remove,
		.rename = host_rename,
		.same_file = host_same_file,
		.real_path = host_real_path,
		.random = host_random,
		.now_s = host_now_s,
		.claim = host_claim,
		.unclaim = host_unclaim,
		.ctx = t,
	};
	return t;
}

void vhd_testing_destroy(struct vhd_testing *t)
{
	while (t->entries != NULL) {
		struct entry *e = t->entries;

		CHECK(e->readers == 0 && e->writers == 0);
		t->entries = e->next;
		storage_file_close(e->file);
		free(e->path);
		free(e);
	}
	free(t);
}

const struct vhd_host *vhd_testing_host(struct vhd_testing *t)
{
	return &t->host;
}

struct io_context *vhd_testing_context(struct vhd_testing *t)
{
	return &t->context;
}

void vhd_testing_set_hook(struct vhd_testing *t, const struct vhd_testing_hook *hook)
{
	t->hook = *hook;
}

struct storage_file *vhd_testing_file(struct vhd_testing *t, const char *path)
{
	struct entry *e = find(t, path);

	return e == NULL ? NULL : e->file;
}

int vhd_testing_add(struct vhd_testing *t, const char *path, const void *data, size_t bytes)
{
	struct entry *e = find(t, path);

	if (e != NULL) {
		e->removed = true;
	}
	return storage_file_write(add(t, path)->file, 0, data, bytes);
}

unsigned vhd_testing_count(struct vhd_testing *t)
{
	unsigned count = 0;

	for (struct entry *e = t->entries; e != NULL; e = e->next) {
		count += !e->removed;
	}
	return count;
}
