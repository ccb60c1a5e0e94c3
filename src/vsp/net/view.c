// SPDX-License-Identifier: Apache-2.0
#include "adapter.h"

#include <string.h>

#include "lib/check.h"

unsigned net_view_slice(const struct net_view *v, size_t offset, size_t bytes, struct io_vec *ret)
{
	unsigned count = 0;

	CHECK(range_within(offset, bytes, v->bytes));
	for (unsigned i = 0; bytes != 0; i++) {
		size_t here = v->vec[i].bytes;

		if (offset >= here) {
			offset -= here;
			continue;
		}
		here = min_u64(here - offset, bytes);
		ret[count++] = (struct io_vec){(uint8_t *)v->vec[i].base + offset, here};
		bytes -= here;
		offset = 0;
	}
	return count;
}

void net_view_copy(const struct net_view *v, size_t offset, void *buf, size_t bytes)
{
	struct io_vec part[NET_VECS];
	unsigned count = net_view_slice(v, offset, bytes, part);
	uint8_t *to = buf;

	for (unsigned i = 0; i < count; i++) {
		memcpy(to, part[i].base, part[i].bytes);
		to += part[i].bytes;
	}
}
