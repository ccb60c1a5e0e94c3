/* SPDX-License-Identifier: Apache-2.0 */
/* Inside storage.c, controller.c and storage_change.c: a disk controller and its thread. */
#ifndef VMWP_CONTROLLER_H
#define VMWP_CONTROLLER_H

#include <pthread.h>
#include <stdatomic.h>

#include "disk.h"
#include "storage.h"
#include "vsp/stor.h"

#define IDE_DRIVES 4u
#define CONTROLLERS_MAX (STORAGE_CONTROLLERS + IDE_DRIVES)

enum thread_state {
	THREAD_OPENING,
	THREAD_PARKED,
	THREAD_SERVING,
	THREAD_FLUSHING,
	THREAD_TENDING, /* of a machine that stands still: merges, and requests about them; parks by itself */
	THREAD_GONE,
};

struct controller {
	struct storage *storage;
	char name[16];
	bool ide;
	unsigned number; /* IDE: channel * 2 + drive */
	struct backend *backend;
	struct backend_handed *files; /* of the disks it starts with */
	size_t file_count;
	struct vhd_host host;
	struct disk *disks[STOR_LUNS];
	struct vhd_host *hosts[STOR_LUNS]; /* of disks and media that came later */
	/* Changes that wait for the guest's requests: to the disk that leaves, or to the medium that was taken out. */
	struct storage_request *pending[STOR_LUNS];
	struct stor *stor; /* of this boot */

	pthread_t thread;
	bool started;
	pthread_mutex_t lock; /* the words below */
	pthread_cond_t changed;
	enum thread_state state; /* where the thread is */
	enum thread_state wanted;
	struct storage_request *requests; /* in order */
	bool failed;			  /* opening, or closing */
	_Atomic bool leave;		  /* serving should end */
	_Atomic bool rest;		  /* tending should */
	_Atomic bool hurry;		  /* it should end soon */
	_Atomic bool give_up;		  /* requests that are held for trouble fail */
	_Atomic bool troubled;		  /* there are such */
	/* To be done for all disks, once. */
	_Atomic bool retry;	/* what is held */
	_Atomic bool forget;	/* branches */
	_Atomic bool switched;	/* switches are to be finished */
	char *shown[STOR_LUNS]; /* under lock: the file that each disk writes */
	char *below[STOR_LUNS]; /* under lock: the one that it lies on; NULL: none */
	struct block_counters counters[STOR_LUNS]; /* of the disks; any thread reads them */
	bool flush_failed;			   /* the last THREAD_FLUSHING; read while parked */
	pthread_mutex_t mailbox;		   /* of the stor */
};

struct storage {
	void (*trouble)(void *ctx, const char *text); /* NULL: nobody */
	void *trouble_ctx;
	void (*merge)(void *ctx, const struct storage_merge *m); /* NULL: nobody */
	void *merge_ctx;
	struct controller *controllers[CONTROLLERS_MAX];
	uint32_t processors;
	void (*touch)(void *ctx, const void *start, size_t bytes); /* as of storage_config */
	void *touch_ctx;
};

/* NULL: no memory. */
struct controller *controller_create(struct storage *s, bool ide, unsigned number);
void controller_free(struct controller *c);
/* Starts the thread, which opens the disks and parks. 0 or -errno. */
int controller_start(struct controller *c);
/* What the thread shall do; and waits until it does. */
void controller_order(struct controller *c, enum thread_state wanted);
void controller_wait(struct controller *c, enum thread_state state);
/* Has done what it was ordered, and is parked; the second waits for that. */
bool controller_parked(struct controller *c);
void controller_rest(struct controller *c);
/* Offers the parked controller with its disks. 0 or -errno. */
int controller_offer(struct controller *c, struct vmbus *bus);
/* scsi_luns.list of a controller. */
unsigned controller_luns(void *ctx, uint16_t *luns, unsigned max);
/* Lets go of a closed disk. */
void controller_forget(struct controller *c, unsigned lun);
/* Controller's thread, serving: carries out the next request, and what else was asked for; false: there is nothing to be done now. */
bool controller_change(struct controller *c);
/* Carries out the next request; false: there was none. Also while the thread is parked. */
bool controller_request(struct controller *c);
/* A request that is not carried out: closes its descriptors. */
void controller_drop_files(const struct storage_request *r);

/* ---- controller_disks.c ---- */

/* There is a controller for that place. */
bool storage_has(struct storage *s, const struct disk_config *place);

/* disk_create at @lun. */
int controller_add_disk(struct controller *c, unsigned lun, const struct disk_config *config);
/* What the disk at @lun writes may have changed: tells storage_list. */
void controller_show(struct controller *c, unsigned lun);
/* Does what other threads have asked of all disks. */
void controller_heed(struct controller *c);

/* ---- storage_merge.c ---- */

void controller_merge(struct controller *c, struct storage_request *r, struct disk *d);
void controller_merge_cancel(struct controller *c, struct storage_request *r, struct disk *d);
/* Goes on with the merges. False: there are none. */
bool controller_merges(struct controller *c);

/* ---- storage_checkpoint.c ---- */

void controller_branch(struct controller *c, struct storage_request *r, struct disk *d);

#endif
