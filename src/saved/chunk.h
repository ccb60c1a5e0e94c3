/* SPDX-License-Identifier: Apache-2.0 */
/* One chunk of memory: what it holds, packed and unpacked. Nothing here allocates after the contexts were made. */
#ifndef SAVED_CHUNK_H
#define SAVED_CHUNK_H

#include <zstd.h>

#include "format.h"

struct chunk_packer {
	ZSTD_CCtx *zstd;
	bool crc_instruction;
};

/* -ENOMEM. Packs once, so that all memory that it will ever need is there. */
int chunk_packer_init(struct chunk_packer *p);
void chunk_packer_fini(struct chunk_packer *p);
/* Packs @bytes (1..SAVED_CHUNK_BYTES, a multiple of 8) into @ret (SAVED_CHUNK_BYTES); all of @ret_entry but `where` of what goes into the file. */
void chunk_pack(struct chunk_packer *p, const void *memory, size_t bytes, uint8_t *ret,
		struct saved_entry *ret_entry);

struct chunk_unpacker {
	ZSTD_DCtx *zstd;
	bool crc_instruction;
};

int chunk_unpacker_init(struct chunk_unpacker *u);
void chunk_unpacker_fini(struct chunk_unpacker *u);
/*
 * Unpacks the checked entry's @packed bytes to exactly @bytes at @ret, which is zeroed memory. False: damaged; @ret holds anything.
 */
bool chunk_unpack(struct chunk_unpacker *u, const struct saved_entry *e, const uint8_t *packed,
		  size_t bytes, void *ret);

#endif
