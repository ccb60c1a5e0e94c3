/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMBus in the worker: the bus belongs to the loop thread; what the guest posts is taken there, what it signals goes straight from its
 * VP's thread to the thread of the device.
 */
#ifndef VMWP_BUS_H
#define VMWP_BUS_H

#include <stdint.h>

struct worker;

/* The guest posted a message, or set event flags: called by the hypervisor, on any thread. @w may be NULL. */
void bus_message_waits(struct worker *w);
void bus_events_wait(struct worker *w);

/* Makes the bus of this boot and offers the devices. The partition exists, no VP runs. 0, -errno or a positive HV_STATUS_*. */
int bus_create(struct worker *w);
/* Loop thread: handles what came in, and arms the bus timer for what is due later. */
void bus_poll(struct worker *w);
/* The machine stands still: bus_poll is not called again before it goes on. */
void bus_pause(struct worker *w);
/* All VPs stopped: closes every channel, waits until nothing touches guest memory, and takes the bus away. */
void bus_destroy(struct worker *w);

#endif
