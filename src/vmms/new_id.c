// SPDX-License-Identifier: Apache-2.0
#include "new_id.h"

#include <ctype.h>
#include <sys/random.h>

#include "lib/check.h"

static void format_upper(const struct guid *g, char ret[GUID_TEXT_BYTES])
{
	guid_format(g, ret);
	for (char *c = ret; *c != '\0'; c++) {
		*c = (char)toupper((unsigned char)*c);
	}
}

void new_id(char ret[GUID_TEXT_BYTES])
{
	uint8_t chance[16];

	CHECK(getrandom(chance, sizeof(chance), 0) == sizeof(chance));
	struct guid g = guid_from_random(chance);

	format_upper(&g, ret);
}

bool normal_id(const char *text, char ret[GUID_TEXT_BYTES])
{
	struct guid g;

	if (!guid_parse(text, &g)) {
		return false;
	}
	format_upper(&g, ret);
	return true;
}
