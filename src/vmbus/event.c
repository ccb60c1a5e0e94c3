// SPDX-License-Identifier: Apache-2.0
/* Signals in both directions. Any thread, no locks. */
#include "bus.h"

#include "lib/bits.h"

/*
 * The slot's count goes up before the channel is looked at and the channel is taken out of the slot before the count is looked at
 * (offer_reap): one of the two sees the other.
 */
void event_to_device(struct vmbus *bus, uint32_t relid)
{
	struct slot *slot = &bus->slots[relid];
	struct vmbus_channel *ch;

	__atomic_fetch_add(&slot->users, 1, __ATOMIC_SEQ_CST);
	ch = __atomic_load_n(&slot->channel, __ATOMIC_SEQ_CST);
	if (ch != NULL && __atomic_load_n(&ch->live, __ATOMIC_ACQUIRE)) {
		ch->dev->ops->signal(ch->dev->ctx, ch);
	}
	__atomic_fetch_sub(&slot->users, 1, __ATOMIC_RELEASE);
}

/* A guest without signals of its own for each channel: the set bits of the page say which. */
static void shared_event(struct vmbus *bus)
{
	uint8_t *page = __atomic_load_n(&bus->interrupt_page, __ATOMIC_ACQUIRE);

	if (page == NULL) {
		return;
	}
	for (uint32_t i = 0; i < VMBUS_INTERRUPT_RELIDS / 32; i++) {
		uint32_t *word = (uint32_t *)(void *)(page + VMBUS_INTERRUPT_SEND_OFFSET) + i;
		uint32_t bits = __atomic_load_n(word, __ATOMIC_RELAXED) != 0
					? __atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST)
					: 0;

		for (; bits != 0; bits &= bits - 1) {
			event_to_device(bus, i * 32 + (uint32_t)__builtin_ctz(bits));
		}
	}
	gmem_touch(bus->transport.gm,
		   __atomic_load_n(&bus->interrupt_page_gpa, __ATOMIC_RELAXED) +
			   VMBUS_INTERRUPT_SEND_OFFSET,
		   VMBUS_INTERRUPT_RELIDS / 8);
}

void vmbus_event(struct vmbus *bus, uint32_t connection, uint16_t flag)
{
	if (connection == VMBUS_EVENT_CONNECTION_ID) {
		shared_event(bus);
	} else if (connection > BUS_CONNECTION_BASE &&
		   connection < BUS_CONNECTION_BASE + VMBUS_RELIDS && flag == 0) {
		event_to_device(bus, connection - BUS_CONNECTION_BASE);
	}
}

/* A guest without event flags for channels: its page says which, flag 0 says that one did. */
static void set_legacy_bit(struct vmbus *bus, uint32_t relid)
{
	uint8_t *page = __atomic_load_n(&bus->interrupt_page, __ATOMIC_ACQUIRE);
	uint64_t offset = VMBUS_INTERRUPT_RECEIVE_OFFSET + relid / 32 * 4;

	if (page != NULL) {
		__atomic_fetch_or((uint32_t *)(void *)(page + offset), BIT32(relid % 32),
				  __ATOMIC_SEQ_CST);
		gmem_touch(bus->transport.gm,
			   __atomic_load_n(&bus->interrupt_page_gpa, __ATOMIC_RELAXED) + offset, 4);
	}
}

static void signal_target(struct vmbus_channel *ch, uint64_t target)
{
	const struct vmbus_transport *t = &ch->bus->transport;
	uint32_t vp = (uint32_t)target, sint = (uint32_t)bits_get(target, 32, 8);

	if (sint == 0) {
		return;
	}
	if (target & BUS_TARGET_LEGACY) {
		set_legacy_bit(ch->bus, ch->relid);
		t->signal(t->ctx, vp, sint, 0);
	} else {
		t->signal(t->ctx, vp, sint, (uint16_t)ch->relid);
	}
}

/*
 * The guest may move the channel to another VP at the same moment and then switch the old one off: the new one hears of it
 * too, whichever came first.
 */
void event_to_guest(struct vmbus_channel *ch)
{
	uint64_t target = __atomic_load_n(&ch->target, __ATOMIC_SEQ_CST), now;

	signal_target(ch, target);
	while ((now = __atomic_load_n(&ch->target, __ATOMIC_SEQ_CST)) != target) {
		target = now;
		signal_target(ch, target);
	}
}
