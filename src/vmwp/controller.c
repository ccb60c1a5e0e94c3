// SPDX-License-Identifier: Apache-2.0
/* A disk controller: its thread, which opens, serves and closes its disks, and its offer on the bus. */
#include "controller.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/log.h"
#include "host/loop.h"
#include "lib/bits.h"

#define RING_DEPTH 256u
#define SETTLE_NS UINT64_C(1000000000)
/* A request goes down a chain by calls: some hundred bytes for each file, and a thousand files may be. */
#define STACK_BYTES ((size_t)4 << 20)
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
			disk_hurry(c->disks[lun], atomic_load(&c->hurry));
			next = min_u64(next, disk_upkeep(c->disks[lun], settle));
		}
	}
	return min_u64(next, *settle_ns - now);
}

/* Answers what was taken; what lies in the rings stays there. False: it shall serve on. */
static bool finish_taken(struct controller *c)
{
	struct io_context *context = backend_context(c->backend);
	uint64_t settle_ns = host_now_ns() + SETTLE_NS;

	stor_hold(c->stor, true);
	stor_poll(c->stor);
	while (atomic_load(&c->leave) && !stor_idle(c->stor)) {
		controller_heed(c);

		uint64_t wait_ns = upkeep(c, host_now_ns(), &settle_ns);

		io_poll(context, true, wait_ns);
		stor_poll(c->stor);
	}
	return atomic_load(&c->leave);
}

static void serve_rings(struct controller *c)
{
	struct io_context *context = backend_context(c->backend);
	uint64_t settle_ns = host_now_ns() + SETTLE_NS;

	stor_hold(c->stor, false);
	while (!atomic_load(&c->leave)) {
		bool changed = controller_change(c);
		uint64_t wait_ns = upkeep(c, host_now_ns(), &settle_ns);
		bool more = stor_poll(c->stor) || changed;

		io_poll(context, !more, wait_ns);
	}
}

static void serve(struct controller *c)
{
	do {
		serve_rings(c);
	} while (!finish_taken(c));
}

/* Unless a request came meanwhile. */
static bool park_tended(struct controller *c)
{
	pthread_mutex_lock(&c->lock);
	bool done = atomic_load(&c->rest) || c->requests == NULL;

	if (done) {
		c->wanted = THREAD_PARKED;
		c->state = THREAD_PARKED;
		pthread_cond_broadcast(&c->changed);
	}
	pthread_mutex_unlock(&c->lock);
	return done;
}

/* The rings are left alone. */
static void tend(struct controller *c)
{
	do {
		bool more = true;

		controller_heed(c);
		while (more && !atomic_load(&c->rest)) {
			more = controller_request(c);
			more |= controller_merges(c);
		}
	} while (!park_tended(c));
}

static bool open_disks(struct controller *c)
{
	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		if (c->disks[lun] != NULL && !disk_open(c->disks[lun], &c->host)) {
			log_line("%s", disk_why(c->disks[lun]));
			return false;
		}
		if (c->disks[lun] != NULL) {
			controller_show(c, lun);
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

static void flush_disks(struct controller *c)
{
	c->flush_failed = false;
	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		if (c->disks[lun] != NULL && !disk_flush(c->disks[lun])) {
			log_line("%s", disk_why(c->disks[lun]));
			c->flush_failed = true;
		}
	}
}

/* What was @order is done: parks, unless the thread is wanted for something else by now, or was called back to serve. */
static void park(struct controller *c, enum thread_state order)
{
	pthread_mutex_lock(&c->lock);
	if (c->wanted == order && (order != THREAD_SERVING || atomic_load(&c->leave))) {
		c->wanted = THREAD_PARKED;
		c->state = THREAD_PARKED;
		pthread_cond_broadcast(&c->changed);
	}
	pthread_mutex_unlock(&c->lock);
}

static void *controller_main(void *arg)
{
	struct controller *c = arg;
	enum thread_state order;

	set_state(c, THREAD_PARKED, !open_disks(c));
	while ((order = wait_for_order(c)) != THREAD_GONE) {
		set_state(c, order, false);
		if (order == THREAD_TENDING) {
			tend(c);
			continue;
		}
		if (order == THREAD_SERVING) {
			serve(c);
		} else {
			flush_disks(c);
		}
		park(c, order);
	}
	set_state(c, THREAD_GONE, !close_disks(c));
	return NULL;
}

void controller_order(struct controller *c, enum thread_state wanted)
{
	pthread_mutex_lock(&c->lock);
	c->wanted = wanted;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

void controller_wait(struct controller *c, enum thread_state state)
{
	pthread_mutex_lock(&c->lock);
	while (c->state != state) {
		pthread_cond_wait(&c->changed, &c->lock);
	}
	pthread_mutex_unlock(&c->lock);
}

bool controller_parked(struct controller *c)
{
	pthread_mutex_lock(&c->lock);
	bool parked = c->state == THREAD_PARKED && c->wanted == THREAD_PARKED;

	pthread_mutex_unlock(&c->lock);
	return parked;
}

void controller_rest(struct controller *c)
{
	pthread_mutex_lock(&c->lock);
	while (c->state != THREAD_PARKED || c->wanted != THREAD_PARKED) {
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

struct controller *controller_create(struct storage *s, bool ide, unsigned number)
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

void controller_free(struct controller *c)
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

int controller_start(struct controller *c)
{
	pthread_attr_t attr;
	int r = backend_create(RING_DEPTH, &c->backend);

	if (r == 0) {
		backend_set_touch(c->backend, c->storage->touch, c->storage->touch_ctx);
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

int controller_offer(struct controller *c, struct vmbus *bus)
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
