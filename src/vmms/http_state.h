/* SPDX-License-Identifier: Apache-2.0 */
/* What the http_*.c files share. */
#ifndef VMMS_HTTP_STATE_H
#define VMMS_HTTP_STATE_H

#include <microhttpd.h>
#include <sys/socket.h>

#include "caller.h"
#include "exchange.h"
#include "host/loop.h"
#include "http.h"

#define HTTP_CONNECTIONS_MAX 1024u
#define HTTP_CONNECTIONS_FOR_OWNER 64u
#define HTTP_CONNECTIONS_PER_CALLER 256u
#define HTTP_HEADER_BYTES ((size_t)24 << 10)
#define HTTP_BODIES_BYTES ((size_t)64 << 20) /* of all requests that are being received */
#define HTTP_ANSWER_SECONDS 600u	     /* until a client has taken an answer that ends */

struct http_request;
struct http_tls;

/* A socket that listens, with the library's machinery for its connections. */
struct http_listener {
	struct http *http;
	struct http_listener *next;
	int fd;
	struct MHD_Daemon *daemon;
	int epoll_fd; /* the daemon's */
	struct loop_timer timer;
	struct http_connection *accepting; /* while it is added */
	struct http_tls *tls;		   /* NULL: Unix */
	char path[108];			   /* of a socket we made; removed at the end */
};

enum http_phase {
	HTTP_WAITING,	/* for a request, or for its header */
	HTTP_RECEIVING, /* its body */
	HTTP_RUNNING,	/* somebody works on it */
	HTTP_ANSWERING,
	HTTP_STREAMING, /* no end is expected */
};

struct http_connection {
	struct http_listener *listener;
	struct http_connection *next, **link;
	int fd;
	enum http_phase phase;
	uint64_t since_ns;	      /* in this phase */
	struct http_request *watched; /* told when the client hangs up */
	bool is_unix;
	bool identified; /* @identity is who calls */
	struct identity identity;
	struct sockaddr_storage address; /* TLS: where it came from */
};

struct http {
	struct api *api;
	struct http_auth *auth; /* NULL: no passwords */
	struct loop *loop;
	struct http_config config;
	struct http_listener *listeners;
	struct http_connection *connections;
	struct loop_timer sweep;
	int hangups;  /* epoll: connections whose request is being worked on */
	int spare_fd; /* given up for a moment to refuse somebody when there are no descriptors */
	size_t bodies_bytes; /* held now */
	struct http_counters counters;
};

/* ---- http_listener.c ---- */
/* The library has something to do that no descriptor tells. */
void http_kick(struct http_listener *l);

/* ---- http_connection.c ---- */
/* Takes a connection that was accepted; NULL: over a limit, and it was refused. */
struct http_connection *http_connection_create(struct http_listener *l, int fd,
					       const struct sockaddr_storage *address);
void http_connection_destroy(struct http_connection *c);
void http_connection_phase(struct http_connection *c, enum http_phase phase);
/* Tells @q when the client hangs up; NULL: no longer. */
void http_connection_watch(struct http_connection *c, struct http_request *q);
/* Looks for hang-ups. */
void http_connection_hangups(void *http);
/* Ends what takes too long. */
void http_connection_sweep(void *http);

/* ---- http_request.c: the library's callbacks ---- */
void *http_request_begin(void *listener, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_request_continue(void *listener, struct MHD_Connection *connection,
				      const char *url, const char *method, const char *version,
				      const char *upload, size_t *upload_bytes, void **request);
void http_request_end(void *listener, struct MHD_Connection *connection, void **request,
		      enum MHD_RequestTerminationCode why);
/* The client hung up while its request was worked on. */
void http_request_gone(struct http_request *q);
/* Goes on with a request whose caller is known now (or not: @status and @why). */
void http_request_identified(struct http_request *q, const struct identity *who, unsigned status,
			     const char *why);

#endif
