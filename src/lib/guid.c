// SPDX-License-Identifier: Apache-2.0
#include "lib/guid.h"

#include "lib/bits.h"

/* Text position i shows byte order[i]. */
static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

struct guid guid_swap(const struct guid *g)
{
	struct guid r;

	for (size_t i = 0; i < sizeof(r.bytes); i++) {
		r.bytes[i] = g->bytes[order[i]];
	}
	return r;
}

struct guid guid_from_random(const uint8_t random[16])
{
	struct guid g;

	__builtin_memcpy(g.bytes, random, sizeof(g.bytes));
	g.bytes[7] = (uint8_t)((g.bytes[7] & 0x0f) | 0x40);
	g.bytes[8] = (uint8_t)((g.bytes[8] & 0x3f) | 0x80);
	return g;
}

static bool dash_before(size_t i)
{
	return i == 4 || i == 6 || i == 8 || i == 10;
}

void guid_format(const struct guid *g, char text[GUID_TEXT_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < sizeof(g->bytes); i++) {
		uint8_t b = g->bytes[order[i]];

		if (dash_before(i)) {
			*text++ = '-';
		}
		*text++ = digits[b >> 4];
		*text++ = digits[b & 15];
	}
	*text = '\0';
}

static int digit(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool guid_parse(const char *text, struct guid *ret)
{
	bool braces = *text == '{';
	struct guid g;

	text += braces;
	for (size_t i = 0; i < sizeof(g.bytes); i++) {
		int high, low;

		if (dash_before(i) && *text++ != '-') {
			return false;
		}
		high = digit(text[0]);
		low = high < 0 ? -1 : digit(text[1]);
		if (low < 0) {
			return false;
		}
		g.bytes[order[i]] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (braces && *text++ != '}') {
		return false;
	}
	if (*text != '\0') {
		return false;
	}
	*ret = g;
	return true;
}
