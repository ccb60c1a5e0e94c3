// SPDX-License-Identifier: Apache-2.0
/* A kept report: a file in the user's cache. What is read writes the same text again. */
#include <string.h>

#include "cache.h"
#include "lib/check.h"

#define KEY UINT64_C(0x0123456789abcdef)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct engines_report r, again;
	struct engines_choice choice;
	char text[ENGINES_FILE_BYTES_MAX];

	if (!engines_cache_parse((const char *)data, size, KEY, &r)) {
		return 0;
	}
	engines_choose(&r, &choice);
	CHECK(choice.reason[0] != '\0' && memchr(r.detail, '\0', sizeof(r.detail)) != NULL);
	CHECK(engines_cache_parse(text, engines_cache_format(&r, KEY, text), KEY, &again));
	CHECK(memcmp(&again.kvm, &r.kvm, sizeof(r.kvm)) == 0 &&
	      memcmp(&again.emu, &r.emu, sizeof(r.emu)) == 0);
	return 0;
}
