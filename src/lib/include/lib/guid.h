/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GUIDs as Windows lays them out in memory: three little-endian fields, then eight bytes. VHD files store the big-endian
 * (RFC 4122) order: guid_swap converts either way.
 */
#ifndef LIB_GUID_H
#define LIB_GUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guid {
	uint8_t bytes[16];
};

#define GUID_TEXT_BYTES 37 /* with the final NUL */

/* A constant from the usual notation: GUID(0xba6163d9, 0x04a1, 0x4d29, 0xb6, 0x05, 0x72, ...). */
#define GUID(a, b, c, ...)                                                                         \
	{                                                                                          \
		{                                                                                  \
			(uint8_t)(a), (uint8_t)((a) >> 8), (uint8_t)((a) >> 16),                   \
				(uint8_t)((a) >> 24), (uint8_t)(b), (uint8_t)((b) >> 8),           \
				(uint8_t)(c), (uint8_t)((c) >> 8), __VA_ARGS__                     \
		}                                                                                  \
	}

static inline bool guid_equal(const struct guid *a, const struct guid *b)
{
	return __builtin_memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static inline bool guid_is_zero(const struct guid *g)
{
	const struct guid zero = {{0}};

	return guid_equal(g, &zero);
}

/* Between the mixed-endian and the big-endian order of the first three fields. */
struct guid guid_swap(const struct guid *g);

/* Version 4, variant 1 from 16 random bytes. */
struct guid guid_from_random(const uint8_t random[16]);

/* "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f", lower case. */
void guid_format(const struct guid *g, char text[GUID_TEXT_BYTES]);
/* Either case, with or without braces; false: not a GUID (then *ret is untouched). */
bool guid_parse(const char *text, struct guid *ret);

#endif
