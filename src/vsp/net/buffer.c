// SPDX-License-Identifier: Apache-2.0
/* The guest's receive and send buffers: how they are divided, and how they are taken back. */
#include "adapter.h"

static uint32_t suballoc_bytes(const struct net_settings *s)
{
	return (uint32_t)max_u64(NET_SUBALLOC_BYTES_MIN,
				 align_up(s->mtu + NET_ETHERNET_BYTES + 4 + NET_HEADER_BYTES, 64));
}

static bool add_receive_buffer(struct vsp_net *n, const struct nvsp_buffer *b)
{
	uint32_t bytes = suballoc_bytes(&n->settings);
	uint32_t count = (uint32_t)(vmbus_gpadl_bytes(n->queues[0].vmbus, b->gpadl) / bytes);
	struct net_settings *s;

	if (n->settings.receive || count == 0 || !net_pool_create(n, count)) {
		return false;
	}
	s = net_settings_change(n);
	s->receive = true;
	s->receive_gpadl = b->gpadl;
	s->receive_id = b->id;
	s->suballoc_bytes = bytes;
	s->suballocs = count;
	net_settings_changed(n);
	return true;
}

void net_buffer_receive(struct net_queue *q, const struct nvsp_message *m)
{
	const struct net_settings *s = &q->net->settings;

	if (add_receive_buffer(q->net, &m->buffer)) {
		q->answer.receive_complete = (struct nvsp_receive_complete){
			.status = NVSP_STAT_SUCCESS,
			.sections = 1,
			.suballoc_bytes = s->suballoc_bytes,
			.suballocs = s->suballocs,
			.end_offset = s->suballoc_bytes * s->suballocs,
		};
	} else {
		net_report(q->net, VIOLATION_NVSP,
			   "receive buffer of GPADL 0x%x with %zu bytes: expected one buffer of at "
			   "least %u",
			   m->buffer.gpadl, vmbus_gpadl_bytes(q->vmbus, m->buffer.gpadl),
			   suballoc_bytes(s));
		q->answer.receive_complete.status = NVSP_STAT_FAIL;
	}
	net_queue_answer(q, NVSP_MSG1_TYPE_SEND_RECV_BUF_COMPLETE, NVSP_MESSAGE_BYTES);
}

void net_buffer_send(struct net_queue *q, const struct nvsp_message *m)
{
	struct vsp_net *n = q->net;
	size_t sections = vmbus_gpadl_bytes(q->vmbus, m->buffer.gpadl) / NET_SEND_SECTION_BYTES;

	q->answer.send_complete.section_bytes = NET_SEND_SECTION_BYTES;
	if (!n->settings.send && sections != 0) {
		struct net_settings *s = net_settings_change(n);

		s->send = true;
		s->send_gpadl = m->buffer.gpadl;
		s->send_id = m->buffer.id;
		s->sections = (uint32_t)sections;
		net_settings_changed(n);
		q->answer.send_complete.status = NVSP_STAT_SUCCESS;
	} else {
		net_report(
			n, VIOLATION_NVSP,
			"send buffer of GPADL 0x%x with %zu sections: expected one buffer with at "
			"least a section of %u",
			m->buffer.gpadl, sections, NET_SEND_SECTION_BYTES);
		q->answer.send_complete.status = NVSP_STAT_FAIL;
	}
	net_queue_answer(q, NVSP_MSG1_TYPE_SEND_SEND_BUF_COMPLETE, NVSP_MESSAGE_BYTES);
}

/* Which buffer it is about comes with the message: SETTLING looks at it again. */
void net_buffer_revoke(struct net_queue *q, const struct nvsp_message *m)
{
	struct vsp_net *n = q->net;
	bool receive = m->type == NVSP_MSG1_TYPE_REVOKE_RECV_BUF;
	struct net_settings *s = &n->settings;

	if (receive ? !s->receive || s->receive_id != m->revoke.id
		    : !s->send || s->send_id != m->revoke.id) {
		net_report(n, VIOLATION_NVSP, "the %s buffer 0x%x is revoked, which is not there",
			   receive ? "receive" : "send", m->revoke.id);
		net_queue_answer(q, 0, 0);
		return;
	}
	s = net_settings_change(n);
	if (receive) {
		s->receive = false;
	} else {
		s->send = false;
	}
	net_settings_changed(n);
	q->work = NET_SETTLING;
}

void net_buffer_settle(struct net_queue *q)
{
	struct vsp_net *n = q->net;

	if (!net_settled(n, __atomic_load_n(&n->generation, __ATOMIC_SEQ_CST))) {
		return;
	}
	if (!n->settings.receive) {
		net_pool_destroy(n);
	}
	net_queue_answer(q, 0, 0);
}
