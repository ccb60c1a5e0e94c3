// SPDX-License-Identifier: Apache-2.0
/* Requests about disks: their controller's thread carries them out, and answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_connection.h"

void control_disk_forget(struct connection *c)
{
	free(c->parsed.disks);
	free(c->parsed.files);
	free(c->files);
	c->parsed = (struct storage_config){0};
	c->files = NULL;
}

/* Controller's thread. */
static void request_done(struct storage_request *r, const char *error)
{
	struct connection *c = r->ctx;

	if (r->what == STORAGE_MERGE && error != NULL) {
		atomic_fetch_sub(&c->worker->changing, 1);
	}
	control_done(r->ctx, error);
}

/* Options with a number. */
static bool take_number(struct connection *c, const char *option)
{
	if (strncmp(option, "--bytes=", 8) == 0) {
		c->request.bytes = strtoull(option + 8, NULL, 10);
	} else if (strncmp(option, "--depth=", 8) == 0) {
		c->request.depth = (unsigned)strtoul(option + 8, NULL, 10);
	} else if (strncmp(option, "--count=", 8) == 0) {
		c->request.count = (unsigned)strtoul(option + 8, NULL, 10);
	} else {
		return false;
	}
	return true;
}

/* The options behind the word: those of disks, and numbers. */
static bool parse_options(struct connection *c, const struct control_request *q)
{
	char *next;

	for (char *at = control_option(q, NULL); at != NULL; at = next) {
		next = control_option(q, at); /* before the option is cut up in place */
		if (!take_number(c, at) && !options_storage(&c->parsed, at)) {
			return false;
		}
	}
	return c->parsed.disk_count == 1;
}

/* The options name descriptors by their place in the message. */
static bool take_files(struct connection *c, const struct control_request *q)
{
	size_t count = c->parsed.file_count;

	c->files = calloc(count + 1, sizeof(*c->files));
	if (c->files == NULL) {
		return control_refuse(c, "out of memory");
	}
	for (size_t i = 0; i < count; i++) {
		int n = c->parsed.files[i].file.fd;

		if (n < 0 || (size_t)n >= q->fd_count || q->fd_count != count) {
			return control_refuse(c, "the request lacks a descriptor");
		}
		c->files[i] = c->parsed.files[i].file;
		c->files[i].fd = q->fds[n];
	}
	c->request.files = c->files;
	c->request.file_count = count;
	return true;
}

/* Merges go on in a machine that stands still, but not while its state is being written. */
static bool may_change(struct connection *c, enum storage_change what)
{
	if (what != STORAGE_MERGE && what != STORAGE_MERGE_CANCEL) {
		return control_running(c);
	}
	return !c->worker->machine.paused || c->worker->saving == NULL ||
	       control_refuse(c, "the machine's state is being written");
}

static bool change(struct connection *c, const struct control_request *q, enum storage_change what)
{
	if (!may_change(c, what)) {
		return false;
	}
	c->request = (struct storage_request){.what = what, .done = request_done, .ctx = c};
	if (!parse_options(c, q)) {
		return control_refuse(c, "the request is malformed");
	}
	c->request.disk = c->parsed.disks[0];
	if (!take_files(c, q)) {
		return false;
	}
	c->busy = storage_submit(c->worker->storage, &c->request);
	if (c->busy && c->worker->machine.paused) {
		storage_tend(c->worker->storage);
	}
	return c->busy || control_refuse(c, "the machine has no such controller, or one whose "
					    "disks stay");
}

static bool attach(struct connection *c, const struct control_request *q)
{
	return change(c, q, STORAGE_ATTACH);
}

static bool detach(struct connection *c, const struct control_request *q)
{
	return change(c, q, STORAGE_DETACH);
}

static bool change_medium(struct connection *c, const struct control_request *q)
{
	return change(c, q, STORAGE_MEDIUM);
}

static bool resize(struct connection *c, const struct control_request *q)
{
	return change(c, q, STORAGE_RESIZE);
}

static bool merge(struct connection *c, const struct control_request *q)
{
	atomic_fetch_add(&c->worker->changing, 1); /* until on_merge says that it is over */
	bool begun = change(c, q, STORAGE_MERGE);

	if (!begun) {
		atomic_fetch_sub(&c->worker->changing, 1);
	}
	return begun;
}

static bool merge_cancel(struct connection *c, const struct control_request *q)
{
	return change(c, q, STORAGE_MERGE_CANCEL);
}

/* Controller's thread. */
static void on_merge(void *ctx, const struct storage_merge *m)
{
	static const char *const states[] = {[STORAGE_MERGES] = "running",
					     [STORAGE_MERGED] = "done",
					     [STORAGE_MERGE_FAILED] = "failed",
					     [STORAGE_MERGE_CANCELLED] = "cancelled"};
	struct worker *w = ctx;
	char place[STORAGE_PLACE_BYTES];

	if (m->state != STORAGE_MERGES) {
		atomic_fetch_sub(&w->changing, 1);
	}
	storage_place_text(m->slot, m->lun, place);
	control_post(w->control, "merge",
		     "disk=%s\nstate=%s\ndone=%llu\ntotal=%llu\nphase=%s\npath=%s\ntext=%s\n",
		     place, states[m->state], (unsigned long long)m->done_bytes,
		     (unsigned long long)m->total_bytes, m->phase, m->path, m->why);
}

void control_disk_listen(struct worker *w)
{
	storage_set_merge(w->storage, on_merge, w);
}

/* Their options are as `virid run` writes them for the worker. */
const struct control_word control_disk_words[] = {
	{"attach", CONTROL_ANY_FDS, attach},
	{"detach", CONTROL_ANY_FDS, detach},
	{"medium", CONTROL_ANY_FDS, change_medium},
	{"resize", CONTROL_ANY_FDS, resize},
	{"merge", CONTROL_ANY_FDS, merge},
	{"merge-cancel", CONTROL_ANY_FDS, merge_cancel},
	{NULL},
};
