// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "lib/check.h"
#include "vhd_host.h"

void backend_host_random(void *ctx, void *buf, size_t bytes)
{
	for (size_t at = 0; at < bytes;) {
		ssize_t n = getrandom((char *)buf + at, bytes - at, 0);

		CHECK(n > 0 || errno == EINTR); /* nothing else can be, with these arguments */
		at += n > 0 ? (size_t)n : 0;
	}
}

int64_t backend_host_now_s(void *ctx)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}
