// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "lib/bits.h"
#include "lib/crc32c.h"

int file_read(int fd, void *ret, size_t bytes, uint64_t offset, const char *what,
	      struct saved_error *error)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = pread(fd, (uint8_t *)ret + done, bytes - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			int r = -errno;

			return saved_fail(error, r, "%s: reading %zu bytes at offset %llu: %s",
					  what, bytes, (unsigned long long)offset, strerror(-r));
		}
		if (n == 0) {
			unsigned long long end = offset + done;

			return saved_fail(error, SAVED_TRUNCATED,
					  "%s: the file ends at offset %llu, expected %zu bytes at "
					  "%llu: it was cut off",
					  what, end, bytes, (unsigned long long)offset);
		}
		done += (size_t)n;
	}
	return 0;
}

struct saved_entry file_entry(const struct saved_file *f, uint64_t chunk)
{
	struct saved_entry e;

	saved_entry_decode(f->index + chunk * SAVED_ENTRY_BYTES, &e);
	return e;
}

static int bad_field(struct saved_error *error, const char *field, uint64_t found,
		     const char *expected)
{
	return saved_fail(error, SAVED_CORRUPT, "header: %s is %llu, expected %s", field,
			  (unsigned long long)found, expected);
}

static int check_header(const struct saved_header *h, struct saved_error *error)
{
	if (h->flags != 0 || h->chunk_bytes != SAVED_CHUNK_BYTES) {
		return saved_fail(error, SAVED_UNSUPPORTED,
				  "header: flags 0x%x and chunks of %u bytes, known are 0x0 and "
				  "%u: use a newer version of Virid",
				  h->flags, h->chunk_bytes, SAVED_CHUNK_BYTES);
	}
	if (h->memory_bytes == 0 || h->memory_bytes % SAVED_PAGE_BYTES != 0 ||
	    h->memory_bytes > SAVED_MEMORY_MAX) {
		return bad_field(error, "memory size", h->memory_bytes,
				 "pages of 4096 bytes, up to 16 TiB");
	}
	if (h->device_bytes > SAVED_DEVICES_MAX) {
		return bad_field(error, "size of device state", h->device_bytes, "up to 256 MiB");
	}
	if (!range_within(h->device_offset, h->device_bytes, h->file_bytes)) {
		return bad_field(error, "offset of device state", h->device_offset,
				 "device state within the file");
	}
	if (h->index_bytes != saved_chunks(h->memory_bytes) * SAVED_ENTRY_BYTES) {
		return bad_field(error, "size of index", h->index_bytes,
				 "16 bytes for each 64 KiB of memory");
	}
	if (!range_within(h->index_offset, h->index_bytes, h->file_bytes)) {
		return bad_field(error, "offset of index", h->index_offset,
				 "an index within the file");
	}
	return 0;
}

static int check_size(int fd, const struct saved_header *h, struct saved_error *error)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		return saved_fail(error, -errno, "size of the file: %s", strerror(errno));
	}
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < h->file_bytes) {
		return saved_fail(error, SAVED_TRUNCATED,
				  "the file has %llu bytes, its header says %llu: it was cut off",
				  (unsigned long long)st.st_size,
				  (unsigned long long)h->file_bytes);
	}
	return 0;
}

/* Reads a part into memory of its own and compares its checksum. */
static int read_part(int fd, const char *what, uint64_t offset, uint64_t bytes, uint32_t checksum,
		     uint8_t **ret, struct saved_error *error)
{
	uint8_t *part = malloc(bytes != 0 ? (size_t)bytes : 1);

	if (part == NULL) {
		saved_fail(error, -ENOMEM, "%s: no memory for %llu bytes", what,
			   (unsigned long long)bytes);
		return -ENOMEM;
	}
	int r = file_read(fd, part, (size_t)bytes, offset, what, error);
	uint32_t found = r == 0 ? crc32c(0, part, (size_t)bytes) : 0;

	if (r == 0 && found != checksum) {
		r = saved_fail(error, SAVED_CORRUPT,
			       "%s at offset %llu: checksum 0x%08x, expected 0x%08x: the file is "
			       "damaged",
			       what, (unsigned long long)offset, found, checksum);
	}
	if (r != 0) {
		free(part);
		return r;
	}
	*ret = part;
	return 0;
}

static bool entry_fits(const struct saved_file *f, const struct saved_entry *e, size_t length)
{
	switch (e->kind) {
	case SAVED_KIND_ZERO:
	case SAVED_KIND_REPEAT:
		return e->bytes == 0;
	case SAVED_KIND_RAW:
		return e->bytes == length && range_within(e->where, e->bytes, f->file_bytes);
	case SAVED_KIND_ZSTD:
		return e->bytes != 0 && e->bytes < length &&
		       range_within(e->where, e->bytes, f->file_bytes);
	}
	return false;
}

static int check_index(struct saved_file *f, struct saved_error *error)
{
	for (uint64_t i = 0; i < f->chunks; i++) {
		const uint8_t *bytes = f->index + i * SAVED_ENTRY_BYTES;
		size_t length = saved_chunk_length(f->memory_bytes, i);
		struct saved_entry e;

		if (!saved_entry_decode(bytes, &e) || !entry_fits(f, &e, length)) {
			return saved_fail(error, SAVED_CORRUPT,
					  "index, chunk %llu: kind %u, %u bytes at %llu: expected "
					  "a known kind, up to %zu bytes within %llu",
					  (unsigned long long)i, load_le32(bytes + 8) >> 24,
					  e.bytes, (unsigned long long)e.where, length,
					  (unsigned long long)f->file_bytes);
		}
		f->data_bytes += e.kind != SAVED_KIND_ZERO ? length : 0;
	}
	return 0;
}

static int read_file(struct saved_file *f, struct saved_error *error)
{
	uint8_t bytes[SAVED_HEADER_BYTES];
	struct saved_header h;
	int r;

	if ((r = file_read(f->fd, bytes, sizeof(bytes), 0, "header", error)) != 0 ||
	    (r = saved_header_decode(bytes, &h, error)) != 0 ||
	    (r = check_header(&h, error)) != 0 || (r = check_size(f->fd, &h, error)) != 0 ||
	    (r = read_part(f->fd, "device state", h.device_offset, h.device_bytes,
			   h.device_checksum, &f->devices, error)) != 0 ||
	    (r = read_part(f->fd, "index", h.index_offset, h.index_bytes, h.index_checksum,
			   &f->index, error)) != 0) {
		return r;
	}
	f->memory_bytes = h.memory_bytes;
	f->file_bytes = h.file_bytes;
	f->device_bytes = (size_t)h.device_bytes;
	f->chunks = saved_chunks(h.memory_bytes);
	return check_index(f, error);
}

int saved_open(int fd, struct saved_file **ret, struct saved_error *error)
{
	struct saved_file *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		return saved_fail(error, -ENOMEM, "no memory");
	}
	f->fd = fd;
	int r = read_file(f, error);

	if (r != 0) {
		saved_close(f);
		return r;
	}
	*ret = f;
	return 0;
}

void saved_close(struct saved_file *f)
{
	if (f == NULL) {
		return;
	}
	free(f->index);
	free(f->devices);
	free(f);
}

uint64_t saved_memory_bytes(const struct saved_file *f)
{
	return f->memory_bytes;
}

uint64_t saved_data_bytes(const struct saved_file *f)
{
	return f->data_bytes;
}

const void *saved_devices(const struct saved_file *f, size_t *ret_bytes)
{
	*ret_bytes = f->device_bytes;
	return f->devices;
}
