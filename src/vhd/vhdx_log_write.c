// SPDX-License-Identifier: Apache-2.0
/* The log entry of one commit cycle. Spec: MS-VHDX 2.3.1. */
#include <string.h>

#include "lib/crc32c.h"
#include "vhdx.h"

static uint8_t *page_in_buffer(const struct vhdx_commit *c, unsigned i)
{
	return c->buffer + vhdx_log_head_bytes(c->page_count) + (size_t)i * VHDX_PAGE;
}

static struct vhdx_log_desc *desc_in_buffer(const struct vhdx_commit *c, unsigned i)
{
	return (struct vhdx_log_desc *)(void *)(c->buffer + sizeof(struct vhdx_log_header)) + i;
}

/* The page gives its ends to the descriptor, and gets the signature and sequence number there. */
static void build_page(const struct vhdx_commit *c, unsigned i, uint64_t sequence)
{
	uint8_t *page = page_in_buffer(c, i);
	struct vhdx_log_data *data = (void *)page;
	struct vhdx_log_desc *d = desc_in_buffer(c, i);

	*d = (struct vhdx_log_desc){
		.signature = VHDX_LOG_DESC_SIGNATURE,
		.trailing = load_le32(page + VHDX_PAGE - 4),
		.leading = load_le64(page),
		.offset = c->pages[i]->offset,
		.sequence = sequence,
	};
	data->signature = VHDX_LOG_DATA_SIGNATURE;
	data->sequence_high = (uint32_t)(sequence >> 32);
	data->sequence_low = (uint32_t)sequence;
}

void vhdx_log_build(struct vhdx *v)
{
	const struct vhdx_commit *c = &v->commit;
	struct vhdx_log *l = &v->log;
	uint64_t head_bytes = vhdx_log_head_bytes(c->page_count);
	struct vhdx_log_header *h = (void *)c->buffer;

	l->entry = l->head;
	l->entry_bytes = (uint32_t)(head_bytes + (uint64_t)c->page_count * VHDX_PAGE);
	memset(c->buffer, 0, head_bytes);
	*h = (struct vhdx_log_header){
		.signature = VHDX_LOG_SIGNATURE,
		.bytes = l->entry_bytes,
		.tail = l->tail,
		.sequence = l->sequence,
		.descriptors = c->page_count,
		.log = l->guid,
		.flushed_file_offset = v->space.durable_bytes,
		.last_file_offset = v->space.end,
	};
	for (unsigned i = 0; i < c->page_count; i++) {
		build_page(c, i, l->sequence);
	}
	h->checksum = crc32c_with(v->crc_instruction, 0, c->buffer, l->entry_bytes);
	l->sequence++;
	l->head = (uint32_t)((l->head + (uint64_t)l->entry_bytes) % v->header.log_bytes);
}

void vhdx_log_restore(struct vhdx *v)
{
	const struct vhdx_commit *c = &v->commit;

	for (unsigned i = 0; i < c->page_count; i++) {
		const struct vhdx_log_desc *d = desc_in_buffer(c, i);

		store_le64(page_in_buffer(c, i), d->leading);
		store_le32(page_in_buffer(c, i) + VHDX_PAGE - 4, d->trailing);
	}
}
