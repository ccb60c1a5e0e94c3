// SPDX-License-Identifier: Apache-2.0
#include "switch_ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/check.h"
#include "vswitchd/client.h"
#include "vswitchd/config.h"
#include "vswitchd/interface.h"
#include "vswitchd/written.h"
#include "json/json.h"

static void fail(struct switch_ask *a, int error)
{
	a->error = error < 0 ? -error : error;
}

/* ---- The process ---- */

static json_t *request_of(const char *verb, const char *name)
{
	json_t *o = json_object();

	CHECK(o != NULL);
	json_add_text(o, "do", verb);
	if (name != NULL) {
		json_add_text(o, "switch", name);
	}
	return o;
}

/* Puts @request. NULL: failed. @quiet: nobody being there is not a failure. */
static json_t *ask(struct switch_ask *a, bool start, json_t *request, const int *fds,
		   unsigned fd_count)
{
	json_t *answer = NULL;
	int s = vswitch_client_connect(start, a->text, sizeof(a->text));
	int r = s < 0 ? s
		      : vswitch_client_request(s, request, fds, fd_count, &answer, NULL, NULL,
					       a->text, sizeof(a->text));

	json_decref(request);
	if (s >= 0) {
		close(s);
	}
	if (r < 0) {
		fail(a, s < 0 && (r == -ENOENT || r == -ECONNREFUSED) ? EHOSTDOWN : r);
		return NULL;
	}
	return answer;
}

/* ---- The file ---- */

static bool written_open(struct switch_ask *a, struct switches_written *w, bool lock)
{
	if (switches_written_open(w, lock, a->text, sizeof(a->text))) {
		return true;
	}
	fail(a, EIO);
	return false;
}

static bool written_save(struct switch_ask *a, struct switches_written *w)
{
	if (switches_written_save(w, a->text, sizeof(a->text))) {
		return true;
	}
	fail(a, EIO);
	return false;
}

static void list_written(struct switch_ask *a)
{
	struct switches_written w;

	if (written_open(a, &w, false)) {
		a->answer = switches_written_json(&w.list);
		switches_written_close(&w);
	}
}

static void show_written(struct switch_ask *a)
{
	const struct switch_config first = {.name = SWITCH_DEFAULT, .type = SWITCH_NAT}, *c;
	json_t *o;
	struct switches_written w;

	if (!written_open(a, &w, false)) {
		return;
	}
	c = config_find(&w.list, a->name);
	c = c == NULL && strcmp(a->name, SWITCH_DEFAULT) == 0 ? &first : c;
	o = c == NULL ? NULL : switch_config_json(c);
	switches_written_close(&w);
	if (o == NULL) {
		fail(a, ENOENT);
		snprintf(a->text, sizeof(a->text), "there is no switch '%s'", a->name);
		return;
	}
	a->answer = json_object();
	json_add(a->answer, "switch", o);
}

/* ---- Each verb ---- */

static void look(struct switch_ask *a, const char *verb, void (*written)(struct switch_ask *a))
{
	json_t *answer = ask(
		a, false, request_of(verb, a->verb == SWITCH_ASK_SHOW ? a->name : NULL), NULL, 0);

	if (answer != NULL) {
		a->answer = answer;
	} else if (a->error == EHOSTDOWN) {
		a->error = 0;
		written(a);
	}
}

static bool read_config(struct switch_ask *a, const struct switch_list *list,
			struct switch_config *ret)
{
	json_t *o = json_copy(a->config); /* only members are added */
	bool ok;

	CHECK(o != NULL);
	switch_config_complete(o, list);
	ok = switch_config_parse(o, ret, a->text, sizeof(a->text));
	json_decref(o);
	if (!ok) {
		fail(a, EINVAL);
	}
	return ok;
}

static bool plug(struct switch_ask *a, const struct switch_config *c)
{
	json_t *request, *answer;
	int fds[VSWITCH_UPLINKS_MAX];

	if (!interface_open_all(c, true, fds, a->text, sizeof(a->text))) {
		fail(a, EINVAL);
		return false;
	}
	request = request_of("create", NULL);
	json_add(request, "config", switch_config_json(c));
	answer = ask(a, true, request, fds, c->interface_count);
	for (unsigned i = 0; i < c->interface_count; i++) {
		close(fds[i]);
	}
	json_decref(answer);
	return answer != NULL;
}

static void create_written(struct switch_ask *a, struct switches_written *w,
			   const struct switch_config *c)
{
	char text[sizeof(a->text)];

	if (config_find(&w->list, c->name) != NULL) {
		fail(a, EEXIST);
		snprintf(a->text, sizeof(a->text),
			 "there is a switch '%s' already; choose another name, or "
			 "remove it first",
			 c->name);
		return;
	}
	if (!plug(a, c)) {
		return;
	}
	if (config_add(&w->list, c) && written_save(a, w)) {
		a->answer = switch_config_json(c);
		return;
	}
	/* What is not written down would be gone one day: better at once. */
	memcpy(text, a->text, sizeof(text));
	json_decref(ask(a, false, request_of("remove", c->name), NULL, 0));
	memcpy(a->text, text, sizeof(text));
	fail(a, EIO);
}

static void create(struct switch_ask *a)
{
	struct switch_config c;
	struct switches_written w;

	if (!written_open(a, &w, true)) {
		return;
	}
	if (read_config(a, &w.list, &c)) {
		create_written(a, &w, &c);
	}
	switches_written_close(&w);
}

static void remove_written(struct switch_ask *a, struct switches_written *w)
{
	struct switch_config *c = config_find(&w->list, a->name);
	json_t *answer = ask(a, false, request_of("remove", a->name), NULL, 0);

	json_decref(answer);
	/* Nobody there, or it does not know it: fine when it is only written down. */
	if (c != NULL && (a->error == EHOSTDOWN || a->error == ENOENT)) {
		a->error = 0;
	}
	if (a->error == EHOSTDOWN) {
		fail(a, ENOENT);
		snprintf(a->text, sizeof(a->text), "there is no switch '%s'", a->name);
	}
	if (a->error == 0 && c != NULL) {
		config_drop(&w->list, c);
		written_save(a, w);
	}
}

static void remove_switch(struct switch_ask *a)
{
	struct switches_written w;

	if (strcmp(a->name, SWITCH_DEFAULT) == 0) {
		fail(a, EPERM);
		snprintf(a->text, sizeof(a->text), "the switch '%s' is always there", a->name);
		return;
	}
	if (written_open(a, &w, true)) {
		remove_written(a, &w);
		switches_written_close(&w);
	}
}

void switch_ask_run(struct switch_ask *a)
{
	switch (a->verb) {
	case SWITCH_ASK_LIST:
		look(a, "list", list_written);
		return;
	case SWITCH_ASK_SHOW:
		look(a, "show", show_written);
		return;
	case SWITCH_ASK_CREATE:
		create(a);
		return;
	case SWITCH_ASK_REMOVE:
	default:
		remove_switch(a);
	}
}
