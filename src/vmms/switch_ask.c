// SPDX-License-Identifier: Apache-2.0
#include "switch_ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/check.h"
#include "vswitchd/client.h"
#include "vswitchd/config.h"
#include "vswitchd/written.h"
#include "json/json.h"

static void fail(struct switch_ask *a, int error)
{
	a->error = error < 0 ? -error : error;
}

/* ---- The process ---- */

/* Puts @request. NULL: failed; EHOSTDOWN: nobody is there. */
static json_t *ask(struct switch_ask *a, json_t *request)
{
	json_t *answer = NULL;
	int r = vswitch_client_ask(false, request, NULL, 0, &answer, a->text, sizeof(a->text));

	if (r < 0) {
		fail(a, r);
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
	json_t *answer =
		ask(a, vswitch_client_verb(verb, a->verb == SWITCH_ASK_SHOW ? a->name : NULL));

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

static void create(struct switch_ask *a)
{
	struct switch_config c;
	struct switches_written w;
	int r;

	if (!written_open(a, &w, true)) {
		return;
	}
	if (read_config(a, &w.list, &c)) {
		r = switches_written_create(&w, &c, a->text, sizeof(a->text));
		if (r == 0) {
			a->answer = switch_config_json(&c);
		} else {
			fail(a, r);
		}
	}
	switches_written_close(&w);
}

static void remove_switch(struct switch_ask *a)
{
	struct switches_written w;

	if (written_open(a, &w, true)) {
		fail(a, switches_written_remove(&w, a->name, a->text, sizeof(a->text)));
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
