// SPDX-License-Identifier: Apache-2.0
/* Frames of guests to a NAT switch: two bytes of length, then the frame, and so on; a second passes between them. */
#include <stdlib.h>
#include <string.h>

#include "dhcp.h"
#include "nat_filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct dhcp d = {.network = nat_network_of("")};
	uint8_t reply[DHCP_REPLY_BYTES];

	for (uint64_t now = 1; bytes >= 2; now++) {
		size_t n = (size_t)data[0] << 8 | data[1], got = 0;

		data += 2;
		bytes -= 2;
		n = n < bytes ? n : bytes;
		/* an allocation of exactly this size: reading beyond is seen */
		uint8_t *frame = malloc(n + 1);

		memcpy(frame, data, n);
		if (dhcp_input(&d, frame, n, now * 1000000000u, reply, &got) &&
		    got > DHCP_REPLY_BYTES) {
			abort();
		}
		nat_filter_allows(&d.network, frame, n);
		free(frame);
		data += n;
		bytes -= n;
	}
	return 0;
}
