/* SPDX-License-Identifier: Apache-2.0 */
/* The fuzzer's bytes, taken from the front; zeroes when there are no more. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct input {
	const uint8_t *data;
	size_t left;
};

static inline void input_take(struct input *in, void *buf, size_t bytes)
{
	size_t n = bytes < in->left ? bytes : in->left;

	memset(buf, 0, bytes);
	if (n != 0) {
		memcpy(buf, in->data, n);
	}
	in->data += n;
	in->left -= n;
}

static inline uint8_t input_u8(struct input *in)
{
	uint8_t v;

	input_take(in, &v, sizeof(v));
	return v;
}

static inline uint16_t input_u16(struct input *in)
{
	uint16_t v;

	input_take(in, &v, sizeof(v));
	return v;
}

static inline uint32_t input_u32(struct input *in)
{
	uint32_t v;

	input_take(in, &v, sizeof(v));
	return v;
}

#endif
