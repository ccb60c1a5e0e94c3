// SPDX-License-Identifier: Apache-2.0
/* Buffers of message ports, and what has been sent to the root, which has no VPs here: it fetches that. */
#include "port.h"

/* ---- Message buffers ---- */

void port_buffer_release(struct hv_message_buffer *b)
{
	struct hv_port *port = b->port;

	hv_host_lock(&port->lock);
	b->next = port->free_buffers;
	port->free_buffers = b;
	hv_host_unlock(&port->lock);
}

struct hv_message_buffer *port_buffer_take(struct hv_port *port)
{
	struct hv_message_buffer *b;

	hv_host_lock(&port->lock);
	b = port->free_buffers;
	if (b != NULL) {
		port->free_buffers = b->next;
	}
	hv_host_unlock(&port->lock);
	return b;
}

void port_buffers_free(struct hv_port *port)
{
	struct hv_message_buffer *b;

	while ((b = port_buffer_take(port)) != NULL) {
		pool_free(&port->owner->pool, b);
	}
}

bool port_buffers_alloc(struct hv_port *port)
{
	for (unsigned i = 0; i < PORT_BUFFERS; i++) {
		struct hv_message_buffer *b = pool_alloc(&port->owner->pool, sizeof(*b));

		if (b == NULL) {
			port_buffers_free(port);
			return false;
		}
		b->port = port;
		port_buffer_release(b);
	}
	return true;
}

/* ---- The root's side ---- */

void port_root_enqueue(struct hv *hv, struct hv_message_buffer *b)
{
	hv_host_lock(&hv->root_queue_lock);
	b->next = NULL;
	if (hv->root_queue_tail != NULL) {
		hv->root_queue_tail->next = b;
	} else {
		hv->root_queue_head = b;
	}
	hv->root_queue_tail = b;
	hv_host_unlock(&hv->root_queue_lock);
}

bool hv_root_take_message(struct hv *hv, struct hv_message *ret)
{
	struct hv_message_buffer *b;

	hv_host_lock(&hv->lock);
	hv_host_lock(&hv->root_queue_lock);
	b = hv->root_queue_head;
	if (b != NULL) {
		hv->root_queue_head = b->next;
		if (b->next == NULL) {
			hv->root_queue_tail = NULL;
		}
		*ret = b->message;
	}
	hv_host_unlock(&hv->root_queue_lock);
	if (b != NULL) {
		port_buffer_release(b);
	}
	hv_host_unlock(&hv->lock);
	return b != NULL;
}

void port_root_purge(struct hv *hv, struct hv_port *port)
{
	struct hv_message_buffer **link = &hv->root_queue_head, *b;

	hv_host_lock(&hv->root_queue_lock);
	hv->root_queue_tail = NULL;
	while ((b = *link) != NULL) {
		if (b->port == port) {
			*link = b->next;
			port_buffer_release(b);
		} else {
			hv->root_queue_tail = b;
			link = &b->next;
		}
	}
	hv_host_unlock(&hv->root_queue_lock);
}

static bool take_flag(struct hv_port *port, uint16_t *ret_flag)
{
	for (unsigned w = 0; port->root_flags != NULL && w < port_flag_words(port); w++) {
		uint32_t word = __atomic_load_n(&port->root_flags[w], __ATOMIC_SEQ_CST);

		if (word != 0) {
			unsigned bit = (unsigned)__builtin_ctz(word);

			__atomic_fetch_and(&port->root_flags[w], ~BIT32(bit), __ATOMIC_SEQ_CST);
			*ret_flag = (uint16_t)(w * 32 + bit);
			return true;
		}
	}
	return false;
}

bool hv_root_take_event(struct hv *hv, uint32_t *ret_port_id, uint16_t *ret_flag)
{
	bool found = false;

	hv_host_lock(&hv->lock);
	for (struct hv_port *port = hv->root->ports; port != NULL && !found; port = port->next) {
		found = take_flag(port, ret_flag);
		if (found) {
			*ret_port_id = port->id;
		}
	}
	hv_host_unlock(&hv->lock);
	return found;
}
