/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 to UTF-16 and back, strictly: what is not well formed is refused, never repaired. Unicode: chapter 3.9. */
#ifndef LIB_UTF16_H
#define LIB_UTF16_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum utf16_order {
	UTF16_LE,
	UTF16_BE,
};

/*
 * @utf8 as UTF-16 without a terminator. *ret_bytes: how many bytes it takes, also when that is more than @capacity (then @ret
 * holds a part). False: not UTF-8.
 */
bool utf16_encode(const char *utf8, enum utf16_order order, uint8_t *ret, size_t capacity,
		  size_t *ret_bytes);

/*
 * @bytes of UTF-16 as UTF-8 with a final NUL. False, and @ret an empty string: an odd count, a lone surrogate, a NUL, or more than @size
 * bytes with the NUL (@size at least 1).
 */
bool utf16_decode(const uint8_t *utf16, size_t bytes, enum utf16_order order, char *ret,
		  size_t size);

/* The same where the text may be padded: ends before the first NUL. */
bool utf16_decode_padded(const uint8_t *utf16, size_t bytes, enum utf16_order order, char *ret,
			 size_t size);

#endif
