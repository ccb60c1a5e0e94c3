// SPDX-License-Identifier: Apache-2.0
/* A controller's life, its LUNs, and the turn of its I/O thread. */
#include "controller.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

/* ---- Life ---- */

static void describe(const struct stor *s, struct vmbus_offer *offer)
{
	const struct stor_config *c = &s->config;
	const struct vstor_offer_properties properties = {
		.path = c->ide_path,
		.target = c->ide_target,
		.flags = VSTOR_OFFER_IDE_DEVICE,
	};

	*offer = (struct vmbus_offer){
		.type = VSTOR_SCSI_TYPE,
		.instance = c->instance,
		.flags = VMBUS_OFFER_ENUMERATE,
		.name = s->name,
	};
	if (c->ide) {
		offer->type = (struct guid)VSTOR_IDE_TYPE;
		offer->instance = (struct guid)VSTOR_IDE_INSTANCE(c->ide_path, c->ide_target);
		memcpy(offer->user, &properties, sizeof(properties));
	}
}

static bool create_channels(struct stor *s)
{
	s->channel_count = 1;
	if (!s->config.ide) {
		s->channel_count +=
			(uint32_t)min_u64(s->config.subchannels_max, STOR_SUBCHANNELS_MAX);
	}
	s->channels = calloc(s->channel_count, sizeof(*s->channels));
	if (s->channels == NULL) {
		return false;
	}
	for (uint32_t i = 0; i < s->channel_count; i++) {
		s->channels[i].stor = s;
		s->channels[i].index = i;
		s->channels[i].answers_tail = &s->channels[i].answers;
	}
	return true;
}

static void release(struct stor *s)
{
	stor_pool_destroy(s);
	free(s->channels);
	free(s);
}

int stor_create(struct vmbus *bus, const struct stor_config *config, struct stor **ret)
{
	struct stor *s = calloc(1, sizeof(*s));
	struct vmbus_offer offer;
	int r;

	if (s == NULL) {
		return -ENOMEM;
	}
	CHECK(!config->ide || (config->ide_path < 2 && config->ide_target < 2));
	s->config = *config;
	snprintf(s->name, sizeof(s->name), "%s", config->name);
	s->config.name = s->name;
	if (!stor_pool_create(s) || !create_channels(s)) {
		release(s);
		return -ENOMEM;
	}
	describe(s, &offer);
	memcpy(s->initiator.id, offer.instance.bytes, sizeof(s->initiator.id));
	r = vmbus_device_offer(bus, &offer, &stor_vmbus_ops, s, &s->device);
	if (r != 0) {
		release(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* Channels may have been open when the bus went: what the guest was not told is forgotten. */
void stor_destroy(struct stor *s)
{
	if (s == NULL) {
		return;
	}
	CHECK(s->command_count == 0);
	for (uint32_t i = 0; i < s->channel_count; i++) {
		stor_channel_drop_answers(&s->channels[i]);
	}
	if (s->create_request != NULL) {
		stor_pool_give(s, s->create_request);
	}
	release(s);
}

/* ---- LUNs ---- */

void stor_rescan(struct stor *s)
{
	s->rescan_due = s->state == STOR_READY;
	s->config.wake(s->config.ctx);
}

int stor_attach(struct stor *s, unsigned lun, struct scsi_unit *unit)
{
	if (lun >= STOR_LUNS || (s->config.ide && lun != 0)) {
		return -EINVAL;
	}
	if (s->slots[lun].unit != NULL || s->slots[lun].leaving) {
		return -EBUSY;
	}
	s->slots[lun].unit = unit;
	stor_rescan(s);
	return 0;
}

void stor_detach(struct stor *s, unsigned lun, void (*gone)(void *ctx, struct scsi_unit *unit),
		 void *ctx)
{
	struct stor_slot *slot;

	CHECK(lun < STOR_LUNS);
	slot = &s->slots[lun];
	CHECK(slot->unit != NULL && !slot->leaving);
	slot->leaver = slot->unit;
	slot->unit = NULL;
	slot->leaving = true;
	slot->gone = gone;
	slot->gone_ctx = ctx;
	for (struct stor_request *r = s->commands; r != NULL; r = r->list_next) {
		if (r->slot == slot) {
			scsi_cancel(&r->command);
		}
	}
	s->gone_due |= slot->commands == 0;
	stor_rescan(s);
}

/* The callback may attach another unit there, or destroy this one. */
static void finish_detach(struct stor_slot *slot)
{
	struct scsi_unit *unit = slot->leaver;

	slot->leaving = false;
	slot->leaver = NULL;
	if (slot->gone != NULL) {
		slot->gone(slot->gone_ctx, unit);
	}
}

static void finish_detaches(struct stor *s)
{
	if (!s->gone_due) {
		return;
	}
	s->gone_due = false;
	for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
		if (s->slots[lun].leaving && s->slots[lun].commands == 0) {
			finish_detach(&s->slots[lun]);
		}
	}
}

/* ---- The I/O thread's turn ---- */

/* Each channel takes a batch; the first one is another one each time. */
bool stor_poll(struct stor *s)
{
	bool more = false;

	stor_mailbox_take(s);
	finish_detaches(s);
	for (uint32_t i = 0; i < s->channel_count; i++) {
		stor_channel_serve(&s->channels[(s->turn + i) % s->channel_count]);
	}
	s->turn = (s->turn + 1) % s->channel_count;
	for (uint32_t i = 0; i < s->channel_count; i++) {
		more |= stor_channel_more(&s->channels[i]);
	}
	return more || stor_mailbox_full(s);
}

void stor_hold(struct stor *s, bool held)
{
	s->held = held;
}

/* Answers for which the ring has no room may wait for ever, and can be saved. */
static bool channel_idle(const struct stor_channel *ch)
{
	return ch->state == STOR_CHANNEL_CLOSED ||
	       (ch->state == STOR_CHANNEL_OPEN && (ch->answers == NULL || ch->blocked));
}

bool stor_idle(const struct stor *s)
{
	bool idle = s->command_count == 0 && s->create_request == NULL && !s->gone_due &&
		    !stor_mailbox_full(s);

	for (uint32_t i = 0; i < s->channel_count; i++) {
		idle = idle && channel_idle(&s->channels[i]);
	}
	return idle;
}
