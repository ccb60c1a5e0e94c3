// SPDX-License-Identifier: Apache-2.0
/* `virid switch list|show|stats|macs`. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "switch.h"
#include "vswitchd/client.h"
#include "vswitchd/written.h"

/* ---- Without a process: what is written down ---- */

static json_t *written_switches(void)
{
	struct switches_written w;
	char error[1200];

	if (!switches_written_open(&w, false, error, sizeof(error))) {
		complain("%s", error);
		return NULL;
	}
	json_t *answer = switches_written_json(&w.list);

	switches_written_close(&w);
	return answer;
}

static bool process_runs(void)
{
	char error[1200];
	int s = vswitch_client_connect(false, error, sizeof(error));

	if (s >= 0) {
		close(s);
	}
	return s >= 0;
}

static json_t *written_switch(const char *name)
{
	json_t *all = written_switches(), *list = json_object_get(all, "switches"), *found = NULL;

	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *o = json_array_get(list, i);

		if (strcmp(switch_text(o, "name"), name) == 0) {
			found = json_object();
			json_add(found, "switch", json_incref(o));
		}
	}
	if (all != NULL && found == NULL) {
		complain("there is no switch '%s'; virid switch list shows them", name);
	}
	json_decref(all);
	return found;
}

/* ---- Text ---- */

/* A list of words, or "-". */
static void print_words(json_t *o, const char *key)
{
	const json_t *list = json_object_get(o, key);
	size_t n = json_array_size(list);
	char text[VSWITCH_NAME_BYTES];

	for (size_t i = 0; i < n; i++) {
		printf("%s%s", i == 0 ? "" : ",",
		       json_show(json_array_get(list, i), "", text, sizeof(text)));
	}
	if (n == 0) {
		putchar('-');
	}
}

static void print_list(json_t *list)
{
	printf("%-20s %-9s %8s  %s\n", "NAME", "TYPE", "ADAPTERS", "INTERFACES");
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *o = json_array_get(list, i);

		printf("%-20s %-9s %8" PRIu64 "  ", switch_text(o, "name"), switch_text(o, "type"),
		       switch_number(o, "adapters"));
		print_words(o, "interfaces");
		if (switch_text(o, "trouble")[0] != '\0') {
			printf("  (%s)", switch_text(o, "trouble"));
		}
		putchar('\n');
	}
}

/* Text as it is; what is more as JSON. */
static void print_value(const json_t *v)
{
	char *line = json_is_string(v) ? NULL : json_line(v);

	fputs(line != NULL ? line : json_string_value(v), stdout);
	free(line);
}

static bool is_column(const char *key)
{
	static const char *const columns[] = {"name", "kind", "link", "trouble", "mac", "queues"};

	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		if (strcmp(columns[i], key) == 0) {
			return true;
		}
	}
	return false;
}

static void print_port(json_t *p)
{
	const char *mac = switch_text(p, "mac"), *key;
	json_t *value;

	printf("  %-24s %-9s %-17s %-4s", switch_text(p, "name"), switch_text(p, "kind"),
	       mac[0] == '\0' ? "-" : mac, json_flag(p, "link") ? "up" : "down");
	json_object_foreach(p, key, value)
	{
		if (!is_column(key)) {
			printf(" %s=", key);
			print_value(value);
		}
	}
	if (switch_text(p, "trouble")[0] != '\0') {
		printf("  (%s)", switch_text(p, "trouble"));
	}
	putchar('\n');
}

static void print_switch(json_t *o)
{
	const json_t *ports = json_object_get(o, "ports");
	const char *key;
	json_t *value;

	json_object_foreach(o, key, value)
	{
		if (strcmp(key, "ports") == 0) {
			continue;
		}
		printf("%-12s ", key);
		if (json_is_array(value)) {
			print_words(o, key);
			putchar('\n');
		} else {
			print_value(value);
			putchar('\n');
		}
	}
	if (ports == NULL) {
		puts("not running: it starts when an adapter is plugged in");
		return;
	}
	puts("ports");
	for (size_t i = 0; i < json_array_size(ports); i++) {
		print_port(json_array_get(ports, i));
	}
}

static void print_drops(json_t *port, const char *key, const char *way)
{
	json_t *drops = json_object_get(port, key), *count;
	const char *why;

	json_object_foreach(drops, why, count)
	{
		printf("  %s %s: %" JSON_INTEGER_FORMAT " frames dropped\n", way, why,
		       json_integer_value(count));
	}
}

static void print_stats(json_t *ports)
{
	printf("%-24s %14s %18s %14s %18s\n", "PORT", "FRAMES IN", "BYTES IN", "FRAMES OUT",
	       "BYTES OUT");
	for (size_t i = 0; i < json_array_size(ports); i++) {
		json_t *p = json_array_get(ports, i);
		const json_t *meters = json_object_get(p, "meters");

		printf("%-24s %14" PRIu64 " %18" PRIu64 " %14" PRIu64 " %18" PRIu64 "\n",
		       switch_text(p, "name"), switch_number(p, "in_frames"),
		       switch_number(p, "in_bytes"), switch_number(p, "out_frames"),
		       switch_number(p, "out_bytes"));
		print_drops(p, "drops_in", "in ");
		print_drops(p, "drops_out", "out");
		for (size_t m = 0; m < json_array_size(meters); m++) {
			json_t *o = json_array_get(meters, m);

			printf("  %s: %" PRIu64 " frames, %" PRIu64 " bytes\n",
			       switch_text(o, "acl"), switch_number(o, "frames"),
			       switch_number(o, "bytes"));
		}
	}
}

static void print_macs(json_t *macs)
{
	printf("%-17s  %5s  %6s  %s\n", "ADDRESS", "VLAN", "AGE", "PORT");
	for (size_t i = 0; i < json_array_size(macs); i++) {
		json_t *o = json_array_get(macs, i);
		char vlan[24], age[24];

		printf("%-17s  %5s  %6s  %s\n", switch_text(o, "mac"),
		       json_show(json_object_get(o, "vlan"), "any", vlan, sizeof(vlan)),
		       json_show(json_object_get(o, "age_s"), "fixed", age, sizeof(age)),
		       switch_text(o, "port"));
	}
}

/* ---- Commands ---- */

/* Prints member @key of @answer, which is given up. */
static int print(json_t *answer, const char *key, bool json, void (*text)(json_t *o))
{
	json_t *o = json_object_get(answer, key);
	bool there = o != NULL;

	if (answer == NULL) {
		return CLI_FAILED;
	}
	if (there && json) {
		json_print(o);
	} else if (there) {
		text(o);
	} else {
		complain("the switch process gave an answer that nobody understands");
	}
	json_decref(answer);
	return there ? CLI_OK : CLI_FAILED;
}

int switch_list_command(const struct switch_arguments *a)
{
	return print(process_runs() ? switch_ask(vswitch_client_verb("list", NULL))
				    : written_switches(),
		     "switches", a->json, print_list);
}

int switch_show_command(const struct switch_arguments *a)
{
	return print(process_runs() ? switch_ask(vswitch_client_verb("show", a->operands[0]))
				    : written_switch(a->operands[0]),
		     "switch", a->json, print_switch);
}

int switch_stats_command(const struct switch_arguments *a)
{
	json_t *request = vswitch_client_verb("stats", a->operands[0]);

	if (a->count > 1) {
		json_add_text(request, "port", a->operands[1]);
	}
	return print(switch_ask(request), "ports", a->json, print_stats);
}

int switch_macs_command(const struct switch_arguments *a)
{
	return print(switch_ask(vswitch_client_verb("macs", a->operands[0])), "macs", a->json,
		     print_macs);
}
