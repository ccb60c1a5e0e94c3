// SPDX-License-Identifier: Apache-2.0
/* The kernel's texts about groups; the first byte says which. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hostcpu/shares.h"
#include "hostcpu/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void group(const char *text, size_t bytes)
{
	char path[HOSTCPU_PATH_BYTES] = "";

	if (hostcpu_cgroup_parse(text, bytes, path) &&
	    (path[0] != '/' || strlen(path) >= sizeof(path) || strstr(path, "/../") != NULL)) {
		abort();
	}
}

static void limit(const char *text, size_t bytes)
{
	uint64_t quota, period;

	if (hostcpu_max_parse(text, bytes, &quota, &period)) {
		(void)hostcpu_hundredths(quota, period);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct hostcpu_usage usage;

	if (bytes == 0) {
		return 0;
	}
	const char *text = (const char *)data + 1;

	switch (data[0]) {
	case 'g':
		group(text, bytes - 1);
		break;
	case 'm':
		limit(text, bytes - 1);
		break;
	case 'u':
		(void)hostcpu_usage_parse(text, bytes - 1, &usage);
		break;
	default:
		(void)hostcpu_has_word(text, bytes - 1, "cpu");
		break;
	}
	return 0;
}
