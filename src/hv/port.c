// SPDX-License-Identifier: Apache-2.0
/*
 * Ports and connections: where HvPostMessage and HvSignalEvent lead. A port belongs to the receiver, a connection to the sender;
 * both lists and their links are guarded by hv->lock. Spec: TLFS 11.7, 11.10.
 */
#include "port.h"

struct hv_port *port_find(struct hv_partition *p, uint32_t id)
{
	struct hv_port *port = p->ports;

	while (port != NULL && port->id != id) {
		port = port->next;
	}
	return port;
}

struct hv_connection *port_connection_find(struct hv_partition *p, uint32_t id)
{
	struct hv_connection *c = p->connections;

	while (c != NULL && c->id != id) {
		c = c->next;
	}
	return c;
}

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
	if (!partition_is_root(owner) && info->target_vp != HV_ANY_VP &&
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
		if (port_buffers_alloc(port)) {
			return port;
		}
	} else {
		port->root_flags = partition_is_root(owner)
					   ? pool_alloc(&owner->pool, port_flag_words(port) * 4)
					   : NULL;
		if (!partition_is_root(owner) || port->root_flags != NULL) {
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
	    port_connection_find(sender, in->connection_id) != NULL) {
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
	if (partition_is_root(owner)) {
		port_root_purge(owner->hv, port);
	}
	for (uint32_t i = 0; (vp = vp_next(owner, &i)) != NULL;) {
		synic_purge(vp, port);
	}
	port_buffers_free(port);
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
	c = port_connection_find(sender, id);
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
