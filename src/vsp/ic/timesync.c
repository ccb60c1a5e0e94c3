// SPDX-License-Identifier: Apache-2.0
/*
 * Time synchronization. The first message after the versions tells the guest to set its clock, and so does the first after its time stood still
 * or was put back; samples follow every 5 s, with which guests correct their clock as they see fit.
 */
#include <string.h>

#include "service.h"

#define PERIOD_NS (5 * IC_SECOND_NS)

static void set_clock(struct ic_channel *ch)
{
	ch->ic->timesync.sync = true;
	ch->ic->timesync.next_ns = 0;
}

static uint64_t due_ns(const struct ic_channel *ch)
{
	return ch->ic->timesync.next_ns;
}

/* Before 4.0 the guest can tell its own time and how long messages take; nobody looks at that. */
static size_t build(struct ic_channel *ch, uint8_t *body)
{
	const struct vsp_ic_config *config = &ch->ic->config;
	struct ic_timesync *t = &ch->ic->timesync;
	uint8_t flags = t->sync ? IC_TIMESYNC_SYNC : IC_TIMESYNC_SAMPLE;
	const struct ic_timesync_body old = {
		.host_100ns = config->utc_100ns(config->ctx),
		.flags = flags,
	};
	const struct ic_timesync_reference_body with_reference = {
		.host_100ns = old.host_100ns,
		.reference_100ns = config->reference_100ns(config->ctx),
		.flags = flags,
	};

	t->written = t->sync;
	if (ic_version_least(ch, 4, 0)) {
		memcpy(body, &with_reference, sizeof(with_reference));
		return sizeof(with_reference);
	}
	memcpy(body, &old, sizeof(old));
	return sizeof(old);
}

static void sent(struct ic_channel *ch)
{
	ch->ic->timesync.next_ns = ic_after(ch->ic, PERIOD_NS);
}

/* A jump may have come after it was sent: then there is another one to come. */
static void answered(struct ic_channel *ch, uint32_t status, const uint8_t *body, size_t bytes)
{
	struct ic_timesync *t = &ch->ic->timesync;

	if (t->written && t->next_ns != 0) {
		t->sync = false;
	}
}

const struct ic_component ic_timesync_component = {
	.name = "timesync",
	.type = IC_TIMESYNC_TYPE,
	.instance = IC_TIMESYNC_INSTANCE,
	.message_type = IC_MESSAGE_TIMESYNC,
	.versions = {{1, 0}, {3, 0}, {4, 0}},
	.version_count = 3,
	.old_framework = true,
	.timeout_ns = 2 * PERIOD_NS,
	.ready = set_clock,
	.due_ns = due_ns,
	.build = build,
	.sent = sent,
	.answered = answered,
	.jumped = set_clock,
};
