/* SPDX-License-Identifier: Apache-2.0 */
/* What exchange*.c and call.c share. */
#ifndef VMMS_EXCHANGE_STATE_H
#define VMMS_EXCHANGE_STATE_H

#include "exchange.h"

struct exchange {
	struct call call; /* first: a call is its exchange */
	struct api *api;
	const struct transport
		*transport; /* NULL: the client is gone, nobody waits for the answer */
	void *transport_ctx;
	struct exchange *previous, *next; /* all of the API's */
	struct caller caller;
	const struct route *route;
	bool answered;
	bool streams; /* or became something else */
	bool held;
	void (*gone)(void *ctx, struct call *c);
	void *gone_ctx;
	json_t *body;
	char method[16];
	char what[512];		  /* method and target, for the audit log */
	char job[API_ID_BYTES];	  /* that the answer started */
	char vm_id[API_ID_BYTES]; /* empty: the route has none */
	char if_match[24];
	char last_event_id[24];
	char upgrade[32]; /* the protocol that the client wants; empty: none */
	struct target target;
};

/* Sends it, and writes the audit log's line. @error_code: what was refused, NULL: done. */
void exchange_reply(struct exchange *x, struct reply *r, const char *error_code);
/* The audit log's line, if there is to be one. */
void exchange_note(struct exchange *x, const struct reply *r, const char *error_code);
/* A JSON body; takes over @body. */
void exchange_reply_json(struct exchange *x, struct reply *r, json_t *body, const char *error_code);
/* The same with a Location under API_PREFIX. */
void exchange_reply_at(struct call *c, unsigned status, const char *location, json_t *body);
/* The error object; takes over @extra. */
void exchange_error(struct exchange *x, struct reply *r, const char *code, const char *message,
		    json_t *extra);
/* The list of all exchanges (api.c). */
void api_add_exchange(struct api *a, struct exchange *x);
void api_remove_exchange(struct api *a, struct exchange *x);

/* ---- exchange_route.c; each false after an answer ---- */

/* What it is for: x->route and x->target. */
bool exchange_find_route(struct exchange *x, const struct exchange_request *q);
/* Of a route with {vm}: x->vm_id, which takes the place of what the client wrote. */
bool exchange_find_vm(struct exchange *x);
/* Who asks; and nobody in whose name a web page does. */
bool exchange_check_caller(struct exchange *x, const struct exchange_request *q);
bool exchange_check_rights(struct exchange *x);

#endif
