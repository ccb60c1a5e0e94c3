// SPDX-License-Identifier: Apache-2.0
/*
 * Copies within a GPADL, by any thread that holds an open channel. The count of users keeps what the guest tears down meanwhile until the
 * copy is done; the guest's TORNDOWN waits for that.
 */
#include "bus.h"

#include <errno.h>

static struct gpadl *enter(struct vmbus_channel *ch, uint32_t id)
{
	__atomic_fetch_add(&ch->gpadl_users, 1, __ATOMIC_SEQ_CST);
	return gpadl_find(ch, id);
}

static void leave(struct vmbus_channel *ch)
{
	struct vmbus *bus = ch->bus;

	if (__atomic_fetch_sub(&ch->gpadl_users, 1, __ATOMIC_SEQ_CST) == 1 &&
	    __atomic_load_n(&ch->gpadl_retiring, __ATOMIC_SEQ_CST)) {
		bus->transport.wake(bus->transport.ctx);
	}
}

struct span {
	const uint64_t *pfn; /* of the range */
	uint64_t offset;     /* from the start of the range's first page */
	uint64_t bytes;	     /* to the range's end */
};

/* The range that @offset falls into. The ranges were validated when the GPADL was made. */
static struct span find_span(const struct gpadl *g, uint64_t offset)
{
	const uint64_t *word = g->word;

	for (;;) {
		uint64_t bytes = (uint32_t)word[0], first = word[0] >> 32;

		if (offset < bytes) {
			return (struct span){word + 1, first + offset, bytes - offset};
		}
		offset -= bytes;
		word += 1 + (first + bytes + VMBUS_PAGE_BYTES - 1) / VMBUS_PAGE_BYTES;
	}
}

typedef bool access_page(struct gmem *gm, uint64_t gpa, uint8_t *buf, size_t bytes);

static bool read_page(struct gmem *gm, uint64_t gpa, uint8_t *buf, size_t bytes)
{
	return gmem_read(gm, gpa, buf, bytes);
}

static bool write_page(struct gmem *gm, uint64_t gpa, uint8_t *buf, size_t bytes)
{
	return gmem_write(gm, gpa, buf, bytes);
}

static bool access_span(struct gmem *gm, struct span s, uint8_t *buf, uint64_t bytes,
			access_page *access)
{
	while (bytes != 0) {
		uint64_t in_page = s.offset % VMBUS_PAGE_BYTES;
		uint64_t n = min_u64(bytes, VMBUS_PAGE_BYTES - in_page);
		uint64_t pfn = s.pfn[s.offset / VMBUS_PAGE_BYTES];

		if (pfn > UINT64_MAX >> GMEM_PAGE_SHIFT ||
		    !access(gm, (pfn << GMEM_PAGE_SHIFT) + in_page, buf, n)) {
			return false;
		}
		s.offset += n;
		buf += n;
		bytes -= n;
	}
	return true;
}

/* Within @g. */
static bool access_bytes(struct gmem *gm, const struct gpadl *g, uint64_t offset, uint8_t *buf,
			 size_t bytes, access_page *access)
{
	bool ok = true;

	while (ok && bytes != 0) {
		struct span s = find_span(g, offset);
		size_t n = min_u64(bytes, s.bytes);

		ok = access_span(gm, s, buf, n, access);
		offset += n;
		buf += n;
		bytes -= n;
	}
	return ok;
}

static bool access_gpadl(struct vmbus_channel *ch, uint32_t id, uint64_t offset, uint8_t *buf,
			 size_t bytes, access_page *access)
{
	const struct gpadl *g = enter(ch, id);
	bool ok = g != NULL && range_within(offset, bytes, g->bytes) &&
		  access_bytes(ch->bus->transport.gm, g, offset, buf, bytes, access);

	leave(ch);
	return ok;
}

bool vmbus_gpadl_read(struct vmbus_channel *ch, uint32_t gpadl, size_t offset, void *buf,
		      size_t bytes)
{
	return access_gpadl(ch, gpadl, offset, buf, bytes, read_page);
}

bool vmbus_gpadl_write(struct vmbus_channel *ch, uint32_t gpadl, size_t offset, const void *buf,
		       size_t bytes)
{
	return access_gpadl(ch, gpadl, offset, (uint8_t *)(uintptr_t)buf, bytes, write_page);
}

bool vmbus_gpadl_write_vec(struct vmbus_channel *ch, uint32_t gpadl, size_t offset,
			   const struct io_vec *vec, unsigned count)
{
	const struct gpadl *g = enter(ch, gpadl);
	bool ok = g != NULL;

	for (unsigned i = 0; ok && i < count; i++) {
		ok = range_within(offset, vec[i].bytes, g->bytes) &&
		     access_bytes(ch->bus->transport.gm, g, offset, vec[i].base, vec[i].bytes,
				  write_page);
		offset += vec[i].bytes;
	}
	leave(ch);
	return ok;
}

/* Adds the pages of a span, neighbours in host memory as one. The number of vectors then, or -errno. */
static int map_span(const struct gmem *gm, struct span s, uint64_t bytes, uint32_t rights,
		    struct io_vec *vec, unsigned count, unsigned max)
{
	while (bytes != 0) {
		uint64_t in_page = s.offset % VMBUS_PAGE_BYTES;
		uint64_t n = min_u64(bytes, VMBUS_PAGE_BYTES - in_page);
		uint64_t pfn = s.pfn[s.offset / VMBUS_PAGE_BYTES];
		uint8_t *host =
			pfn <= UINT64_MAX >> GMEM_PAGE_SHIFT
				? gmem_ptr(gm, (pfn << GMEM_PAGE_SHIFT) + in_page, n, rights)
				: NULL;

		if (host == NULL) {
			return -EFAULT;
		}
		if (count != 0 && (uint8_t *)vec[count - 1].base + vec[count - 1].bytes == host) {
			vec[count - 1].bytes += n;
		} else if (count == max) {
			return -E2BIG;
		} else {
			vec[count++] = (struct io_vec){host, n};
		}
		s.offset += n;
		bytes -= n;
	}
	return (int)count;
}

int vmbus_gpadl_map(struct vmbus_channel *ch, uint32_t gpadl, size_t offset, size_t bytes,
		    uint32_t rights, struct io_vec *vec, unsigned max)
{
	const struct gpadl *g = enter(ch, gpadl);
	int count = g != NULL && range_within(offset, bytes, g->bytes) ? 0 : -EINVAL;

	while (count >= 0 && bytes != 0) {
		struct span s = find_span(g, offset);
		size_t n = min_u64(bytes, s.bytes);

		count = map_span(ch->bus->transport.gm, s, n, rights, vec, (unsigned)count, max);
		offset += n;
		bytes -= n;
	}
	leave(ch);
	return count;
}

size_t vmbus_gpadl_bytes(struct vmbus_channel *ch, uint32_t gpadl)
{
	const struct gpadl *g = enter(ch, gpadl);
	size_t bytes = g != NULL ? g->bytes : 0;

	leave(ch);
	return bytes;
}
