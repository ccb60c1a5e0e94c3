/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_TEXT_H
#define LIB_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* @text with its end into @ret of @size bytes. False: it does not fit; @ret is as it was. */
static inline bool text_copy(char *ret, size_t size, const char *text)
{
	size_t bytes = __builtin_strlen(text) + 1;

	if (bytes > size) {
		return false;
	}
	__builtin_memcpy(ret, text, bytes);
	return true;
}

#endif
