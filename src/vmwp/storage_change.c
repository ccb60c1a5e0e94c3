// SPDX-License-Identifier: Apache-2.0
/* Changes to the disks of a running VM, on the thread of their controller. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller.h"
#include "lib/check.h"

void controller_drop_files(const struct storage_request *r)
{
	for (size_t i = 0; i < r->file_count; i++) {
		close(r->files[i].fd);
	}
}

static void refuse(struct storage_request *r, const char *why)
{
	controller_drop_files(r);
	r->done(r, why);
}

/* The descriptors that came with a request, as a host of their own. */
static int take_files(struct controller *c, const struct storage_request *r, struct vhd_host **ret)
{
	struct vhd_host *host = calloc(1, sizeof(*host));
	int result = host == NULL
			     ? -ENOMEM
			     : backend_vhd_host_handed(c->backend, r->files, r->file_count, host);

	if (result != 0) {
		controller_drop_files(r);
		free(host);
		return result;
	}
	*ret = host;
	return 0;
}

static void answer_errno(struct storage_request *r, const char *what, int error)
{
	char text[200];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(-error));
	r->done(r, text);
}

static void attach(struct controller *c, struct storage_request *r)
{
	unsigned lun = r->disk.lun;

	if (c->disks[lun] != NULL) {
		refuse(r, "there is a disk in that place already");
		return;
	}
	int result = take_files(c, r, &c->hosts[lun]);

	if (result == 0) {
		result = controller_add_disk(c, lun, &r->disk);
	}
	if (result != 0) {
		controller_forget(c, lun);
		answer_errno(r, "attaching", result);
		return;
	}
	if (!disk_open(c->disks[lun], c->hosts[lun])) {
		r->done(r, disk_why(c->disks[lun]));
		disk_close(c->disks[lun]);
		controller_forget(c, lun);
		return;
	}
	CHECK(stor_attach(c->stor, lun, disk_unit(c->disks[lun])) == 0);
	controller_show(c, lun);
	r->done(r, NULL);
}

static void disk_left(void *ctx, struct scsi_unit *unit)
{
	struct controller *c = ctx;

	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		struct storage_request *r = c->pending[lun];

		if (r != NULL && disk_unit(c->disks[lun]) == unit) {
			bool ok = disk_close(c->disks[lun]);

			c->pending[lun] = NULL;
			r->done(r, ok ? NULL : disk_why(c->disks[lun]));
			controller_forget(c, lun);
			return;
		}
	}
}

static void insert(struct controller *c, struct storage_request *r, struct disk *d)
{
	struct vhd_host *host = NULL;
	int result = take_files(c, r, &host);

	if (result != 0) {
		answer_errno(r, "medium", result);
		return;
	}
	bool ok = disk_insert(d, host, r->disk.path);

	free(c->hosts[r->disk.lun]);
	c->hosts[r->disk.lun] = host;
	controller_show(c, r->disk.lun);
	r->done(r, ok ? NULL : disk_why(d));
}

static void change_medium(struct controller *c, struct storage_request *r, struct disk *d)
{
	if (disk_config(d)->kind != DISK_DVD) {
		refuse(r, "it is not a DVD drive");
		return;
	}
	disk_take_out(d);
	c->pending[r->disk.lun] = r;
}

/* Drives whose last medium nobody reads any more get the next one. */
static void change_media(struct controller *c)
{
	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		struct storage_request *r = c->pending[lun];

		if (r != NULL && r->what == STORAGE_MEDIUM && disk_let_go(c->disks[lun])) {
			c->pending[lun] = NULL;
			insert(c, r, c->disks[lun]);
		}
	}
}

static void resize(struct controller *c, struct storage_request *r, struct disk *d)
{
	if (!disk_resize(d, r->bytes)) {
		r->done(r, disk_why(d));
		return;
	}
	stor_rescan(c->stor);
	r->done(r, NULL);
}

static void carry_out(struct controller *c, struct storage_request *r)
{
	struct disk *d = c->disks[r->disk.lun];

	if (r->what == STORAGE_ATTACH) {
		attach(c, r);
	} else if (d == NULL) {
		refuse(r, "there is no disk in that place");
	} else if (c->pending[r->disk.lun] != NULL) {
		refuse(r, "the last change in that place is not over yet");
	} else if (r->what == STORAGE_DETACH) {
		c->pending[r->disk.lun] = r;
		disk_merge_cancel(d);
		stor_detach(c->stor, r->disk.lun, disk_left, c);
	} else if (r->what == STORAGE_MEDIUM) {
		change_medium(c, r, d);
	} else if (r->what == STORAGE_BRANCH) {
		controller_branch(c, r, d);
	} else if (r->what == STORAGE_MERGE) {
		controller_merge(c, r, d);
	} else if (r->what == STORAGE_MERGE_CANCEL) {
		controller_merge_cancel(c, r, d);
	} else {
		resize(c, r, d);
	}
}

bool controller_request(struct controller *c)
{
	pthread_mutex_lock(&c->lock);
	struct storage_request *r = c->requests;

	if (r != NULL) {
		c->requests = r->next;
	}
	pthread_mutex_unlock(&c->lock);
	if (r != NULL) {
		carry_out(c, r);
	}
	return r != NULL;
}

bool controller_change(struct controller *c)
{
	controller_heed(c);
	bool more = controller_request(c);

	change_media(c);
	return controller_merges(c) || more;
}

/* The controller of a place; @ret_lun: where it has that disk. NULL: there is none. */
static struct controller *find_controller(struct storage *s, const struct disk_config *place,
					  unsigned *ret_lun)
{
	bool ide = place->kind == DISK_IDE;

	if (s == NULL ||
	    (ide ? place->controller > 1 || place->lun > 1
		 : place->controller >= STORAGE_CONTROLLERS || place->lun >= STOR_LUNS)) {
		return NULL;
	}
	*ret_lun = ide ? 0 : place->lun;
	return s->controllers[ide ? STORAGE_SLOT_IDE(place->controller, place->lun)
				  : STORAGE_SLOT_SCSI(place->controller)];
}

bool storage_has(struct storage *s, const struct disk_config *place)
{
	unsigned lun;

	return find_controller(s, place, &lun) != NULL;
}

bool storage_submit(struct storage *s, struct storage_request *r)
{
	struct storage_request **link;
	unsigned lun;
	struct controller *c = find_controller(s, &r->disk, &lun);

	if (c == NULL || (c->ide && r->what < STORAGE_BRANCH)) {
		return false;
	}
	r->disk.lun = lun;
	r->next = NULL;
	pthread_mutex_lock(&c->lock);
	for (link = &c->requests; *link != NULL; link = &(*link)->next) {
	}
	*link = r;
	pthread_mutex_unlock(&c->lock);
	backend_wake(c->backend);
	return true;
}
