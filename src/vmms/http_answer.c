// SPDX-License-Identifier: Apache-2.0
/* What a request is answered with, given to libmicrohttpd: a reply, a stream, or the connection itself. */
#include <fcntl.h>
#include <stdlib.h>

#include "http_request.h"

#define STREAM_BLOCK ((size_t)16 << 10)

/* ---- Answers that end, and streams ---- */

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
		http_request_suspend(q);
		return 0;
	case STREAM_END:
	default:
		http_request_end_stream(q);
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

enum MHD_Result http_answer(struct http_request *q)
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
	http_request_suspend(q);
	return MHD_YES;
}
