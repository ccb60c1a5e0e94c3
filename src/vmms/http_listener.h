/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of http_*.c: making listeners. */
#ifndef VMMS_HTTP_LISTENER_H
#define VMMS_HTTP_LISTENER_H

#include "http_state.h"

/* Serves the listening socket @fd (taken over, as is @tls). @path: removed at the end; may be NULL. -errno. */
int http_listener_start(struct http *h, int fd, struct http_tls *tls, const char *path);

/* ---- http_tls.c ---- */
/* Options for MHD_start_daemon, which live with @t. */
const struct MHD_OptionItem *http_tls_options(const struct http_tls *t);
void http_tls_destroy(struct http_tls *t);

#endif
