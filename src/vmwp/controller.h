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

enum thread_state { THREAD_OPENING, THREAD_PARKED, THREAD_SERVING, THREAD_GONE };

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
	_Atomic bool hurry;		  /* it should end soon */
	pthread_mutex_t mailbox;	  /* of the stor */
};

struct storage {
	struct controller *controllers[CONTROLLERS_MAX];
	uint32_t processors;
};

/* NULL: no memory. */
struct controller *controller_create(struct storage *s, bool ide, unsigned number);
void controller_free(struct controller *c);
/* Starts the thread, which opens the disks and parks. 0 or -errno. */
int controller_start(struct controller *c);
/* What the thread shall do; and waits until it does. */
void controller_order(struct controller *c, enum thread_state wanted);
void controller_wait(struct controller *c, enum thread_state state);
/* Offers the parked controller with its disks. 0 or -errno. */
int controller_offer(struct controller *c, struct vmbus *bus);
/* scsi_luns.list of a controller. */
unsigned controller_luns(void *ctx, uint16_t *luns, unsigned max);
/* Lets go of a closed disk. */
void controller_forget(struct controller *c, unsigned lun);
/* Controller's thread, serving: carries out the next request; false: there was none. */
bool controller_change(struct controller *c);

#endif
