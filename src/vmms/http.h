/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API over HTTP/1.1: on a Unix socket, where callers are known by their process, and over TLS, where a certificate or a password says who they are.
 * libmicrohttpd does the protocol, on the loop's thread.
 *
 * Limits, for each connection: 24 KiB of header fields, 1 MiB of body, a time in which a request must have come whole; for each caller: 256 connections;
 * for all: 1,024, the last 64 of which are for who owns the service.
 */
#ifndef VMMS_HTTP_H
#define VMMS_HTTP_H

#include <stdint.h>

#include "api.h"

struct http;
struct tasks;

struct http_config {
	unsigned
		request_timeout_s; /* until a request is whole, and until the next one begins; 0: 60 */
	const char *pam_folder;	   /* with PAM's file "virid"; NULL: the system's. Borrowed */
};

/* How the service is reached over TLS; all strings borrowed. */
struct http_tls_config {
	const char *address; /* of this host; NULL: all */
	unsigned port;
	const char *certificate, *key; /* PEM files */
	const char *client_ca; /* PEM file: who may sign clients' certificates; NULL: none can */
	bool passwords;	       /* Basic authentication by PAM */
};

/* @tasks check passwords; NULL: none are taken. -errno. */
int http_create(struct api *a, const struct http_config *config, struct tasks *tasks,
		struct http **ret);
/* The tasks have ended. Closes all connections; a held call's owner learns that its client is gone. */
void http_destroy(struct http *h);

/*
 * Listens on a Unix socket, which replaces one that nobody listens on any more. Its mode is 0600 and its owner who runs this; with @group (a name,
 * or NULL) 0660 and that group. -errno with a sentence in @error; -EADDRINUSE: another service listens there.
 */
int http_listen_unix(struct http *h, const char *path, const char *group, char *error, size_t size);
/* The same on a socket that listens already (socket activation); taken over. */
int http_listen_fd(struct http *h, int fd, char *error, size_t size);
int http_listen_tls(struct http *h, const struct http_tls_config *config, char *error, size_t size);

struct http_counters {
	uint64_t connections, requests, refused_connections, timed_out_requests;
	unsigned open_connections;
};
void http_get_counters(const struct http *h, struct http_counters *ret);

#endif
