/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end of a connection. */
#ifndef VMMS_CALLER_H
#define VMMS_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "call.h"

#define CALLER_GROUPS_MAX 256u
#define CALLER_CERTIFICATE_NAMES_MAX 8u
#define CALLER_NAME_BYTES 64u

/* What is known about somebody, before roles are looked at. */
struct identity {
	char name[CALLER_NAME_BYTES]; /* as struct caller's */
	bool has_uid;		      /* a user of this system */
	uid_t uid;
	gid_t groups
		[CALLER_GROUPS_MAX]; /* first the own one; those that do not fit give no rights */
	unsigned group_count;
	/* Of a certificate that was verified: its common name, and names and mail addresses of its alternative names. */
	char certificate_names[CALLER_CERTIFICATE_NAMES_MAX][CALLER_NAME_BYTES];
	unsigned certificate_name_count;
};

/* The process that connected to the Unix socket @fd. -errno. */
int identity_of_peer(int fd, struct identity *ret);
/* A user of this system by name. False: there is none. May block as far as the system's user database does. */
bool identity_of_user(const char *name, struct identity *ret);
/* Somebody who may do everything: who runs the service, and root. */
bool identity_is_owner(const struct identity *i);
/* Does @i have a certificate with this name? */
bool identity_has_certificate(const struct identity *i, const char *name);
/* Is @i in this group? */
bool identity_in_group(const struct identity *i, gid_t gid);

#endif
