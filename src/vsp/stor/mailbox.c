// SPDX-License-Identifier: Apache-2.0
/* Where the bus thread and the I/O thread meet. */
#include "controller.h"

#include "lib/check.h"

static void lock(struct stor *s)
{
	if (s->config.lock_ops.lock != NULL) {
		s->config.lock_ops.lock(s->config.lock);
	}
}

static void unlock(struct stor *s)
{
	if (s->config.lock_ops.unlock != NULL) {
		s->config.lock_ops.unlock(s->config.lock);
	}
}

static void wake(struct stor *s)
{
	s->config.wake(s->config.ctx);
}

static struct stor_channel *channel_of(struct stor *s, const struct vmbus_channel *vmbus)
{
	uint32_t index = vmbus_channel_index(vmbus);

	CHECK(index < s->channel_count);
	return &s->channels[index];
}

/* ---- Bus thread ---- */

static uint32_t bus_open(void *ctx, struct vmbus_channel *vmbus, const uint8_t *user)
{
	struct stor *s = ctx;
	struct stor_channel *ch = channel_of(s, vmbus);

	lock(s);
	CHECK(ch->mail_opened == NULL && !ch->mail_closing);
	ch->mail_opened = vmbus;
	__atomic_store_n(&s->mail, true, __ATOMIC_RELEASE);
	unlock(s);
	wake(s);
	return VMBUS_STATUS_SUCCESS;
}

static void bus_close(void *ctx, struct vmbus_channel *vmbus)
{
	struct stor *s = ctx;
	struct stor_channel *ch = channel_of(s, vmbus);

	lock(s);
	CHECK(!ch->mail_closing);
	ch->mail_closing = true;
	__atomic_store_n(&s->mail, true, __ATOMIC_RELEASE);
	unlock(s);
	wake(s);
}

/* Any thread, and often a VP's: one wake is enough until the I/O thread has looked. */
static void bus_signal(void *ctx, struct vmbus_channel *vmbus)
{
	struct stor *s = ctx;
	struct stor_channel *ch = channel_of(s, vmbus);

	if (!__atomic_exchange_n(&ch->signalled, true, __ATOMIC_SEQ_CST)) {
		wake(s);
	}
}

const struct vmbus_device_ops stor_vmbus_ops = {
	.open = bus_open,
	.close = bus_close,
	.signal = bus_signal,
};

static void bus_created(void *ctx, int result)
{
	struct stor *s = ctx;

	lock(s);
	CHECK(!s->mail_created);
	s->mail_created = true;
	s->mail_create_result = result;
	__atomic_store_n(&s->mail, true, __ATOMIC_RELEASE);
	unlock(s);
	wake(s);
}

/* ---- I/O thread ---- */

void stor_mailbox_create(struct stor *s, uint32_t count)
{
	vmbus_request_subchannels(s->channels[0].vmbus, count, bus_created, s);
}

static void take_channel(struct stor *s, struct stor_channel *ch)
{
	struct vmbus_channel *opened;
	bool closing;

	lock(s);
	opened = ch->mail_opened;
	closing = ch->mail_closing;
	ch->mail_opened = NULL;
	ch->mail_closing = false;
	unlock(s);
	if (opened != NULL) {
		stor_channel_open(ch, opened);
	}
	if (closing) {
		stor_channel_close(ch);
	}
}

static void take_created(struct stor *s)
{
	bool created;
	int result;

	lock(s);
	created = s->mail_created;
	result = s->mail_create_result;
	s->mail_created = false;
	unlock(s);
	if (created) {
		stor_negotiate_created(s, result);
	}
}

void stor_mailbox_take(struct stor *s)
{
	if (!__atomic_exchange_n(&s->mail, false, __ATOMIC_ACQ_REL)) {
		return;
	}
	take_created(s);
	for (uint32_t i = 0; i < s->channel_count; i++) {
		take_channel(s, &s->channels[i]);
	}
}

bool stor_mailbox_full(const struct stor *s)
{
	return __atomic_load_n(&s->mail, __ATOMIC_ACQUIRE);
}
