// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
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

const char *vhd_advice(int err)
{
	switch (-err) {
	case ENOSPC:
	case EDQUOT:
		return "; free some space where the file lies";
	case ENOENT:
		return "; put it there, or name the file where it is now";
	case EIO:
		return "; look for errors of the medium in the host's log";
	case EACCES:
	case EPERM:
		return "; look at the owner and mode of the file and its folder";
	case EROFS:
		return "; it can be read only, or writing has failed before";
	case EFBIG:
		return "; the file system takes no file of this length";
	default:
		return "";
	}
}

int vhd_fail_errno(struct vhd_error *error, int err, const char *file, const char *what)
{
	if (error != NULL) {
		snprintf(error->text, sizeof(error->text), "%s: %s: %s%s", file, what,
			 strerror(-err), vhd_advice(err));
	}
	return err;
}
