// SPDX-License-Identifier: Apache-2.0
/* Controllers that stand still, and what of them is saved. Loop thread; controllers' threads are parked where their state is touched. */
#include "controller.h"
#include "lib/bits.h"

#define TAG_CONTROLLER STATE_TAG('D', 'S', 'K', 'C')
#define VERSION 1u

/* The next one on the bus from @*slot on, which is moved behind it; NULL: none. */
static struct controller *next_offered(struct storage *s, unsigned *slot)
{
	while (s != NULL && *slot < CONTROLLERS_MAX) {
		struct controller *c = s->controllers[(*slot)++];

		if (c != NULL && c->stor != NULL) {
			return c;
		}
	}
	return NULL;
}

/* ---- Standing still ---- */

void storage_quiesce(struct storage *s)
{
	struct controller *c;

	for (unsigned i = 0; (c = next_offered(s, &i)) != NULL;) {
		atomic_store(&c->hurry, true);
		atomic_store(&c->leave, true);
		backend_wake(c->backend);
	}
}

bool storage_quiet(struct storage *s)
{
	struct controller *c;
	bool quiet = true;

	for (unsigned i = 0; (c = next_offered(s, &i)) != NULL;) {
		quiet = quiet && controller_parked(c);
	}
	return quiet;
}

bool storage_flush(struct storage *s)
{
	struct controller *c;
	bool ok = true;

	for (unsigned i = 0; (c = next_offered(s, &i)) != NULL;) {
		controller_order(c, THREAD_FLUSHING);
	}
	for (unsigned i = 0; (c = next_offered(s, &i)) != NULL;) {
		controller_rest(c);
		ok = ok && !c->flush_failed;
	}
	return ok;
}

void storage_tend(struct storage *s)
{
	struct controller *c;

	for (unsigned i = 0; (c = next_offered(s, &i)) != NULL;) {
		controller_order(c, THREAD_TENDING);
	}
}

void storage_rest(struct storage *s)
{
	struct controller *c;

	for (unsigned i = 0; (c = next_offered(s, &i)) != NULL;) {
		atomic_store(&c->rest, true);
	}
	for (unsigned i = 0; (c = next_offered(s, &i)) != NULL;) {
		controller_rest(c);
		atomic_store(&c->rest, false);
	}
}

void storage_resume(struct storage *s)
{
	struct controller *c;

	for (unsigned i = 0; (c = next_offered(s, &i)) != NULL;) {
		atomic_store(&c->leave, false);
		atomic_store(&c->hurry, false);
		atomic_store(&c->give_up, false);
		controller_order(c, THREAD_SERVING);
		backend_wake(c->backend); /* it may not have come to rest */
		controller_wait(c, THREAD_SERVING);
	}
}

/* ---- Shape ---- */

uint32_t storage_slots(struct storage *s)
{
	uint32_t slots = 0;

	for (unsigned i = 0; next_offered(s, &i) != NULL;) {
		slots |= BIT32(i - 1);
	}
	return slots;
}

static void add_places(const struct controller *c, unsigned slot, struct storage_place *places,
		       size_t *count)
{
	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		struct disk *d = c->disks[lun];

		if (d != NULL && *count < STORAGE_DISKS_MAX) {
			bool dvd = disk_config(d)->kind == DISK_DVD;

			places[(*count)++] = (struct storage_place){
				.slot = slot,
				.lun = lun,
				.dvd = dvd,
				.bytes = dvd ? 0 : disk_bytes(d),
			};
		}
	}
}

size_t storage_places(struct storage *s, struct storage_place places[STORAGE_DISKS_MAX])
{
	struct controller *c;
	size_t count = 0;

	for (unsigned i = 0; (c = next_offered(s, &i)) != NULL;) {
		add_places(c, i - 1, places, &count);
	}
	return count;
}

/* ---- Saved state ---- */

void storage_save(struct storage *s, struct state_writer *w)
{
	struct controller *c;

	for (unsigned i = 0; (c = next_offered(s, &i)) != NULL;) {
		state_begin(w, TAG_CONTROLLER, VERSION);
		state_put_u32(w, i - 1);
		stor_save(c->stor, w);
		state_end(w);
	}
}

static struct controller *offered(struct storage *s, uint32_t slot)
{
	struct controller *c = s != NULL && slot < CONTROLLERS_MAX ? s->controllers[slot] : NULL;

	return c != NULL && c->stor != NULL ? c : NULL;
}

bool storage_restore(struct storage *s, const struct state_reader *run)
{
	struct state_reader r = *run, payload;
	uint32_t seen = 0, tag;
	uint16_t version;

	while (state_next(&r, &tag, &version, &payload)) {
		if (tag != TAG_CONTROLLER) {
			continue;
		}
		uint32_t slot = state_get_u32(&payload);
		struct controller *c = offered(s, slot);

		if (version > VERSION || c == NULL || (seen & BIT32(slot)) ||
		    !stor_restore(c->stor, &payload)) {
			return false;
		}
		seen |= BIT32(slot);
	}
	return !r.bad && seen == storage_slots(s);
}
