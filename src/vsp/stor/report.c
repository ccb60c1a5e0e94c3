// SPDX-License-Identifier: Apache-2.0
#include "controller.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_BYTES 200

void stor_report(struct stor *s, enum stor_violation kind, const char *format, ...)
{
	uint64_t count = ++s->violations[kind];
	char line[LINE_BYTES];
	va_list ap;
	int used;

	if ((count & (count - 1)) != 0 || s->config.log == NULL) {
		return;
	}
	va_start(ap, format);
	used = vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	if (count > 1 && used >= 0 && (size_t)used < sizeof(line)) {
		snprintf(line + used, sizeof(line) - (size_t)used, " (%llu such packets so far)",
			 (unsigned long long)count);
	}
	s->config.log(s->config.ctx, line);
}
