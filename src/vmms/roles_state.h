/* SPDX-License-Identifier: Apache-2.0 */
/* What the roles_*.c files share. */
#ifndef VMMS_ROLES_STATE_H
#define VMMS_ROLES_STATE_H

#include "roles.h"
#include "target.h"

enum who_kind { WHO_USER, WHO_GROUP, WHO_CERTIFICATE };

struct who {
	enum who_kind kind;
	bool exists;	 /* the system knew the name when it was looked up; certificates always */
	uint32_t number; /* uid or gid */
	char name[CALLER_NAME_BYTES];
};

struct role_entry {
	struct who who;
	enum role role;
	char vm_id[API_ID_BYTES]; /* empty: the host */
};

struct roles {
	char *path;
	struct role_entry *entries;
	size_t count;
	json_t *unknown; /* other members of the file, written back */
};

const char *role_name(enum role role);
bool role_parse(const char *name, enum role *ret);
/* Looks the name up. False: @error. A name that nobody has is no error: see exists. */
bool who_parse(const char *text, struct who *ret, char *error, size_t size);
void who_text(const struct who *who, char *ret, size_t size);

#endif
