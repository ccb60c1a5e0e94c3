/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service's way in, as "api" of host.json says:
 *
 *	{"group": who may use the socket, "request_timeout_s": n,
 *	 "tls": {"address", "port", "certificate", "key", "client_ca", "passwords"}}
 */
#ifndef VMMS_FRONT_H
#define VMMS_FRONT_H

#include <jansson.h>

#include "http.h"

#define FRONT_GROUP                                                                                \
	"virid" /* of the system's service, when nothing else is said and the system has it */

struct front_config {
	const json_t *settings; /* may be NULL */
	struct tasks *tasks;
	const char *pam_folder; /* see http_config */
	const char *path;	/* of the socket, when none are handed in */
	int first_fd;		/* sockets that systemd made */
	unsigned fd_count;
};

/* Everything listens, or nothing: -errno with @error. */
int front_open(struct api *a, const struct front_config *config, struct http **ret, char *error,
	       size_t size);

#endif
