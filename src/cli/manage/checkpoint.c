// SPDX-License-Identifier: Apache-2.0
/* `virid checkpoint list`: the tree, and where the present state hangs. */
#include <stdlib.h>
#include <string.h>

#include "manage.h"

#define DEPTH_MAX 256

static bool child_of(json_t *o, const char *parent)
{
	return strcmp(member_text(o, "parent"), parent) == 0;
}

static bool has_later_sibling(json_t *list, size_t i, const char *parent)
{
	for (size_t k = i + 1; k < json_array_size(list); k++) {
		if (child_of(json_array_get(list, k), parent)) {
			return true;
		}
	}
	return false;
}

static void print_node(json_t *o, const char *prefix, const char *branch)
{
	static const struct manage_column when = {"", "created", COLUMN_TIME};
	char time[64];

	table_cell(o, &when, time, sizeof(time));
	printf("%s%s%s  %s  %s  %s\n", prefix, branch, member_text(o, "name"), time,
	       member_text(o, "kind"), member_text(o, "id"));
}

/* One level; the depth of a tree is bounded by the service, and here once more. */
static void print_level(json_t *list, const char *parent, const char *prefix, const char *now,
			unsigned depth)
{
	char deeper[4 * DEPTH_MAX + 8];
	bool now_here = strcmp(now, parent) == 0;

	if (depth == DEPTH_MAX) {
		printf("%s...\n", prefix);
		return;
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *o = json_array_get(list, i);

		if (!child_of(o, parent)) {
			continue;
		}
		bool last = !now_here && !has_later_sibling(list, i, parent);

		print_node(o, prefix, last ? "`-- " : "|-- ");
		snprintf(deeper, sizeof(deeper), "%s%s", prefix, last ? "    " : "|   ");
		print_level(list, member_text(o, "id"), deeper, now, depth + 1);
	}
	if (now_here) {
		printf("%s`-- Now\n", prefix);
	}
}

/* The id of the checkpoint that the present comes from; "" for none. */
static const char *current_of(json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *o = json_array_get(list, i);

		if (json_is_true(member_get(o, "current"))) {
			return member_text(o, "id");
		}
	}
	return "";
}

int checkpoint_list_run(struct manage_call *c)
{
	json_t *answer = NULL, *list;
	int status = manage_send(c, 0, &answer);

	if (status != CLI_OK) {
		return status;
	}
	list = member_get(answer, "checkpoints");
	if (c->json || !json_is_array(list)) {
		manage_print(answer);
	} else {
		printf("%s\n", c->operands[0]);
		print_level(list, "", "", current_of(list), 0);
	}
	json_decref(answer);
	return CLI_OK;
}

int checkpoint_rename_run(struct manage_call *c)
{
	return manage_put(c, "name", manage_text(c->operands[2])) ? manage_usual(c) : CLI_USAGE;
}
