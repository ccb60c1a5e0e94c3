// SPDX-License-Identifier: Apache-2.0
/*
 * A shape is a list of things, each with a value, in one order for all machines: the first place where two lists part is the first difference.
 */
#include "shape.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/bits.h"
#include "worker.h"

#define TAG_SHAPE STATE_TAG('S', 'H', 'A', 'P')
#define VERSION 1u
#define THINGS_MAX (4u + 32u + STORAGE_DISKS_MAX + NET_ADAPTERS_MAX)
#define NAME_BYTES 100u

enum thing_kind {
	THING_MEMORY,	  /* bytes */
	THING_PROCESSORS, /* how many */
	THING_COUNTED,	  /* 1: instructions are the clock */
	THING_CONTROLLER, /* slot */
	THING_DISK,	  /* slot, lun: bytes */
	THING_DVD,	  /* slot, lun */
	THING_ADAPTER,	  /* number: MAC */
	THING_NO_LEGACY,  /* a board without 8259s and 8254 */
	THING_KINDS,
};

struct thing {
	uint8_t kind;
	uint32_t slot, lun;
	uint64_t value;
};

struct shape {
	struct thing things[THINGS_MAX];
	size_t count;
};

static void add(struct shape *s, enum thing_kind kind, uint32_t slot, uint32_t lun, uint64_t value)
{
	if (s->count < THINGS_MAX) {
		s->things[s->count++] = (struct thing){(uint8_t)kind, slot, lun, value};
	}
}

static void add_disks(struct shape *s, struct storage *storage)
{
	struct storage_place places[STORAGE_DISKS_MAX];
	size_t count = storage_places(storage, places);

	for (uint32_t i = 0; i < 32; i++) {
		if (storage_slots(storage) & BIT32(i)) {
			add(s, THING_CONTROLLER, i, 0, 0);
		}
	}
	for (unsigned dvd = 0; dvd < 2; dvd++) {
		for (size_t i = 0; i < count; i++) {
			if (places[i].dvd == dvd) {
				add(s, dvd ? THING_DVD : THING_DISK, places[i].slot, places[i].lun,
				    places[i].bytes);
			}
		}
	}
}

static void add_adapters(struct shape *s, struct net *net)
{
	for (uint32_t i = 0; i < NET_ADAPTERS_MAX; i++) {
		if (net_numbers(net) & BIT64(i)) {
			const uint8_t *mac = net_mac(net, i);
			uint64_t value = 0;

			for (unsigned n = 0; n < NET_MAC_BYTES; n++) {
				value = value << 8 | mac[n];
			}
			add(s, THING_ADAPTER, i, 0, value);
		}
	}
}

static void take_shape(struct worker *w, struct shape *ret)
{
	ret->count = 0;
	add(ret, THING_MEMORY, 0, 0, w->map.ram_bytes);
	add(ret, THING_PROCESSORS, 0, 0, w->config.processors);
	add(ret, THING_COUNTED, 0, 0, w->config.count_instructions);
	add_disks(ret, w->storage);
	add_adapters(ret, w->net);
	if (w->config.no_legacy) {
		add(ret, THING_NO_LEGACY, 0, 0, 0);
	}
}

void shape_save(struct worker *w, struct state_writer *out)
{
	struct shape shape;

	take_shape(w, &shape);
	state_begin(out, TAG_SHAPE, VERSION);
	for (size_t i = 0; i < shape.count; i++) {
		const struct thing *t = &shape.things[i];

		state_put_u8(out, t->kind);
		state_put_u32(out, t->slot);
		state_put_u32(out, t->lun);
		state_put_u64(out, t->value);
	}
	state_end(out);
}

/* ---- Comparing ---- */

static bool read_shape(struct state_reader *r, struct shape *ret)
{
	ret->count = 0;
	while (r->left != 0 && !r->bad && ret->count < THINGS_MAX) {
		struct thing t = {.kind = state_get_u8(r)};

		t.slot = state_get_u32(r);
		t.lun = state_get_u32(r);
		t.value = state_get_u64(r);
		ret->things[ret->count++] = t;
		if (t.kind >= THING_KINDS) {
			return false;
		}
	}
	return !r->bad && r->left == 0;
}

static int compare(const struct thing *a, const struct thing *b)
{
	if (a->kind != b->kind) {
		return a->kind < b->kind ? -1 : 1;
	}
	if (a->slot != b->slot) {
		return a->slot < b->slot ? -1 : 1;
	}
	return a->lun < b->lun ? -1 : a->lun > b->lun;
}

static void name_place(const struct thing *t, const char *what, char name[NAME_BYTES])
{
	uint32_t ide = t->slot - STORAGE_CONTROLLERS;

	if (t->slot < STORAGE_CONTROLLERS) {
		snprintf(name, NAME_BYTES, "%s %u:%u", what, t->slot, t->lun);
	} else {
		snprintf(name, NAME_BYTES, "%s ide%u:%u", what, ide / 2, ide % 2);
	}
}

/* "a disk in place 0:3 with 1048576 bytes" */
static const char *describe(const struct thing *t, char name[NAME_BYTES])
{
	char place[NAME_BYTES];

	/* cppcheck-suppress nullPointerRedundantCheck ; differ shows the one of two that is there */
	/* cppcheck-suppress ctunullpointer */
	switch ((enum thing_kind)t->kind) {
	case THING_MEMORY:
		snprintf(name, NAME_BYTES, "%" PRIu64 " MiB of memory", t->value >> 20);
		break;
	case THING_PROCESSORS:
		snprintf(name, NAME_BYTES, "%" PRIu64 " processors", t->value);
		break;
	case THING_COUNTED:
		snprintf(name, NAME_BYTES, "%s as its clock",
			 t->value != 0 ? "counted instructions" : "the host's time");
		break;
	case THING_CONTROLLER:
		snprintf(name, NAME_BYTES, "%s controller %u",
			 t->slot < STORAGE_CONTROLLERS ? "SCSI" : "IDE",
			 t->slot % STORAGE_CONTROLLERS);
		break;
	case THING_DISK:
		name_place(t, "a disk in place", place);
		snprintf(name, NAME_BYTES, "%.60s with %" PRIu64 " bytes", place, t->value);
		break;
	case THING_DVD:
		name_place(t, "a DVD drive in place", name);
		break;
	case THING_ADAPTER:
		snprintf(name, NAME_BYTES, "network adapter %u with address %012" PRIx64, t->slot,
			 t->value);
		break;
	case THING_NO_LEGACY:
		snprintf(name, NAME_BYTES, "a board that has no legacy chips");
		break;
	case THING_KINDS:
	default:
		name[0] = '\0';
		break;
	}
	return name;
}

/* NULL stands for the end of a list. */
static bool differ(const struct thing *saved, const struct thing *here,
		   char why[DEVICE_STATE_WHY_BYTES])
{
	char was[NAME_BYTES], is[NAME_BYTES];
	int order = saved == NULL ? 1 : here == NULL ? -1 : compare(saved, here);

	if (order < 0) {
		snprintf(why, DEVICE_STATE_WHY_BYTES,
			 "it was saved with %s, which this machine lacks", describe(saved, was));
	} else if (order > 0) {
		snprintf(why, DEVICE_STATE_WHY_BYTES,
			 "this machine has %s, without which it was saved", describe(here, is));
	} else {
		snprintf(why, DEVICE_STATE_WHY_BYTES, "it was saved with %s, this machine has %s",
			 describe(saved, was), describe(here, is));
	}
	return false;
}

static bool same(const struct shape *saved, const struct shape *here,
		 char why[DEVICE_STATE_WHY_BYTES])
{
	for (size_t i = 0; i < saved->count || i < here->count; i++) {
		const struct thing *a = i < saved->count ? &saved->things[i] : NULL;
		const struct thing *b = i < here->count ? &here->things[i] : NULL;

		if (a == NULL || b == NULL || compare(a, b) != 0 || a->value != b->value) {
			return differ(a, b, why);
		}
	}
	return true;
}

bool shape_matches(struct worker *w, const struct state_reader *run,
		   char why[DEVICE_STATE_WHY_BYTES])
{
	struct state_reader r = *run, payload;
	struct shape saved, here;
	uint16_t version;
	uint32_t tag;

	if (!state_next(&r, &tag, &version, &payload) || tag != TAG_SHAPE || version > VERSION ||
	    !read_shape(&payload, &saved)) {
		snprintf(why, DEVICE_STATE_WHY_BYTES,
			 "it does not begin with the shape of a machine");
		return false;
	}
	take_shape(w, &here);
	return same(&saved, &here, why);
}
