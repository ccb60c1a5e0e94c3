// SPDX-License-Identifier: Apache-2.0
#include "caller.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PASSWD_BYTES 16384

static void name_of_user(uid_t uid, char ret[CALLER_NAME_BYTES])
{
	char buffer[PASSWD_BYTES];
	struct passwd pw, *found = NULL;

	if (getpwuid_r(uid, &pw, buffer, sizeof(buffer), &found) == 0 && found != NULL &&
	    strlen(found->pw_name) < CALLER_NAME_BYTES) {
		snprintf(ret, CALLER_NAME_BYTES, "%s", found->pw_name);
	} else {
		snprintf(ret, CALLER_NAME_BYTES, "uid=%u", (unsigned)uid);
	}
}

/* The groups that the process had when it connected; a kernel that does not tell gives none beyond the first. */
static void add_peer_groups(int fd, struct identity *i)
{
	gid_t all[65536 / sizeof(gid_t)];
	socklen_t bytes = sizeof(all);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, all, &bytes) < 0) {
		return;
	}
	for (unsigned k = 0; k < bytes / sizeof(gid_t) && i->group_count < CALLER_GROUPS_MAX; k++) {
		i->groups[i->group_count++] = all[k];
	}
}

int identity_of_peer(int fd, struct identity *ret)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0) {
		return -errno;
	}
	*ret = (struct identity){.has_uid = true, .uid = peer.uid, .group_count = 1};
	ret->groups[0] = peer.gid;
	add_peer_groups(fd, ret);
	name_of_user(peer.uid, ret->name);
	return 0;
}

bool identity_of_user(const char *name, struct identity *ret)
{
	char buffer[PASSWD_BYTES];
	struct passwd pw, *found = NULL;
	int count = CALLER_GROUPS_MAX;

	if (getpwnam_r(name, &pw, buffer, sizeof(buffer), &found) != 0 || found == NULL ||
	    strlen(found->pw_name) >= CALLER_NAME_BYTES) {
		return false;
	}
	*ret = (struct identity){.has_uid = true, .uid = found->pw_uid};
	snprintf(ret->name, sizeof(ret->name), "%s", found->pw_name);
	if (getgrouplist(found->pw_name, found->pw_gid, ret->groups, &count) < 0) {
		count = CALLER_GROUPS_MAX; /* there are more; these fit */
	}
	ret->group_count = (unsigned)count;
	return true;
}

bool identity_is_owner(const struct identity *i)
{
	return i->has_uid && (i->uid == 0 || i->uid == geteuid());
}

bool identity_has_certificate(const struct identity *i, const char *name)
{
	for (unsigned k = 0; k < i->certificate_name_count; k++) {
		if (strcmp(i->certificate_names[k], name) == 0) {
			return true;
		}
	}
	return false;
}

bool identity_in_group(const struct identity *i, gid_t gid)
{
	for (unsigned k = 0; k < i->group_count; k++) {
		if (i->groups[k] == gid) {
			return true;
		}
	}
	return false;
}
