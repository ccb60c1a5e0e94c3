// SPDX-License-Identifier: Apache-2.0
/* Requests about the machine as a whole. */
#include <inttypes.h>
#include <string.h>

#include "control_connection.h"
#include "pause.h"
#include "restore.h"
#include "saving.h"

static const char *state_word(struct worker *w)
{
	uint64_t done, total;
	const char *what = saving_what(w, &done, &total);

	if (what != NULL && strcmp(what, "save") == 0) {
		return "saving";
	}
	return w->machine.paused || w->machine.critical ? "paused" : "running";
}

static void tell_state(struct worker *w)
{
	control_event(w->control, "state", "state=%s\n", state_word(w));
}

static void say_trouble(struct connection *c)
{
	struct worker *w = c->worker;
	char text[sizeof(w->trouble)];

	pthread_mutex_lock(&w->lock);
	memcpy(text, w->trouble, sizeof(text));
	pthread_mutex_unlock(&w->lock);
	control_say(c, "trouble=%s", text);
}

/* On the loop thread, under a lock of the disks. */
static void say_disk(void *ctx, unsigned slot, unsigned lun, const char *path)
{
	char place[STORAGE_PLACE_BYTES];

	storage_place_text(slot, lun, place);
	control_say(ctx, "disk=%s:%s", place, path);
}

static void say_parent(void *ctx, unsigned slot, unsigned lun, const char *path)
{
	char place[STORAGE_PLACE_BYTES];

	storage_place_text(slot, lun, place);
	control_say(ctx, "parent=%s:%s", place, path);
}

static bool info(struct connection *c, const struct control_request *q)
{
	struct worker *w = c->worker;
	uint64_t done, total;
	const char *what = saving_what(w, &done, &total);

	(void)q;
	control_say(c, "name=%s", w->config.name);
	control_say(c, "state=%s", state_word(w));
	control_say(c, "critical=%d", w->machine.critical);
	if (w->machine.critical) {
		say_trouble(c);
	}
	control_say(c, "processors=%u", w->config.processors);
	control_say(c, "memory_bytes=%" PRIu64, w->map.ram_bytes);
	control_say(c, "uptime_ns=%" PRIu64, machine_guest_ns(w));
	control_say(c, "loading=%d", restore_loading(w));
	storage_list(w->storage, say_disk, c);
	storage_list_parents(w->storage, say_parent, c);
	control_say(c, "settled=%d", what == NULL && atomic_load(&w->changing) == 0);
	if (what != NULL) {
		control_say(c, "%s_done=%" PRIu64, what, done);
		control_say(c, "%s_total=%" PRIu64, what, total);
	}
	return true;
}

static bool stats(struct connection *c, const struct control_request *q)
{
	(void)q;
	stats_tell(c);
	return true;
}

/* A state that is being written is not what people change. */
static bool not_saving(struct connection *c)
{
	return strcmp(state_word(c->worker), "saving") != 0 ||
	       control_refuse(c, "the machine is being saved");
}

static bool pause_machine(struct connection *c, const struct control_request *q)
{
	(void)q;
	if (!not_saving(c)) {
		return false;
	}
	if (c->worker->machine.paused) {
		return control_refuse(c, "the machine is paused already");
	}
	const char *why = machine_pause(c->worker);

	if (why != NULL) {
		return control_refuse(c, why);
	}
	storage_tend(c->worker->storage);
	tell_state(c->worker);
	return true;
}

static bool resume_machine(struct connection *c, const struct control_request *q)
{
	(void)q;
	if (!not_saving(c)) {
		return false;
	}
	if (c->worker->machine.critical) {
		storage_retry(c->worker->storage);
		return true;
	}
	if (!c->worker->machine.paused) {
		return control_refuse(c, "the machine is not paused");
	}
	if (machine_resume(c->worker) != 0) {
		return control_refuse(c, "the hypervisor does not let the machine go on");
	}
	tell_state(c->worker);
	return true;
}

static bool reset_machine(struct connection *c, const struct control_request *q)
{
	(void)q;
	if (!not_saving(c)) {
		return false;
	}
	worker_end_round(c->worker, END_RESET);
	return true;
}

static bool turn_off(struct connection *c, const struct control_request *q)
{
	(void)q;
	worker_end_round(c->worker, END_TURNED_OFF);
	return true;
}

/* ---- Saved state ---- */

static void save_done(void *ctx, const char *why)
{
	struct connection *c = ctx;

	control_done(c, why);
	if (why != NULL) {
		tell_state(c->worker);
	}
	control_poll(c->control); /* the answer goes out before the machine ends */
}

static bool save(struct connection *c, const struct control_request *q)
{
	c->busy = true;
	const char *why = saving_save(c->worker, q->fds[0], save_done, c);

	c->busy = why == NULL;
	if (why == NULL) {
		tell_state(c->worker);
		return true;
	}
	control_answer(c, why);
	return true; /* the descriptor is not ours any more */
}

/* ---- Streams ---- */

static bool events(struct connection *c, const struct control_request *q)
{
	(void)q;
	c->watches = true;
	return true;
}

static bool console(struct connection *c, const struct control_request *q)
{
	const char *why = console_join(c->worker->console, q->fds[0]);

	return why == NULL || control_refuse(c, why);
}

const struct control_word control_state_words[] = {
	{"info", 0, info},	     {"stats", 0, stats},
	{"pause", 0, pause_machine}, {"resume", 0, resume_machine},
	{"reset", 0, reset_machine}, {"turn-off", 0, turn_off},
	{"save", 1, save},	     {"events", 0, events},
	{"console", 1, console},     {NULL},
};
