/* SPDX-License-Identifier: Apache-2.0 */
/* Decompresses a bzImage's payload into an ELF stream. The formats are those of the kernel's build; lzo and bzip2 are left to the guest. */
#ifndef FIRMWARE_PAYLOAD_H
#define FIRMWARE_PAYLOAD_H

#include "elf_stream.h"

struct payload_format {
	const char *name;
	size_t magic_bytes;
	const char *magic;
	/* Feeds @s until the input ends; the last four bytes of @in are the uncompressed size for formats with @size_trailer. */
	enum loader_status (*expand)(const uint8_t *in, size_t bytes, uint64_t expected,
				     struct elf_stream *s);
	bool size_trailer; /* four bytes follow the compressed data; otherwise they end it */
};

/* NULL: not a format that we decompress. */
const struct payload_format *payload_detect(const uint8_t *in, size_t bytes);
/* Decompresses all of @in, at most @limit bytes, and finishes @s. */
enum loader_status payload_expand(const struct payload_format *format, const uint8_t *in,
				  size_t bytes, uint64_t limit, struct elf_stream *s);

#endif
