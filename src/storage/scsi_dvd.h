/* SPDX-License-Identifier: Apache-2.0 */
/* A DVD-ROM drive: a SCSI unit whose medium comes and goes. Spec: MMC-6. */
#ifndef STORAGE_SCSI_DVD_H
#define STORAGE_SCSI_DVD_H

#include "scsi_unit.h"

#define SCSI_DVD_BLOCK_BYTES 2048u
/* Sectors before logical block 0 in minute/second/frame addresses. */
#define SCSI_DVD_MSF_OFFSET 150u

struct scsi_dvd {
	struct scsi_unit unit;
	bool tray_open;
	unsigned reads; /* under way, of whatever medium */
	void (*eject)(void *ctx);
	void *eject_ctx;
};

static inline struct scsi_dvd *scsi_dvd_of(struct scsi_unit *u)
{
	return container_of(u, struct scsi_dvd, unit);
}

/* 0 without a medium; what lies beyond 32 bits of blocks cannot be reached. */
static inline uint32_t scsi_dvd_blocks(const struct scsi_unit *u)
{
	return u->block == NULL
		       ? 0
		       : (uint32_t)min_u64(u->block->info.bytes / SCSI_DVD_BLOCK_BYTES, UINT32_MAX);
}

/* About the disc (scsi_dvd_disc.c). */
void scsi_dvd_read_capacity(struct scsi_unit *u, struct scsi_command *c);
void scsi_dvd_read_toc(struct scsi_unit *u, struct scsi_command *c);
void scsi_dvd_disc_information(struct scsi_unit *u, struct scsi_command *c);
void scsi_dvd_track_information(struct scsi_unit *u, struct scsi_command *c);
void scsi_dvd_read_structure(struct scsi_unit *u, struct scsi_command *c);

/* About the drive (scsi_dvd_drive.c). */
void scsi_dvd_get_configuration(struct scsi_unit *u, struct scsi_command *c);
void scsi_dvd_get_event_status(struct scsi_unit *u, struct scsi_command *c);
void scsi_dvd_mechanism_status(struct scsi_unit *u, struct scsi_command *c);
extern const uint8_t scsi_dvd_vpd_pages[];
int scsi_dvd_vpd_page(struct scsi_unit *u, uint8_t page, uint8_t *body);
extern const uint8_t scsi_dvd_mode_pages[];
unsigned scsi_dvd_mode_page(struct scsi_unit *u, uint8_t page, enum scsi_mode_control control,
			    uint8_t *body);

#endif
