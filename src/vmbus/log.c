// SPDX-License-Identifier: Apache-2.0
/* Lines that a guest can cause: some in each stretch of time, then a count. */
#include <stdarg.h>
#include <stdio.h>

#include "bus.h"

#define LOG_LINE_BYTES 240

/* Counts the line in; true when it may be said. Threads may race at the edge of a window: a line more or less. */
static bool may_say(struct vmbus *bus, uint32_t *ret_suppressed)
{
	uint64_t now = bus->transport.now_ns(bus->transport.ctx);
	uint64_t window = __atomic_load_n(&bus->log_window_ns, __ATOMIC_RELAXED);

	*ret_suppressed = 0;
	if (now - window >= BUS_LOG_WINDOW_NS &&
	    __atomic_compare_exchange_n(&bus->log_window_ns, &window, now, false, __ATOMIC_RELAXED,
					__ATOMIC_RELAXED)) {
		uint32_t count = __atomic_exchange_n(&bus->log_count, 0, __ATOMIC_RELAXED);

		*ret_suppressed = count > BUS_LOG_BURST ? count - BUS_LOG_BURST : 0;
	}
	return __atomic_fetch_add(&bus->log_count, 1, __ATOMIC_RELAXED) < BUS_LOG_BURST;
}

void bus_log(struct vmbus *bus, const char *format, ...)
{
	char line[LOG_LINE_BYTES];
	uint32_t suppressed;
	va_list ap;

	if (!may_say(bus, &suppressed)) {
		return;
	}
	if (suppressed != 0) {
		snprintf(line, sizeof(line), "%u more lines were not shown", suppressed);
		bus->transport.log(bus->transport.ctx, line);
	}
	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	bus->transport.log(bus->transport.ctx, line);
}
