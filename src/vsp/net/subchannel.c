// SPDX-License-Identifier: Apache-2.0
/* Subchannels: as many as the bus offered, never more; and which of them the guest shall send by. */
#include "adapter.h"

#include "lib/check.h"

void net_subchannels_refuse(struct net_queue *q)
{
	q->answer.subchannel = (struct nvsp_subchannel){.operation = NVSP_STAT_FAIL};
	net_queue_answer(q, NVSP_MSG5_TYPE_SUBCHANNEL, NVSP_MESSAGE_BYTES);
}

void net_subchannels(struct net_queue *q, const struct nvsp_message *m)
{
	struct vsp_net *n = q->net;
	uint32_t count = (uint32_t)min_u64(m->subchannel.count, n->config.queues_max - 1);

	if (m->subchannel.operation != NVSP_SUBCHANNEL_ALLOCATE || n->settings.subchannels != 0) {
		net_report(n, VIOLATION_NVSP,
			   "subchannels: operation %u with %u of them there, expected %u with none",
			   m->subchannel.operation, n->settings.subchannels,
			   NVSP_SUBCHANNEL_ALLOCATE);
		net_subchannels_refuse(q);
		return;
	}
	if (count == 0) {
		q->answer.subchannel.operation = NVSP_STAT_SUCCESS;
		net_queue_answer(q, NVSP_MSG5_TYPE_SUBCHANNEL, NVSP_MESSAGE_BYTES);
		return;
	}
	n->creating = true;
	n->creating_count = count;
	q->work = NET_CREATING;
	net_mailbox_create(n, count);
}

/* The channel may have been closed meanwhile: then nobody waits. */
void net_subchannels_created(struct vsp_net *n, int result)
{
	struct net_queue *q = &n->queues[0];

	CHECK(n->creating);
	n->creating = false;
	if (q->work != NET_CREATING) {
		return;
	}
	if (result != 0) {
		net_subchannels_refuse(q);
		return;
	}
	net_settings_change(n)->subchannels = n->creating_count;
	net_settings_changed(n);
	n->table_due = true;
	q->answer.subchannel = (struct nvsp_subchannel){
		.operation = NVSP_STAT_SUCCESS,
		.count = n->creating_count,
	};
	net_queue_answer(q, NVSP_MSG5_TYPE_SUBCHANNEL, NVSP_MESSAGE_BYTES);
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
void net_subchannels_serve(struct net_queue *q)
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
