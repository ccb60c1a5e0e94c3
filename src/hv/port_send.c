// SPDX-License-Identifier: Apache-2.0
/* Messages and events on their way from a sender's connection to a VP of the port's owner, or to the root. Spec: TLFS 11.10. */
#include "port.h"

bool port_connection_exists(struct hv_partition *sender, uint32_t connection_id)
{
	bool found;

	hv_host_lock(&sender->hv->lock);
	found = port_connection_find(sender, connection_id) != NULL;
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
		b = port_buffer_take(port);
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
	struct hv_connection *c = port_connection_find(sender, connection_id);

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

	if (!partition_is_root(port->owner)) {
		status = message_vp(port, &vp);
		if (status != HV_STATUS_SUCCESS) {
			return status;
		}
	}
	b = port_buffer_take(port);
	if (b == NULL) {
		return HV_STATUS_INSUFFICIENT_BUFFERS;
	}
	b->message = *message;
	if (vp != NULL) {
		synic_enqueue(vp, port->info.target_sint, b);
	} else {
		port_root_enqueue(port->owner->hv, b);
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
		to_root = partition_is_root(port->owner);
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
		to_root = partition_is_root(port->owner);
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
