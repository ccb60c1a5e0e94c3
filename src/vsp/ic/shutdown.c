// SPDX-License-Identifier: Apache-2.0
/* Shutdown: one request, which the guest accepts or not; what it does then is its own matter. */
#include <errno.h>
#include <string.h>

#include "lib/utf16.h"
#include "service.h"

static uint64_t due_ns(const struct ic_channel *ch)
{
	return ch->ic->shutdown.wanted ? 0 : IC_NEVER;
}

static size_t build(struct ic_channel *ch, uint8_t *body)
{
	memcpy(body, &ch->ic->shutdown.body, sizeof(ch->ic->shutdown.body));
	return sizeof(ch->ic->shutdown.body);
}

static void finish(struct ic_channel *ch, enum vsp_ic_result result, uint32_t status)
{
	struct ic_shutdown *s = &ch->ic->shutdown;

	s->wanted = false;
	ic_finish(&s->done, result, status);
}

static void answered(struct ic_channel *ch, uint32_t status, const uint8_t *body, size_t bytes)
{
	finish(ch, status == IC_STATUS_OK ? VSP_IC_DONE : VSP_IC_REFUSED, status);
}

static void lost(struct ic_channel *ch, enum vsp_ic_result why)
{
	finish(ch, why, 0);
}

const struct ic_component ic_shutdown_component = {
	.name = "shutdown",
	.type = IC_SHUTDOWN_TYPE,
	.instance = IC_SHUTDOWN_INSTANCE,
	.message_type = IC_MESSAGE_SHUTDOWN,
	.versions = {{1, 0}, {3, 0}, {3, 1}, {3, 2}},
	.version_count = 4,
	.old_framework = true,
	.timeout_ns = 30 * IC_SECOND_NS,
	.due_ns = due_ns,
	.build = build,
	.answered = answered,
	.lost = lost,
};

/* ---- Asking ---- */

static bool possible(const struct ic_channel *ch, enum vsp_ic_power what, uint32_t *ret_flag)
{
	switch (what) {
	case VSP_IC_POWER_RESTART:
		*ret_flag = IC_SHUTDOWN_FLAG_RESTART;
		return ic_version_least(ch, 3, 1);
	case VSP_IC_POWER_HIBERNATE:
		*ret_flag = IC_SHUTDOWN_FLAG_HIBERNATE;
		return ic_version_least(ch, 3, 2);
	case VSP_IC_POWER_OFF:
	default:
		*ret_flag = 0;
		return true;
	}
}

/* What does not fit with its NUL is not shown: half a sentence is worse than none. */
static void put_text(struct ic_shutdown_body *body, const char *text)
{
	size_t bytes;

	if (text != NULL &&
	    (!utf16_encode(text, UTF16_LE, body->text, sizeof(body->text), &bytes) ||
	     bytes > sizeof(body->text) - 2)) {
		memset(body->text, 0, sizeof(body->text));
	}
}

int vsp_ic_shutdown(struct vsp_ic *ic, const struct vsp_ic_shutdown *how, struct vsp_ic_done done)
{
	struct ic_channel *ch = &ic->channels[VSP_IC_SHUTDOWN];
	struct ic_shutdown *s = &ic->shutdown;
	uint32_t flag;

	if (!ic_channel_ready(ch)) {
		return -ENODEV;
	}
	if (s->wanted) {
		return -EBUSY;
	}
	if (!possible(ch, how->what, &flag)) {
		return -ENOTSUP;
	}
	s->body = (struct ic_shutdown_body){
		.reason = how->reason,
		.timeout_seconds = how->timeout_seconds,
		.flags = flag | (how->force ? IC_SHUTDOWN_FLAG_FORCE : 0),
	};
	put_text(&s->body, how->text);
	s->wanted = true;
	s->done = done;
	ic_wake(ic);
	return 0;
}
