/* SPDX-License-Identifier: Apache-2.0 */
/* Tables that the build compiles, and bounded writing of the ones that are made at start. */
#ifndef FIRMWARE_TABLES_H
#define FIRMWARE_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const uint8_t dsdt_aml[];
extern const size_t dsdt_aml_bytes;

/* The value that makes @bytes at @data plus itself sum to 0. */
static inline uint8_t table_checksum(const uint8_t *data, size_t bytes)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < bytes; i++) {
		sum = (uint8_t)(sum + data[i]);
	}
	return (uint8_t)-sum;
}

/* A signature of @bytes characters: fixed length, no terminator. */
static inline void table_tag(uint8_t *to, const char *tag, size_t bytes)
{
	__builtin_memcpy(to, tag, bytes);
}

#endif
