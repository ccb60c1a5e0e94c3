// SPDX-License-Identifier: Apache-2.0
/*
 * Heartbeat: a number every 2 s, which the guest answers with the next one. When none was answered for 10 s, contact is lost; it is back with
 * the next answer. Hyper-V's own limit is not documented.
 */
#include <string.h>

#include "service.h"

#define PERIOD_NS (2 * IC_SECOND_NS)
#define LOST_NS (10 * IC_SECOND_NS)

static void set_contact(struct ic_channel *ch, enum vsp_ic_heartbeat contact, uint32_t application)
{
	struct ic_heartbeat *h = &ch->ic->heartbeat;
	bool changed = h->contact != contact || h->application != application;

	h->contact = contact;
	h->application = application;
	if (changed) {
		ic_changed(ch);
	}
}

static void beat_now(struct ic_channel *ch)
{
	ch->ic->heartbeat.next_ns = 0;
}

static uint64_t due_ns(const struct ic_channel *ch)
{
	return ch->ic->heartbeat.next_ns;
}

static size_t build(struct ic_channel *ch, uint8_t *body)
{
	const struct ic_heartbeat_body b = {.sequence = ch->ic->heartbeat.sequence + 1};

	memcpy(body, &b, sizeof(b));
	return sizeof(b);
}

static void sent(struct ic_channel *ch)
{
	ch->ic->heartbeat.sequence++;
	ch->ic->heartbeat.next_ns = ic_after(ch->ic, PERIOD_NS);
}

/* Guests before applications were thought of leave our zeros where their state is. */
static void answered(struct ic_channel *ch, uint32_t status, const uint8_t *body, size_t bytes)
{
	struct ic_heartbeat *h = &ch->ic->heartbeat;
	struct ic_heartbeat_body b = {0};

	if (status != IC_STATUS_OK) {
		ic_report(ch, IC_VIOLATION_BODY, "beat %llu is answered with status 0x%x",
			  (unsigned long long)h->sequence, status);
		return;
	}
	memcpy(&b, body, bytes < sizeof(b) ? bytes : sizeof(b));
	if (b.sequence != h->sequence + 1) {
		ic_report(ch, IC_VIOLATION_BODY, "beat %llu is answered with %llu, expected %llu",
			  (unsigned long long)h->sequence, (unsigned long long)b.sequence,
			  (unsigned long long)h->sequence + 1);
		return;
	}
	set_contact(ch, VSP_IC_OK_CONTACT, b.application_state);
}

static void lost(struct ic_channel *ch, enum vsp_ic_result why)
{
	struct ic_heartbeat *h = &ch->ic->heartbeat;

	if (why == VSP_IC_GONE) {
		h->next_ns = 0;
		set_contact(ch, VSP_IC_NO_CONTACT, 0);
	} else if (h->contact == VSP_IC_OK_CONTACT) {
		set_contact(ch, VSP_IC_LOST_CONTACT, h->application);
	}
}

static void save(const struct ic_channel *ch, struct state_writer *w)
{
	state_put_u64(w, ch->ic->heartbeat.sequence);
	state_put_u8(w, (uint8_t)ch->ic->heartbeat.contact);
	state_put_u32(w, ch->ic->heartbeat.application);
}

static bool restore(struct ic_channel *ch, struct state_reader *r)
{
	struct ic_heartbeat *h = &ch->ic->heartbeat;
	uint8_t contact;

	h->sequence = state_get_u64(r);
	contact = state_get_u8(r);
	h->application = state_get_u32(r);
	if (r->bad || contact > VSP_IC_LOST_CONTACT) {
		return false;
	}
	h->contact = (enum vsp_ic_heartbeat)contact;
	return true;
}

const struct ic_component ic_heartbeat_component = {
	.name = "heartbeat",
	.type = IC_HEARTBEAT_TYPE,
	.instance = IC_HEARTBEAT_INSTANCE,
	.message_type = IC_MESSAGE_HEARTBEAT,
	.versions = {{1, 0}, {3, 0}},
	.version_count = 2,
	.old_framework = true,
	.answer_bytes = sizeof(uint64_t),
	.timeout_ns = LOST_NS,
	.ready = beat_now,
	.due_ns = due_ns,
	.build = build,
	.sent = sent,
	.answered = answered,
	.lost = lost,
	.jumped = beat_now,
	.save = save,
	.restore = restore,
};

enum vsp_ic_heartbeat vsp_ic_get_heartbeat(const struct vsp_ic *ic, uint32_t *ret_application)
{
	if (ret_application != NULL) {
		*ret_application = ic->heartbeat.application;
	}
	return ic->heartbeat.contact;
}
