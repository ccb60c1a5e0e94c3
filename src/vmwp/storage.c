// SPDX-License-Identifier: Apache-2.0
/* All controllers of a VM: made from the configuration, offered and parked together. */
#include "storage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "controller.h"
#include "lib/check.h"

static int controller_at(struct storage *s, unsigned slot, struct controller **ret)
{
	bool ide = slot >= STORAGE_CONTROLLERS;

	CHECK(slot < CONTROLLERS_MAX);
	if (s->controllers[slot] == NULL) {
		s->controllers[slot] =
			controller_create(s, ide, ide ? slot - STORAGE_CONTROLLERS : slot);
	}
	*ret = s->controllers[slot];
	return *ret == NULL ? -ENOMEM : 0;
}

static int add_disk(struct storage *s, const struct disk_config *config)
{
	bool ide = config->kind == DISK_IDE;
	unsigned slot = ide ? STORAGE_SLOT_IDE(config->controller, config->lun)
			    : STORAGE_SLOT_SCSI(config->controller);
	unsigned lun = ide ? 0 : config->lun;
	struct controller *c;
	int r = controller_at(s, slot, &c);

	if (r != 0) {
		return r;
	}
	CHECK(lun < STOR_LUNS && c->disks[lun] == NULL);
	r = controller_add_disk(c, lun, config);
	if (r == 0) {
		controller_show(c, lun);
	}
	return r;
}

static int add_file(struct storage *s, const struct storage_file_handed *handed)
{
	struct controller *c = handed->slot < CONTROLLERS_MAX ? s->controllers[handed->slot] : NULL;

	CHECK(c != NULL);
	struct backend_handed *files = realloc(c->files, (c->file_count + 1) * sizeof(*files));

	if (files == NULL) {
		return -ENOMEM;
	}
	c->files = files;
	files[c->file_count++] = handed->file;
	return 0;
}

int storage_create(const struct storage_config *config, struct storage **ret)
{
	struct storage *s = calloc(1, sizeof(*s));
	int r = 0;

	if (s == NULL) {
		return -ENOMEM;
	}
	s->processors = config->processors;
	s->touch = config->touch;
	s->touch_ctx = config->touch_ctx;
	if (config->scsi) {
		struct controller *first;

		r = controller_at(s, STORAGE_SLOT_SCSI(0), &first);
	}
	for (size_t i = 0; i < config->disk_count && r == 0; i++) {
		r = add_disk(s, &config->disks[i]);
	}
	for (size_t i = 0; i < config->file_count && r == 0; i++) {
		r = add_file(s, &config->files[i]);
	}
	for (unsigned i = 0; i < CONTROLLERS_MAX && r == 0; i++) {
		r = s->controllers[i] != NULL ? controller_start(s->controllers[i]) : 0;
	}
	if (r != 0) {
		storage_destroy(s);
		return r;
	}
	*ret = s;
	return 0;
}

bool storage_opened(struct storage *s)
{
	bool ok = true;

	for (unsigned i = 0; s != NULL && i < CONTROLLERS_MAX; i++) {
		if (s->controllers[i] != NULL) {
			controller_wait(s->controllers[i], THREAD_PARKED);
			ok &= !s->controllers[i]->failed;
		}
	}
	return ok;
}

bool storage_destroy(struct storage *s)
{
	bool ok = true;

	if (s == NULL) {
		return ok;
	}
	for (unsigned i = 0; i < CONTROLLERS_MAX; i++) {
		struct controller *c = s->controllers[i];

		if (c == NULL) {
			continue;
		}
		if (c->started) {
			controller_order(c, THREAD_GONE);
			pthread_join(c->thread, NULL);
		}
		ok &= !c->failed;
		controller_free(c);
	}
	free(s);
	return ok;
}

/* ---- On the bus ---- */

int storage_offer(struct storage *s, struct vmbus *bus)
{
	int r = 0;

	for (unsigned i = 0; s != NULL && i < CONTROLLERS_MAX && r == 0; i++) {
		struct controller *c = s->controllers[i];

		if (c != NULL) {
			r = controller_offer(c, bus);
		}
	}
	return r;
}

void storage_hurry(struct storage *s)
{
	for (unsigned i = 0; s != NULL && i < CONTROLLERS_MAX; i++) {
		struct controller *c = s->controllers[i];

		if (c != NULL && c->stor != NULL) {
			atomic_store(&c->hurry, true);
			atomic_store(&c->give_up, true);
			backend_wake(c->backend);
		}
	}
}

void storage_park(struct storage *s)
{
	for (unsigned i = 0; s != NULL && i < CONTROLLERS_MAX; i++) {
		struct controller *c = s->controllers[i];

		if (c != NULL && c->stor != NULL) {
			atomic_store(&c->leave, true);
			backend_wake(c->backend);
			controller_wait(c, THREAD_PARKED);
		}
	}
}

void storage_withdraw(struct storage *s)
{
	for (unsigned i = 0; s != NULL && i < CONTROLLERS_MAX; i++) {
		struct controller *c = s->controllers[i];

		if (c != NULL && c->stor != NULL) {
			stor_destroy(c->stor);
			c->stor = NULL;
		}
	}
}

/* ---- What is known of the disks ---- */

static char *const *shown_files(const struct controller *c)
{
	return c->shown;
}

static char *const *files_below(const struct controller *c)
{
	return c->below;
}

static void list(struct storage *s, char *const *(*of)(const struct controller *c),
		 void (*fn)(void *ctx, unsigned slot, unsigned lun, const char *path), void *ctx)
{
	for (unsigned i = 0; s != NULL && i < CONTROLLERS_MAX; i++) {
		struct controller *c = s->controllers[i];

		if (c == NULL) {
			continue;
		}
		pthread_mutex_lock(&c->lock);
		for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
			if (of(c)[lun] != NULL) {
				fn(ctx, i, lun, of(c)[lun]);
			}
		}
		pthread_mutex_unlock(&c->lock);
	}
}

void storage_list(struct storage *s,
		  void (*fn)(void *ctx, unsigned slot, unsigned lun, const char *path), void *ctx)
{
	list(s, shown_files, fn, ctx);
}

void storage_list_parents(struct storage *s,
			  void (*fn)(void *ctx, unsigned slot, unsigned lun, const char *path),
			  void *ctx)
{
	list(s, files_below, fn, ctx);
}

void storage_place_text(unsigned slot, unsigned lun, char text[STORAGE_PLACE_BYTES])
{
	unsigned ide = slot - STORAGE_CONTROLLERS;

	if (slot < STORAGE_CONTROLLERS) {
		snprintf(text, STORAGE_PLACE_BYTES, "scsi%u:%u", slot, lun);
	} else {
		snprintf(text, STORAGE_PLACE_BYTES, "ide%u:%u", ide / 2, ide % 2);
	}
}

struct counting {
	struct storage *storage;
	void (*fn)(void *ctx, const char *place, const struct block_counters *counters);
	void *ctx;
};

static void count_disk(void *ctx, unsigned slot, unsigned lun, const char *path)
{
	const struct counting *c = ctx;
	char place[STORAGE_PLACE_BYTES];

	(void)path;
	storage_place_text(slot, lun, place);
	c->fn(c->ctx, place, &c->storage->controllers[slot]->counters[lun]);
}

void storage_count(struct storage *s,
		   void (*fn)(void *ctx, const char *place, const struct block_counters *counters),
		   void *ctx)
{
	storage_list(s, count_disk, &(struct counting){.storage = s, .fn = fn, .ctx = ctx});
}

/* ---- Trouble ---- */

void storage_set_trouble(struct storage *s, void (*fn)(void *ctx, const char *text), void *ctx)
{
	if (s != NULL) {
		s->trouble = fn;
		s->trouble_ctx = ctx;
	}
}

bool storage_in_trouble(struct storage *s)
{
	bool troubled = false;

	for (unsigned i = 0; s != NULL && i < CONTROLLERS_MAX; i++) {
		troubled |= s->controllers[i] != NULL && atomic_load(&s->controllers[i]->troubled);
	}
	return troubled;
}

void storage_retry(struct storage *s)
{
	for (unsigned i = 0; s != NULL && i < CONTROLLERS_MAX; i++) {
		struct controller *c = s->controllers[i];

		if (c != NULL) {
			atomic_store(&c->retry, true);
			backend_wake(c->backend);
		}
	}
}
