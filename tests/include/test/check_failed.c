// SPDX-License-Identifier: Apache-2.0
/* check_failed for test and fuzz programs. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/check.h"

void check_failed(const char *expr, const char *file, int line)
{
	fprintf(stderr, "%s:%d: check failed: %s\n", file, line, expr);
	abort();
}
