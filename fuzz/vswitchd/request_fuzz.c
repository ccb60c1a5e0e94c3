// SPDX-License-Identifier: Apache-2.0
/*
 * Requests to the switch process: each line is one, sent by a client of its own user. One that got a port keeps it, and others ask on; an empty line is a
 * new client instead of the one before. Descriptors do not come in; the
 * integration test sends those.
 */
#include <string.h>

#include "testing.h"

#define REQUESTS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct testing_daemon d;
	char answer[4096];

	testing_open(&d);
	for (unsigned i = 0; i < REQUESTS_MAX && bytes > 0; i++) {
		const uint8_t *end = memchr(data, '\n', bytes);
		size_t n = end == NULL ? bytes : (size_t)(end - data);

		if (n == 0 || !testing_ask(&d, data, n, answer, sizeof(answer))) {
			testing_reconnect(&d);
		} else if (strncmp(answer, "{\"queues\":", 10) == 0) {
			testing_keep(&d);
		}
		data += end == NULL ? n : n + 1;
		bytes -= end == NULL ? n : n + 1;
	}
	testing_close(&d);
	return 0;
}
