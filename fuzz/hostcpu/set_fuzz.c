// SPDX-License-Identifier: Apache-2.0
/* Lists of processors: what is taken comes back the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hostcpu/set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static char text[HOSTCPU_LIST_BYTES];
	struct hostcpu_set s, again;

	if (!hostcpu_set_parse((const char *)data, bytes, &s)) {
		return 0;
	}
	hostcpu_set_format(&s, text);
	if (!hostcpu_set_parse(text, strlen(text), &again) || !hostcpu_set_equals(&s, &again) ||
	    hostcpu_set_is_empty(&s) != (text[0] == '\0')) {
		abort();
	}
	return 0;
}
