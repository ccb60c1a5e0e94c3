// SPDX-License-Identifier: Apache-2.0
/* What of the console is saved: what was typed and not taken yet, and the last of what the guest has written. */
#include "console.h"
#include "lib/bits.h"
#include "lib/state.h"

#define TAG_CONSOLE STATE_TAG('C', 'O', 'N', 'S')
#define SAVE_VERSION 1u

void console_save(struct console *c, struct state_writer *w)
{
	uint8_t data[CONSOLE_HISTORY_BYTES];
	uint64_t lost = 0;

	pthread_mutex_lock(&c->lock);
	uint64_t at = c->written - min_u64(c->written, sizeof(data));
	size_t bytes = console_take(c, &at, &lost, data, sizeof(data));

	state_begin(w, TAG_CONSOLE, SAVE_VERSION);
	state_put_u32(w, (uint32_t)c->in_used);
	for (size_t i = 0; i < c->in_used; i++) {
		state_put_u8(w, c->in[(c->in_start + i) % CONSOLE_IN_BYTES]);
	}
	state_put_bytes(w, data, bytes);
	state_end(w);
	pthread_mutex_unlock(&c->lock);
}

/* What was typed comes before what is typed now; history is not shown again where it was seen. */
static bool restore_record(struct console *c, struct state_reader *r)
{
	uint8_t typed[CONSOLE_IN_BYTES];
	uint32_t count = state_get_u32(r);

	if (r->bad || count > sizeof(typed)) {
		return false;
	}
	state_get_bytes(r, typed, count);
	if (r->bad || r->left > CONSOLE_HISTORY_BYTES) {
		return false;
	}
	pthread_mutex_lock(&c->lock);
	count = (uint32_t)min_u64(count, CONSOLE_IN_BYTES - c->in_used);
	c->in_start = (c->in_start + CONSOLE_IN_BYTES - count) % CONSOLE_IN_BYTES;
	c->in_used += count;
	for (uint32_t i = 0; i < count; i++) {
		c->in[(c->in_start + i) % CONSOLE_IN_BYTES] = typed[i];
	}
	c->written = c->at = r->left;
	state_get_bytes(r, c->ring, r->left);
	pthread_mutex_unlock(&c->lock);
	return !r->bad;
}

bool console_restore(struct console *c, const struct state_reader *run)
{
	struct state_reader r = *run, payload;
	uint16_t version;
	uint32_t tag;

	while (state_next(&r, &tag, &version, &payload)) {
		if (tag == TAG_CONSOLE) {
			return version <= SAVE_VERSION && restore_record(c, &payload);
		}
	}
	return !r.bad;
}
