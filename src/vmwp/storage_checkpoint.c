// SPDX-License-Identifier: Apache-2.0
/* Checkpoints of all disks together: new tops are made while the machine runs, and become the disks while it stands still. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller.h"
#include "lib/check.h"

struct storage_checkpoint {
	struct storage *storage;
	storage_checkpoint_done *done;
	void *ctx;
	pthread_mutex_t lock; /* the three below */
	size_t waiting;
	bool failed;
	char error[700];
	size_t count;
	struct storage_request *requests;
	struct backend_handed *files; /* one for each */
};

static void checkpoint_free(struct storage_checkpoint *k)
{
	pthread_mutex_destroy(&k->lock);
	free(k->requests);
	free(k->files);
	free(k);
}

/* ---- Preparing ---- */

static void forget_all(struct storage *s)
{
	for (unsigned i = 0; i < CONTROLLERS_MAX; i++) {
		struct controller *c = s->controllers[i];

		if (c != NULL) {
			atomic_store(&c->forget, true);
			backend_wake(c->backend);
		}
	}
}

/* On each disk's controller's thread; the last one answers. */
static void one_done(struct storage_request *r, const char *error)
{
	struct storage_checkpoint *k = r->ctx;

	pthread_mutex_lock(&k->lock);
	if (error != NULL && !k->failed) {
		k->failed = true;
		snprintf(k->error, sizeof(k->error), "%s", error);
	}
	bool last = --k->waiting == 0;

	pthread_mutex_unlock(&k->lock);
	if (!last) {
		return;
	}
	if (k->failed) {
		forget_all(k->storage);
	}
	k->done(k->ctx, k->failed ? k->error : NULL);
	checkpoint_free(k);
}

/* The file that a disk's options name. */
static bool find_file(const struct storage_config *want, const struct disk_config *disk,
		      struct backend_handed *ret)
{
	for (size_t i = 0; i < want->file_count; i++) {
		if (strcmp(want->files[i].file.path, disk->path) == 0) {
			*ret = want->files[i].file;
			return true;
		}
	}
	return false;
}

/* A descriptor for each disk, and each for one: those that are left over would be nobody's. */
static bool fill(struct storage_checkpoint *k, const struct storage_config *want)
{
	if (want->file_count != want->disk_count) {
		return false;
	}
	for (size_t i = 0; i < k->count; i++) {
		if (!find_file(want, &want->disks[i], &k->files[i])) {
			return false;
		}
		for (size_t j = 0; j < i; j++) {
			if (k->files[j].fd == k->files[i].fd) {
				return false;
			}
		}
		k->requests[i] = (struct storage_request){.what = STORAGE_BRANCH,
							  .disk = want->disks[i],
							  .files = &k->files[i],
							  .file_count = 1,
							  .done = one_done,
							  .ctx = k};
		if (!storage_has(k->storage, &want->disks[i])) {
			return false;
		}
	}
	return true;
}

static struct storage_checkpoint *checkpoint_create(struct storage *s, size_t count)
{
	struct storage_checkpoint *k = calloc(1, sizeof(*k));

	if (k == NULL) {
		return NULL;
	}
	k->storage = s;
	k->count = count;
	pthread_mutex_init(&k->lock, NULL);
	k->requests = calloc(count + 1, sizeof(*k->requests));
	k->files = calloc(count + 1, sizeof(*k->files));
	if (k->requests == NULL || k->files == NULL) {
		checkpoint_free(k);
		return NULL;
	}
	return k;
}

/* Of a machine that stands still: the controllers' threads are parked, and we are they. */
static void serve_parked(struct storage *s)
{
	for (unsigned i = 0; i < CONTROLLERS_MAX; i++) {
		struct controller *c = s->controllers[i];

		while (c != NULL && controller_request(c)) {
		}
	}
}

const char *storage_checkpoint_prepare(struct storage *s, const struct storage_config *want,
				       storage_checkpoint_done *done, void *ctx)
{
	struct storage_checkpoint *k = s != NULL ? checkpoint_create(s, want->disk_count) : NULL;

	if (k == NULL) {
		return s == NULL ? "the machine has no disks" : strerror(ENOMEM);
	}
	if (want->disk_count == 0 || !fill(k, want)) {
		checkpoint_free(k);
		return "the request is malformed: one place, one path and one file for each disk";
	}
	size_t count = k->count;

	k->done = done;
	k->ctx = ctx;
	k->waiting = count;
	for (size_t i = 0; i < count; i++) {
		/* After the last one @k may be gone. */
		CHECK(storage_submit(s, &k->requests[i]));
	}
	if (storage_quiet(s)) {
		serve_parked(s);
	}
	return NULL;
}

void storage_checkpoint_forget(struct storage *s)
{
	if (s != NULL) {
		forget_all(s);
	}
}

void controller_branch(struct controller *c, struct storage_request *r, struct disk *d)
{
	struct vhd_host host;

	if (!disk_branches(d)) {
		controller_drop_files(r);
		r->done(r, "it is no disk that keeps what is written: it takes no part in "
			   "checkpoints");
		return;
	}
	if (disk_has_branch(d)) {
		controller_drop_files(r);
		r->done(r, "a checkpoint of that disk is being made already");
		return;
	}
	int result = backend_vhd_host_handed(c->backend, r->files, r->file_count, &host);

	if (result != 0) {
		controller_drop_files(r);
		r->done(r, strerror(-result));
		return;
	}
	r->done(r, disk_branch(d, &host, r->disk.path) ? NULL : disk_why(d));
}

/* ---- The moment. Everything stands still. ---- */

static bool all_have_branches(struct storage *s, char *why, size_t size)
{
	bool ok = true;

	for (unsigned i = 0; i < CONTROLLERS_MAX; i++) {
		struct controller *c = s->controllers[i];

		for (unsigned lun = 0; c != NULL && lun < STOR_LUNS; lun++) {
			struct disk *d = c->disks[lun];

			if (d != NULL && disk_branches(d) && !disk_has_branch(d)) {
				snprintf(why, size,
					 "disk %s: the checkpoint has no new file for it",
					 disk_config(d)->path);
				ok = false;
			}
		}
	}
	return ok;
}

static bool switch_all(struct controller *c, char *why, size_t size)
{
	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		struct disk *d = c->disks[lun];

		if (d == NULL || !disk_has_branch(d)) {
			continue;
		}
		if (!disk_switch(d)) {
			snprintf(why, size, "%s", disk_why(d));
			return false;
		}
		controller_show(c, lun);
	}
	return true;
}

bool storage_checkpoint_switch(struct storage *s, char *why, size_t size)
{
	bool ok = s == NULL || all_have_branches(s, why, size);

	for (unsigned i = 0; s != NULL && ok && i < CONTROLLERS_MAX; i++) {
		struct controller *c = s->controllers[i];

		if (c != NULL) {
			ok = switch_all(c, why, size);
			atomic_store(&c->switched, true);
		}
	}
	if (!ok) {
		storage_checkpoint_undo(s);
	}
	return ok;
}

void storage_checkpoint_undo(struct storage *s)
{
	for (unsigned i = 0; s != NULL && i < CONTROLLERS_MAX; i++) {
		struct controller *c = s->controllers[i];

		for (unsigned lun = 0; c != NULL && lun < STOR_LUNS; lun++) {
			if (c->disks[lun] != NULL) {
				disk_switch_back(c->disks[lun]);
				controller_show(c, lun);
			}
		}
	}
}
