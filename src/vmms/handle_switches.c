// SPDX-License-Identifier: Apache-2.0
/* /switches: what the switch process has, asked off the loop. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_error.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "routes.h"
#include "switch_ask.h"
#include "task.h"
#include "vmms.h"

struct asking {
	struct call *call;
	struct switch_ask ask;
};

static void work(void *ctx)
{
	struct asking *a = ctx;

	switch_ask_run(&a->ask);
}

static enum api_error error_of(int error)
{
	switch (error) {
	case ENOENT:
	case ENODEV:
		return API_NOT_FOUND;
	case EEXIST:
		return API_EXISTS;
	case EINVAL:
		return API_INVALID;
	case EBUSY:
		return API_BUSY;
	case EPERM:
		return API_WRONG_STATE;
	default:
		return api_error_of_errno(error);
	}
}

/* A created switch has its place. */
static void answer(struct asking *a, json_t *body)
{
	char location[300];

	if (a->ask.verb == SWITCH_ASK_CREATE) {
		snprintf(location, sizeof(location), "/switches/%s",
			 json_string_value(json_object_get(body, "name")));
		call_created(a->call, location, body);
	} else {
		call_ok(a->call, body);
	}
}

static void done(void *ctx)
{
	struct asking *a = ctx;

	if (a->ask.error != 0) {
		call_refuse(a->call, error_of(a->ask.error), NULL, "%s", a->ask.text);
	} else {
		answer(a, a->ask.answer);
	}
	json_decref(a->ask.config);
	free(a);
}

static void begin(struct call *c, enum switch_ask_verb verb, const char *name, json_t *config)
{
	struct asking *a = calloc(1, sizeof(*a));

	CHECK(a != NULL);
	a->call = c;
	a->ask.verb = verb;
	a->ask.config = config;
	if (name != NULL) {
		snprintf(a->ask.name, sizeof(a->ask.name), "%s", name);
	}
	call_hold(c, NULL, NULL);
	task_run(c->vmms->tasks, work, done, a);
}

static bool check_name(struct call *c, const char *name)
{
	if (strlen(name) < sizeof(((struct switch_ask *)NULL)->name)) {
		return true;
	}
	call_refuse(c, API_NOT_FOUND, NULL, "there is no switch with a name that long");
	return false;
}

static void get_switches(struct call *c)
{
	begin(c, SWITCH_ASK_LIST, NULL, NULL);
}

static void get_switch(struct call *c)
{
	if (check_name(c, c->parameters[0])) {
		begin(c, SWITCH_ASK_SHOW, c->parameters[0], NULL);
	}
}

static void delete_switch(struct call *c)
{
	if (check_name(c, c->parameters[0])) {
		begin(c, SWITCH_ASK_REMOVE, c->parameters[0], NULL);
	}
}

static void post_switch(struct call *c)
{
	if (!json_is_string(json_object_get(c->body, "name")) ||
	    !json_is_string(json_object_get(c->body, "type"))) {
		call_refuse(c, API_INVALID, NULL,
			    "expected {\"name\": text, \"type\": \"private\", \"internal\" or "
			    "\"external\", ...}");
		return;
	}
	json_t *config = json_deep_copy(c->body); /* another thread's from now on */

	CHECK(config != NULL);
	begin(c, SWITCH_ASK_CREATE, NULL, config);
}

static const struct route routes[] = {
	{"GET", "/switches", RIGHT_READ, false, get_switches, "The host's virtual switches", NULL,
	 "Switches"},
	{"POST", "/switches", RIGHT_HOST, true, post_switch, "Makes a switch", "Switch", "Switch"},
	{"GET", "/switches/{switch}", RIGHT_READ, false, get_switch,
	 "A switch with its ports and counters", NULL, "SwitchDetails"},
	{"DELETE", "/switches/{switch}", RIGHT_HOST, true, delete_switch,
	 "Removes a switch that no adapter uses", NULL, NULL},
};

const struct route_table switch_routes = {routes, ARRAY_LEN(routes)};
