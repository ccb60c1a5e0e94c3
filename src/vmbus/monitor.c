// SPDX-License-Identifier: Apache-2.0
/*
 * Monitor pages: a guest sets a bit instead of making a hypercall, and we look. A hint in the page says how long a bit may wait; we look that
 * often while bits come, and less and less when none do.
 */
#include "bus.h"

#define LATENCY_DEFAULT_100NS 1000u /* our hint: 100 us */
#define LATENCY_MIN_NS UINT64_C(20000)
#define LATENCY_MAX_NS UINT64_C(10000000)
#define IDLE_MAX_NS                                                                                \
	UINT64_C(1000000) /* longest wait of the first bit after a pause, if the hint is shorter */

static struct vmbus_monitor_page *map_page(struct vmbus *bus, uint64_t gpa)
{
	if (gpa % VMBUS_PAGE_BYTES != 0) {
		return NULL;
	}
	return gmem_ptr(bus->transport.gm, gpa, VMBUS_PAGE_BYTES, GMEM_R | GMEM_W);
}

bool monitor_connect(struct vmbus *bus, const uint64_t gpa[2])
{
	if ((gpa[0] == 0) != (gpa[1] == 0)) {
		return false;
	}
	if (gpa[0] == 0 || !bus->config.monitor) {
		return true;
	}
	for (unsigned i = 0; i < 2; i++) {
		bus->monitor_gpa[i] = gpa[i];
		bus->monitor[i] = map_page(bus, gpa[i]);
	}
	if (bus->monitor[0] == NULL || bus->monitor[1] == NULL) {
		monitor_disconnect(bus);
		return false;
	}
	bus->monitor_due_ns = 0;
	return true;
}

void monitor_disconnect(struct vmbus *bus)
{
	bus->monitor[0] = NULL;
	bus->monitor[1] = NULL;
}

/* Guests before WIN8 signal that way by themselves; for newer ones the offer decides. */
static bool wanted(const struct vmbus_channel *ch)
{
	const struct vmbus *bus = ch->bus;

	return bus->monitor[1] != NULL && ch->monitor_id < 0 &&
	       (bus->version < VERSION_WIN8 ||
		(ch->dev->offer.flags & VMBUS_OFFER_REQUEST_MONITOR));
}

/* What the pages say about the channel: for the guest's information, except the latency, which we read back. */
static void describe(struct vmbus_channel *ch)
{
	struct vmbus *bus = ch->bus;
	unsigned group = (unsigned)ch->monitor_id / VMBUS_MONITOR_GROUP_BITS;
	unsigned bit = (unsigned)ch->monitor_id % VMBUS_MONITOR_GROUP_BITS;

	for (unsigned i = 0; i < 2; i++) {
		struct vmbus_monitor_page *page = bus->monitor[i];

		__atomic_fetch_or(&page->trigger_state, BIT32(group), __ATOMIC_RELAXED);
		__atomic_store_n(&page->latency_100ns[group][bit], LATENCY_DEFAULT_100NS,
				 __ATOMIC_RELAXED);
		__atomic_store_n(&page->parameter[group][bit].connection_id,
				 BUS_CONNECTION_BASE + ch->relid, __ATOMIC_RELAXED);
		gmem_touch(bus->transport.gm, bus->monitor_gpa[i], VMBUS_PAGE_BYTES);
	}
}

void monitor_allocate(struct vmbus_channel *ch)
{
	struct vmbus *bus = ch->bus;

	if (!wanted(ch)) {
		return;
	}
	for (unsigned id = 0; id < VMBUS_MONITOR_IDS; id++) {
		if (bus->monitor_channel[id] == NULL) {
			bus->monitor_channel[id] = ch;
			ch->monitor_id = (int)id;
			describe(ch);
			return;
		}
	}
}

void monitor_release(struct vmbus_channel *ch)
{
	if (ch->monitor_id >= 0) {
		ch->bus->monitor_channel[ch->monitor_id] = NULL;
		ch->monitor_id = -1;
	}
}

bool monitor_restore(struct vmbus_channel *ch, uint32_t id)
{
	struct vmbus *bus = ch->bus;

	if (bus->monitor[1] == NULL || id >= VMBUS_MONITOR_IDS ||
	    bus->monitor_channel[id] != NULL) {
		return false;
	}
	bus->monitor_channel[id] = ch;
	ch->monitor_id = (int)id;
	return true;
}

/* The shortest wait that a page allows, of @group's channels that are open; UINT64_MAX: none is. */
static uint64_t group_latency(const struct vmbus *bus, unsigned group)
{
	uint64_t shortest = UINT64_MAX;

	for (unsigned bit = 0; bit < VMBUS_MONITOR_GROUP_BITS; bit++) {
		const struct vmbus_channel *ch =
			bus->monitor_channel[group * VMBUS_MONITOR_GROUP_BITS + bit];

		if (ch != NULL && ch->state == CHANNEL_OPEN) {
			uint64_t ns = 100ull *
				      __atomic_load_n(&bus->monitor[1]->latency_100ns[group][bit],
						      __ATOMIC_RELAXED);

			shortest = min_u64(shortest, max_u64(ns, LATENCY_MIN_NS));
		}
	}
	return shortest;
}

static bool take_group(struct vmbus *bus, unsigned group)
{
	uint32_t *word = &bus->monitor[1]->trigger_group[group].pending;
	uint32_t bits = 0;

	if (__atomic_load_n(word, __ATOMIC_RELAXED) != 0) {
		bits = __atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST);
		gmem_touch(bus->transport.gm, bus->monitor_gpa[1], VMBUS_PAGE_BYTES);
	}
	for (uint32_t left = bits; left != 0; left &= left - 1) {
		const struct vmbus_channel *ch =
			bus->monitor_channel[group * VMBUS_MONITOR_GROUP_BITS +
					     (unsigned)__builtin_ctz(left)];

		if (ch != NULL) {
			event_to_device(bus, ch->relid);
		}
	}
	return bits != 0;
}

uint64_t monitor_poll(struct vmbus *bus, uint64_t now_ns)
{
	uint64_t latency = UINT64_MAX;
	bool busy = false;

	if (bus->monitor[1] == NULL) {
		return UINT64_MAX;
	}
	for (unsigned group = 0; group < VMBUS_MONITOR_GROUPS; group++) {
		latency = min_u64(latency, group_latency(bus, group));
	}
	if (latency == UINT64_MAX) {
		return UINT64_MAX;
	}
	if (now_ns < bus->monitor_due_ns) {
		return bus->monitor_due_ns;
	}
	for (unsigned group = 0; group < VMBUS_MONITOR_GROUPS; group++) {
		busy |= take_group(bus, group);
	}
	latency = min_u64(latency, LATENCY_MAX_NS);
	bus->monitor_idle_ns = busy ? latency
				    : min_u64(max_u64(bus->monitor_idle_ns, latency) * 2,
					      max_u64(latency, IDLE_MAX_NS));
	bus->monitor_due_ns = now_ns + bus->monitor_idle_ns;
	return bus->monitor_due_ns;
}
