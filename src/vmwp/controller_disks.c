// SPDX-License-Identifier: Apache-2.0
/* The disks of a controller: how they come and go, what is known of them to other threads, and what they tell. Controller's thread, or while it is parked. */
#include <stdlib.h>
#include <string.h>

#include "controller.h"
#include "host/log.h"

static bool any_in_trouble(const struct controller *c)
{
	bool any = false;

	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		any |= c->disks[lun] != NULL && disk_in_trouble(c->disks[lun]);
	}
	return any;
}

static void on_trouble(void *ctx, const char *text)
{
	struct controller *c = ctx;
	struct storage *s = c->storage;

	atomic_store(&c->troubled, any_in_trouble(c));
	log_line("%s", text != NULL ? text : "what waited for the host's disks is done");
	if (s->trouble != NULL && (text != NULL || !storage_in_trouble(s))) {
		s->trouble(s->trouble_ctx, text);
	}
}

int controller_add_disk(struct controller *c, unsigned lun, const struct disk_config *config)
{
	const struct scsi_luns luns = {.list = controller_luns, .ctx = c};
	const struct disk_listener listener = {.trouble = on_trouble, .ctx = c};

	c->counters[lun] = (struct block_counters){0};
	return disk_create(config, &luns, &listener, &c->counters[lun], &c->disks[lun]);
}

void controller_show(struct controller *c, unsigned lun)
{
	struct disk *d = c->disks[lun];
	const char *parent = d != NULL ? disk_parent(d) : NULL;
	char *path = d != NULL ? strdup(disk_config(d)->path) : NULL;
	char *below = parent != NULL ? strdup(parent) : NULL;

	pthread_mutex_lock(&c->lock);
	char *old = c->shown[lun], *old_below = c->below[lun];

	c->shown[lun] = path;
	c->below[lun] = below;
	pthread_mutex_unlock(&c->lock);
	free(old);
	free(old_below);
}

void controller_forget(struct controller *c, unsigned lun)
{
	disk_destroy(c->disks[lun]);
	free(c->hosts[lun]);
	c->disks[lun] = NULL;
	c->hosts[lun] = NULL;
	controller_show(c, lun);
}

/* ---- What other threads have asked of all disks ---- */

static void retry(struct controller *c)
{
	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		if (c->disks[lun] != NULL) {
			disk_retry(c->disks[lun]);
		}
	}
}

static void forget_branches(struct controller *c)
{
	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		if (c->disks[lun] != NULL) {
			disk_branch_forget(c->disks[lun]);
		}
	}
}

static void finish_switches(struct controller *c)
{
	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		if (c->disks[lun] != NULL && !disk_switch_finish(c->disks[lun])) {
			log_line("%s", disk_why(c->disks[lun]));
		}
	}
}

static void give_up(struct controller *c, bool now)
{
	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		const struct storage_request *r = c->pending[lun];
		bool leaves = r != NULL && r->what == STORAGE_DETACH;

		if (c->disks[lun] != NULL) {
			disk_give_up(c->disks[lun], now || leaves);
		}
	}
}

void controller_heed(struct controller *c)
{
	give_up(c, atomic_load(&c->give_up));
	if (atomic_exchange(&c->retry, false)) {
		retry(c);
	}
	if (atomic_exchange(&c->forget, false)) {
		forget_branches(c);
	}
	if (atomic_exchange(&c->switched, false)) {
		finish_switches(c);
	}
}
