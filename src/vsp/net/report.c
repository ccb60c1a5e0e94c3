// SPDX-License-Identifier: Apache-2.0
#include "adapter.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_BYTES 200

void net_count(uint64_t *counter, uint64_t add)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + add,
			 __ATOMIC_RELAXED);
}

void net_report(struct vsp_net *n, enum net_violation kind, const char *format, ...)
{
	uint64_t count = __atomic_add_fetch(&n->violations[kind], 1, __ATOMIC_RELAXED);
	char line[LINE_BYTES];
	va_list ap;
	int used;

	if ((count & (count - 1)) != 0 || n->config.log == NULL) {
		return;
	}
	va_start(ap, format);
	used = vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	if (count > 1 && used >= 0 && (size_t)used < sizeof(line)) {
		snprintf(line + used, sizeof(line) - (size_t)used, " (%llu of this kind so far)",
			 (unsigned long long)count);
	}
	n->config.log(n->config.ctx, line);
}
