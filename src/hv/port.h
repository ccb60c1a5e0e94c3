/* SPDX-License-Identifier: Apache-2.0 */
/* Ports among themselves: port.c their life, port_root.c buffers and what waits for the root, port_send.c messages and events on their way. */
#ifndef HV_PORT_H
#define HV_PORT_H

#include "core.h"

/* hv->lock held. NULL: there is none. */
struct hv_port *port_find(struct hv_partition *p, uint32_t id);
struct hv_connection *port_connection_find(struct hv_partition *p, uint32_t id);

/* False: no memory, and nothing is kept. */
bool port_buffers_alloc(struct hv_port *port);
void port_buffers_free(struct hv_port *port);
/* NULL: all are under way. [any] */
struct hv_message_buffer *port_buffer_take(struct hv_port *port);

/* What waits for the root: one more message; and those of @port no longer. */
void port_root_enqueue(struct hv *hv, struct hv_message_buffer *b);
void port_root_purge(struct hv *hv, struct hv_port *port);

static inline bool partition_is_root(const struct hv_partition *p)
{
	return p == p->hv->root;
}

/* Of an event port of the root. */
static inline unsigned port_flag_words(const struct hv_port *port)
{
	return (port->info.flag_count + 31u) / 32;
}

#endif
