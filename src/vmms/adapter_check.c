// SPDX-License-Identifier: Apache-2.0
#include "adapter_check.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>

#include "lib/check.h"
#include "vswitchd/client.h"

bool adapter_check(const char *text, char *error, size_t size)
{
	json_t *o = vswitch_client_parse(text, error, size);

	json_decref(o);
	return o != NULL;
}

void adapter_make_mac(char ret[18])
{
	uint8_t chance[3];

	CHECK(getrandom(chance, sizeof(chance), 0) == sizeof(chance));
	snprintf(ret, 18, "00:15:5d:%02x:%02x:%02x", chance[0], chance[1], chance[2]);
}
