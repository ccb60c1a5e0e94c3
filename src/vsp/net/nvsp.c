// SPDX-License-Identifier: Apache-2.0
/*
 * NVSP: which version, the guest's buffers, subchannels. Each message has its place and its least size; what comes at the wrong place is counted
 * and, if the guest waits, answered with a failure.
 */
#include "adapter.h"

#include <string.h>

#include "lib/check.h"

static const uint32_t versions[] = {
	NVSP_PROTOCOL_VERSION_1, NVSP_PROTOCOL_VERSION_2, NVSP_PROTOCOL_VERSION_4,
	NVSP_PROTOCOL_VERSION_5, NVSP_PROTOCOL_VERSION_6, NVSP_PROTOCOL_VERSION_61,
};

bool net_nvsp_version_known(uint32_t version)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		if (versions[i] == version) {
			return true;
		}
	}
	return false;
}

static void answer(struct net_queue *q, enum nvsp_message_type type)
{
	net_queue_answer(q, (uint32_t)type, NVSP_MESSAGE_BYTES);
}

/* ---- Version ---- */

/* The newest of the guest's range. 0: none. */
static uint32_t choose(const struct nvsp_init *init)
{
	uint32_t version = 0;

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		if (versions[i] >= init->min_version && versions[i] <= init->max_version) {
			version = versions[i];
		}
	}
	return version;
}

static enum nvsp_status refusal(const struct nvsp_init *init)
{
	if (init->min_version > versions[ARRAY_LEN(versions) - 1]) {
		return NVSP_STAT_PROTOCOL_TOO_NEW;
	}
	return init->max_version < versions[0] ? NVSP_STAT_PROTOCOL_TOO_OLD
					       : NVSP_STAT_PROTOCOL_UNSUPPORTED;
}

static void init(struct net_queue *q, const struct nvsp_message *m)
{
	uint32_t version = choose(&m->init);

	q->answer.init_complete = (struct nvsp_init_complete){
		.version = version != 0 ? version : versions[ARRAY_LEN(versions) - 1],
		.max_mdl_chain = 34,
		.status = version != 0 ? NVSP_STAT_SUCCESS : refusal(&m->init),
	};
	if (version != 0) {
		net_settings_change(q->net)->version = version;
		net_settings_changed(q->net);
	}
	answer(q, NVSP_MSG_TYPE_INIT_COMPLETE);
}

static void ndis_version(struct net_queue *q, const struct nvsp_message *m)
{
	net_settings_change(q->net)->ndis =
		m->ndis_version.major << 16 | (m->ndis_version.minor & 0xffff);
	net_settings_changed(q->net);
	net_queue_answer(q, 0, 0);
}

/* The guest names its MTU with the Ethernet header; it asks for what it got with OID_GEN_MAXIMUM_FRAME_SIZE. */
static void ndis_config(struct net_queue *q, const struct nvsp_message *m)
{
	struct nvsp_ndis_config config;
	struct net_settings *s;
	uint64_t mtu;

	memcpy(&config, m->ndis_config, sizeof(config));
	mtu = config.mtu > NET_ETHERNET_BYTES ? config.mtu - NET_ETHERNET_BYTES : 0;
	s = net_settings_change(q->net);
	s->mtu = (uint32_t)min_u64(max_u64(mtu, NET_MTU_MIN), q->net->config.mtu_max);
	s->capabilities = config.capabilities;
	net_settings_changed(q->net);
	net_queue_answer(q, 0, 0);
}

/* ---- Buffers ---- */

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

static void receive_buffer(struct net_queue *q, const struct nvsp_message *m)
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
	answer(q, NVSP_MSG1_TYPE_SEND_RECV_BUF_COMPLETE);
}

static void send_buffer(struct net_queue *q, const struct nvsp_message *m)
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
	answer(q, NVSP_MSG1_TYPE_SEND_SEND_BUF_COMPLETE);
}

/* Which buffer it is about comes with the message: SETTLING looks at it again. */
static void revoke(struct net_queue *q, const struct nvsp_message *m)
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

void net_nvsp_settle(struct net_queue *q)
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

/* ---- The rest ---- */

/* Linux waits for a completion without payload. No VF is offered, so there is only one path to switch to. */
static void switch_data_path(struct net_queue *q, const struct nvsp_message *m)
{
	net_queue_answer(q, 0, 0);
}

static void refuse_subchannels(struct net_queue *q)
{
	q->answer.subchannel = (struct nvsp_subchannel){.operation = NVSP_STAT_FAIL};
	answer(q, NVSP_MSG5_TYPE_SUBCHANNEL);
}

static void subchannels(struct net_queue *q, const struct nvsp_message *m)
{
	struct vsp_net *n = q->net;
	uint32_t count = (uint32_t)min_u64(m->subchannel.count, n->config.queues_max - 1);

	if (m->subchannel.operation != NVSP_SUBCHANNEL_ALLOCATE || n->settings.subchannels != 0) {
		net_report(n, VIOLATION_NVSP,
			   "subchannels: operation %u with %u of them there, expected %u with none",
			   m->subchannel.operation, n->settings.subchannels,
			   NVSP_SUBCHANNEL_ALLOCATE);
		refuse_subchannels(q);
		return;
	}
	if (count == 0) {
		q->answer.subchannel.operation = NVSP_STAT_SUCCESS;
		answer(q, NVSP_MSG5_TYPE_SUBCHANNEL);
		return;
	}
	n->creating = true;
	n->creating_count = count;
	q->work = NET_CREATING;
	net_mailbox_create(n, count);
}

/* The channel may have been closed meanwhile: then nobody waits. */
void net_nvsp_created(struct vsp_net *n, int result)
{
	struct net_queue *q = &n->queues[0];

	CHECK(n->creating);
	n->creating = false;
	if (q->work != NET_CREATING) {
		return;
	}
	if (result != 0) {
		refuse_subchannels(q);
		return;
	}
	net_settings_change(n)->subchannels = n->creating_count;
	net_settings_changed(n);
	n->table_due = true;
	q->answer.subchannel = (struct nvsp_subchannel){
		.operation = NVSP_STAT_SUCCESS,
		.count = n->creating_count,
	};
	answer(q, NVSP_MSG5_TYPE_SUBCHANNEL);
}

/* Packet Direct is not offered. */
static void pd_api(struct net_queue *q, const struct nvsp_message *m)
{
	q->answer.pd_api = (struct nvsp_pd_api){.operation = m->pd_api.operation,
						.status = NVSP_STAT_PROTOCOL_UNSUPPORTED};
	answer(q, NVSP_MSG6_TYPE_PD_API);
}

static void rndis(struct net_queue *q, const struct nvsp_message *m)
{
	q->at = 0;
	q->work = NET_SENDING;
}

static bool all_open(const struct vsp_net *n)
{
	for (unsigned i = 0; i <= n->settings.subchannels; i++) {
		if (net_queue_state(&n->queues[i]) != NET_QUEUE_OPEN) {
			return false;
		}
	}
	return true;
}

/* Interop: Linux before NVSP 6.1 looks for the table right after a message of full size, whatever the offset. */
void net_nvsp_serve(struct net_queue *q)
{
	struct vsp_net *n = q->net;
	const struct nvsp_message m = {
		.type = NVSP_MSG5_TYPE_SEND_INDIRECTION_TABLE,
		.table = {.count = NVSP_TABLE_ENTRIES, .offset = NVSP_MESSAGE_BYTES},
	};
	uint32_t table[NVSP_TABLE_ENTRIES];
	const struct io_vec vec[] = {{(void *)(uintptr_t)&m, sizeof(m)}, {table, sizeof(table)}};

	if (!n->table_due || q->blocked || q->broken || !all_open(n)) {
		return;
	}
	for (uint32_t i = 0; i < NVSP_TABLE_ENTRIES; i++) {
		table[i] = i % (n->settings.subchannels + 1);
	}
	if (net_queue_written(
		    q, vmbus_ring_write(q->vmbus, VMBUS_PACKET_DATA_INBAND, false, 0, vec, 2)) ||
	    !q->blocked) {
		n->table_due = false;
	}
}

/* ---- Which message when ---- */

struct message {
	uint32_t type;
	uint32_t version; /* at least; 0: before one is agreed on */
	uint32_t bytes;	  /* of the payload, at least */
	bool any_queue;
	void (*run)(struct net_queue *q, const struct nvsp_message *m);
};

static const struct message messages[] = {
	{NVSP_MSG1_TYPE_SEND_RNDIS_PKT, NVSP_PROTOCOL_VERSION_1, sizeof(struct nvsp_rndis), true,
	 rndis},
	{NVSP_MSG_TYPE_INIT, 0, sizeof(struct nvsp_init), false, init},
	{NVSP_MSG1_TYPE_SEND_NDIS_VER, NVSP_PROTOCOL_VERSION_1, sizeof(struct nvsp_ndis_version),
	 false, ndis_version},
	{NVSP_MSG1_TYPE_SEND_RECV_BUF, NVSP_PROTOCOL_VERSION_1, 6, false, receive_buffer},
	{NVSP_MSG1_TYPE_REVOKE_RECV_BUF, NVSP_PROTOCOL_VERSION_1, sizeof(struct nvsp_revoke), false,
	 revoke},
	{NVSP_MSG1_TYPE_SEND_SEND_BUF, NVSP_PROTOCOL_VERSION_1, 6, false, send_buffer},
	{NVSP_MSG1_TYPE_REVOKE_SEND_BUF, NVSP_PROTOCOL_VERSION_1, sizeof(struct nvsp_revoke), false,
	 revoke},
	{NVSP_MSG2_TYPE_SEND_NDIS_CONFIG, NVSP_PROTOCOL_VERSION_2, sizeof(struct nvsp_ndis_config),
	 false, ndis_config},
	{NVSP_MSG4_TYPE_SWITCH_DATA_PATH, NVSP_PROTOCOL_VERSION_4, 4, false, switch_data_path},
	{NVSP_MSG5_TYPE_SUBCHANNEL, NVSP_PROTOCOL_VERSION_5, sizeof(struct nvsp_subchannel), false,
	 subchannels},
	{NVSP_MSG6_TYPE_PD_API, NVSP_PROTOCOL_VERSION_6, 4, false, pd_api},
};

static const struct message *find_message(uint32_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
		if (messages[i].type == type) {
			return &messages[i];
		}
	}
	return NULL;
}

/* Who waits for the answer to a message that we cannot carry out gets a failure of its kind. */
static void refuse(struct net_queue *q, uint32_t type)
{
	switch (type) {
	case NVSP_MSG_TYPE_INIT:
		q->answer.init_complete.status = NVSP_STAT_FAIL;
		answer(q, NVSP_MSG_TYPE_INIT_COMPLETE);
		break;
	case NVSP_MSG1_TYPE_SEND_RECV_BUF:
		q->answer.receive_complete.status = NVSP_STAT_FAIL;
		answer(q, NVSP_MSG1_TYPE_SEND_RECV_BUF_COMPLETE);
		break;
	case NVSP_MSG1_TYPE_SEND_SEND_BUF:
		q->answer.send_complete.status = NVSP_STAT_FAIL;
		answer(q, NVSP_MSG1_TYPE_SEND_SEND_BUF_COMPLETE);
		break;
	case NVSP_MSG1_TYPE_SEND_RNDIS_PKT:
		q->answer.status = NVSP_STAT_FAIL;
		answer(q, NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE);
		break;
	case NVSP_MSG5_TYPE_SUBCHANNEL:
		refuse_subchannels(q);
		break;
	default:
		net_queue_answer(q, 0, 0);
		break;
	}
}

/* INIT comes once, before everything else. */
static bool in_order(const struct net_queue *q, const struct message *d)
{
	uint32_t version = q->s.version;

	return (d->version == 0 ? version == 0 : version >= d->version) &&
	       (q->index == 0 || d->any_queue);
}

void net_nvsp(struct net_queue *q)
{
	struct nvsp_message m = {0};
	size_t bytes = min_u64(q->p.bytes, sizeof(m));
	const struct message *d;

	memcpy(&m, q->p.data, bytes);
	d = find_message(m.type);
	q->answer = (struct nvsp_message){0};
	if (bytes < sizeof(m.type) || d == NULL) {
		net_report(q->net, VIOLATION_NVSP,
			   "queue %u: NVSP message %u of %zu bytes is not one of ours", q->index,
			   m.type, q->p.bytes);
		refuse(q, 0);
	} else if (!in_order(q, d)) {
		net_report(q->net, VIOLATION_ORDER,
			   "queue %u: NVSP message %u is out of order (version 0x%x)", q->index,
			   m.type, q->s.version);
		refuse(q, m.type);
	} else if (bytes < sizeof(m.type) + d->bytes) {
		net_report(q->net, VIOLATION_NVSP,
			   "queue %u: NVSP message %u in %zu bytes, expected %zu", q->index, m.type,
			   bytes, sizeof(m.type) + d->bytes);
		refuse(q, m.type);
	} else {
		d->run(q, &m);
	}
}
