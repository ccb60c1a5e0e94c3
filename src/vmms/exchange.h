/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and its answer, apart from how they travel: HTTP connections use this, and so do tests and the fuzzer.
 *
 *	exchange_create, exchange_run -> the handler runs, and answers now or later -> transport.reply (once) -> exchange_destroy
 */
#ifndef VMMS_EXCHANGE_H
#define VMMS_EXCHANGE_H

#include <stdint.h>

#include "api.h"
#include "call_stream.h"
#include "caller.h"
#include "router.h"

/* What goes back. */
struct reply {
	unsigned status;
	const char *content_type; /* constant; NULL: no body */
	char *body;		  /* malloc'ed; whoever gets the reply frees it */
	size_t body_bytes;
	char location[512]; /* header fields; empty: none */
	char etag[32];
	char allow[64];
	char authenticate[64];
};

struct exchange;

struct transport {
	/* Takes over @r's body. The exchange may be destroyed from now on, but not within the call. */
	void (*reply)(void *ctx, const struct reply *r);
	/* Begins an answer that is pulled. NULL: cannot. */
	void (*stream)(void *ctx, const char *content_type, const struct stream_source *source,
		       void *source_ctx);
	void (*stream_wake)(void *ctx);
	/* Answers 101, then gives the connection away (call_stream.h). NULL: cannot. */
	void (*upgrade)(void *ctx, const char *protocol, const struct upgrade_user *user,
			void *user_ctx);
};

/* What a client said, all borrowed until exchange_run returns. */
struct exchange_request {
	const char *method;
	const char *target; /* undecoded */
	const struct identity *who;
	const char *body; /* NULL: none */
	size_t body_bytes;
	const char *if_match; /* header fields; NULL: not there */
	const char *content_type;
	const char *last_event_id;
	const char *upgrade;
	const char *origin;
};

/* NULL: no memory. */
struct exchange *exchange_create(struct api *api, const struct transport *transport, void *ctx);
/* Everything up to the handler, and the handler. */
void exchange_run(struct exchange *x, const struct exchange_request *request);
/* Answers before there is a request that could be run (too large, not authenticated). Status as in HTTP. */
__attribute__((format(printf, 4, 5))) void exchange_refuse(struct exchange *x, unsigned status,
							   const char *code, const char *fmt, ...);
bool exchange_is_answered(const struct exchange *x);
/* When it was not answered, the handler that holds it learns that the client is gone. */
void exchange_destroy(struct exchange *x);

#endif
