// SPDX-License-Identifier: Apache-2.0
/* `virid checkpoint list`: the tree, and where the present state hangs. */
#include <stdlib.h>
#include <string.h>

#include "manage.h"

#define DEPTH_MAX 256

static bool child_of(struct json_object *o, const char *parent)
{
	return strcmp(member_text(o, "parent"), parent) == 0;
}

static bool has_later_sibling(struct json_object *list, size_t i, const char *parent)
{
	for (size_t k = i + 1; k < json_object_array_length(list); k++) {
		if (child_of(json_object_array_get_idx(list, k), parent)) {
			return true;
		}
	}
	return false;
}

static void print_node(struct json_object *o, const char *prefix, const char *branch)
{
	static const struct manage_column when = {"", "created", COLUMN_TIME};
	char time[64];

	table_cell(o, &when, time, sizeof(time));
	printf("%s%s%s  %s  %s  %s\n", prefix, branch, member_text(o, "name"), time,
	       member_text(o, "kind"), member_text(o, "id"));
}

/* One level; the depth of a tree is bounded by the service, and here once more. */
static void print_level(struct json_object *list, const char *parent, const char *prefix,
			const char *now, unsigned depth)
{
	char deeper[4 * DEPTH_MAX + 8];
	bool now_here = strcmp(now, parent) == 0;

	if (depth == DEPTH_MAX) {
		printf("%s...\n", prefix);
		return;
	}
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

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
static const char *current_of(struct json_object *list)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (json_object_get_boolean(member_get(o, "current"))) {
			return member_text(o, "id");
		}
	}
	return "";
}

int checkpoint_list_run(struct manage_call *c)
{
	struct json_object *answer = NULL, *list;
	int status = manage_send(c, 0, &answer);

	if (status != CLI_OK) {
		return status;
	}
	list = member_get(answer, "checkpoints");
	if (c->json || !json_object_is_type(list, json_type_array)) {
		manage_print(answer);
	} else {
		printf("%s\n", c->operands[0]);
		print_level(list, "", "", current_of(list), 0);
	}
	json_object_put(answer);
	return CLI_OK;
}

int checkpoint_rename_run(struct manage_call *c)
{
	json_object_object_add(manage_body(c), "name", json_object_new_string(c->operands[2]));
	return manage_usual(c);
}
