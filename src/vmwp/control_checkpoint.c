// SPDX-License-Identifier: Apache-2.0
/*
 * "checkpoint", the file for the state (or --no-memory, and none), and for each disk --disk=... (its place, and the path of a new, empty file) and --file=... (that file):
 * the disks' new tops are made while the machine runs, then it stands still for a moment.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control_connection.h"
#include "saving.h"

/* The answer went out when the machine ran again. */
static void checkpoint_done(void *ctx, const char *why)
{
	struct worker *w = ctx;

	if (why == NULL) {
		control_event(w->control, "checkpoint", "result=ok\n");
	} else {
		control_event(w->control, "checkpoint", "result=failed\ntext=%s\n", why);
	}
}

/* The disks are ready, or there are none. The descriptor is not ours after this. */
static const char *catch_state(struct connection *c)
{
	uint64_t pause_ns;
	const char *why =
		saving_checkpoint(c->worker, c->state_fd, checkpoint_done, c->worker, &pause_ns);

	if (why == NULL) {
		control_say(c, "pause_ns=%" PRIu64, pause_ns);
	}
	return why;
}

static void disks_ready(struct connection *c)
{
	atomic_fetch_sub(&c->worker->changing, 1);
	const char *why = c->why[0] != '\0' ? c->why : NULL;

	if (why != NULL && c->state_fd >= 0) {
		close(c->state_fd);
	} else if (why == NULL) {
		why = catch_state(c);
	}
	control_done(c, why);
}

/* Any thread. */
static void on_disks(void *ctx, const char *error)
{
	struct connection *c = ctx;

	snprintf(c->why, sizeof(c->why), "%s", error == NULL ? "" : error);
	control_later(c, disks_ready);
}

static bool parse(struct connection *c, const struct control_request *q)
{
	char *next;

	for (char *at = control_option(q, NULL); at != NULL; at = next) {
		next = control_option(q, at); /* before the option is cut up in place */
		if (strcmp(at, "--no-memory") == 0) {
			c->state_fd = -1;
		} else if (!options_storage(&c->parsed, at)) {
			return false;
		}
	}
	return true;
}

/* The options name descriptors by their place in the message, behind that of the state. */
static bool resolve_files(struct connection *c, const struct control_request *q)
{
	int first = c->state_fd >= 0;

	for (size_t i = 0; i < c->parsed.file_count; i++) {
		int n = c->parsed.files[i].file.fd;

		if (n < first || (size_t)n >= q->fd_count) {
			return false;
		}
		c->parsed.files[i].file.fd = q->fds[n];
	}
	return q->fd_count == (size_t)first + c->parsed.file_count;
}

static bool checkpoint(struct connection *c, const struct control_request *q)
{
	c->state_fd = q->fd_count > 0 ? q->fds[0] : -1;
	if (!parse(c, q) || (c->state_fd < 0 && c->parsed.disk_count == 0) ||
	    !resolve_files(c, q)) {
		return control_refuse(c, "the request is malformed");
	}
	if (storage_in_trouble(c->worker->storage)) {
		return control_refuse(
			c, "requests of a disk wait for space or storage of the host: no "
			   "checkpoint can be made before they are done");
	}
	if (c->parsed.disk_count == 0) {
		const char *why = catch_state(c);

		if (why != NULL) {
			control_answer(c, why);
		}
		return true; /* the descriptor is not ours any more */
	}
	c->busy = true;
	atomic_fetch_add(&c->worker->changing, 1);
	const char *why = storage_checkpoint_prepare(c->worker->storage, &c->parsed, on_disks, c);

	c->busy = why == NULL;
	if (why != NULL) {
		atomic_fetch_sub(&c->worker->changing, 1);
	}
	return why == NULL || control_refuse(c, why);
}

const struct control_word control_checkpoint_words[] = {
	{"checkpoint", CONTROL_ANY_FDS, checkpoint},
	{NULL},
};
