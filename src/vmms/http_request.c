// SPDX-License-Identifier: Apache-2.0
/* One request on its way through libmicrohttpd: begin, body, exchange. What it is answered with: http_answer.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "body.h"
#include "http_auth.h"
#include "http_request.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "target.h"

#define DROPPED_BYTES_MAX ((size_t)16 << 20)

/* ---- Sleeping and waking ---- */

void http_request_suspend(struct http_request *q)
{
	CHECK(!q->suspended);
	q->suspended = true;
	MHD_suspend_connection(q->mhd);
	http_connection_watch(q->connection, q);
}

static void resume(struct http_request *q)
{
	if (q->suspended) {
		q->suspended = false;
		http_connection_watch(q->connection, NULL);
		MHD_resume_connection(q->mhd);
		http_kick(q->listener);
	}
}

static void drop_exchange(struct http_request *q)
{
	struct exchange *x = q->exchange;

	q->exchange = NULL;
	if (x != NULL) {
		exchange_destroy(x);
	}
}

void http_request_end_stream(struct http_request *q)
{
	const struct stream_source *source = q->source;

	q->source = NULL;
	if (source != NULL) {
		source->closed(q->source_ctx);
	}
}

void http_request_gone(struct http_request *q)
{
	q->gone = true;
	http_auth_forget(q->listener->http->auth, q);
	http_request_end_stream(q);
	drop_exchange(q);
	resume(q);
}

/* ---- What the exchange says ---- */

static void on_reply(void *ctx, const struct reply *r)
{
	struct http_request *q = ctx;

	q->reply = *r;
	q->replied = true;
	resume(q);
}

static void on_stream(void *ctx, const char *content_type, const struct stream_source *source,
		      void *source_ctx)
{
	struct http_request *q = ctx;

	q->source = source;
	q->source_ctx = source_ctx;
	q->stream_type = content_type;
	resume(q);
}

static void on_stream_wake(void *ctx)
{
	struct http_request *q = ctx;

	if (q->stream_empty) {
		q->stream_empty = false;
		resume(q);
	}
}

static void on_upgrade(void *ctx, const char *protocol, const struct upgrade_user *user,
		       void *user_ctx)
{
	struct http_request *q = ctx;

	q->upgrade = calloc(1, sizeof(*q->upgrade));
	CHECK(q->upgrade != NULL);
	*q->upgrade =
		(struct http_upgrade){.user = user, .user_ctx = user_ctx, .listener = q->listener};
	q->upgrade_protocol = protocol;
	resume(q);
}

static const struct transport transport = {
	.reply = on_reply,
	.stream = on_stream,
	.stream_wake = on_stream_wake,
	.upgrade = on_upgrade,
};

/* ---- Begin and body ---- */

void *http_request_begin(void *ctx, const char *uri, struct MHD_Connection *mhd)
{
	struct http_listener *l = ctx;
	struct http_request *q = calloc(1, sizeof(*q));
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	if (q == NULL) {
		return NULL;
	}
	q->listener = l;
	q->mhd = mhd;
	q->connection = info->socket_context;
	int n = snprintf(q->target, sizeof(q->target), "%s", uri);

	q->bad_target = n < 0 || (size_t)n >= sizeof(q->target);
	l->http->counters.requests++;
	return q;
}

static const char *header(struct http_request *q, const char *name)
{
	return MHD_lookup_connection_value(q->mhd, MHD_HEADER_KIND, name);
}

static void make_exchange(struct http_request *q)
{
	q->exchange = exchange_create(q->listener->http->api, &transport, q);
}

/*
 * What is too much to be read to its end is answered before, and the connection ends. Otherwise the body is read and dropped: a client that is still sending
 * might not see the answer.
 */
static void check_header(struct http_request *q)
{
	const char *length = header(q, "Content-Length");
	uint64_t bytes = length == NULL ? 0 : strtoull(length, NULL, 10);
	bool waits = header(q, "Expect") != NULL;

	if (q->bad_target) {
		exchange_refuse(q->exchange, 414, "invalid",
				"the request's target is too long; at most %u bytes go",
				TARGET_BYTES_MAX - 1);
	} else if (bytes > DROPPED_BYTES_MAX || (waits && bytes > BODY_BYTES_MAX)) {
		exchange_refuse(q->exchange, 413, "invalid",
				"the request's body is %.20s bytes long; at most %zu go", length,
				BODY_BYTES_MAX);
	}
}

static bool grow_body(struct http_request *q, size_t need)
{
	struct http *h = q->listener->http;
	size_t capacity = min_u64(need * 2, BODY_BYTES_MAX);
	char *grown;

	if (h->bodies_bytes + capacity - q->body_capacity > HTTP_BODIES_BYTES) {
		q->no_room = true;
		return false;
	}
	grown = realloc(q->body, capacity);
	if (grown == NULL) {
		q->no_room = true;
		return false;
	}
	h->bodies_bytes += capacity - q->body_capacity;
	q->body = grown;
	q->body_capacity = capacity;
	return true;
}

static void free_body(struct http_request *q)
{
	q->listener->http->bodies_bytes -= q->body_capacity;
	q->body_capacity = q->body_bytes = 0;
	free(q->body);
	q->body = NULL;
}

/* What is not wanted is read to its end before it is refused, if that comes soon. False: it does not. */
static bool add_body(struct http_request *q, const char *data, size_t bytes)
{
	size_t need = q->body_bytes + bytes;

	if (q->dropped_bytes > 0 || need > BODY_BYTES_MAX ||
	    (need > q->body_capacity && !grow_body(q, need))) {
		q->dropped_bytes += bytes;
		return q->dropped_bytes <= DROPPED_BYTES_MAX;
	}
	memcpy(q->body + q->body_bytes, data, bytes);
	q->body_bytes = need;
	return true;
}

static void run(struct http_request *q, const struct identity *who)
{
	struct exchange_request r = {
		.method = q->method,
		.target = q->target,
		.who = who,
		.body = q->body,
		.body_bytes = q->body_bytes,
		.if_match = header(q, "If-Match"),
		.content_type = header(q, "Content-Type"),
		.last_event_id = header(q, "Last-Event-ID"),
		.upgrade = header(q, "Upgrade"),
		.origin = header(q, "Origin"),
	};

	if (q->no_room) {
		exchange_refuse(q->exchange, 503, "busy",
				"too many requests are being received; try again in some seconds");
		return;
	}
	if (q->dropped_bytes > 0) {
		exchange_refuse(q->exchange, 413, "invalid",
				"the request's body is too long; at most %zu bytes go",
				BODY_BYTES_MAX);
		return;
	}
	exchange_run(q->exchange, &r);
	free_body(q);
}

void http_request_identified(struct http_request *q, const struct identity *who, unsigned status,
			     const char *why)
{
	if (who != NULL) {
		run(q, who);
	} else {
		exchange_refuse(q->exchange, status, "denied", "%s", why);
	}
}

static void start(struct http_request *q)
{
	http_connection_phase(q->connection, HTTP_RUNNING);
	q->complete = true;
	if (q->connection->identified) {
		run(q, &q->connection->identity);
	} else {
		http_auth_identify(q->listener->http->auth, q->connection, q->mhd, q);
	}
}

/* ---- The library's callbacks ---- */

enum MHD_Result http_request_continue(void *ctx, struct MHD_Connection *mhd, const char *url,
				      const char *method, const char *version, const char *upload,
				      size_t *upload_bytes, void **request)
{
	struct http_request *q = *request;

	if (q == NULL) {
		return MHD_NO;
	}
	if (!q->seen) {
		q->seen = true;
		q->method = method;
		http_connection_phase(q->connection, HTTP_RECEIVING);
		make_exchange(q);
		if (q->exchange == NULL) {
			return MHD_NO;
		}
		check_header(q);
		return q->replied ? http_answer(q) : MHD_YES;
	}
	if (*upload_bytes > 0) {
		bool fits = add_body(q, upload, *upload_bytes);

		*upload_bytes = 0;
		return fits ? MHD_YES : MHD_NO;
	}
	if (!q->complete) {
		start(q);
	}
	return http_answer(q);
}

void http_request_end(void *ctx, struct MHD_Connection *mhd, void **request,
		      enum MHD_RequestTerminationCode why)
{
	struct http_request *q = *request;

	*request = NULL;
	if (q == NULL) {
		return;
	}
	http_connection_watch(q->connection, NULL);
	http_auth_forget(q->listener->http->auth, q);
	if (q->upgrade != NULL) {
		q->upgrade->user->failed(q->upgrade->user_ctx);
		free(q->upgrade);
	}
	http_request_end_stream(q);
	drop_exchange(q);
	http_connection_phase(q->connection, HTTP_WAITING);
	free(q->reply.body);
	free_body(q);
	free(q);
}
