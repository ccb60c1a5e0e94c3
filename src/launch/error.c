// SPDX-License-Identifier: Apache-2.0
#include "launch/error.h"

#include <stdarg.h>
#include <stdio.h>

bool launch_refuse(struct launch_error *error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error->text, sizeof(error->text), fmt, ap);
	va_end(ap);
	return false;
}
