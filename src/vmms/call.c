// SPDX-License-Identifier: Apache-2.0
#include "call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api_error.h"
#include "exchange_state.h"
#include "lib/check.h"

static struct exchange *exchange_of(struct call *c)
{
	return (struct exchange *)c;
}

static const struct exchange *exchange_of_const(const struct call *c)
{
	return (const struct exchange *)c;
}

struct api *call_api(const struct call *c)
{
	return exchange_of_const(c)->api;
}

const char *call_query(const struct call *c, const char *name)
{
	return target_query(&exchange_of_const(c)->target, name);
}

const char *call_last_event_id(const struct call *c)
{
	const struct exchange *x = exchange_of_const(c);

	return x->last_event_id[0] == '\0' ? NULL : x->last_event_id;
}

/* What has a revision tells it, for If-Match. */
static void set_etag(struct reply *r, json_t *body)
{
	const json_t *revision = json_object_get(body, "revision");

	if (json_is_integer(revision)) {
		snprintf(r->etag, sizeof(r->etag), "\"%" JSON_INTEGER_FORMAT "\"",
			 json_integer_value(revision));
	}
}

void call_ok(struct call *c, json_t *body)
{
	struct reply r = {.status = body == NULL ? 204 : 200};

	if (body == NULL) {
		exchange_reply(exchange_of(c), &r, NULL);
		return;
	}
	set_etag(&r, body);
	exchange_reply_json(exchange_of(c), &r, body, NULL);
}

void exchange_reply_at(struct call *c, unsigned status, const char *location, json_t *body)
{
	struct reply r = {.status = status};

	snprintf(r.location, sizeof(r.location), API_PREFIX "%s", location);
	set_etag(&r, body);
	exchange_reply_json(exchange_of(c), &r, body, NULL);
}

void call_created(struct call *c, const char *location, json_t *body)
{
	exchange_reply_at(c, 201, location, body);
}

void call_refuse(struct call *c, enum api_error error, json_t *extra, const char *fmt, ...)
{
	struct reply r = {.status = api_error_status(error)};
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	exchange_error(exchange_of(c), &r, api_error_code(error), text, extra);
}

void call_hold(struct call *c, void (*gone)(void *ctx, struct call *c), void *ctx)
{
	struct exchange *x = exchange_of(c);

	CHECK(!x->answered);
	x->held = true;
	x->gone = gone;
	x->gone_ctx = ctx;
}

/* ---- Other kinds of answers ---- */

void call_text(struct call *c, const char *content_type, char *text, size_t bytes)
{
	struct reply r = {
		.status = 200, .content_type = content_type, .body = text, .body_bytes = bytes};

	exchange_reply(exchange_of(c), &r, NULL);
}

bool call_stream(struct call *c, const char *content_type, const struct stream_source *source,
		 void *ctx)
{
	struct exchange *x = exchange_of(c);

	if (x->transport->stream == NULL) {
		call_refuse(c, API_NOT_SUPPORTED, NULL, "streams do not go over this connection");
		return false;
	}
	x->streams = true;
	x->transport->stream(x->transport_ctx, content_type, source, ctx);
	return true;
}

void call_stream_wake(struct call *c)
{
	struct exchange *x = exchange_of(c);

	x->transport->stream_wake(x->transport_ctx);
}

bool call_upgrade(struct call *c, const char *protocol, const struct upgrade_user *user, void *ctx)
{
	struct exchange *x = exchange_of(c);

	if (strcasecmp(x->upgrade, protocol) != 0) {
		exchange_refuse(x, 426, "invalid",
				"this is no ordinary request; expected the header fields "
				"'Connection: Upgrade' "
				"and 'Upgrade: %s'",
				protocol);
		return false;
	}
	if (x->transport->upgrade == NULL) {
		call_refuse(c, API_NOT_SUPPORTED, NULL, "this connection cannot become a %s",
			    protocol);
		return false;
	}
	x->streams = true;
	exchange_note(x, &(struct reply){.status = 101}, NULL);
	x->transport->upgrade(x->transport_ctx, protocol, user, ctx);
	return true;
}
