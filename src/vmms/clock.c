// SPDX-License-Identifier: Apache-2.0
#include "clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

uint64_t clock_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

const char *clock_text(uint64_t us, char text[CLOCK_TEXT_BYTES])
{
	time_t seconds = (time_t)(us / 1000000u);
	struct tm tm;
	size_t n = gmtime_r(&seconds, &tm) == NULL
			   ? 0
			   : strftime(text, CLOCK_TEXT_BYTES - 6, "%Y-%m-%dT%H:%M:%S", &tm);

	snprintf(text + n, CLOCK_TEXT_BYTES - n, ".%03uZ", (unsigned)(us / 1000u % 1000u));
	return text;
}
