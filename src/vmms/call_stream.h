/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that are no JSON object: text, streams without an end, and connections that become something else. */
#ifndef VMMS_CALL_STREAM_H
#define VMMS_CALL_STREAM_H

#include "call.h"

/* 200 and @text (malloc'ed, taken over). @content_type is a constant. */
void call_text(struct call *c, const char *content_type, char *text, size_t bytes);

enum stream_pull { STREAM_DATA, STREAM_EMPTY, STREAM_END };
/* Where a stream's bytes come from. */
struct stream_source {
	/* Fills @buf, never from within call_stream_wake. After EMPTY it is called again when woken, after END not again. */
	enum stream_pull (*pull)(void *ctx, char *buf, size_t capacity, size_t *ret_bytes);
	/* The client is gone, or has everything: last call; the call @ctx may know of is no longer valid. */
	void (*closed)(void *ctx);
};
/* 200 and what @source gives. The call stays valid until closed. False: this connection cannot; the call was refused, closed is not called. */
bool call_stream(struct call *c, const char *content_type, const struct stream_source *source,
		 void *ctx);
/* There is more. */
void call_stream_wake(struct call *c);
/* The Last-Event-ID header field; NULL: not there. */
const char *call_last_event_id(const struct call *c);

/* A connection that left HTTP. */
struct upgraded {
	int fd;		   /* a non-blocking socket; close by close() below only */
	const void *extra; /* what the client had sent beyond the request; valid within ready() */
	size_t extra_bytes;
	void (*close)(struct upgraded *u);
};
struct upgrade_user {
	/* The connection is @u's user's from now on. */
	void (*ready)(void *ctx, struct upgraded *u);
	/* Instead of ready: the client went first. */
	void (*failed)(void *ctx);
};
/*
 * 101 and another protocol, when the client asked for @protocol in its Upgrade header field; otherwise the call is refused, and false.
 */
bool call_upgrade(struct call *c, const char *protocol, const struct upgrade_user *user, void *ctx);

#endif
