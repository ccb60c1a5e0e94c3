// SPDX-License-Identifier: Apache-2.0
#include "storage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller.h"
#include "host/log.h"
#include "host/loop.h"
#include "lib/bits.h"
#include "lib/check.h"

#define RING_DEPTH 256u
#define SETTLE_NS UINT64_C(1000000000)
#define STACK_BYTES ((size_t)512 << 10)
#define SUBCHANNELS_MAX 63u

/* ---- The controller's thread ---- */

static void set_state(struct controller *c, enum thread_state state, bool failed)
{
	pthread_mutex_lock(&c->lock);
	c->state = state;
	c->failed |= failed;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

static enum thread_state wait_for_order(struct controller *c)
{
	pthread_mutex_lock(&c->lock);
	while (c->wanted == THREAD_PARKED) {
		pthread_cond_wait(&c->changed, &c->lock);
	}
	enum thread_state wanted = c->wanted;

	pthread_mutex_unlock(&c->lock);
	return wanted;
}

/* Metadata that waits to be written goes out now and then, filters release what is due. Returns when to look again. */
static uint64_t upkeep(struct controller *c, uint64_t now, uint64_t *settle_ns)
{
	uint64_t next = UINT64_MAX;
	bool settle = now >= *settle_ns;

	if (settle) {
		*settle_ns = now + SETTLE_NS;
	}
	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		if (c->disks[lun] != NULL) {
			next = min_u64(next, disk_upkeep(c->disks[lun], settle));
		}
	}
	return min_u64(next, *settle_ns - now);
}

static void serve(struct controller *c)
{
	struct io_context *context = backend_context(c->backend);
	uint64_t settle_ns = host_now_ns() + SETTLE_NS;

	while (!atomic_load(&c->leave)) {
		bool changed = controller_change(c);
		uint64_t wait_ns = upkeep(c, host_now_ns(), &settle_ns);
		bool more = stor_poll(c->stor) || changed;

		io_poll(context, !more, wait_ns);
	}
	stor_poll(c->stor); /* detaches that waited for the last commands */
}

static bool open_disks(struct controller *c)
{
	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		if (c->disks[lun] != NULL && !disk_open(c->disks[lun], &c->host)) {
			log_line("%s", disk_why(c->disks[lun]));
			return false;
		}
	}
	return true;
}

static bool close_disks(struct controller *c)
{
	bool ok = true;

	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		if (c->disks[lun] != NULL && !disk_close(c->disks[lun])) {
			log_line("%s", disk_why(c->disks[lun]));
			ok = false;
		}
	}
	return ok;
}

static void *controller_main(void *arg)
{
	struct controller *c = arg;

	set_state(c, THREAD_PARKED, !open_disks(c));
	while (wait_for_order(c) == THREAD_SERVING) {
		set_state(c, THREAD_SERVING, false);
		serve(c);
		pthread_mutex_lock(&c->lock);
		c->wanted = THREAD_PARKED;
		c->state = THREAD_PARKED;
		pthread_cond_broadcast(&c->changed);
		pthread_mutex_unlock(&c->lock);
	}
	set_state(c, THREAD_GONE, !close_disks(c));
	return NULL;
}

static void order(struct controller *c, enum thread_state wanted)
{
	pthread_mutex_lock(&c->lock);
	c->wanted = wanted;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

static void wait_state(struct controller *c, enum thread_state state)
{
	pthread_mutex_lock(&c->lock);
	while (c->state != state) {
		pthread_cond_wait(&c->changed, &c->lock);
	}
	pthread_mutex_unlock(&c->lock);
}

/* ---- Life ---- */

unsigned controller_luns(void *ctx, uint16_t *luns, unsigned max)
{
	struct controller *c = ctx;
	unsigned count = 0;

	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		if (c->disks[lun] != NULL) {
			if (count < max) {
				luns[count] = (uint16_t)lun;
			}
			count++;
		}
	}
	return count;
}

static struct controller *controller_create(struct storage *s, bool ide, unsigned number)
{
	struct controller *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		return NULL;
	}
	c->storage = s;
	c->ide = ide;
	c->number = number;
	c->wanted = THREAD_PARKED;
	snprintf(c->name, sizeof(c->name), "%s%u", ide ? "ide" : "scsi", number);
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->mailbox, NULL);
	pthread_cond_init(&c->changed, NULL);
	return c;
}

static void controller_free(struct controller *c)
{
	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		controller_forget(c, lun);
	}
	if (c->backend != NULL) {
		backend_destroy(c->backend);
	}
	free(c->files);
	free(c);
}

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
	const struct scsi_luns luns = {.list = controller_luns, .ctx = c};

	return disk_create(config, &luns, &c->disks[lun]);
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

static int start(struct controller *c)
{
	pthread_attr_t attr;
	int r = backend_create(RING_DEPTH, &c->backend);

	if (r == 0) {
		r = backend_vhd_host_handed(c->backend, c->files, c->file_count, &c->host);
	}
	if (r == 0) {
		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, STACK_BYTES);
		r = -pthread_create(&c->thread, &attr, controller_main, c);
		pthread_attr_destroy(&attr);
		c->started = r == 0;
	}
	return r;
}

int storage_create(const struct storage_config *config, struct storage **ret)
{
	struct storage *s = calloc(1, sizeof(*s));
	int r = 0;

	if (s == NULL) {
		return -ENOMEM;
	}
	s->processors = config->processors;
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
		r = s->controllers[i] != NULL ? start(s->controllers[i]) : 0;
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
			wait_state(s->controllers[i], THREAD_PARKED);
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
			order(c, THREAD_GONE);
			pthread_join(c->thread, NULL);
		}
		ok &= !c->failed;
		controller_free(c);
	}
	free(s);
	return ok;
}

/* ---- On the bus ---- */

static void lock_mailbox(void *lock)
{
	pthread_mutex_lock(lock);
}

static void unlock_mailbox(void *lock)
{
	pthread_mutex_unlock(lock);
}

static void wake_controller(void *ctx)
{
	struct controller *c = ctx;

	backend_wake(c->backend);
}

static void log_controller(void *ctx, const char *line)
{
	struct controller *c = ctx;

	log_line("%s: %s", c->name, line);
}

/* Stable over restarts of the VM: the guest knows a controller by it. */
static struct guid scsi_instance(unsigned number)
{
	struct guid g =
		GUID(0x6d769b1c, 0x5d5e, 0x4f0f, 0x9a, 0x3c, 0x76, 0x69, 0x72, 0x69, 0x64, 0);

	g.bytes[15] = (uint8_t)number;
	return g;
}

static int offer(struct controller *c, struct vmbus *bus)
{
	uint32_t processors = c->storage->processors;
	const struct stor_config config = {
		.instance = scsi_instance(c->number),
		.ide = c->ide,
		.ide_path = (uint8_t)(c->number / 2),
		.ide_target = (uint8_t)(c->number % 2),
		.subchannels_max = (uint32_t)min_u64(processors - 1, SUBCHANNELS_MAX),
		.context = backend_context(c->backend),
		.name = c->name,
		.lock = &c->mailbox,
		.lock_ops = {.lock = lock_mailbox, .unlock = unlock_mailbox},
		.wake = wake_controller,
		.log = log_controller,
		.ctx = c,
	};
	int r = stor_create(bus, &config, &c->stor);

	for (unsigned lun = 0; lun < STOR_LUNS && r == 0; lun++) {
		if (c->disks[lun] != NULL) {
			scsi_unit_reset(disk_unit(c->disks[lun]));
			r = stor_attach(c->stor, lun, disk_unit(c->disks[lun]));
		}
	}
	return r;
}

int storage_offer(struct storage *s, struct vmbus *bus)
{
	int r = 0;

	for (unsigned i = 0; s != NULL && i < CONTROLLERS_MAX && r == 0; i++) {
		struct controller *c = s->controllers[i];

		if (c != NULL) {
			r = offer(c, bus);
			if (r == 0) {
				atomic_store(&c->leave, false);
				order(c, THREAD_SERVING);
				wait_state(c, THREAD_SERVING);
			}
		}
	}
	return r;
}

void storage_park(struct storage *s)
{
	for (unsigned i = 0; s != NULL && i < CONTROLLERS_MAX; i++) {
		struct controller *c = s->controllers[i];

		if (c != NULL && c->stor != NULL) {
			atomic_store(&c->leave, true);
			backend_wake(c->backend);
			wait_state(c, THREAD_PARKED);
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
