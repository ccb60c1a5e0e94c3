// SPDX-License-Identifier: Apache-2.0
/* One request on its way through libmicrohttpd: begin, body, exchange, answer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "body.h"
#include "http_auth.h"
#include "http_state.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "target.h"

#define STREAM_BLOCK ((size_t)16 << 10)
#define DROPPED_BYTES_MAX ((size_t)16 << 20)

struct http_upgrade {
	struct upgraded up;
	struct MHD_UpgradeResponseHandle *handle;
	const struct upgrade_user *user;
	void *user_ctx;
	struct http_listener *listener;
};

struct http_request {
	struct http_listener *listener;
	struct MHD_Connection *mhd;
	struct http_connection *connection;
	struct exchange *exchange; /* NULL: the client is gone, or it was never made */
	bool seen;		   /* its header */
	bool complete;		   /* its body */
	bool suspended;
	bool gone;
	bool bad_target; /* too long to be kept */
	bool no_room;	 /* for its body */
	bool replied;
	struct reply reply;
	const struct stream_source *source;
	void *source_ctx;
	const char *stream_type;
	bool stream_empty;	      /* it sleeps until woken */
	struct http_upgrade *upgrade; /* until it is done */
	const char *upgrade_protocol;
	const char *method; /* the library's, for the request's life */
	char *body;
	size_t body_bytes, body_capacity, dropped_bytes;
	char target[TARGET_BYTES_MAX];
};

/* ---- Sleeping and waking ---- */

static void suspend(struct http_request *q)
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

static void end_stream(struct http_request *q)
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
	end_stream(q);
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

/* ---- Answer ---- */

static void add_header(struct MHD_Response *r, const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0') {
		MHD_add_response_header(r, name, value);
	}
}

static enum MHD_Result queue(struct http_request *q, unsigned status, struct MHD_Response *r)
{
	if (r == NULL) {
		return MHD_NO;
	}
	add_header(r, "Cache-Control", "no-store");
	add_header(r, "X-Content-Type-Options", "nosniff");
	enum MHD_Result result = MHD_queue_response(q->mhd, status, r);

	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result send_reply(struct http_request *q)
{
	struct reply *p = &q->reply;
	struct MHD_Response *r =
		MHD_create_response_from_buffer(p->body_bytes, p->body, MHD_RESPMEM_MUST_FREE);

	http_connection_phase(q->connection, HTTP_ANSWERING);
	if (r == NULL) {
		free(p->body);
		return MHD_NO;
	}
	add_header(r, "Content-Type", p->content_type);
	add_header(r, "Location", p->location);
	add_header(r, "ETag", p->etag);
	add_header(r, "Allow", p->allow);
	add_header(r, "WWW-Authenticate", p->authenticate);
	p->body = NULL;
	/* What is left of a body that nobody reads cannot be told from the next request. */
	if (!q->complete) {
		add_header(r, "Connection", "close");
	}
	return queue(q, p->status, r);
}

static ssize_t pull(void *ctx, uint64_t position, char *buf, size_t capacity)
{
	struct http_request *q = ctx;
	size_t n = 0;

	if (q->gone || q->source == NULL) {
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	switch (q->source->pull(q->source_ctx, buf, capacity, &n)) {
	case STREAM_DATA:
		return (ssize_t)n;
	case STREAM_EMPTY:
		q->stream_empty = true;
		suspend(q);
		return 0;
	case STREAM_END:
	default:
		end_stream(q);
		return MHD_CONTENT_READER_END_OF_STREAM;
	}
}

static enum MHD_Result send_stream(struct http_request *q)
{
	struct MHD_Response *r =
		MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, pull, q, NULL);

	http_connection_phase(q->connection, HTTP_STREAMING);
	if (r != NULL) {
		add_header(r, "Content-Type", q->stream_type);
	}
	return queue(q, 200, r);
}

/* ---- Upgrade ---- */

static void close_upgraded(struct upgraded *up)
{
	struct http_upgrade *u = (struct http_upgrade *)up;
	struct http_listener *l = u->listener;

	MHD_upgrade_action(u->handle, MHD_UPGRADE_ACTION_CLOSE);
	http_kick(l);
	free(u);
}

static void on_upgraded(void *ctx, struct MHD_Connection *mhd, void *request, const char *extra,
			size_t extra_bytes, MHD_socket fd, struct MHD_UpgradeResponseHandle *handle)
{
	struct http_request *q = ctx;
	struct http_upgrade *u = q->upgrade;

	q->upgrade = NULL;
	u->handle = handle;
	u->up = (struct upgraded){
		.fd = fd, .extra = extra, .extra_bytes = extra_bytes, .close = close_upgraded};
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	u->user->ready(u->user_ctx, &u->up);
}

static enum MHD_Result send_upgrade(struct http_request *q)
{
	struct MHD_Response *r = MHD_create_response_for_upgrade(on_upgraded, q);

	http_connection_phase(q->connection, HTTP_STREAMING);
	if (r != NULL) {
		add_header(r, "Upgrade", q->upgrade_protocol);
	}
	return queue(q, 101, r);
}

/* ---- The library's callbacks ---- */

static enum MHD_Result proceed(struct http_request *q)
{
	if (q->gone) {
		return MHD_NO;
	}
	if (q->replied) {
		return send_reply(q);
	}
	if (q->source != NULL) {
		return send_stream(q);
	}
	if (q->upgrade != NULL) {
		return send_upgrade(q);
	}
	suspend(q);
	return MHD_YES;
}

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
		return q->replied ? send_reply(q) : MHD_YES;
	}
	if (*upload_bytes > 0) {
		bool fits = add_body(q, upload, *upload_bytes);

		*upload_bytes = 0;
		return fits ? MHD_YES : MHD_NO;
	}
	if (!q->complete) {
		start(q);
	}
	return proceed(q);
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
	end_stream(q);
	drop_exchange(q);
	http_connection_phase(q->connection, HTTP_WAITING);
	free(q->reply.body);
	free_body(q);
	free(q);
}
