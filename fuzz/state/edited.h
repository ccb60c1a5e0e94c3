/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a target for saved states gets: an image, or (first byte odd) changes to one that was just saved: {u24 offset, u8 to xor} each, so that the fuzzer reaches
 * what lies behind lengths and tags.
 */
#ifndef FUZZ_STATE_EDITED_H
#define FUZZ_STATE_EDITED_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* @image holds @bytes that were saved; *ret_bytes is what is to be restored. */
static inline const uint8_t *edited(const uint8_t *data, size_t data_bytes, uint8_t *image,
				    size_t bytes, size_t *ret_bytes)
{
	if (data_bytes == 0 || (data[0] & 1) == 0) {
		*ret_bytes = data_bytes == 0 ? 0 : data_bytes - 1;
		return data_bytes == 0 ? data : data + 1;
	}
	for (size_t i = 1; i + 4 <= data_bytes; i += 4) {
		size_t at = (size_t)data[i] | (size_t)data[i + 1] << 8 | (size_t)data[i + 2] << 16;

		image[at % bytes] ^= data[i + 3];
	}
	*ret_bytes = bytes;
	return image;
}

#endif
