/* SPDX-License-Identifier: Apache-2.0 */
/* How VMBus reaches the guest: the SynIC of one partition, as its owner provides it. */
#ifndef VMBUS_TRANSPORT_H
#define VMBUS_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gmem/gmem.h"

#define VMBUS_SINT 2u
#define VMBUS_MESSAGE_TYPE 1u

struct vmbus_transport {
	void *ctx;
	struct gmem *gm;
	uint32_t processors;
	/*
	 * Posts a channel message (at most 240 bytes) to SINT @sint of @vp, in order. False: no room now; the bus keeps it and tries again at
	 * vmbus_poll, which is wanted soon. Bus thread.
	 */
	bool (*post)(void *ctx, uint32_t vp, uint32_t sint, const void *message, size_t bytes);
	/* Sets event flag @flag in slot @sint of @vp's SIEF page and interrupts if it was clear. Any thread; lock-free to the caller. */
	void (*signal)(void *ctx, uint32_t vp, uint32_t sint, uint16_t flag);
	/*
	 * The guest may use HvSignalEvent on @connection with flags below @flags (or no longer): each one arrives as vmbus_event. Bus
	 * thread. 0, -errno or a positive HV_STATUS.
	 */
	int (*event_open)(void *ctx, uint32_t connection, uint16_t flags);
	void (*event_close)(void *ctx, uint32_t connection);
	/* Work for the bus thread appeared: have it call vmbus_poll. Any thread. */
	void (*wake)(void *ctx);
	/* A line for the log, without VM name or newline. Rate limited by the bus. Any thread. */
	void (*log)(void *ctx, const char *line);
	/* Monotonic nanoseconds. Any thread. */
	uint64_t (*now_ns)(void *ctx);
};

#endif
