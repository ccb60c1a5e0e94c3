// SPDX-License-Identifier: Apache-2.0
/*
 * NVSP: which message when, and which version. Each message has its place and its least size; what comes at the wrong place is counted
 * and, if the guest waits, answered with a failure.
 */
#include "adapter.h"

#include <string.h>

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

/* ---- The rest ---- */

/* Linux waits for a completion without payload. No VF is offered, so there is only one path to switch to. */
static void switch_data_path(struct net_queue *q, const struct nvsp_message *m)
{
	net_queue_answer(q, 0, 0);
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
	{NVSP_MSG1_TYPE_SEND_RECV_BUF, NVSP_PROTOCOL_VERSION_1, 6, false, net_buffer_receive},
	{NVSP_MSG1_TYPE_REVOKE_RECV_BUF, NVSP_PROTOCOL_VERSION_1, sizeof(struct nvsp_revoke), false,
	 net_buffer_revoke},
	{NVSP_MSG1_TYPE_SEND_SEND_BUF, NVSP_PROTOCOL_VERSION_1, 6, false, net_buffer_send},
	{NVSP_MSG1_TYPE_REVOKE_SEND_BUF, NVSP_PROTOCOL_VERSION_1, sizeof(struct nvsp_revoke), false,
	 net_buffer_revoke},
	{NVSP_MSG2_TYPE_SEND_NDIS_CONFIG, NVSP_PROTOCOL_VERSION_2, sizeof(struct nvsp_ndis_config),
	 false, ndis_config},
	{NVSP_MSG4_TYPE_SWITCH_DATA_PATH, NVSP_PROTOCOL_VERSION_4, 4, false, switch_data_path},
	{NVSP_MSG5_TYPE_SUBCHANNEL, NVSP_PROTOCOL_VERSION_5, sizeof(struct nvsp_subchannel), false,
	 net_subchannels},
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
		net_subchannels_refuse(q);
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
