// SPDX-License-Identifier: Apache-2.0
/*
 * Requests to the management service, without a connection: targets, methods, header fields, bodies, rights, answers. The input is a line "METHOD TARGET",
 * one line for each header field that the API looks at, and the body. Each is asked by the owner, by an operator of one VM, and by nobody in
 * particular.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "roles.h"
#include "routes.h"

#define ID "11111111-2222-3333-4444-555555555555"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* ---- Routes of all shapes ---- */

static void show(struct call *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LEN(c->parameters); i++) {
		json_array_append_new(list, c->parameters[i] == NULL
						    ? json_null()
						    : json_string(c->parameters[i]));
	}
	call_ok(c, json_pack("{s:o, s:O?, s:s?, s:s?, s:i}", "parameters", list, "body", c->body,
			     "x", call_query(c, "x"), "if_match", c->if_match, "revision", 7));
}

static void refuse(struct call *c)
{
	call_refuse(c, API_WRONG_STATE, json_pack("{s:s}", "state", "off"), "'%s'",
		    c->parameters[1]);
}

static const struct route routes[] = {
	{"GET", "/vms", RIGHT_READ, false, show, "", NULL, NULL},
	{"POST", "/vms", RIGHT_HOST, true, show, "", "Object", NULL},
	{"GET", "/vms/{vm}", RIGHT_READ, false, show, "", NULL, NULL},
	{"PATCH", "/vms/{vm}", RIGHT_CHANGE, true, show, "", "Object", NULL},
	{"POST", "/vms/{vm}/start", RIGHT_OPERATE, true, show, "", NULL, NULL},
	{"DELETE", "/vms/{vm}/disks/{controller}:{location}", RIGHT_CHANGE, true, refuse, "", NULL,
	 NULL},
};
static const struct route_table table = {routes, ARRAY_LEN(routes)};
static const struct route_table *const tables[] = {&table, &role_routes, &openapi_routes, NULL};

static void each_vm(struct vmms *v, const char *text,
		    bool (*fn)(void *ctx, const char *id, const char *name), void *ctx)
{
	static const char *const vms[][2] = {{ID, "a"},
					     {"AAAAAAAA-0000-0000-0000-000000000000", "b"},
					     {"BBBBBBBB-0000-0000-0000-000000000000", "b"}};

	for (size_t i = 0; i < ARRAY_LEN(vms); i++) {
		if (text == NULL || strcmp(text, vms[i][0]) == 0 || strcmp(text, vms[i][1]) == 0) {
			fn(ctx, vms[i][0], vms[i][1]);
		}
	}
}

/* ---- The other end ---- */

/* Every answer is one, with a status and JSON that can be read. */
static void on_reply(void *ctx, const struct reply *r)
{
	unsigned *answers = ctx;

	CHECK(++*answers == 1);
	CHECK(r->status >= 200 && r->status < 600);
	if (r->body != NULL && strcmp(r->content_type, "application/json") == 0) {
		json_t *j = json_loadb(r->body, r->body_bytes, 0, NULL);

		CHECK(j != NULL);
		CHECK((r->status >= 400) == (json_object_get(j, "error") != NULL));
		json_decref(j);
	}
	free(r->body);
}

static const struct transport transport = {.reply = on_reply};

static void ask(struct api *api, const struct exchange_request *q)
{
	unsigned answers = 0;
	struct exchange *x = exchange_create(api, &transport, &answers);

	exchange_run(x, q);
	CHECK(answers == 1);
	exchange_destroy(x);
}

/* The next line, cut off; "" becomes NULL. */
static char *line(char **at)
{
	char *start = *at, *end = strchr(start, '\n');

	if (end != NULL) {
		*end = '\0';
		*at = end + 1;
	} else {
		*at = start + strlen(start);
	}
	return start[0] == '\0' ? NULL : start;
}

static void ask_as(struct api *api, char *text, size_t bytes, const struct identity *who)
{
	char *at = text, *method = line(&at), *space = method == NULL ? NULL : strchr(method, ' ');
	struct exchange_request q = {.who = who};

	if (space == NULL) {
		return;
	}
	*space = '\0';
	q.method = method;
	q.target = space + 1;
	q.if_match = line(&at);
	q.content_type = line(&at);
	q.origin = line(&at);
	q.body = at;
	q.body_bytes = bytes - (size_t)(at - text);
	ask(api, &q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const char roles[] = "{\"format\":1,\"roles\":[{\"who\":\"certificate:c\",\"role\":"
				    "\"operator\",\"vm\":\"" ID "\"}]}";
	static const struct api_hooks hooks = {.each_vm = each_vm};
	const struct api_config config = {0};
	struct identity who[3] = {{.name = "owner", .has_uid = true},
				  {.name = "c", .certificate_name_count = 1},
				  {.name = "nobody"}};
	struct api *api;
	char error[1024];

	strcpy(who[1].certificate_names[0], "c");
	CHECK(api_create(NULL, NULL, &hooks, &config, tables, &api, error, sizeof(error)) == 0);
	CHECK(roles_parse(api_roles(api), "roles", roles, sizeof(roles) - 1, error, sizeof(error)));
	for (size_t i = 0; i < ARRAY_LEN(who); i++) {
		char *text = malloc(bytes + 1);

		CHECK(text != NULL);
		memcpy(text, data, bytes);
		text[bytes] = '\0';
		ask_as(api, text, bytes, &who[i]);
		free(text);
	}
	api_destroy(api);
	return 0;
}
