/* SPDX-License-Identifier: Apache-2.0 */
/* The search for what has to be replayed: vhdx_log_find.c finds it, vhdx_log.c replays it. */
#ifndef VHD_VHDX_LOG_SEARCH_H
#define VHD_VHDX_LOG_SEARCH_H

#include "format.h"
#include "vhdx_log.h"

#define VHDX_LOG_CHUNK (256 * 1024u)
#define VHDX_LOG_NO_ENTRY UINT32_MAX

struct vhdx_log_search {
	struct storage_file *f;
	struct vhdx_extent log;
	struct guid guid;
	bool crc_instruction;
	uint32_t pages;
	/* A hostile log must not keep us forever: bytes that may still be summed up, entries that may still be walked over. */
	uint64_t crc_left, steps_left;
	struct vhdx_log_entry *entries; /* by page number; bytes 0: none begins here */
	uint8_t *chunk;			/* a piece of the log that was read last */
	uint64_t chunk_at;		/* offset in the log; UINT64_MAX: none */
	int error;
};

/* The page of the log at @at (wraps). NULL: s->error. */
const uint8_t *vhdx_log_page(struct vhdx_log_search *s, uint64_t at);
/* The descriptor fits its entry, of number @sequence. Also counts the pages behind the descriptors. */
bool vhdx_log_desc_valid(const struct vhdx_log_search *s, const struct vhdx_log_desc *d,
			 uint64_t sequence, uint64_t *data_pages);
/* Fills s->entries; or s->error. */
void vhdx_log_find_entries(struct vhdx_log_search *s);
/* The entry that follows the one at page @i in its sequence, or VHDX_LOG_NO_ENTRY. */
uint32_t vhdx_log_successor(const struct vhdx_log_search *s, uint32_t i);
/*
 * The last entry of the active sequence: of all entries that end a sequence, the one with the greatest sequence number; a sequence is what lies
 * between an entry's tail and itself without a gap. VHDX_LOG_NO_ENTRY: there is none.
 */
uint32_t vhdx_log_find_head(struct vhdx_log_search *s);

#endif
