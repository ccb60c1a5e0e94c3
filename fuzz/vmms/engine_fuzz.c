// SPDX-License-Identifier: Apache-2.0
/* run/ID/engine, which tells a service that comes later what a worker runs on. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "machine_engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct machine_process p = {.engine = ""};

	machine_engine_parse((const char *)data, bytes, &p);
	if (p.engine[0] != '\0' && strcmp(p.engine, "emu") != 0 && strcmp(p.engine, "kvm") != 0) {
		abort();
	}
	for (const char *at = p.engine_reason; *at != '\0'; at++) {
		if (*at < ' ' || *at > '~' || p.engine[0] == '\0') {
			abort();
		}
	}
	return 0;
}
