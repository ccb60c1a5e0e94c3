// SPDX-License-Identifier: Apache-2.0
/* Packets that NAT sends to guests: two bytes of length, then the frame, and so on. Whatever they are, what is joined is well-formed, and nothing is lost. */
#include <stdlib.h>
#include <string.h>

#include "nat_join.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct count {
	uint64_t in, out; /* bytes that differ from frame to frame: payload */
	unsigned frames;
};

static void take(void *ctx, const struct net_frame *f)
{
	struct count *c = ctx;
	uint32_t headers = f->offload.gso != NET_GSO_NONE ? f->offload.header_bytes : 0;
	uint32_t payload = f->bytes - headers;

	if (f->offload.gso != NET_GSO_NONE && net_frame_check(f) != NULL) {
		abort();
	}
	unsigned pieces =
		headers == 0 ? 1 : (payload + f->offload.gso_bytes - 1) / f->offload.gso_bytes;

	c->out += payload + (uint64_t)pieces * headers;
	c->frames += pieces;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct nat_join *j = calloc(1, sizeof(*j));
	struct count c = {0};
	unsigned frames = 0;

	*j = (struct nat_join){.send = take, .ctx = &c};
	while (bytes >= 2) {
		size_t n = (size_t)data[0] << 8 | data[1];

		data += 2;
		bytes -= 2;
		n = n < bytes ? n : bytes;
		if (n >= NET_ETHERNET_BYTES && n <= 1514) {
			/* an allocation of exactly this size: reading beyond is seen */
			uint8_t *frame = malloc(n);

			memcpy(frame, data, n);
			nat_join_add(j, frame, (uint32_t)n);
			free(frame);
			c.in += n;
			frames++;
		}
		data += n;
		bytes -= n;
	}
	nat_join_flush(j);
	if (c.in != c.out || c.frames != frames) {
		abort();
	}
	free(j);
	return 0;
}
