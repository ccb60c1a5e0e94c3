// SPDX-License-Identifier: Apache-2.0
/* Guest memory behind GPA-direct packets. The ranges lie in the reader's copy of the packet, and were validated when it was read. */
#include "bus.h"

#include <errno.h>
#include <string.h>

#include "lib/check.h"

/* Walks the pieces, one page at most each. */
struct walk {
	const uint8_t *at;
	const uint8_t *pfn; /* of the piece to come */
	uint32_t ranges_left;
	uint64_t range_left; /* bytes of this range */
	uint64_t in_page;
};

static void walk_init(struct walk *w, const struct vmbus_packet *p)
{
	CHECK(p->type == VMBUS_PACKET_DATA_USING_GPA_DIRECT || p->range_count == 0);
	*w = (struct walk){.at = p->ranges, .ranges_left = p->range_count};
}

static void next_range(struct walk *w)
{
	struct vmbus_gpa_range range;
	uint64_t pages;

	memcpy(&range, w->at, sizeof(range));
	pages = ((uint64_t)range.bytes + range.offset + VMBUS_PAGE_BYTES - 1) / VMBUS_PAGE_BYTES;
	w->pfn = w->at + sizeof(range);
	w->at = w->pfn + pages * sizeof(uint64_t);
	w->range_left = range.bytes;
	w->in_page = range.offset;
	w->ranges_left--;
}

/* The next piece, of at most @max bytes; false: no more. */
static bool walk_next(struct walk *w, uint64_t max, uint64_t *ret_gpa, uint64_t *ret_bytes)
{
	uint64_t n;

	while (w->range_left == 0) {
		if (w->ranges_left == 0) {
			return false;
		}
		next_range(w);
	}
	n = min_u64(min_u64(w->range_left, VMBUS_PAGE_BYTES - w->in_page), max);
	*ret_gpa = load_le64(w->pfn) << GMEM_PAGE_SHIFT | w->in_page;
	*ret_bytes = n;
	w->pfn += sizeof(uint64_t);
	w->range_left -= n;
	w->in_page = 0;
	return true;
}

/* A PFN whose address would not fit names no page. */
static void *map_piece(const struct gmem *gm, const struct walk *w, uint64_t gpa, uint64_t bytes,
		       uint32_t rights)
{
	uint64_t pfn = load_le64(w->pfn - sizeof(uint64_t));

	return pfn == gpa >> GMEM_PAGE_SHIFT ? gmem_ptr(gm, gpa, bytes, rights) : NULL;
}

int vmbus_ranges_map(struct vmbus_channel *ch, const struct vmbus_packet *p, size_t need,
		     uint32_t rights, struct io_vec *vec, unsigned max)
{
	struct walk w;
	unsigned count = 0;
	uint64_t gpa, n;

	walk_init(&w, p);
	while (need != 0) {
		uint8_t *host;

		if (!walk_next(&w, need, &gpa, &n)) {
			return -EINVAL;
		}
		host = map_piece(ch->bus->transport.gm, &w, gpa, n, rights);
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
		need -= n;
	}
	return (int)count;
}

void vmbus_ranges_touch(struct vmbus_channel *ch, const struct vmbus_packet *p, size_t bytes)
{
	struct walk w;
	uint64_t gpa, n;

	walk_init(&w, p);
	while (bytes != 0 && walk_next(&w, bytes, &gpa, &n)) {
		gmem_touch(ch->bus->transport.gm, gpa, n);
		bytes -= n;
	}
}
