/* SPDX-License-Identifier: Apache-2.0 */
/* Who calls over TLS: a client certificate, else a password that PAM checks on a thread of its own. */
#ifndef VMMS_HTTP_AUTH_H
#define VMMS_HTTP_AUTH_H

#include "http_state.h"

struct audit;
struct http_auth;
struct tasks;

/* NULL: no memory. @tasks do the waiting; @pam_folder: as of pam_check, borrowed; who is refused is noted in @audit (may be NULL). */
struct http_auth *http_auth_create(struct tasks *tasks, const char *pam_folder,
				   struct audit *audit);
/* The tasks have ended. */
void http_auth_destroy(struct http_auth *a);
/* Ends in http_request_identified(@q), within the call or later. @a: NULL: no passwords. */
void http_auth_identify(struct http_auth *a, struct http_connection *c, struct MHD_Connection *mhd,
			struct http_request *q);
/* @q is not interested any more. */
void http_auth_forget(struct http_auth *a, struct http_request *q);

#endif
