// SPDX-License-Identifier: Apache-2.0
#include "lib/utf16.h"

#include "lib/be.h"

#define SURROGATE_HIGH 0xd800u
#define SURROGATE_LOW 0xdc00u
#define SURROGATE_END 0xe000u
#define SUPPLEMENTARY 0x10000u
#define CODE_POINT_END 0x110000u

static bool is_surrogate(uint32_t c)
{
	return c >= SURROGATE_HIGH && c < SURROGATE_END;
}

/* How many bytes follow the first byte @lead; -1: it starts nothing. */
static int continuation_bytes(uint8_t lead)
{
	if (lead < 0x80) {
		return 0;
	}
	if (lead < 0xc2) {
		return -1;
	}
	return lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : lead < 0xf5 ? 3 : -1;
}

/* The code point at *@p, which moves behind it. UINT32_MAX: malformed. */
static uint32_t take_utf8(const uint8_t **p)
{
	static const uint32_t smallest[] = {0, 0x80, 0x800, SUPPLEMENTARY};
	int more = continuation_bytes(**p);
	uint32_t c;

	if (more < 0) {
		return UINT32_MAX;
	}
	c = *(*p)++ & (more == 0 ? 0x7fu : 0x3fu >> more);
	for (int i = 0; i < more; i++) {
		if ((**p & 0xc0) != 0x80) {
			return UINT32_MAX; /* also at the terminator */
		}
		c = c << 6 | (*(*p)++ & 0x3fu);
	}
	return c < smallest[more] || c >= CODE_POINT_END || is_surrogate(c) ? UINT32_MAX : c;
}

static void put_unit(uint32_t unit, enum utf16_order order, uint8_t *ret, size_t capacity,
		     size_t *at)
{
	if (*at + 2 <= capacity) {
		if (order == UTF16_BE) {
			store_be16(ret + *at, (uint16_t)unit);
		} else {
			store_le16(ret + *at, (uint16_t)unit);
		}
	}
	*at += 2;
}

bool utf16_encode(const char *utf8, enum utf16_order order, uint8_t *ret, size_t capacity,
		  size_t *ret_bytes)
{
	const uint8_t *p = (const uint8_t *)utf8;
	size_t at = 0;

	while (*p != 0) {
		uint32_t c = take_utf8(&p);

		if (c == UINT32_MAX) {
			return false;
		}
		if (c < SUPPLEMENTARY) {
			put_unit(c, order, ret, capacity, &at);
		} else {
			put_unit(SURROGATE_HIGH + ((c - SUPPLEMENTARY) >> 10), order, ret, capacity,
				 &at);
			put_unit(SURROGATE_LOW + (c & 0x3ff), order, ret, capacity, &at);
		}
	}
	*ret_bytes = at;
	return true;
}

static uint32_t unit_at(const uint8_t *utf16, size_t at, enum utf16_order order)
{
	return order == UTF16_BE ? load_be16(utf16 + at) : load_le16(utf16 + at);
}

/* The code point at *@at of @bytes (even), *@at moves behind it. UINT32_MAX: malformed. */
static uint32_t take_utf16(const uint8_t *utf16, size_t bytes, enum utf16_order order, size_t *at)
{
	uint32_t high = unit_at(utf16, *at, order), low;

	*at += 2;
	if (!is_surrogate(high)) {
		return high;
	}
	if (high >= SURROGATE_LOW || *at == bytes) {
		return UINT32_MAX;
	}
	low = unit_at(utf16, *at, order);
	*at += 2;
	if (low < SURROGATE_LOW || low >= SURROGATE_END) {
		return UINT32_MAX;
	}
	return SUPPLEMENTARY + ((high - SURROGATE_HIGH) << 10) + (low - SURROGATE_LOW);
}

/* Returns how many bytes @c takes. */
static size_t put_utf8(uint32_t c, char buf[4])
{
	if (c < 0x80) {
		buf[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		buf[0] = (char)(0xc0 | c >> 6);
		buf[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < SUPPLEMENTARY) {
		buf[0] = (char)(0xe0 | c >> 12);
		buf[1] = (char)(0x80 | (c >> 6 & 0x3f));
		buf[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	buf[0] = (char)(0xf0 | c >> 18);
	buf[1] = (char)(0x80 | (c >> 12 & 0x3f));
	buf[2] = (char)(0x80 | (c >> 6 & 0x3f));
	buf[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

bool utf16_decode(const uint8_t *utf16, size_t bytes, enum utf16_order order, char *ret,
		  size_t size)
{
	size_t at = 0, used = 0;

	ret[0] = '\0';
	if (bytes % 2 != 0) {
		return false;
	}
	while (at < bytes) {
		uint32_t c = take_utf16(utf16, bytes, order, &at);
		char buf[4];
		size_t n = c == 0 || c == UINT32_MAX ? 0 : put_utf8(c, buf);

		if (n == 0 || n >= size - used) {
			ret[0] = '\0';
			return false;
		}
		__builtin_memcpy(ret + used, buf, n);
		used += n;
	}
	ret[used] = '\0';
	return true;
}

bool utf16_decode_padded(const uint8_t *utf16, size_t bytes, enum utf16_order order, char *ret,
			 size_t size)
{
	size_t used = 0;

	while (used + 2 <= bytes && (utf16[used] != 0 || utf16[used + 1] != 0)) {
		used += 2;
	}
	return utf16_decode(utf16, used, order, ret, size);
}
