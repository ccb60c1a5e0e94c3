/* SPDX-License-Identifier: Apache-2.0 */
/* One disk or DVD drive: file, virtual disk, filters, SCSI unit, bottom up. Belongs to its controller's thread once that runs. */
#ifndef VMWP_DISK_H
#define VMWP_DISK_H

#include "storage.h"
#include "storage/scsi.h"
#include "vhd/vhd.h"

struct disk;

struct disk_listener {
	/*
	 * The host has no space, or the storage is gone: requests are held, and tried again every second and with disk_retry. NULL: all
	 * that was held is done.
	 */
	void (*trouble)(void *ctx, const char *text);
	void *ctx;
};

/* @config's path stays the caller's; what the guest asks for is counted in @counters. -ENOMEM. */
int disk_create(const struct disk_config *config, const struct scsi_luns *luns,
		const struct disk_listener *listener, struct block_counters *counters,
		struct disk **ret);
/* The file below the one that it writes; NULL: none, or it is not open. Its own. */
const char *disk_parent(const struct disk *d);
void disk_destroy(struct disk *d);
/* Opens everything; false: disk_why says why. */
bool disk_open(struct disk *d, const struct vhd_host *host);
/* Flushes and closes; also after a failed open. False: something was lost: disk_why. */
bool disk_close(struct disk *d);
/* What was written is durable; false: disk_why. */
bool disk_flush(struct disk *d);
/* One line about the last failure, without newline. */
const char *disk_why(const struct disk *d);
const struct disk_config *disk_config(const struct disk *d);
/* DVD: the guest finds no medium any more; what it reads goes on. */
void disk_take_out(struct disk *d);
/* DVD: closes a medium that was taken out, by us or by the guest. False: one is in, or still read. */
bool disk_let_go(struct disk *d);
/* DVD that was let go of: a medium (opened on @host), or none for "". */
bool disk_insert(struct disk *d, const struct vhd_host *host, const char *path);
/* Virtual disk: its size. */
uint64_t disk_bytes(const struct disk *d);
/* Virtual disk: another size, while the guest runs. */
bool disk_resize(struct disk *d, uint64_t bytes);
struct scsi_unit *disk_unit(struct disk *d);
/* Tries again what is held. */
void disk_retry(struct disk *d);
bool disk_in_trouble(const struct disk *d);
/* With @give_up what is held fails, and what meets trouble later. */
void disk_give_up(struct disk *d, bool give_up);

/* ---- Checkpoints (disk_branch.c). False: disk_why. ---- */

/* It keeps what a guest writes in a file. */
bool disk_branches(const struct disk *d);
/* A new top in the empty file @path of @host, for later; then what the guest wrote so far is durable. */
bool disk_branch(struct disk *d, const struct vhd_host *host, const char *path);
bool disk_has_branch(const struct disk *d);
/* Nothing is in flight: the new top is the disk. */
bool disk_switch(struct disk *d);
/* Before anything was written: what disk_branch and disk_switch have done is taken back. */
void disk_switch_back(struct disk *d);
/* What disk_branch has made is closed, if it is not the disk. */
void disk_branch_forget(struct disk *d);
/* Some time after the switch: brings the file below into order. False: disk_why, and nothing is left to be done. */
bool disk_switch_finish(struct disk *d);

/* ---- Merges (disk_merge.c). False: disk_why. ---- */

/* Begins: files @depth .. @depth + @count - 1 of the chain go into the one below them; @host claims what has to be written. */
bool disk_merge(struct disk *d, const struct vhd_host *host, unsigned depth, unsigned count);
bool disk_merges(const struct disk *d);
/* Between the guest's requests. 1: more to do; 0: done; -1: failed, disk_why. Not 1: the merge is over. */
int disk_merge_step(struct disk *d, struct vhd_progress *ret_progress);
/* It is time to tell how far it is: once in @every_ns. */
bool disk_merge_due(struct disk *d, uint64_t now_ns, uint64_t every_ns);
/* It cannot be given up any more: it is all but done. */
bool disk_merge_decided(const struct disk *d);
/* Gives it up: the disk goes on as it was. */
void disk_merge_cancel(struct disk *d);

/* With @hurry nothing is held back to keep the limits of the disk. */
void disk_hurry(struct disk *d, bool hurry);
/* Lets filters release what is due, and with @settle the disk write what it holds back. Nanoseconds until it wants that again. */
uint64_t disk_upkeep(struct disk *d, bool settle);

#endif
