// SPDX-License-Identifier: Apache-2.0
/* Who is who, and who may what. */
#include "roles.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "roles_state.h"

struct grant {
	char vm_id[API_ID_BYTES]; /* empty: the host */
	enum role role;
};

struct caller_grants {
	size_t count;
	struct grant list[];
};

static const char *const role_names[] = {[ROLE_VIEWER] = "viewer",
					 [ROLE_OPERATOR] = "operator",
					 [ROLE_ADMINISTRATOR] = "administrator"};

const char *role_name(enum role role)
{
	return role_names[role];
}

bool role_parse(const char *name, enum role *ret)
{
	for (size_t i = 0; i < sizeof(role_names) / sizeof(role_names[0]); i++) {
		if (strcmp(name, role_names[i]) == 0) {
			*ret = (enum role)i;
			return true;
		}
	}
	return false;
}

/* ---- Who ---- */

static bool parse_number(const char *text, uint32_t *ret)
{
	char *end;

	if (text[0] < '0' || text[0] > '9') {
		return false;
	}
	errno = 0;
	unsigned long v = strtoul(text, &end, 10);

	*ret = (uint32_t)v;
	return *end == '\0' && errno == 0 && v < UINT32_MAX;
}

static bool find_user(const char *name, uint32_t *ret)
{
	char buffer[16384];
	struct passwd pw, *found = NULL;

	if (getpwnam_r(name, &pw, buffer, sizeof(buffer), &found) != 0 || found == NULL) {
		return parse_number(name, ret);
	}
	*ret = found->pw_uid;
	return true;
}

static bool find_group(const char *name, uint32_t *ret)
{
	char buffer[65536];
	struct group gr, *found = NULL;

	if (getgrnam_r(name, &gr, buffer, sizeof(buffer), &found) != 0 || found == NULL) {
		return parse_number(name, ret);
	}
	*ret = found->gr_gid;
	return true;
}

static const struct {
	const char *prefix;
	enum who_kind kind;
} kinds[] = {{"user:", WHO_USER}, {"group:", WHO_GROUP}, {"certificate:", WHO_CERTIFICATE}};

bool who_parse(const char *text, struct who *ret, char *error, size_t size)
{
	const char *name = text;

	*ret = (struct who){.kind = WHO_USER};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t n = strlen(kinds[i].prefix);

		if (strncmp(text, kinds[i].prefix, n) == 0) {
			ret->kind = kinds[i].kind;
			name = text + n;
			break;
		}
	}
	if (name[0] == '\0' || strlen(name) >= sizeof(ret->name) || !target_is_text(name)) {
		snprintf(error, size,
			 "who: '%.100s' is nobody; expected user:NAME, group:NAME or "
			 "certificate:NAME, a name of 1 to "
			 "%zu bytes",
			 text, sizeof(ret->name) - 1);
		return false;
	}
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	ret->exists = ret->kind == WHO_CERTIFICATE ||
		      (ret->kind == WHO_USER ? find_user(name, &ret->number)
					     : find_group(name, &ret->number));
	return true;
}

void who_text(const struct who *who, char *ret, size_t size)
{
	snprintf(ret, size, "%s%s", kinds[who->kind].prefix, who->name);
}

static bool is_who(const struct who *who, const struct identity *i)
{
	switch (who->kind) {
	case WHO_USER:
		return who->exists && i->has_uid && i->uid == who->number;
	case WHO_GROUP:
		return who->exists && identity_in_group(i, who->number);
	case WHO_CERTIFICATE:
	default:
		return identity_has_certificate(i, who->name);
	}
}

/* ---- Callers ---- */

void roles_caller(const struct roles *r, const struct identity *i, struct caller *ret)
{
	struct caller_grants *g;
	size_t count = 0;

	*ret = (struct caller){.host_admin = identity_is_owner(i), .owner = identity_is_owner(i)};
	snprintf(ret->name, sizeof(ret->name), "%s", i->name);
	for (size_t k = 0; k < r->count; k++) {
		count += is_who(&r->entries[k].who, i);
	}
	if (count == 0) {
		return;
	}
	/* without memory there are no rights */
	g = malloc(sizeof(*g) + count * sizeof(g->list[0]));
	if (g == NULL) {
		return;
	}
	g->count = 0;
	for (size_t k = 0; k < r->count; k++) {
		const struct role_entry *e = &r->entries[k];

		if (is_who(&e->who, i)) {
			memcpy(g->list[g->count].vm_id, e->vm_id, sizeof(e->vm_id));
			g->list[g->count++].role = e->role;
			ret->host_admin |= e->role == ROLE_ADMINISTRATOR && e->vm_id[0] == '\0';
		}
	}
	ret->grants = g;
}

void caller_fini(struct caller *c)
{
	free((void *)(uintptr_t)c->grants);
	c->grants = NULL;
}

static enum role role_needed(enum right right)
{
	return right == RIGHT_READ	? ROLE_VIEWER
	       : right == RIGHT_OPERATE ? ROLE_OPERATOR
					: ROLE_ADMINISTRATOR;
}

bool caller_may(const struct caller *c, const char *vm_id, enum right right)
{
	if (c->host_admin) {
		return true;
	}
	for (size_t i = 0; c->grants != NULL && i < c->grants->count; i++) {
		const struct grant *g = &c->grants->list[i];
		bool covers = g->vm_id[0] == '\0' || (vm_id != NULL && right != RIGHT_HOST &&
						      strcmp(g->vm_id, vm_id) == 0);

		if (covers && g->role >= role_needed(right)) {
			return true;
		}
	}
	return false;
}

bool caller_is_known(const struct caller *c)
{
	return c->host_admin || (c->grants != NULL && c->grants->count > 0);
}
