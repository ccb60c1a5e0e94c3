/* SPDX-License-Identifier: Apache-2.0 */
/* A fuzzer's bytes, or a test's script: taken from the front; zeroes when there are no more. */
#ifndef TEST_INPUT_H
#define TEST_INPUT_H

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

/* Up to 8 bytes as a number, little-endian. */
static inline uint64_t input_number(struct input *in, size_t bytes)
{
	uint64_t v = 0;

	input_take(in, &v, bytes);
	return v;
}

static inline uint8_t input_u8(struct input *in)
{
	return (uint8_t)input_number(in, 1);
}

static inline uint16_t input_u16(struct input *in)
{
	return (uint16_t)input_number(in, 2);
}

static inline uint32_t input_u32(struct input *in)
{
	return (uint32_t)input_number(in, 4);
}

static inline uint64_t input_u64(struct input *in)
{
	return input_number(in, 8);
}

#endif
