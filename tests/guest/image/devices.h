/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the guest that uses its devices. */
#ifndef GUEST_DEVICES_H
#define GUEST_DEVICES_H

#include "bus.h"
#include "ic_protocol.h"

/* The first offer of that type; NULL: none. */
const struct vmbus_offer_channel *devices_find(const struct guid *type);

/* ---- devices_net.c: netvsp with the least that carries a frame ---- */

bool net_start(void);
/* Takes what came, and gives it back. */
void net_look(void);
/* Sends a frame, and waits until the host has taken it. */
bool net_send_frame(void);

#endif
