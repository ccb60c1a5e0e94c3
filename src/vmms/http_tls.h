/* SPDX-License-Identifier: Apache-2.0 */
/* What a TLS session says about its client. */
#ifndef VMMS_HTTP_TLS_H
#define VMMS_HTTP_TLS_H

#include "caller.h"

struct http_tls;

enum http_tls_result {
	HTTP_TLS_CERTIFICATE,	 /* verified: *ret is who it names */
	HTTP_TLS_NO_CERTIFICATE, /* the client showed none */
	HTTP_TLS_BAD_CERTIFICATE,
};
/* @session is a gnutls_session_t after its handshake. */
enum http_tls_result http_tls_identify(void *session, struct identity *ret, char *why, size_t size);
/* Are passwords taken? */
bool http_tls_passwords(const struct http_tls *t);

#endif
