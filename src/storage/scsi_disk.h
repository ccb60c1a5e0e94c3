/* SPDX-License-Identifier: Apache-2.0 */
/* A disk: a SCSI unit on a block device. Spec: SBC-3. */
#ifndef STORAGE_SCSI_DISK_H
#define STORAGE_SCSI_DISK_H

#include "scsi_unit.h"

/* Blocks of one WRITE SAME: what is told in VPD page B0h, and kept. Zeros are cheap, so this is more than Hyper-V's 8 MiB. */
#define SCSI_WRITE_SAME_MAX_BYTES (UINT64_C(256) << 20)
/* Descriptors in one UNMAP: as many as a parameter list of 16 bits of length can hold. */
#define SCSI_UNMAP_DESCRIPTORS_MAX 4095u

struct scsi_disk {
	struct scsi_unit unit;
	bool write_cache; /* off: every write is FUA */
	/* What initiators were told about. */
	uint64_t known_bytes;
	bool known_read_only;
};

static inline struct scsi_disk *scsi_disk_of(struct scsi_unit *u)
{
	return container_of(u, struct scsi_disk, unit);
}

static inline uint64_t scsi_disk_blocks(const struct scsi_unit *u)
{
	return u->block->info.bytes / u->block->info.sector_bytes;
}

/* All of the range exists. */
static inline bool scsi_disk_has(const struct scsi_unit *u, struct scsi_range r)
{
	return range_within(r.lba, r.blocks, scsi_disk_blocks(u));
}

/* Fills in c->io for data between the command's buffer and the range. */
void scsi_disk_prepare(struct scsi_command *c, enum io_op op, uint32_t flags, struct scsi_range r);
/* IO_FUA when writes have to be durable at once. */
uint32_t scsi_disk_write_flags(struct scsi_unit *u, bool fua);
/* Looks at the protection field, the range, and whether the buffer is long enough; false: the command is finished. */
bool scsi_disk_may_move(struct scsi_unit *u, struct scsi_command *c, struct scsi_range r,
			enum scsi_direction direction);

/*
 * Moves the next part, at most @part_bytes, of the command's range between c->buffer (as long as that) and the disk; c->progress bytes are
 * behind. Finishes the command when nothing is left, or when nobody waits for it any more.
 */
void scsi_disk_next_part(struct scsi_command *c, enum io_op op, uint32_t flags, uint32_t part_bytes,
			 void (*done)(struct io_request *r, int result));

void scsi_disk_read(struct scsi_unit *u, struct scsi_command *c);
void scsi_disk_write(struct scsi_unit *u, struct scsi_command *c);
void scsi_disk_write_verify(struct scsi_unit *u, struct scsi_command *c);
void scsi_disk_verify(struct scsi_unit *u, struct scsi_command *c);
void scsi_disk_synchronize(struct scsi_unit *u, struct scsi_command *c);
void scsi_disk_unmap(struct scsi_unit *u, struct scsi_command *c);
void scsi_disk_write_same(struct scsi_unit *u, struct scsi_command *c);
void scsi_disk_lba_status(struct scsi_unit *u, struct scsi_command *c);

/* Pages (scsi_disk_pages.c). */
extern const uint8_t scsi_disk_vpd_pages[];
int scsi_disk_vpd_page(struct scsi_unit *u, uint8_t page, uint8_t *body);
extern const uint8_t scsi_disk_mode_pages[];
unsigned scsi_disk_mode_page(struct scsi_unit *u, uint8_t page, enum scsi_mode_control control,
			     uint8_t *body);
uint8_t scsi_disk_device_specific(struct scsi_unit *u);
void scsi_disk_mode_selected(struct scsi_unit *u, struct scsi_command *c, const uint8_t *list,
			     size_t bytes);

#endif
