// SPDX-License-Identifier: Apache-2.0
/* Messages and events between partitions. Spec: TLFS 11.10. */
#include "hypercall.h"

/* The parent asked to see calls to connections that the hypervisor does not know. */
static bool is_parents(struct hv_call *c, uint32_t connection_id)
{
	return c->vp != NULL && c->caller->intercepts.unknown_connection &&
	       !port_connection_exists(c->caller, connection_id);
}

uint16_t call_post_message(struct hv_call *c)
{
	const struct hv_input_post_message *in = (const void *)c->input;

	if (is_parents(c, in->connection_id)) {
		c->intercept = true;
		return HV_STATUS_SUCCESS;
	}
	return port_post_message(c->caller, in->connection_id, in->message_type, in->payload,
				 in->payload_size);
}

uint16_t call_signal_event(struct hv_call *c)
{
	const struct hv_input_signal_event *in = (const void *)c->input;

	if (is_parents(c, in->connection_id)) {
		c->intercept = true;
		return HV_STATUS_SUCCESS;
	}
	return port_signal_event(c->caller, in->connection_id, in->flag_number);
}

uint16_t call_create_port(struct hv_call *c)
{
	const struct hv_input_create_port *in = (const void *)c->input;
	struct hv_partition *owner = call_partition(c, in->port_partition);
	struct hv_input_create_port args = *in;

	if (owner == NULL) {
		return HV_STATUS_INVALID_PARTITION_ID;
	}
	if (args.connection_partition == HV_PARTITION_ID_SELF) {
		args.connection_partition = c->caller->id;
	}
	return port_create(owner, &args);
}

uint16_t call_delete_port(struct hv_call *c)
{
	const struct hv_input_port *in = (const void *)c->input;
	struct hv_partition *owner = call_partition(c, in->partition_id);

	return owner == NULL ? HV_STATUS_INVALID_PARTITION_ID : port_delete(owner, in->id);
}

uint16_t call_connect_port(struct hv_call *c)
{
	const struct hv_input_connect_port *in = (const void *)c->input;
	struct hv_partition *sender = call_partition(c, in->connection_partition);
	struct hv_partition *owner = call_partition(c, in->port_partition);

	if (sender == NULL || owner == NULL) {
		return HV_STATUS_INVALID_PARTITION_ID;
	}
	return port_connect(sender, owner, in);
}

uint16_t call_disconnect_port(struct hv_call *c)
{
	const struct hv_input_port *in = (const void *)c->input;
	struct hv_partition *sender = call_partition(c, in->partition_id);

	return sender == NULL ? HV_STATUS_INVALID_PARTITION_ID : port_disconnect(sender, in->id);
}

static uint16_t direct_target(struct hv_call *c, uint64_t partition_id, uint32_t vp_index,
			      unsigned sint, struct hv_vp **ret)
{
	struct hv_partition *p = call_partition(c, partition_id);

	if (p == NULL) {
		return HV_STATUS_INVALID_PARTITION_ID;
	}
	*ret = vp_find(p, vp_index);
	if (*ret == NULL) {
		return HV_STATUS_INVALID_VP_INDEX;
	}
	return sint < HV_SYNIC_SINT_COUNT ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARAMETER;
}

uint16_t call_signal_event_direct(struct hv_call *c)
{
	const struct hv_input_signal_event_direct *in = (const void *)c->input;
	struct hv_vp *vp = NULL;
	bool newly = false;
	uint16_t status = direct_target(c, in->partition_id, in->vp_index, in->sint, &vp);

	if (status == HV_STATUS_SUCCESS && in->flag_number >= HV_EVENT_FLAGS_COUNT) {
		status = HV_STATUS_INVALID_PARAMETER;
	}
	if (status == HV_STATUS_SUCCESS) {
		status = synic_signal(vp, in->sint, in->flag_number, &newly);
	}
	if (status == HV_STATUS_SUCCESS) {
		__builtin_memset(c->output, 0, 8);
		c->output[0] = newly;
	}
	return status;
}

uint16_t call_post_message_direct(struct hv_call *c)
{
	const struct hv_input_post_message_direct *in = (const void *)c->input;
	struct hv_message message;
	struct hv_vp *vp = NULL;
	uint16_t status = direct_target(c, in->partition_id, in->vp_index, in->sint, &vp);

	if (status != HV_STATUS_SUCCESS) {
		return status;
	}
	__builtin_memcpy(&message, in->message, sizeof(message));
	if (message.type == HvMessageTypeNone ||
	    message.payload_size > HV_MESSAGE_PAYLOAD_BYTE_COUNT) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	return synic_post_direct(vp, in->sint, &message);
}
