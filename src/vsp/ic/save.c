// SPDX-License-Identifier: Apache-2.0
/*
 * Saved: what was agreed on with the guest, whether it owes an answer, and what components keep. The owners of requests are not there any more after
 * a restore; the answers come, are taken and forgotten, so that later ones are not mistaken for them.
 */
#include "lib/bits.h"
#include "service.h"

#define TAG_IC STATE_TAG('I', 'C', ' ', ' ')
#define TAG_CHANNEL STATE_TAG('I', 'C', 'C', 'H')
#define TAG_OWN STATE_TAG('I', 'C', 'O', 'W')
#define SAVE_VERSION 1u

static void save_channel(const struct ic_channel *ch, struct state_writer *w)
{
	state_begin(w, TAG_CHANNEL, SAVE_VERSION);
	state_put_u8(w, (uint8_t)ch->kind);
	state_put_u8(w, (uint8_t)ch->state);
	state_put_u16(w, ch->framework.major);
	state_put_u16(w, ch->framework.minor);
	state_put_u16(w, ch->message.major);
	state_put_u16(w, ch->message.minor);
	state_put_u8(w, ch->waiting);
	state_put_u8(w, ch->transaction);
	state_put_u64(w, ch->packet);
	if (ch->component->save != NULL) {
		state_begin(w, TAG_OWN, SAVE_VERSION);
		ch->component->save(ch, w);
		state_end(w);
	}
	state_end(w);
}

void vsp_ic_save(const struct vsp_ic *ic, struct state_writer *w)
{
	state_begin(w, TAG_IC, SAVE_VERSION);
	for (unsigned i = 0; i < VSP_IC_KINDS; i++) {
		if (ic->channels[i].device != NULL) {
			save_channel(&ic->channels[i], w);
		}
	}
	state_end(w);
}

/* ---- Restore ---- */

static struct ic_version get_version(struct state_reader *r)
{
	struct ic_version v;

	v.major = state_get_u16(r);
	v.minor = state_get_u16(r);
	return v;
}

/* The bus has opened the channel again, or not: the state must fit. */
static bool fits(const struct ic_channel *ch, enum vsp_ic_state state, bool waiting)
{
	bool open = ch->vmbus != NULL;
	bool agreed = ch->framework.major != 0;

	if (open != (state != VSP_IC_CLOSED) || agreed != (state == VSP_IC_READY)) {
		return false;
	}
	if (waiting && state != VSP_IC_NEGOTIATING && state != VSP_IC_READY) {
		return false;
	}
	return !agreed || ic_version_offered(ch->component, ch->framework, ch->message);
}

static bool restore_own(struct ic_channel *ch, struct state_reader *r)
{
	struct state_reader payload;
	uint32_t tag;
	uint16_t version;

	while (state_next(r, &tag, &version, &payload)) {
		if (version > SAVE_VERSION) {
			return false;
		}
		if (tag == TAG_OWN && ch->component->restore != NULL &&
		    !ch->component->restore(ch, &payload)) {
			return false;
		}
	}
	return !r->bad;
}

static void restore_waiting(struct ic_channel *ch, bool waiting)
{
	bool negotiating = ch->state == VSP_IC_NEGOTIATING;

	ch->waiting = waiting;
	ch->orphan = waiting && !negotiating;
	ch->limit_ns = negotiating ? IC_NEVER : ic_after(ch->ic, ch->component->timeout_ns);
}

static bool restore_channel(struct vsp_ic *ic, struct state_reader *r)
{
	uint8_t kind = state_get_u8(r), state = state_get_u8(r), waiting;
	struct ic_channel *ch;

	if (kind >= VSP_IC_KINDS || state > VSP_IC_BROKEN || ic->channels[kind].device == NULL) {
		return false;
	}
	ch = &ic->channels[kind];
	ch->framework = get_version(r);
	ch->message = get_version(r);
	waiting = state_get_u8(r);
	ch->transaction = state_get_u8(r);
	ch->packet = state_get_u64(r);
	if (r->bad || waiting > 1 || !fits(ch, (enum vsp_ic_state)state, waiting)) {
		return false;
	}
	ch->state = (enum vsp_ic_state)state;
	restore_waiting(ch, waiting);
	return restore_own(ch, r);
}

static bool restore_channels(struct vsp_ic *ic, struct state_reader *r, uint32_t *ret_seen)
{
	struct state_reader payload;
	uint32_t tag;
	uint16_t version;

	while (state_next(r, &tag, &version, &payload)) {
		uint8_t kind = payload.left != 0 ? payload.buf[0] : VSP_IC_KINDS;

		if (version > SAVE_VERSION) {
			return false;
		}
		if (tag == TAG_CHANNEL && (kind >= VSP_IC_KINDS || *ret_seen & BIT32(kind) ||
					   !restore_channel(ic, &payload))) {
			return false;
		}
		*ret_seen |= tag == TAG_CHANNEL ? BIT32(kind) : 0;
	}
	return !r->bad;
}

bool vsp_ic_restore(struct vsp_ic *ic, struct state_reader *r)
{
	struct state_reader payload;
	uint32_t tag, seen = 0;
	uint16_t version;

	if (!state_next(r, &tag, &version, &payload) || tag != TAG_IC || version > SAVE_VERSION ||
	    !restore_channels(ic, &payload, &seen)) {
		return false;
	}
	for (unsigned i = 0; i < VSP_IC_KINDS; i++) {
		/* An open channel of which nothing is known: the guest believes what we do not know. */
		if (ic->channels[i].vmbus != NULL && !(seen & BIT32(i))) {
			return false;
		}
	}
	vsp_ic_time_jump(ic);
	return true;
}
