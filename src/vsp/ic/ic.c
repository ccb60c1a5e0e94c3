// SPDX-License-Identifier: Apache-2.0
/* The components' common life. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "service.h"
#include "vmbus/protocol.h"

static const struct ic_component *const components[VSP_IC_KINDS] = {
	[VSP_IC_SHUTDOWN] = &ic_shutdown_component,
	[VSP_IC_TIMESYNC] = &ic_timesync_component,
	[VSP_IC_HEARTBEAT] = &ic_heartbeat_component,
	[VSP_IC_KVP] = &ic_kvp_component,
	[VSP_IC_VSS] = &ic_vss_component,
	[VSP_IC_FCOPY] = &ic_fcopy_component,
};

const char *vsp_ic_name(enum vsp_ic_kind kind)
{
	return components[kind]->name;
}

static int offer_component(struct vmbus *bus, struct ic_channel *ch)
{
	struct vmbus_offer offer = {
		.type = ch->component->type,
		.instance = ch->component->instance,
		.flags = VMBUS_OFFER_ENUMERATE | VMBUS_OFFER_NAMED_PIPE,
		.name = ch->component->name,
	};

	store_le32(offer.user, IC_PIPE_MESSAGE_MODE);
	return vmbus_device_offer(bus, &offer, &ic_vmbus_ops, ch, &ch->device);
}

int vsp_ic_create(struct vmbus *bus, const struct vsp_ic_config *config, struct vsp_ic **ret)
{
	struct vsp_ic *ic = calloc(1, sizeof(*ic));
	int r = 0;

	if (ic == NULL) {
		return -ENOMEM;
	}
	ic->config = *config;
	for (unsigned i = 0; i < VSP_IC_KINDS && r == 0; i++) {
		struct ic_channel *ch = &ic->channels[i];

		ch->ic = ic;
		ch->kind = (enum vsp_ic_kind)i;
		ch->component = components[i];
		if (config->components & BIT32(i)) {
			r = offer_component(bus, ch);
		}
	}
	/* The bus holds pointers to channels that were offered: on failure, it goes first. */
	*ret = ic;
	return r;
}

void vsp_ic_destroy(struct vsp_ic *ic)
{
	if (ic == NULL) {
		return;
	}
	for (unsigned i = 0; i < VSP_IC_KINDS; i++) {
		struct ic_channel *ch = &ic->channels[i];

		ch->vmbus = NULL;
		ch->state = VSP_IC_CLOSED;
		ic_channel_drop(ch);
	}
	ic_kvp_drop_items(&ic->kvp);
	free(ic);
}

uint64_t vsp_ic_poll(struct vsp_ic *ic)
{
	uint64_t next = IC_NEVER;

	for (unsigned i = 0; i < VSP_IC_KINDS; i++) {
		next = min_u64(next, ic_channel_serve(&ic->channels[i]));
	}
	return next;
}

/* ---- Status ---- */

void vsp_ic_get_status(const struct vsp_ic *ic, enum vsp_ic_kind kind, struct vsp_ic_status *ret)
{
	const struct ic_channel *ch = &ic->channels[kind];

	*ret = (struct vsp_ic_status){
		.offered = ch->device != NULL,
		.state = ch->state,
		.framework_major = ch->framework.major,
		.framework_minor = ch->framework.minor,
		.message_major = ch->message.major,
		.message_minor = ch->message.minor,
	};
}

void vsp_ic_time_jump(struct vsp_ic *ic)
{
	for (unsigned i = 0; i < VSP_IC_KINDS; i++) {
		struct ic_channel *ch = &ic->channels[i];

		if (ch->waiting && ch->limit_ns != IC_NEVER) {
			ch->limit_ns = ic_after(ic, ch->component->timeout_ns);
		}
		if (ch->stuck_ns != 0) {
			ch->stuck_ns = ic_after(ic, ch->component->timeout_ns);
		}
		if (ic_channel_ready(ch) && ch->component->jumped != NULL) {
			ch->component->jumped(ch);
		}
	}
	ic_wake(ic);
}

/* ---- For the components ---- */

void ic_finish(struct vsp_ic_done *done, enum vsp_ic_result result, uint32_t status)
{
	struct vsp_ic_done d = *done;

	*done = (struct vsp_ic_done){0};
	if (d.fn != NULL) {
		d.fn(d.ctx, result, status);
	}
}

void ic_wake(struct vsp_ic *ic)
{
	ic->config.wake(ic->config.ctx);
}

void ic_changed(const struct ic_channel *ch)
{
	const struct vsp_ic_config *config = &ch->ic->config;

	if (config->changed != NULL) {
		config->changed(config->ctx, ch->kind);
	}
}
