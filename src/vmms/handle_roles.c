// SPDX-License-Identifier: Apache-2.0
/* /roles and /audit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "audit.h"
#include "events_stream.h"
#include "lib/bits.h"
#include "roles.h"
#include "routes.h"

/* ---- Roles ---- */

static void get_roles(struct call *c)
{
	call_ok(c, roles_json(api_roles(call_api(c))));
}

static void refuse(struct call *c, enum roles_result r, const char *error)
{
	call_refuse(c,
		    r == ROLES_INVALID	   ? API_INVALID
		    : r == ROLES_NOT_FOUND ? API_NOT_FOUND
					   : API_FAILED,
		    NULL, "%s", error);
}

static void put_role(struct call *c)
{
	const char *who = json_string_value(json_object_get(c->body, "who"));
	const char *role = json_string_value(json_object_get(c->body, "role"));
	const json_t *vm = json_object_get(c->body, "vm");
	char error[1024];
	json_t *answer;

	if (who == NULL || role == NULL ||
	    (vm != NULL && !json_is_string(vm) && !json_is_null(vm))) {
		call_refuse(c, API_INVALID, NULL,
			    "expected {\"who\": \"user:NAME\", \"role\": \"viewer\", \"vm\": id or "
			    "null}");
		return;
	}
	enum roles_result r = roles_put(api_roles(call_api(c)), who, role, json_string_value(vm),
					&answer, error, sizeof(error));

	if (r != ROLES_OK) {
		refuse(c, r, error);
		return;
	}
	events_streams_end(call_api(c));
	call_ok(c, answer);
}

static void delete_role(struct call *c)
{
	const char *who = call_query(c, "who"), *vm = call_query(c, "vm");
	char error[1024];

	if (who == NULL) {
		call_refuse(c, API_INVALID, NULL,
			    "expected ?who=user:NAME, and &vm=ID for a role of one VM");
		return;
	}
	enum roles_result r =
		roles_remove(api_roles(call_api(c)), who, vm == NULL || vm[0] == '\0' ? NULL : vm,
			     error, sizeof(error));

	if (r != ROLES_OK) {
		refuse(c, r, error);
		return;
	}
	events_streams_end(call_api(c));
	call_ok(c, NULL);
}

/* ---- Audit log ---- */

static bool take_text(struct call *c, const char *name, const char *allowed, char *ret, size_t size)
{
	const char *text = call_query(c, name);

	if (text == NULL) {
		return true;
	}
	if (strlen(text) >= size || (allowed != NULL && text[strspn(text, allowed)] != '\0')) {
		call_refuse(c, API_INVALID, NULL, "%s: '%.100s' is not possible; expected %s", name,
			    text,
			    allowed != NULL
				    ? "a time such as 2026-11-21T19:20:00Z, or its beginning"
				    : "an id, or a name");
		return false;
	}
	snprintf(ret, size, "%s", text);
	return true;
}

static bool take_limit(struct call *c, unsigned *ret)
{
	const char *text = call_query(c, "limit");
	char *end;

	if (text == NULL) {
		return true;
	}
	unsigned long v = text[0] >= '0' && text[0] <= '9' ? strtoul(text, &end, 10) : 0;

	if (v == 0 || v > AUDIT_ANSWER_MAX || *end != '\0') {
		call_refuse(c, API_INVALID, NULL,
			    "limit: '%.100s' is not possible; expected 1 to %u", text,
			    AUDIT_ANSWER_MAX);
		return false;
	}
	*ret = (unsigned)v;
	return true;
}

static void on_audit(void *ctx, json_t *answer)
{
	call_ok(ctx, answer);
}

static void get_audit(struct call *c)
{
	static const char times[] = "0123456789-:.TZ";
	struct audit_query q = {.limit = 100};
	struct audit *a = api_audit(call_api(c));

	if (a == NULL) {
		call_refuse(c, API_NOT_SUPPORTED, NULL, "this service keeps no audit log");
		return;
	}
	if (take_text(c, "since", times, q.since, sizeof(q.since)) &&
	    take_text(c, "until", times, q.until, sizeof(q.until)) &&
	    take_text(c, "vm", NULL, q.vm, sizeof(q.vm)) &&
	    take_text(c, "who", NULL, q.who, sizeof(q.who)) && take_limit(c, &q.limit)) {
		call_hold(c, NULL, NULL);
		audit_read(a, &q, on_audit, c);
	}
}

static const struct route routes[] = {
	{"GET", "/roles", RIGHT_HOST, false, get_roles, "Who may do what", NULL, "Roles"},
	{"PUT", "/roles", RIGHT_HOST, true, put_role,
	 "Gives somebody a role, for the host or for one VM; replaces the one they had there",
	 "Role", "Role"},
	{"DELETE", "/roles", RIGHT_HOST, true, delete_role, "Takes a role away (?who=, ?vm=)", NULL,
	 NULL},
	{"GET", "/audit", RIGHT_HOST, false, get_audit,
	 "Who did what: the newest entries (?since=, ?until=, ?vm=, ?who=, ?limit=)", NULL,
	 "Audit"},
};

const struct route_table role_routes = {routes, ARRAY_LEN(routes)};
