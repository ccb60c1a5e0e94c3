/* SPDX-License-Identifier: Apache-2.0 */
/* Inside http_request.c and http_answer.c: one request. */
#ifndef VMMS_HTTP_REQUEST_H
#define VMMS_HTTP_REQUEST_H

#include "http_state.h"
#include "target.h"

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

/* Until http_request_gone, or something to answer with. */
void http_request_suspend(struct http_request *q);
/* The source is not pulled any more, and knows. */
void http_request_end_stream(struct http_request *q);
/* Answers with what there is; sleeps when there is nothing yet. */
enum MHD_Result http_answer(struct http_request *q);

#endif
