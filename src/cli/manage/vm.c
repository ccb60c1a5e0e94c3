// SPDX-License-Identifier: Apache-2.0
/* Verbs that ask first, send operands as something else, or show more than a table. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/bits.h"
#include "manage.h"

/* ---- vm show ---- */

/* "emu: its configuration asks for it"; while it does not run, what it is to run on. */
static void engine_cell(json_t *row, char *text, size_t size)
{
	const char *asked = member_text(row, "configuration.engine"),
		   *engine = member_text(row, "engine"), *why = member_text(row, "engine_reason");

	if (engine[0] == '\0') {
		snprintf(text, size, "%s", asked[0] == '\0' ? "auto" : asked);
	} else {
		snprintf(text, size, "%s%s%s", engine, why[0] == '\0' ? "" : ": ", why);
	}
}

static long long number_in(json_t *row, const char *member, long long usual)
{
	json_t *o = member_get(row, member);

	return o == NULL ? usual : json_integer_value(o);
}

static void model_cell(json_t *row, char *text, size_t size)
{
	const char *model = member_text(row, "configuration.processors.model");

	snprintf(text, size, "%s", model[0] == '\0' ? "the usual one of its engine" : model);
}

/* "weight 100, reserve 50 %, limit 80 %" */
static void share_cell(json_t *row, char *text, size_t size)
{
	long long weight = number_in(row, "configuration.processors.weight", 100),
		  reserve = number_in(row, "configuration.processors.reserve_percent", 0),
		  limit = number_in(row, "configuration.processors.limit_percent", 100);
	int n = snprintf(text, size, "weight %lld", weight);

	if (reserve != 0) {
		n += snprintf(text + n, size - (size_t)n, ", reserve %lld %%", reserve);
	}
	if (limit != 100) {
		n += snprintf(text + n, size - (size_t)n, ", limit %lld %%", limit);
	}
	if ((weight != 100 || reserve != 0 || limit != 100) &&
	    !json_is_true(member_get(row, "cpu_policy.acts"))) {
		snprintf(text + n, size - (size_t)n, " (does not act: %s)",
			 member_text(row, "cpu_policy.reason"));
	}
}

/* "processors 0-3, memory of node 0" */
static void place_of_processors(json_t *row, char *text, size_t size)
{
	const char *affinity = member_text(row, "configuration.processors.affinity"),
		   *nodes = member_text(row, "configuration.processors.numa_nodes");

	snprintf(text, size, "%s%s%s%s",
		 affinity[0] != '\0' ? "processors "
		 : nodes[0] != '\0'  ? "processors and"
				     : "any processor",
		 affinity,
		 nodes[0] == '\0'      ? ""
		 : affinity[0] == '\0' ? " memory of node "
				       : ", memory of node ",
		 nodes);
}

static const struct manage_column overview[] = {
	{"Name", "name"},
	{"Id", "id"},
	{"State", "state"},
	{"Reason", "reason"},
	{"Uptime", "uptime_s", COLUMN_SECONDS},
	{"Engine", .cell = engine_cell},
	{"Processors", "processors"},
	{"Processor model", .cell = model_cell},
	{"Processor share", .cell = share_cell},
	{"Runs on", .cell = place_of_processors},
	{"Memory", "memory_bytes", COLUMN_BYTES},
	{"Resident", "resident_bytes", COLUMN_BYTES},
	{"Heartbeat", "heartbeat"},
	{"Addresses", "addresses"},
	{"Kernel", "configuration.boot.kernel"},
	{"Command line", "configuration.boot.cmdline"},
	{"At host start", "configuration.automatic_start.action"},
	{"At host stop", "configuration.automatic_stop"},
	{"After a crash", "configuration.automatic_recovery"},
	{"Checkpoints", "configuration.checkpoints.type"},
	{"Notes", "configuration.notes"},
	{"Revision", "revision"},
	{0},
};

static void place_cell(json_t *row, char *text, size_t size)
{
	char number[24], location[24];

	snprintf(text, size, "%s%s:%s", member_text(row, "controller"),
		 json_show(member_get(row, "number"), "", number, sizeof(number)),
		 json_show(member_get(row, "location"), "", location, sizeof(location)));
}

static const struct manage_column disks[] = {
	{"PLACE", .cell = place_cell}, {"READ-ONLY", "read_only"}, {"DISK", "path"}, {0}};
static const struct manage_column dvds[] = {{"PLACE", .cell = place_cell}, {"DVD", "path"}, {0}};
static const struct manage_column adapters[] = {{"ADAPTER", "number"}, {"SWITCH", "switch"},
						{"MAC", "mac"},	       {"VLAN", "vlan"},
						{"NAME", "name"},      {0}};

static void print_part(json_t *vm, const char *member, const struct manage_column *columns)
{
	json_t *list = member_get(vm, member);

	if (json_is_array(list) && json_array_size(list) != 0) {
		putchar('\n');
		table_print(list, columns);
	}
}

int vm_show_run(struct manage_call *c)
{
	char *name = manage_escape(c->operands[0]), *path;
	json_t *vm = NULL;

	if (asprintf(&path, "/vms/%s", name) < 0) {
		abort();
	}
	int status = manage_request(c, "GET", path, NULL, &vm);

	free(name);
	free(path);
	if (status != CLI_OK) {
		return status;
	}
	if (c->json) {
		manage_print(vm);
	} else {
		table_show(vm, overview);
		print_part(vm, "configuration.disks", disks);
		print_part(vm, "configuration.dvds", dvds);
		print_part(vm, "configuration.adapters", adapters);
	}
	json_decref(vm);
	return CLI_OK;
}

/* ---- vm stats: whatever the service counts, one line each ---- */

static void print_counters(json_t *o, const char *prefix)
{
	char name[256], text[512];

	if (json_is_object(o)) {
		const char *key;
		json_t *value;

		json_object_foreach(o, key, value)
		{
			snprintf(name, sizeof(name), "%s%s%s", prefix, prefix[0] == '\0' ? "" : ".",
				 key);
			print_counters(value, name);
		}
	} else if (json_is_array(o)) {
		for (size_t i = 0; i < json_array_size(o); i++) {
			snprintf(name, sizeof(name), "%s.%zu", prefix, i);
			print_counters(json_array_get(o, i), name);
		}
	} else {
		printf("%-44s %s\n", prefix, json_show(o, "-", text, sizeof(text)));
	}
}

int vm_stats_run(struct manage_call *c)
{
	json_t *stats = NULL;
	int status = manage_send(c, 0, &stats);

	if (status != CLI_OK) {
		return status;
	}
	c->json ? manage_print(stats) : print_counters(stats, "");
	json_decref(stats);
	return CLI_OK;
}

/* ---- Questions ---- */

/* What cannot be had back is asked for on a terminal, unless --yes. */
static bool confirmed(const struct manage_call *c, const char *what, const char *more)
{
	char line[16] = "";

	if (c->yes || isatty(STDIN_FILENO) != 1) {
		return true;
	}
	fprintf(stderr, "Remove %s? %s [y/N] ", what, more);
	return fgets(line, sizeof(line), stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
}

int vm_remove_run(struct manage_call *c)
{
	const char *more = manage_value(c, "disks") != NULL ? "The disks in its folder go too."
							    : "Its disks stay.";

	for (size_t i = 0; i < c->operand_count; i++) {
		if (!confirmed(c, c->operands[i], more)) {
			return CLI_FAILED;
		}
	}
	return manage_usual(c);
}

/* ---- Operands that are files ---- */

int vm_folder_run(struct manage_call *c)
{
	size_t first = strstr(c->verb->path, "{1}") != NULL   ? 2
		       : strstr(c->verb->path, "{0}") != NULL ? 1
							      : 0;

	if (c->operand_count > first &&
	    !manage_put(c, "path", manage_absolute(c->operands[c->operand_count - 1]))) {
		return CLI_USAGE;
	}
	return manage_usual(c);
}

int dvd_eject_run(struct manage_call *c)
{
	json_add_text(manage_body(c), "path", "");
	return manage_usual(c);
}

/* ---- Not about machines ---- */

int job_cancel_run(struct manage_call *c)
{
	int worst = CLI_OK;

	for (size_t i = 0; i < c->operand_count; i++) {
		json_t *answer = NULL;
		int status = manage_send(c, i, &answer);

		if (status == CLI_OK && !c->json) {
			printf("%s is told to end\n", c->operands[i]);
		} else if (status == CLI_OK) {
			manage_print(answer);
		}
		worst = status != CLI_OK ? status : worst;
		json_decref(answer);
	}
	return worst;
}

static int ask_with_query(struct manage_call *c, const char *first, const char *value)
{
	char *escaped = manage_escape(value);

	snprintf(c->query, sizeof(c->query), "?%s=%s", first, escaped);
	free(escaped);
	json_decref(c->body);
	c->body = NULL;
	return manage_usual(c);
}

/* The id of the machine that --vm names: the service's list of roles knows ids only. NULL without --vm; false after a message. */
static bool id_of_vm(const struct manage_call *c, char **ret_id, int *ret_status)
{
	const char *name = manage_value(c, "vm");
	json_t *vm = NULL;
	char *escaped, *path;

	*ret_id = NULL;
	if (name == NULL) {
		return true;
	}
	escaped = manage_escape(name);
	if (asprintf(&path, "/vms/%s", escaped) < 0) {
		abort();
	}
	*ret_status = manage_request(c, "GET", path, NULL, &vm);
	if (*ret_status == CLI_OK) {
		*ret_id = strdup(member_text(vm, "id"));
	}
	json_decref(vm);
	free(escaped);
	free(path);
	return *ret_status == CLI_OK;
}

int role_grant_run(struct manage_call *c)
{
	int status;
	char *id;

	if (!id_of_vm(c, &id, &status)) {
		return status;
	}
	if (id != NULL) {
		json_add_text(manage_body(c), "vm", id);
	}
	free(id);
	return manage_usual(c);
}

int role_revoke_run(struct manage_call *c)
{
	int status;
	char *vm;

	if (!id_of_vm(c, &vm, &status)) {
		return status;
	}
	char *both, *who = manage_escape(c->operands[0]), *which = manage_escape(vm ? vm : "");

	if (asprintf(&both, "?who=%s%s%s", who, vm == NULL ? "" : "&vm=", which) < 0) {
		abort();
	}
	snprintf(c->query, sizeof(c->query), "%s", both);
	free(both);
	free(who);
	free(which);
	free(vm);
	json_decref(c->body);
	c->body = NULL;
	return manage_usual(c);
}

int audit_list_run(struct manage_call *c)
{
	const char *count = manage_value(c, "count");
	uint64_t n = 50;

	if (count != NULL && !parse_count(count, &n)) {
		return manage_usage(c, "--count: '%s' is not a number", count);
	}
	return ask_with_query(c, "count", count != NULL ? count : "50");
}
