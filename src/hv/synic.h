/* SPDX-License-Identifier: Apache-2.0 */
/* The synthetic interrupt controller: SINTs, message slots and their queues, event flags, timers; and the ports that lead to it. */
#ifndef HV_SYNIC_H
#define HV_SYNIC_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/hv.h"
#include "hv/host.h"
#include "lib/state.h"
#include "overlay.h"

struct hv_connection;
struct hv_message_buffer;
struct hv_partition;
struct hv_port;
struct hv_vp;

/* ---- synic.c, stimer.c, port.c ---- */

struct hv_stimer {
	uint64_t config;
	uint64_t count;
	uint64_t expiry; /* reference time of the next expiration while armed */
	bool armed;
	bool lent;	      /* a timer of the engine's raises the interrupt */
	bool message_pending; /* a message waits for its slot */
	uint64_t message_expiry;
};

struct synic {
	struct hv_lock lock; /* SIM slots, queues, control registers */
	uint64_t scontrol;
	uint64_t sint[HV_SYNIC_SINT_COUNT];
	struct hv_overlay sim;
	struct hv_overlay sief;
	struct hv_message_buffer *queue_head[HV_SYNIC_SINT_COUNT];
	struct hv_message_buffer *queue_tail[HV_SYNIC_SINT_COUNT];
	struct hv_stimer timer[HV_SYNIC_STIMER_COUNT];
};

struct hv_message_buffer {
	struct hv_message_buffer *next;
	struct hv_port *port; /* where the buffer goes back to */
	struct hv_message message;
};

void synic_reset(struct hv_vp *vp);
bool synic_sint_write(struct hv_vp *vp, unsigned sint, uint64_t value);
void synic_scontrol_write(struct hv_vp *vp, uint64_t value);
/* Places the SIM or SIEF page; false: no memory for it. */
bool synic_page_write(struct hv_vp *vp, struct hv_overlay *page, uint64_t value);
/* Looks at all slots again: EOM, or queues changed hands. */
void synic_scan(struct hv_vp *vp);
/* An EOI for @vector: looks at the slots of SINTs with that vector. */
void synic_eoi(struct hv_vp *vp, uint8_t vector);
/* Status of posting to this SINT right now, without posting: SUCCESS or INVALID_SYNIC_STATE. */
uint16_t synic_message_state(struct hv_vp *vp, unsigned sint);
/* Queues @buffer behind the messages of the SINT and delivers what can be. [any] */
void synic_enqueue(struct hv_vp *vp, unsigned sint, struct hv_message_buffer *buffer);
/* Puts @message into the slot if it is free: SUCCESS, OBJECT_IN_USE or INVALID_SYNIC_STATE. [any] */
uint16_t synic_post_direct(struct hv_vp *vp, unsigned sint, const struct hv_message *message);
/* Sets an event flag. *ret_newly: it was clear before. SUCCESS or INVALID_SYNIC_STATE. [any] */
uint16_t synic_signal(struct hv_vp *vp, unsigned sint, unsigned flag, bool *ret_newly);
/* Takes the queued buffers of @port (NULL: of all ports) off the VP and returns them to their ports. */
void synic_purge(struct hv_vp *vp, struct hv_port *port);

bool stimer_config_write(struct hv_vp *vp, unsigned n, uint64_t value);
void stimer_count_write(struct hv_vp *vp, unsigned n, uint64_t value);
uint64_t stimer_config_read(struct hv_vp *vp, unsigned n);
void stimer_poll(struct hv_vp *vp, uint64_t reference);
/* The APIC goes to the engine, and timers with it; or it has come back. */
void stimer_lend_all(struct hv_vp *vp);
void stimer_recall_all(struct hv_vp *vp);
/* Reference time of the next expiration; lazy timers only count when @lazy_too. UINT64_MAX: none. */
uint64_t stimer_next(const struct hv_vp *vp, bool lazy_too);
/* With the SynIC locked: the message of a timer that waits for @sint; false: none. */
bool stimer_take_message(struct hv_vp *vp, unsigned sint, struct hv_message *ret);
bool stimer_has_message(const struct hv_vp *vp, unsigned sint);

#define PORT_BUFFERS 16u

struct hv_port {
	struct hv_port *next;
	struct hv_partition *owner;
	struct hv_lock lock; /* buffers */
	uint32_t id;
	uint64_t connection_partition;
	struct hv_port_info info;
	struct hv_connection *connection;
	struct hv_message_buffer *free_buffers;
	uint32_t *root_flags; /* event port of the root: pending flags */
};

struct hv_connection {
	struct hv_connection *next;
	uint32_t id;
	struct hv_port *port;
	struct hv_partition *partition; /* the sender */
};

void port_buffer_release(struct hv_message_buffer *buffer);
uint16_t port_create(struct hv_partition *owner, const struct hv_input_create_port *in);
uint16_t port_connect(struct hv_partition *sender, struct hv_partition *port_owner,
		      const struct hv_input_connect_port *in);
uint16_t port_delete(struct hv_partition *owner, uint32_t id);
uint16_t port_disconnect(struct hv_partition *sender, uint32_t id);
/* A partition goes away: its ports and connections. hv->lock held. */
void port_remove_all(struct hv_partition *p);
uint16_t port_post_message(struct hv_partition *sender, uint32_t connection_id, uint32_t type,
			   const uint8_t *payload, uint32_t payload_bytes);
uint16_t port_signal_event(struct hv_partition *sender, uint32_t connection_id, uint16_t flag);
/* A saved queued message: {sint, port id, message}. False: torn, or no such port. */
bool port_restore_message(struct hv_vp *vp, struct state_reader *r);
bool port_connection_exists(struct hv_partition *sender, uint32_t connection_id);

#endif
