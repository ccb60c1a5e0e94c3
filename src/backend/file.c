// SPDX-License-Identifier: Apache-2.0
/* Regular files and block devices as storage_file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"
#include "lib/bits.h"
#include "lib/check.h"

static struct backend_file *file_of(struct storage_file *f)
{
	return container_of(f, struct backend_file, base);
}

/* 1: there is something to do; 0: nothing; or the error. */
static int examine(const struct backend_file *f, const struct io_request *r)
{
	if (r->op == IO_FLUSH) {
		return 1;
	}
	if (r->op != IO_READ && !f->base.writable) {
		return -EROFS;
	}
	if (!range_within(r->offset, r->bytes, INT64_MAX)) {
		return -EINVAL;
	}
	return r->bytes != 0;
}

static void file_submit(struct storage_file *base, struct io_request *r)
{
	struct backend_file *f = file_of(base);
	struct backend *b = f->backend;
	int what = examine(f, r);

	if (what <= 0) {
		io_complete(base->context, r, what);
		return;
	}
	if (f->waiting == NULL) {
		f->next = NULL;
		*b->waiting_tail = f;
		b->waiting_tail = &f->next;
	}
	r->next = NULL;
	*f->waiting_tail = r;
	f->waiting_tail = &r->next;
	f->unfinished++;
}

/* Or -errno. Also right for block devices, without an ioctl; nobody uses the position. */
static int64_t size_of(const struct backend_file *f)
{
	off_t end = lseek(f->fd, 0, SEEK_END);

	return end < 0 ? -errno : end;
}

static int file_get_size(struct storage_file *base, uint64_t *ret_bytes)
{
	int64_t size = size_of(file_of(base));

	if (size < 0) {
		return (int)size;
	}
	*ret_bytes = (uint64_t)size;
	return 0;
}

/* A device has the size it has; staying within it needs nothing done. */
static int device_set_size(const struct backend_file *f, uint64_t bytes)
{
	int64_t size = size_of(f);

	if (size < 0) {
		return (int)size;
	}
	return bytes <= (uint64_t)size ? 0 : -ENOSPC;
}

static int file_set_size(struct storage_file *base, uint64_t bytes)
{
	struct backend_file *f = file_of(base);
	int r;

	if (!base->writable) {
		return -EROFS;
	}
	if (bytes > INT64_MAX) {
		return -EFBIG;
	}
	if (f->block_device) {
		return device_set_size(f, bytes);
	}
	do {
		r = ftruncate(f->fd, (off_t)bytes) < 0 ? -errno : 0;
	} while (r == -EINTR);
	return r;
}

static int file_extent(struct storage_file *base, uint64_t offset, enum storage_extent *ret_what,
		       uint64_t *ret_bytes)
{
	struct backend_file *f = file_of(base);
	int fd = f->fd;

	if (offset >= f->data_start && offset < f->data_end) {
		*ret_what = STORAGE_DATA;
		*ret_bytes = f->data_end - offset;
		return 0;
	}
	int64_t end = size_of(f);

	if (end < 0) {
		return (int)end;
	}
	uint64_t size = (uint64_t)end;

	if (offset >= size) {
		return -ENXIO;
	}
	off_t data = lseek(fd, (off_t)offset, SEEK_DATA);
	bool hole_to_end = data < 0 && errno == ENXIO;

	if (hole_to_end || data > (off_t)offset) {
		*ret_what = STORAGE_HOLE;
		*ret_bytes = (hole_to_end ? size : min_u64((uint64_t)data, size)) - offset;
		return 0;
	}
	off_t hole = data < 0 ? -1 : lseek(fd, (off_t)offset, SEEK_HOLE);

	/* Not known here: all of it is data. */
	*ret_what = STORAGE_DATA;
	*ret_bytes = (hole > (off_t)offset ? min_u64((uint64_t)hole, size) : size) - offset;
	if (!base->writable) {
		f->data_start = offset;
		f->data_end = offset + *ret_bytes;
	}
	return 0;
}

static void free_file(struct backend_file *f)
{
	close(f->fd);
	free((char *)(uintptr_t)f->base.name);
	free(f);
}

static void file_close(struct storage_file *base)
{
	struct backend_file *f = file_of(base);

	CHECK(f->unfinished == 0);
	f->backend->files--;
	free_file(f);
}

static const struct storage_file_ops file_ops = {
	.submit = file_submit,
	.get_size = file_get_size,
	.set_size = file_set_size,
	.extent = file_extent,
	.close = file_close,
};

#define GRANULE_BYTES 4096u

/* Does the file system punch holes? Tried behind the end, where there is nothing to lose. */
static bool punches(const struct backend_file *f)
{
	int64_t size = size_of(f);

	return size >= 0 &&
	       fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)align_up((uint64_t)size, GRANULE_BYTES), GRANULE_BYTES) == 0;
}

int backend_file(struct backend *b, int fd, bool writable, const char *name,
		 struct storage_file **ret)
{
	struct backend_file *f = calloc(1, sizeof(*f));
	struct stat st;
	int r = -EINVAL;

	if (f == NULL) {
		close(fd);
		return -ENOMEM;
	}
	f->fd = fd;
	f->backend = b;
	f->waiting_tail = &f->waiting;
	f->base = (struct storage_file){.ops = &file_ops,
					.context = &b->context,
					.name = strdup(name),
					.writable = writable};
	if (f->base.name == NULL) {
		r = -ENOMEM;
	} else if (fstat(fd, &st) < 0) {
		r = -errno;
	} else if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) {
		f->block_device = S_ISBLK(st.st_mode);
		if (writable && S_ISREG(st.st_mode) && punches(f)) {
			f->base.discard_granule_bytes = GRANULE_BYTES;
		}
		b->files++;
		*ret = &f->base;
		return 0;
	}
	free_file(f);
	return r;
}

int backend_file_fd(struct storage_file *f)
{
	CHECK(f->ops == &file_ops);
	return file_of(f)->fd;
}
