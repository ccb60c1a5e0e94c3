// SPDX-License-Identifier: Apache-2.0
/* Cmdlets that show something: Get-VM and the like. */
#include "cmdlet.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* @rows as the cmdlet's objects, with properties under its names. */
static json_t *objects_of(const struct cmdlet *c, json_t *rows)
{
	json_t *objects = json_array();
	char text[512];

	for (size_t i = 0; i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i), *o = json_object();

		for (const struct manage_column *p = c->properties; p->title != NULL; p++) {
			json_t *v = p->cell == NULL ? member_get(row, p->member) : NULL;

			if (p->cell != NULL) {
				p->cell(row, text, sizeof(text));
				v = json_new_text(text);
			} else {
				v = v != NULL ? json_incref(v) : json_null();
			}
			json_add(o, p->title, v);
		}
		json_append(objects, o);
	}
	return objects;
}

/* Those of @rows whose name matches, with wildcards, or whose ID is it. */
static json_t *filter(json_t *rows, const char *pattern)
{
	json_t *kept = json_array();

	for (size_t i = 0; i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i);

		if (pattern == NULL ||
		    fnmatch(pattern, member_text(row, "name"), FNM_CASEFOLD) == 0 ||
		    strcasecmp(pattern, member_text(row, "id")) == 0) {
			json_append(kept, json_incref(row));
		}
	}
	return kept;
}

/* "/vms/{0}" with @operand in it; false after a message. */
static bool path_of(const struct cmdlet *c, const char *operand, char *path, size_t size)
{
	const char *mark = strstr(c->path, "{0}");

	if (mark == NULL) {
		snprintf(path, size, "%s", c->path);
		return true;
	}
	if (operand == NULL) {
		cmdlet_usage(c, "wants a parameter", c->positional[0]);
		return false;
	}
	char *escaped = manage_escape(operand);

	snprintf(path, size, "%.*s%s%s", (int)(mark - c->path), c->path, escaped, mark + 3);
	free(escaped);
	return true;
}

/* What the service's answer lists, or is. */
static json_t *rows_of(const struct cmdlet *c, json_t *answer)
{
	json_t *rows = json_array();

	if (c->list == NULL) {
		json_append(rows, json_incref(answer));
	} else if (json_is_array(member_get(answer, c->list))) {
		json_decref(rows);
		rows = json_incref(member_get(answer, c->list));
	}
	return rows;
}

static void show(const struct cmdlet *c, json_t *rows, bool json)
{
	if (json) {
		json_t *objects = objects_of(c, rows);

		manage_print(objects);
		json_decref(objects);
	} else {
		table_print(rows, c->properties);
	}
}

/* A name without wildcards stands for a machine that has to be there. */
static bool names_one(const char *operand, const char *path)
{
	return operand != NULL && strpbrk(operand, "*?[") == NULL && strcmp(path, "/vms") == 0;
}

int cmdlet_get(const struct cmdlet *c, const char *operand, bool json)
{
	struct manage_call call = {.shown_as = c->name, .json = json};
	json_t *answer = NULL, *rows, *kept;
	char path[1024];

	if (!path_of(c, operand, path, sizeof(path))) {
		return CLI_USAGE;
	}
	int status = manage_request(&call, "GET", path, NULL, &answer);

	if (status != CLI_OK) {
		return status;
	}
	rows = rows_of(c, answer);
	kept = filter(rows, strstr(c->path, "{0}") == NULL ? operand : NULL);
	if (json_array_size(kept) == 0 && names_one(operand, path)) {
		complain("%s: there is no machine named '%s'", c->name, operand);
		status = MANAGE_NOT_FOUND;
	} else {
		show(c, kept, json);
	}
	json_decref(kept);
	json_decref(rows);
	json_decref(answer);
	return status;
}
