// SPDX-License-Identifier: Apache-2.0
/*
 * An ELF file that arrives in pieces: three bytes of control (how pieces are cut, which way they go), then the file, repeated up to
 * the length that the second byte says, so that small inputs reach past the headers.
 */
#include <string.h>

#include "elf_stream.h"
#include "lib/bits.h"
#include "machine_test.h"

#define HEAD_MAX 4096

static struct machine machine;

static bool feed(struct elf_stream *s, unsigned way, const uint8_t *piece, size_t bytes)
{
	size_t done = 0;

	if (way == 0) {
		return elf_stream_put(s, piece, bytes);
	}
	if (way == 1) {
		uint64_t offset = s->total;
		void *to = elf_stream_window(s, offset, bytes);

		if (to == NULL) {
			return elf_stream_put(s, piece, bytes);
		}
		memcpy(to, piece, bytes);
		elf_stream_window_done(s, offset, bytes);
		return true;
	}
	while (done < bytes) {
		size_t n;
		void *to = elf_stream_reserve(s, &n);

		if (to == NULL) {
			return false;
		}
		n = n < bytes - done ? n : bytes - done;
		memcpy(to, piece + done, n);
		if (!elf_stream_commit(s, n)) {
			return false;
		}
		done += n;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static uint8_t file[HEAD_MAX];
	struct loader_error err = {0};
	struct elf_stream s;

	if (bytes < 4) {
		return 0;
	}
	if (machine.ram == NULL && !machine_init(&machine, 64 << 20)) {
		abort();
	}
	struct target t = {.gm = &machine.gm, .map = &machine.map, .err = &err};
	size_t head = (size_t)min_u64(bytes - 3, HEAD_MAX);
	uint64_t total = (uint64_t)data[1] << 12;
	size_t piece = 1 + ((size_t)data[0] << 4);
	bool good = elf_stream_init(&s, &t) == LOADER_OK;

	memset(file, 0, sizeof(file));
	memcpy(file, data + 3, head);
	while (good && s.total < total) {
		size_t at = s.total % HEAD_MAX;

		good = feed(&s, data[2] % 3, file + at,
			    (size_t)min_u64(min_u64(piece, HEAD_MAX - at), total - s.total));
	}
	if (elf_stream_end(&s) != LOADER_OK && err.text[0] == 0) {
		abort();
	}
	elf_stream_fini(&s);
	return 0;
}
