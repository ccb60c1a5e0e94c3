// SPDX-License-Identifier: Apache-2.0
/*
 * Ports and connections: where HvPostMessage and HvSignalEvent lead. A port belongs to the receiver, a connection to the sender;
 * both lists and their links are guarded by hv->lock. Spec: TLFS 11.7, 11.10.
 */
#include "core.h"

static struct hv_port *port_find(struct hv_partition *p, uint32_t id)
{
	struct hv_port *port = p->ports;

	while (port != NULL && port->id != id) {
		port = port->next;
	}
	return port;
}

static struct hv_connection *connection_find(struct hv_partition *p, uint32_t id)
{
	struct hv_connection *c = p->connections;

	while (c != NULL && c->id != id) {
		c = c->next;
	}
	return c;
}

static bool is_root(const struct hv_partition *p)
{
	return p == p->hv->root;
}

/* ---- Message buffers ---- */

void port_buffer_release(struct hv_message_buffer *b)
{
	struct hv_port *port = b->port;

	hv_host_lock(&port->lock);
	b->next = port->free_buffers;
	port->free_buffers = b;
	hv_host_unlock(&port->lock);
}

static struct hv_message_buffer *buffer_take(struct hv_port *port)
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

static void buffers_free(struct hv_port *port)
{
	struct hv_message_buffer *b;

	while ((b = buffer_take(port)) != NULL) {
		pool_free(&port->owner->pool, b);
	}
}

static bool buffers_alloc(struct hv_port *port)
{
	for (unsigned i = 0; i < PORT_BUFFERS; i++) {
		struct hv_message_buffer *b = pool_alloc(&port->owner->pool, sizeof(*b));

		if (b == NULL) {
			buffers_free(port);
			return false;
		}
		b->port = port;
		port_buffer_release(b);
	}
	return true;
}

/* ---- The root's side ---- */

static void root_enqueue(struct hv *hv, struct hv_message_buffer *b)
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

static void root_purge(struct hv *hv, struct hv_port *port)
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

static unsigned flag_words(const struct hv_port *port)
{
	return (port->info.flag_count + 31u) / 32;
}

static bool take_flag(struct hv_port *port, uint16_t *ret_flag)
{
	for (unsigned w = 0; port->root_flags != NULL && w < flag_words(port); w++) {
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

/* ---- Create, connect, delete ---- */

static uint16_t check_event_range(const struct hv_port_info *info)
{
	if (info->flag_count == 0 ||
	    info->base_flag_number + info->flag_count >= HV_EVENT_FLAGS_COUNT) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	return HV_STATUS_SUCCESS;
}

static uint16_t check_port(struct hv_partition *owner, const struct hv_input_create_port *in)
{
	const struct hv_port_info *info = &in->port_info;

	if (owner->state != PARTITION_ACTIVE) {
		return HV_STATUS_INVALID_PARTITION_STATE;
	}
	if (in->port_id >> HV_PORT_ID_BITS != 0 || port_find(owner, in->port_id) != NULL) {
		return HV_STATUS_INVALID_PORT_ID;
	}
	if ((info->port_type != HvPortTypeMessage && info->port_type != HvPortTypeEvent) ||
	    info->target_sint == 0 || info->target_sint >= HV_SYNIC_SINT_COUNT) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	if (info->port_type == HvPortTypeEvent && check_event_range(info) != HV_STATUS_SUCCESS) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	if (!is_root(owner) && info->target_vp != HV_ANY_VP &&
	    vp_find(owner, info->target_vp) == NULL) {
		return HV_STATUS_INVALID_VP_INDEX;
	}
	return HV_STATUS_SUCCESS;
}

static uint16_t check_peer(struct hv_partition *owner, uint64_t id)
{
	struct hv_partition *peer = partition_find(owner->hv, id);

	return peer == NULL || peer == owner ? HV_STATUS_INVALID_PARTITION_ID : HV_STATUS_SUCCESS;
}

static struct hv_port *port_alloc(struct hv_partition *owner, const struct hv_port_info *info)
{
	struct hv_port *port = pool_alloc(&owner->pool, sizeof(*port));

	if (port == NULL) {
		return NULL;
	}
	port->owner = owner;
	port->info = *info;
	if (info->port_type == HvPortTypeMessage) {
		if (buffers_alloc(port)) {
			return port;
		}
	} else {
		port->root_flags =
			is_root(owner) ? pool_alloc(&owner->pool, flag_words(port) * 4) : NULL;
		if (!is_root(owner) || port->root_flags != NULL) {
			return port;
		}
	}
	pool_free(&owner->pool, port);
	return NULL;
}

uint16_t port_create(struct hv_partition *owner, const struct hv_input_create_port *in)
{
	struct hv *hv = owner->hv;
	struct hv_port *port;
	uint16_t status;

	hv_host_lock(&hv->lock);
	status = check_port(owner, in);
	if (status == HV_STATUS_SUCCESS) {
		status = check_peer(owner, in->connection_partition);
	}
	if (status == HV_STATUS_SUCCESS) {
		port = port_alloc(owner, &in->port_info);
		if (port != NULL) {
			port->id = in->port_id;
			port->connection_partition = in->connection_partition;
			port->next = owner->ports;
			owner->ports = port;
		} else {
			status = HV_STATUS_INSUFFICIENT_MEMORY;
		}
	}
	hv_host_unlock(&hv->lock);
	return status;
}

static uint16_t connect_locked(struct hv_partition *sender, struct hv_partition *port_owner,
			       const struct hv_input_connect_port *in)
{
	struct hv_connection *c;
	struct hv_port *port;

	if (sender->state != PARTITION_ACTIVE) {
		return HV_STATUS_INVALID_PARTITION_STATE;
	}
	if (in->connection_id >> HV_PORT_ID_BITS != 0 ||
	    connection_find(sender, in->connection_id) != NULL) {
		return HV_STATUS_INVALID_CONNECTION_ID;
	}
	port = port_find(port_owner, in->port_id);
	if (port == NULL || port->connection != NULL || port->connection_partition != sender->id) {
		return HV_STATUS_INVALID_PORT_ID;
	}
	if (in->connection_info.port_type != port->info.port_type) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	c = pool_alloc(&sender->pool, sizeof(*c));
	if (c == NULL) {
		return HV_STATUS_INSUFFICIENT_MEMORY;
	}
	*c = (struct hv_connection){.next = sender->connections,
				    .id = in->connection_id,
				    .port = port,
				    .partition = sender};
	sender->connections = c;
	port->connection = c;
	return HV_STATUS_SUCCESS;
}

uint16_t port_connect(struct hv_partition *sender, struct hv_partition *port_owner,
		      const struct hv_input_connect_port *in)
{
	uint16_t status;

	hv_host_lock(&sender->hv->lock);
	status = connect_locked(sender, port_owner, in);
	hv_host_unlock(&sender->hv->lock);
	return status;
}

static void port_remove(struct hv_port *port)
{
	struct hv_partition *owner = port->owner;
	struct hv_port **link = &owner->ports;
	struct hv_vp *vp;

	while (*link != port) {
		link = &(*link)->next;
	}
	*link = port->next;
	if (port->connection != NULL) {
		port->connection->port = NULL;
	}
	if (is_root(owner)) {
		root_purge(owner->hv, port);
	}
	for (uint32_t i = 0; (vp = vp_next(owner, &i)) != NULL;) {
		synic_purge(vp, port);
	}
	buffers_free(port);
	pool_free(&owner->pool, port->root_flags);
	pool_free(&owner->pool, port);
}

static void connection_remove(struct hv_connection *c)
{
	struct hv_connection **link = &c->partition->connections;

	while (*link != c) {
		link = &(*link)->next;
	}
	*link = c->next;
	if (c->port != NULL) {
		c->port->connection = NULL;
	}
	pool_free(&c->partition->pool, c);
}

uint16_t port_delete(struct hv_partition *owner, uint32_t id)
{
	struct hv_port *port;

	hv_host_lock(&owner->hv->lock);
	port = port_find(owner, id);
	if (port != NULL) {
		port_remove(port);
	}
	hv_host_unlock(&owner->hv->lock);
	return port != NULL ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PORT_ID;
}

uint16_t port_disconnect(struct hv_partition *sender, uint32_t id)
{
	struct hv_connection *c;

	hv_host_lock(&sender->hv->lock);
	c = connection_find(sender, id);
	if (c != NULL) {
		connection_remove(c);
	}
	hv_host_unlock(&sender->hv->lock);
	return c != NULL ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_CONNECTION_ID;
}

void port_remove_all(struct hv_partition *p)
{
	while (p->connections != NULL) {
		connection_remove(p->connections);
	}
	while (p->ports != NULL) {
		port_remove(p->ports);
	}
}

/* ---- Sending ---- */

bool port_connection_exists(struct hv_partition *sender, uint32_t connection_id)
{
	bool found;

	hv_host_lock(&sender->hv->lock);
	found = connection_find(sender, connection_id) != NULL;
	hv_host_unlock(&sender->hv->lock);
	return found;
}

bool port_restore_message(struct hv_vp *vp, struct state_reader *r)
{
	struct hv *hv = vp->partition->hv;
	struct hv_message_buffer *b = NULL;
	uint32_t sint = state_get_u32(r), id = state_get_u32(r);
	struct hv_message message;
	struct hv_port *port;

	state_get_bytes(r, &message, sizeof(message));
	if (r->bad || sint >= HV_SYNIC_SINT_COUNT ||
	    message.payload_size > HV_MESSAGE_PAYLOAD_BYTE_COUNT) {
		return false;
	}
	hv_host_lock(&hv->lock);
	port = port_find(vp->partition, id);
	if (port != NULL && port->info.port_type == HvPortTypeMessage) {
		b = buffer_take(port);
	}
	if (b != NULL) {
		b->message = message;
		synic_enqueue(vp, sint, b);
	}
	hv_host_unlock(&hv->lock);
	return b != NULL;
}

/* hv->lock held. The port behind the connection, if it takes what is sent. */
static uint16_t find_target(struct hv_partition *sender, uint32_t connection_id, uint32_t type,
			    struct hv_port **ret)
{
	struct hv_connection *c = connection_find(sender, connection_id);

	if (c == NULL) {
		return HV_STATUS_INVALID_CONNECTION_ID;
	}
	if (c->port == NULL || c->port->info.port_type != type ||
	    c->port->owner->state != PARTITION_ACTIVE) {
		return HV_STATUS_INVALID_PORT_ID;
	}
	*ret = c->port;
	return HV_STATUS_SUCCESS;
}

/* The VP that a message port leads to now. */
static uint16_t message_vp(struct hv_port *port, struct hv_vp **ret)
{
	struct hv_vp *vp;

	if (port->info.target_vp != HV_ANY_VP) {
		*ret = vp_find(port->owner, port->info.target_vp);
		return *ret == NULL ? HV_STATUS_INVALID_VP_INDEX
				    : synic_message_state(*ret, port->info.target_sint);
	}
	for (uint32_t i = 0; (vp = vp_next(port->owner, &i)) != NULL;) {
		if (synic_message_state(vp, port->info.target_sint) == HV_STATUS_SUCCESS) {
			*ret = vp;
			return HV_STATUS_SUCCESS;
		}
	}
	return HV_STATUS_INVALID_SYNIC_STATE;
}

static uint16_t post_to(struct hv_port *port, const struct hv_message *message)
{
	struct hv_message_buffer *b;
	struct hv_vp *vp = NULL;
	uint16_t status;

	if (!is_root(port->owner)) {
		status = message_vp(port, &vp);
		if (status != HV_STATUS_SUCCESS) {
			return status;
		}
	}
	b = buffer_take(port);
	if (b == NULL) {
		return HV_STATUS_INSUFFICIENT_BUFFERS;
	}
	b->message = *message;
	if (vp != NULL) {
		synic_enqueue(vp, port->info.target_sint, b);
	} else {
		root_enqueue(port->owner->hv, b);
	}
	return HV_STATUS_SUCCESS;
}

uint16_t port_post_message(struct hv_partition *sender, uint32_t connection_id, uint32_t type,
			   const uint8_t *payload, uint32_t payload_bytes)
{
	struct hv *hv = sender->hv;
	struct hv_message message = {.type = type};
	struct hv_port *port = NULL;
	bool to_root = false;
	uint16_t status;

	if (type == HvMessageTypeNone || (type & HV_MESSAGE_TYPE_HYPERVISOR_MASK) ||
	    payload_bytes > HV_MESSAGE_PAYLOAD_BYTE_COUNT) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	message.payload_size = (uint8_t)payload_bytes;
	__builtin_memcpy(message.payload, payload, payload_bytes);
	hv_host_lock(&hv->lock);
	status = find_target(sender, connection_id, HvPortTypeMessage, &port);
	if (status == HV_STATUS_SUCCESS) {
		message.origin = port->id;
		to_root = is_root(port->owner);
		status = post_to(port, &message);
	}
	hv_host_unlock(&hv->lock);
	if (to_root && status == HV_STATUS_SUCCESS) {
		hv_host_root_message(hv->root_cookie);
	}
	return status;
}

static uint16_t signal_vps(struct hv_port *port, unsigned flag)
{
	const struct hv_port_info *info = &port->info;
	struct hv_vp *vp;
	bool newly;

	if (info->target_vp != HV_ANY_VP) {
		vp = vp_find(port->owner, info->target_vp);
		return vp == NULL ? HV_STATUS_INVALID_VP_INDEX
				  : synic_signal(vp, info->target_sint, flag, &newly);
	}
	for (uint32_t i = 0; (vp = vp_next(port->owner, &i)) != NULL;) {
		if (synic_signal(vp, info->target_sint, flag, &newly) == HV_STATUS_SUCCESS) {
			return HV_STATUS_SUCCESS;
		}
	}
	return HV_STATUS_INVALID_SYNIC_STATE;
}

uint16_t port_signal_event(struct hv_partition *sender, uint32_t connection_id, uint16_t flag)
{
	struct hv *hv = sender->hv;
	struct hv_port *port = NULL;
	bool to_root = false;
	uint16_t status;

	hv_host_lock(&hv->lock);
	status = find_target(sender, connection_id, HvPortTypeEvent, &port);
	if (status == HV_STATUS_SUCCESS && flag >= port->info.flag_count) {
		status = HV_STATUS_INVALID_PARAMETER;
	}
	if (status == HV_STATUS_SUCCESS) {
		to_root = is_root(port->owner);
		if (to_root) {
			__atomic_fetch_or(&port->root_flags[flag / 32], BIT32(flag % 32),
					  __ATOMIC_SEQ_CST);
		} else {
			status = signal_vps(port, port->info.base_flag_number + (unsigned)flag);
		}
	}
	hv_host_unlock(&hv->lock);
	if (to_root && status == HV_STATUS_SUCCESS) {
		hv_host_root_event(hv->root_cookie);
	}
	return status;
}
