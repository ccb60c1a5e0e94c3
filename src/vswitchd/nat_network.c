// SPDX-License-Identifier: Apache-2.0
#include "nat_network.h"

#include <string.h>

#include "lib/check.h"
#include "vswitchd/config.h"

struct nat_network nat_network_of(const char *address)
{
	struct nat_network n = {.v4 = {10, 0, 2}, .v6 = {0xfe, 0xc0}};
	uint8_t bytes[16];
	unsigned prefix;
	int family;

	if (address[0] != '\0') {
		CHECK(switch_address_parse(address, &family, bytes, &prefix) && family == 4);
		memcpy(n.v4, bytes, sizeof(n.v4));
		/* its own prefix, so that who has adapters on several knows them apart */
		memcpy(n.v6 + 5, bytes, sizeof(n.v4));
	}
	return n;
}
