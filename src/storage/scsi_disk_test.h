/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of disks: a unit on memory. */
#ifndef STORAGE_SCSI_DISK_TEST_H
#define STORAGE_SCSI_DISK_TEST_H

#include "scsi_disk.h"

#include <errno.h>

#include "scsi_testing.h"

#define BLOCKS 2048u
#define NONE SCSI_DATA_NONE
#define IN SCSI_DATA_IN
#define OUT SCSI_DATA_OUT

static const struct guid disk_id =
	GUID(0x01020304, 0x0506, 0x4708, 0x89, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10);

struct world {
	struct io_context c;
	struct block_device *b;
	struct scsi_unit *u;
};

static inline unsigned list_luns(void *ctx, uint16_t *luns, unsigned max)
{
	luns[0] = 0;
	luns[1] = 7;
	luns[2] = 0x123;
	return 3;
}

static inline void world_init(struct world *w, uint32_t block_bytes, bool read_only)
{
	const struct scsi_unit_config config = {.luns = {.list = list_luns},
						.max_transfer_bytes = 1 << 20};

	io_context_init(&w->c, NULL);
	w->b = testing_disk(&w->c, (uint64_t)BLOCKS * block_bytes, block_bytes, read_only);
	w->b->info.id = disk_id;
	CHECK(scsi_disk_create(w->b, &config, &w->u) == 0);
}

static inline void world_fini(struct world *w)
{
	CHECK(scsi_unit_block(w->u) == w->b);
	scsi_unit_destroy(w->u);
	block_destroy(w->b);
}

#endif
