// SPDX-License-Identifier: Apache-2.0
#include "exchange.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_error.h"
#include "audit.h"
#include "body.h"
#include "exchange_state.h"
#include "lib/check.h"
#include "roles.h"

#define NEW_VM API_PREFIX "/vms/" /* where one that was made lies */

struct exchange *exchange_create(struct api *api, const struct transport *transport, void *ctx)
{
	struct exchange *x = calloc(1, sizeof(*x));

	if (x == NULL) {
		return NULL;
	}
	x->api = api;
	x->transport = transport;
	x->transport_ctx = ctx;
	x->call.vmms = api_vmms(api);
	x->call.caller = &x->caller;
	api_add_exchange(api, x);
	return x;
}

static void exchange_free(struct exchange *x)
{
	if (x->api != NULL) { /* NULL: the API ended before whoever held the call */
		api_remove_exchange(x->api, x);
	}
	caller_fini(&x->caller);
	json_decref(x->body);
	free(x);
}

bool exchange_is_answered(const struct exchange *x)
{
	return x->answered;
}

void exchange_destroy(struct exchange *x)
{
	if (!x->answered && x->held) {
		if (x->gone == NULL) {
			x->transport = NULL; /* whoever holds it still answers, to nobody */
			return;
		}
		x->gone(x->gone_ctx, &x->call);
	}
	exchange_free(x);
}

/* ---- Answers of the layer itself ---- */

/* What changes something, and what somebody tried to change without a right to. */
static bool is_audited(const struct exchange *x, unsigned status)
{
	if (x->route != NULL) {
		return x->route->audited;
	}
	return status == 403 && strcmp(x->method, "GET") != 0 && strcmp(x->method, "HEAD") != 0;
}

void exchange_note(struct exchange *x, const struct reply *r, const char *error_code)
{
	const char *result = r->status == 202	? "started"
			     : r->status < 400	? "done"
			     : r->status == 403 ? "denied"
			     : r->status < 500	? "refused"
						: "failed";

	const char *vm = x->vm_id[0] == '\0' ? NULL : x->vm_id;
	json_t *extra;

	if (!is_audited(x, r->status)) {
		return;
	}
	extra = json_pack("{s:s*, s:s*, s:O*}", "code", error_code, "job",
			  x->job[0] == '\0' ? NULL : x->job, "request", x->body);
	if (r->status == 403) {
		audit_note_denied(api_audit(x->api), x->caller.name, x->what, vm, extra);
	} else {
		audit_note(api_audit(x->api), x->caller.name, x->what, vm, result, extra);
	}
}

void exchange_reply(struct exchange *x, struct reply *r, const char *error_code)
{
	CHECK(!x->answered);
	x->answered = true;
	if (x->api != NULL) {
		exchange_note(x, r, error_code);
	}
	if (x->transport == NULL) {
		free(r->body);
		exchange_free(x);
		return;
	}
	x->transport->reply(x->transport_ctx, r);
}

void exchange_reply_json(struct exchange *x, struct reply *r, json_t *body, const char *error_code)
{
	char *text = json_dumps(body, JSON_COMPACT);
	const char *id = json_string_value(json_object_get(body, "id"));

	if (r->status == 202 && id != NULL) {
		snprintf(x->job, sizeof(x->job), "%s", id);
	}
	if (strncmp(r->location, NEW_VM, strlen(NEW_VM)) == 0 && x->vm_id[0] == '\0' &&
	    id != NULL) {
		snprintf(x->vm_id, sizeof(x->vm_id), "%s", id);
	}
	json_decref(body);
	if (text == NULL) {
		r->status = 500;
		exchange_reply(x, r, "failed");
		return;
	}
	r->content_type = "application/json";
	r->body = text;
	r->body_bytes = strlen(text);
	text[r->body_bytes++] = '\n'; /* in the NUL's place: a terminal's next line is a new one */
	exchange_reply(x, r, error_code);
}

void exchange_error(struct exchange *x, struct reply *r, const char *code, const char *message,
		    json_t *extra)
{
	json_t *error = api_error_json(code, message);

	if (extra != NULL) {
		json_object_update_missing(error, extra);
		json_decref(extra);
	}
	exchange_reply_json(x, r, json_pack("{s:o}", "error", error), code);
}

void exchange_refuse(struct exchange *x, unsigned status, const char *code, const char *fmt, ...)
{
	struct reply r = {.status = status};
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	/* the analyzer loses sight of va_start where it inlines this */
	vsnprintf(text, sizeof(text), fmt, ap); /* NOLINT(clang-analyzer-valist.Uninitialized) */
	va_end(ap);
	if (status == 401) {
		snprintf(r.authenticate, sizeof(r.authenticate),
			 "Basic realm=\"virid\", charset=\"UTF-8\"");
	}
	exchange_error(x, &r, code, text, NULL);
}

/* ---- Header fields and body ---- */

/* A revision as it is, in quotes, or in quotes behind W/; '*': any. */
static bool take_if_match(struct exchange *x, const char *field)
{
	size_t n;

	if (field == NULL || strcmp(field, "*") == 0) {
		return true;
	}
	const char *at = strncmp(field, "W/", 2) == 0 ? field + 2 : field;
	bool quoted = *at == '"';

	at += quoted;
	n = strspn(at, "0123456789");
	if (n == 0 || n >= 20 || strcmp(at + n, quoted ? "\"" : "") != 0) {
		exchange_refuse(x, 400, "invalid",
				"If-Match: '%.100s' is not a revision; expected such as \"7\"",
				field);
		return false;
	}
	memcpy(x->if_match, at, n);
	x->call.if_match = x->if_match;
	return true;
}

static bool is_json_type(const char *type)
{
	return type == NULL || strncasecmp(type, "application/json", 16) == 0 ||
	       strncasecmp(type, "application/merge-patch+json", 28) == 0;
}

static bool take_body(struct exchange *x, const struct exchange_request *q)
{
	char text[512];

	if (q->body_bytes == 0) {
		return true;
	}
	if (x->route->body == NULL) {
		exchange_refuse(x, 400, "invalid", "%s %s takes no body; expected none", q->method,
				x->route->path);
		return false;
	}
	if (!is_json_type(q->content_type)) {
		exchange_refuse(x, 415, "invalid",
				"Content-Type: %.100s is not understood; expected application/json",
				q->content_type);
		return false;
	}
	x->body = body_parse("the request", q->body, q->body_bytes, text, sizeof(text));
	if (x->body == NULL) {
		exchange_refuse(x, 400, "invalid", "%s", text);
	}
	x->call.body = x->body;
	return x->body != NULL;
}

static void handle_now(struct call *c)
{
	struct exchange *x = (struct exchange *)c; /* a call is its exchange */

	x->route->handle(c);
}

static void handle(struct exchange *x)
{
	const struct api_hooks *hooks = api_hooks(x->api);

	if (!x->route->audited || x->route->beside || x->vm_id[0] == '\0' || hooks->yield == NULL ||
	    !hooks->yield(&x->call, x->vm_id, handle_now)) {
		handle_now(&x->call);
	}
}

void exchange_run(struct exchange *x, const struct exchange_request *q)
{
	snprintf(x->method, sizeof(x->method), "%s", q->method);
	snprintf(x->what, sizeof(x->what), "%s %s", q->method, q->target);
	snprintf(x->last_event_id, sizeof(x->last_event_id), "%s",
		 q->last_event_id == NULL ? "" : q->last_event_id);
	snprintf(x->upgrade, sizeof(x->upgrade), "%s", q->upgrade == NULL ? "" : q->upgrade);
	if (exchange_check_caller(x, q) && exchange_find_route(x, q) && exchange_find_vm(x) &&
	    exchange_check_rights(x) && take_if_match(x, q->if_match) && take_body(x, q)) {
		handle(x);
		CHECK(x->answered || x->held || x->streams);
	}
}
