// SPDX-License-Identifier: Apache-2.0
/* roles.json: read, changed, written. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_file.h"
#include "lib/check.h"
#include "lib/guid.h"
#include "roles_state.h"

#define FORMAT 1u

/* A VM's id as it is written everywhere: upper case. */
static bool parse_vm(const char *text, char ret[API_ID_BYTES])
{
	struct guid g;

	if (strlen(text) != GUID_TEXT_BYTES - 1 || !guid_parse(text, &g)) {
		return false;
	}
	for (size_t i = 0; i <= strlen(text); i++) {
		ret[i] = text[i] >= 'a' && text[i] <= 'f' ? (char)(text[i] - 'a' + 'A') : text[i];
	}
	return true;
}

static bool parse_entry(const char *who, const char *role, const char *vm, struct role_entry *ret,
			char *error, size_t size)
{
	*ret = (struct role_entry){0};
	if (!who_parse(who, &ret->who, error, size)) {
		return false;
	}
	if (!role_parse(role, &ret->role)) {
		snprintf(error, size,
			 "role: '%.100s' is not known; expected administrator, operator or viewer",
			 role);
		return false;
	}
	if (vm != NULL && !parse_vm(vm, ret->vm_id)) {
		snprintf(error, size,
			 "vm: '%.100s' is not a VM's id; expected a GUID, or null for the host",
			 vm);
		return false;
	}
	return true;
}

static bool same_place(const struct role_entry *a, const struct role_entry *b)
{
	return a->who.kind == b->who.kind && strcmp(a->who.name, b->who.name) == 0 &&
	       strcmp(a->vm_id, b->vm_id) == 0;
}

static struct role_entry *find(struct roles *r, const struct role_entry *e)
{
	for (size_t i = 0; i < r->count; i++) {
		if (same_place(&r->entries[i], e)) {
			return &r->entries[i];
		}
	}
	return NULL;
}

static bool add(struct roles *r, const struct role_entry *e)
{
	struct role_entry *grown = realloc(r->entries, (r->count + 1) * sizeof(*grown));

	if (grown == NULL) {
		return false;
	}
	r->entries = grown;
	r->entries[r->count++] = *e;
	return true;
}

static void drop(struct roles *r, struct role_entry *e)
{
	struct role_entry *end = r->entries + r->count;

	memmove(e, e + 1, (size_t)(end - (e + 1)) * sizeof(*e));
	r->count--;
}

/* ---- Reading ---- */

static bool take_entry(struct roles *r, const char *name, size_t index, json_t *o, char *error,
		       size_t size)
{
	const char *who = json_string_value(json_object_get(o, "who"));
	const char *role = json_string_value(json_object_get(o, "role"));
	json_t *vm = json_object_get(o, "vm");
	struct role_entry e;
	char why[256];

	if (who == NULL || role == NULL ||
	    (vm != NULL && !json_is_null(vm) && !json_is_string(vm))) {
		snprintf(why, sizeof(why),
			 "expected {\"who\": text, \"role\": text, \"vm\": text or null}");
	} else if (parse_entry(who, role, json_string_value(vm), &e, why, sizeof(why))) {
		struct role_entry *there = find(r, &e);

		if (there != NULL) {
			*there = e;
			return true;
		}
		if (add(r, &e)) {
			return true;
		}
		snprintf(why, sizeof(why), "out of memory");
	}
	snprintf(error, size, "%s: role %zu: %s", name, index, why);
	return false;
}

static bool take_all(struct roles *r, const char *name, json_t *file, char *error, size_t size)
{
	json_t *list = json_object_get(file, "roles"), *o;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > ROLES_MAX) {
		snprintf(error, size,
			 "%s: expected {\"format\": 1, \"roles\": [at most %u of them]}", name,
			 ROLES_MAX);
		return false;
	}
	json_array_foreach(list, i, o)
	{
		if (!take_entry(r, name, i, o, error, size)) {
			return false;
		}
	}
	r->unknown = json_incref(file);
	return true;
}

bool roles_parse(struct roles *r, const char *name, const char *text, size_t bytes, char *error,
		 size_t size)
{
	struct json_file_error e;
	json_t *file;

	if (json_file_parse(name, text, bytes, FORMAT, &file, &e) != JSON_FILE_OK) {
		snprintf(error, size, "%s", e.text);
		return false;
	}
	bool ok = take_all(r, name, file, error, size);

	json_decref(file);
	return ok;
}

static int load(struct roles *r, char *error, size_t size)
{
	struct json_file_error e;
	json_t *file;
	bool ok;

	switch (json_file_load(r->path, FORMAT, &file, &e)) {
	case JSON_FILE_OK:
		ok = take_all(r, r->path, file, error, size);
		json_decref(file);
		return ok ? 0 : -EINVAL;
	case JSON_FILE_ABSENT:
		return 0;
	case JSON_FILE_WRONG:
	case JSON_FILE_TOO_NEW:
	case JSON_FILE_FAILED:
	default:
		snprintf(error, size, "%s", e.text);
		return -EINVAL;
	}
}

int roles_create(const char *path, struct roles **ret, char *error, size_t size)
{
	struct roles *r = calloc(1, sizeof(*r));
	int status = 0;

	if (r == NULL || (path != NULL && (r->path = strdup(path)) == NULL)) {
		snprintf(error, size, "out of memory");
		status = -ENOMEM;
	} else if (path != NULL) {
		status = load(r, error, size);
	}
	if (status < 0) {
		roles_destroy(r);
		return status;
	}
	*ret = r;
	return 0;
}

void roles_destroy(struct roles *r)
{
	if (r != NULL) {
		json_decref(r->unknown);
		free(r->entries);
		free(r->path);
		free(r);
	}
}

/* ---- Writing ---- */

static json_t *entry_json(const struct role_entry *e)
{
	char who[CALLER_NAME_BYTES + 16];

	who_text(&e->who, who, sizeof(who));
	return json_pack("{s:s, s:s, s:s?}", "who", who, "role", role_name(e->role), "vm",
			 e->vm_id[0] == '\0' ? NULL : e->vm_id);
}

static json_t *list_json(const struct roles *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->count; i++) {
		json_array_append_new(list, entry_json(&r->entries[i]));
	}
	return list;
}

json_t *roles_json(const struct roles *r)
{
	return json_pack("{s:o}", "roles", list_json(r));
}

static bool save(struct roles *r, char *error, size_t size)
{
	struct json_file_error e;
	json_t *file;

	if (r->path == NULL) {
		snprintf(error, size, "this service keeps no roles");
		return false;
	}
	file = r->unknown != NULL ? json_copy(r->unknown) : json_object();
	json_object_set_new(file, "format", json_integer(FORMAT));
	json_object_set_new(file, "roles", list_json(r));
	int status = json_file_save(r->path, file, true, &e);

	json_decref(file);
	if (status < 0) {
		snprintf(error, size, "%s", e.text);
	}
	return status == 0;
}

static enum roles_result check_new(struct roles *r, const struct role_entry *e, char *error,
				   size_t size)
{
	if (!e->who.exists) {
		snprintf(error, size, "who: this system has no %s '%s'",
			 e->who.kind == WHO_USER ? "user" : "group", e->who.name);
		return ROLES_INVALID;
	}
	if (r->count >= ROLES_MAX) {
		snprintf(error, size, "there are %u roles already, no more go; use groups",
			 ROLES_MAX);
		return ROLES_INVALID;
	}
	return ROLES_OK;
}

enum roles_result roles_put(struct roles *r, const char *who, const char *role, const char *vm_id,
			    json_t **ret_role, char *error, size_t size)
{
	struct role_entry e, before = {0};
	struct role_entry *there;

	if (!parse_entry(who, role, vm_id, &e, error, size) ||
	    check_new(r, &e, error, size) != ROLES_OK) {
		return ROLES_INVALID;
	}
	there = find(r, &e);
	if (there != NULL) {
		before = *there;
		*there = e;
	} else if (!add(r, &e)) {
		snprintf(error, size, "out of memory");
		return ROLES_FAILED;
	}
	if (save(r, error, size)) {
		*ret_role = entry_json(&e);
		return ROLES_OK;
	}
	/* What is not written down is not so. */
	if (there != NULL) {
		*there = before;
	} else {
		r->count--;
	}
	return ROLES_FAILED;
}

enum roles_result roles_remove(struct roles *r, const char *who, const char *vm_id, char *error,
			       size_t size)
{
	struct role_entry e = {0}, before;
	struct role_entry *there;

	if (!parse_entry(who, "viewer", vm_id, &e, error, size)) {
		return ROLES_INVALID;
	}
	there = find(r, &e);
	if (there == NULL) {
		snprintf(error, size, "'%s' has no role for %s", who,
			 vm_id == NULL ? "the host" : "this VM");
		return ROLES_NOT_FOUND;
	}
	before = *there;
	drop(r, there);
	if (save(r, error, size)) {
		return ROLES_OK;
	}
	CHECK(add(r, &before)); /* there was room for it */
	return ROLES_FAILED;
}

void roles_forget_vm(struct roles *r, const char *vm_id)
{
	char error[1024];
	size_t before = r->count;

	for (size_t i = r->count; i > 0; i--) {
		if (strcmp(r->entries[i - 1].vm_id, vm_id) == 0) {
			drop(r, &r->entries[i - 1]);
		}
	}
	/* Ids are not used again: what could not be written does no harm. */
	if (r->count != before && !save(r, error, sizeof(error))) {
		return;
	}
}
