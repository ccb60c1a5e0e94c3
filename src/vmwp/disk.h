/* SPDX-License-Identifier: Apache-2.0 */
/* One disk or DVD drive: file, virtual disk, filters, SCSI unit, bottom up. Belongs to its controller's thread once that runs. */
#ifndef VMWP_DISK_H
#define VMWP_DISK_H

#include "storage.h"
#include "storage/scsi.h"

struct disk;

/* @config's path stays the caller's. -ENOMEM. */
int disk_create(const struct disk_config *config, const struct scsi_luns *luns, struct disk **ret);
void disk_destroy(struct disk *d);
/* Opens everything; false: disk_why says why. */
bool disk_open(struct disk *d, const struct vhd_host *host);
/* Flushes and closes; also after a failed open. False: something was lost: disk_why. */
bool disk_close(struct disk *d);
/* One line about the last failure, without newline. */
const char *disk_why(const struct disk *d);
const struct disk_config *disk_config(const struct disk *d);
/* DVD: the guest finds no medium any more; what it reads goes on. */
void disk_take_out(struct disk *d);
/* DVD: closes a medium that was taken out, by us or by the guest. False: one is in, or still read. */
bool disk_let_go(struct disk *d);
/* DVD that was let go of: a medium (opened on @host), or none for "". */
bool disk_insert(struct disk *d, const struct vhd_host *host, const char *path);
/* Virtual disk: another size, while the guest runs. */
bool disk_resize(struct disk *d, uint64_t bytes);
struct scsi_unit *disk_unit(struct disk *d);
/* With @hurry nothing is held back to keep the limits of the disk. */
void disk_hurry(struct disk *d, bool hurry);
/* Lets filters release what is due, and with @settle the disk write what it holds back. Nanoseconds until it wants that again. */
uint64_t disk_upkeep(struct disk *d, bool settle);

#endif
