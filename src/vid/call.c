// SPDX-License-Identifier: Apache-2.0
/*
 * Root hypercalls. The hypervisor's own memory, the root's pool and the child's pool are all chunks of the caller's pages, deposited whenever a call
 * answers HV_STATUS_INSUFFICIENT_MEMORY.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/bits.h"
#include "partition.h"

#define DEPOSIT_PAGES 16u

_Static_assert(DEPOSIT_PAGES <= (HV_PAGE_SIZE - 8) / 8, "a deposit is one call");

static int deposit(struct vid_partition *p, uint64_t partition_id)
{
	union call_page *in;
	struct chunk *chunk = calloc(1, sizeof(*chunk));
	uint64_t result;

	if (chunk == NULL) {
		return -ENOMEM;
	}
	in = aligned_alloc(sizeof(*in), sizeof(*in));
	chunk->count = DEPOSIT_PAGES;
	chunk->pages = p->config.pool.pages_alloc(p->config.pool.ctx, chunk->count);
	if (in == NULL || chunk->pages == NULL) {
		free(in);
		if (chunk->pages != NULL) {
			p->config.pool.pages_free(p->config.pool.ctx, chunk->pages, chunk->count);
		}
		free(chunk);
		return -ENOMEM;
	}
	in->words[0] = partition_id;
	for (size_t i = 0; i < chunk->count; i++) {
		in->words[1 + i] = hv_host_spn((uint8_t *)chunk->pages + i * HV_PAGE_SIZE);
	}
	hv_host_lock(&p->chunks_lock);
	chunk->next = p->chunks;
	p->chunks = chunk;
	hv_host_unlock(&p->chunks_lock);
	result = hv_root_hypercall(p->hv, hv_hypercall_control(HvCallDepositMemory, DEPOSIT_PAGES),
				   in, NULL);
	free(in);
	return vid_status(result);
}

int vid_call(struct vid_partition *p, uint16_t code, uint16_t count, const void *in, void *out)
{
	uint64_t control = hv_hypercall_control(code, count);

	for (;;) {
		uint64_t result = hv_root_hypercall(p->hv, control, in, out);
		uint64_t done =
			bits_get(result, HV_HYPERCALL_REP_COUNT_SHIFT, HV_HYPERCALL_REP_BITS);
		uint16_t status = vid_status(result);

		if (status != HV_STATUS_INSUFFICIENT_MEMORY) {
			return status;
		}
		int r = deposit(p, p->id != 0 && code != HvCallCreatePartition
					   ? p->id
					   : HV_PARTITION_ID_SELF);

		if (r != 0) {
			return r;
		}
		if (count != 0) {
			control = hv_hypercall_control(code, count) |
				  done << HV_HYPERCALL_REP_START_SHIFT;
		}
	}
}

int vid_set_property(struct vid_partition *p, uint32_t code, uint64_t value)
{
	const struct hv_input_partition_property in = {
		.partition_id = p->id,
		.property_code = code,
		.value = value,
	};

	return vid_call(p, HvCallSetPartitionProperty, 0, &in, NULL);
}
