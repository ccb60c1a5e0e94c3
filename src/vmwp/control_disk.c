// SPDX-License-Identifier: Apache-2.0
/* Requests about disks: their controller's thread carries them out, and answers. */
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
	control_done(r->ctx, error);
}

/* The options behind the word: those of disks, and for a new size a number. */
static bool parse_options(struct connection *c, const struct control_request *q)
{
	char *next;

	for (char *at = control_option(q, NULL); at != NULL; at = next) {
		next = control_option(q, at); /* before the option is cut up in place */
		if (strncmp(at, "--bytes=", 8) == 0) {
			c->request.bytes = strtoull(at + 8, NULL, 10);
		} else if (!options_storage(&c->parsed, at)) {
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

static bool change(struct connection *c, const struct control_request *q, enum storage_change what)
{
	if (!control_running(c)) {
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
	return c->busy || control_refuse(c, "the machine has no such controller");
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

/* Their options are as `virid run` writes them for the worker. */
const struct control_word control_disk_words[] = {
	{"attach", CONTROL_ANY_FDS, attach},
	{"detach", CONTROL_ANY_FDS, detach},
	{"medium", CONTROL_ANY_FDS, change_medium},
	{"resize", CONTROL_ANY_FDS, resize},
	{NULL},
};
