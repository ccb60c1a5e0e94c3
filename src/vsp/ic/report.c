// SPDX-License-Identifier: Apache-2.0
#include "service.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_BYTES 240

void ic_report(struct ic_channel *ch, enum ic_violation kind, const char *format, ...)
{
	const struct vsp_ic_config *config = &ch->ic->config;
	uint64_t count = ++ch->violations[kind];
	char text[LINE_BYTES], line[LINE_BYTES + 80];
	va_list ap;
	int used;

	if ((count & (count - 1)) != 0 || config->log == NULL) {
		return;
	}
	va_start(ap, format);
	used = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (used < 0) {
		return;
	}
	if (count == 1) {
		snprintf(line, sizeof(line), "%s: %s", ch->component->name, text);
	} else {
		snprintf(line, sizeof(line), "%s: %s (%llu such packets so far)",
			 ch->component->name, text, (unsigned long long)count);
	}
	config->log(config->ctx, line);
}
