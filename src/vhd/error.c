// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "format.h"

int vhd_fail(struct vhd_error *error, int status, const char *fmt, ...)
{
	va_list args;

	if (error != NULL) {
		va_start(args, fmt);
		vsnprintf(error->text, sizeof(error->text), fmt, args);
		va_end(args);
	}
	return status;
}

int vhd_fail_errno(struct vhd_error *error, int err, const char *file, const char *what)
{
	if (error != NULL) {
		snprintf(error->text, sizeof(error->text), "%s: %s: %s", file, what,
			 strerror(-err));
	}
	return err;
}
