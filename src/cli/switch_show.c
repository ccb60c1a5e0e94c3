// SPDX-License-Identifier: Apache-2.0
/* `virid switch list|show|stats|macs`. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "switch.h"
#include "vswitchd/client.h"
#include "vswitchd/config.h"

/* ---- Without a process: what is written down ---- */

static struct json_object *written_switches(void)
{
	struct json_object *answer = json_object_new_object(), *list = json_object_new_array(),
			   *first = json_object_new_object();
	struct switch_list switches;
	char path[4096], error[1200];

	json_object_object_add(first, "name", json_object_new_string(SWITCH_DEFAULT));
	json_object_object_add(first, "type", json_object_new_string("nat"));
	json_object_array_add(list, first);
	json_object_object_add(answer, "switches", list);
	if (!config_path(path, sizeof(path), error, sizeof(error)) ||
	    !config_load(path, &switches, error, sizeof(error))) {
		complain("%s", error);
		json_object_put(answer);
		return NULL;
	}
	for (unsigned i = 0; i < switches.count; i++) {
		json_object_array_add(list, switch_config_json(&switches.switches[i]));
	}
	config_fini(&switches);
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

static struct json_object *written_switch(const char *name)
{
	struct json_object *all = written_switches(), *list = NULL, *found = NULL;

	json_object_object_get_ex(all, "switches", &list);
	for (size_t i = 0; list != NULL && i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (strcmp(switch_text(o, "name"), name) == 0) {
			found = json_object_new_object();
			json_object_object_add(found, "switch", json_object_get(o));
		}
	}
	if (all != NULL && found == NULL) {
		complain("there is no switch '%s'; virid switch list shows them", name);
	}
	json_object_put(all);
	return found;
}

/* ---- Text ---- */

/* A list of words, or "-". */
static void print_words(struct json_object *o, const char *key)
{
	struct json_object *list;
	size_t n = json_object_object_get_ex(o, key, &list) ? json_object_array_length(list) : 0;

	for (size_t i = 0; i < n; i++) {
		printf("%s%s", i == 0 ? "" : ",",
		       json_object_get_string(json_object_array_get_idx(list, i)));
	}
	if (n == 0) {
		putchar('-');
	}
}

static void print_list(struct json_object *list)
{
	printf("%-20s %-9s %8s  %s\n", "NAME", "TYPE", "ADAPTERS", "INTERFACES");
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		printf("%-20s %-9s %8" PRIu64 "  ", switch_text(o, "name"), switch_text(o, "type"),
		       switch_number(o, "adapters"));
		print_words(o, "interfaces");
		if (switch_text(o, "trouble")[0] != '\0') {
			printf("  (%s)", switch_text(o, "trouble"));
		}
		putchar('\n');
	}
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

static void print_port(struct json_object *p)
{
	const char *mac = switch_text(p, "mac");

	printf("  %-24s %-9s %-17s %-4s", switch_text(p, "name"), switch_text(p, "kind"),
	       mac[0] == '\0' ? "-" : mac,
	       strcmp(switch_text(p, "link"), "true") == 0 ? "up" : "down");
	json_object_object_foreach(p, key, value)
	{
		if (!is_column(key)) {
			printf(" %s=%s", key, json_object_get_string(value));
		}
	}
	if (switch_text(p, "trouble")[0] != '\0') {
		printf("  (%s)", switch_text(p, "trouble"));
	}
	putchar('\n');
}

static void print_switch(struct json_object *o)
{
	struct json_object *ports;

	json_object_object_foreach(o, key, value)
	{
		if (strcmp(key, "ports") == 0) {
			continue;
		}
		printf("%-12s ", key);
		if (json_object_is_type(value, json_type_array)) {
			print_words(o, key);
			putchar('\n');
		} else {
			printf("%s\n", json_object_get_string(value));
		}
	}
	if (!json_object_object_get_ex(o, "ports", &ports)) {
		puts("not running: it starts when an adapter is plugged in");
		return;
	}
	puts("ports");
	for (size_t i = 0; i < json_object_array_length(ports); i++) {
		print_port(json_object_array_get_idx(ports, i));
	}
}

static void print_drops(struct json_object *port, const char *key, const char *way)
{
	struct json_object *drops;

	if (!json_object_object_get_ex(port, key, &drops)) {
		return;
	}
	json_object_object_foreach(drops, why, count)
	{
		printf("  %s %s: %s frames dropped\n", way, why, json_object_get_string(count));
	}
}

static void print_stats(struct json_object *ports)
{
	printf("%-24s %14s %18s %14s %18s\n", "PORT", "FRAMES IN", "BYTES IN", "FRAMES OUT",
	       "BYTES OUT");
	for (size_t i = 0; i < json_object_array_length(ports); i++) {
		struct json_object *p = json_object_array_get_idx(ports, i);
		struct json_object *meters;

		printf("%-24s %14" PRIu64 " %18" PRIu64 " %14" PRIu64 " %18" PRIu64 "\n",
		       switch_text(p, "name"), switch_number(p, "in_frames"),
		       switch_number(p, "in_bytes"), switch_number(p, "out_frames"),
		       switch_number(p, "out_bytes"));
		print_drops(p, "drops_in", "in ");
		print_drops(p, "drops_out", "out");
		if (json_object_object_get_ex(p, "meters", &meters)) {
			for (size_t m = 0; m < json_object_array_length(meters); m++) {
				struct json_object *o = json_object_array_get_idx(meters, m);

				printf("  %s: %" PRIu64 " frames, %" PRIu64 " bytes\n",
				       switch_text(o, "acl"), switch_number(o, "frames"),
				       switch_number(o, "bytes"));
			}
		}
	}
}

static void print_macs(struct json_object *macs)
{
	printf("%-17s  %5s  %6s  %s\n", "ADDRESS", "VLAN", "AGE", "PORT");
	for (size_t i = 0; i < json_object_array_length(macs); i++) {
		struct json_object *o = json_object_array_get_idx(macs, i);
		const char *vlan = switch_text(o, "vlan"), *age = switch_text(o, "age_s");

		printf("%-17s  %5s  %6s  %s\n", switch_text(o, "mac"),
		       vlan[0] == '\0' ? "any" : vlan, age[0] == '\0' ? "fixed" : age,
		       switch_text(o, "port"));
	}
}

/* ---- Commands ---- */

/* Prints member @key of @answer, which is given up. */
static int print(struct json_object *answer, const char *key, bool json,
		 void (*text)(struct json_object *o))
{
	struct json_object *o;

	if (answer == NULL) {
		return CLI_FAILED;
	}
	bool there = json_object_object_get_ex(answer, key, &o);

	if (there && json) {
		switch_print_json(o);
	} else if (there) {
		text(o);
	} else {
		complain("the switch process gave an answer that nobody understands");
	}
	json_object_put(answer);
	return there ? CLI_OK : CLI_FAILED;
}

int switch_list_command(const struct switch_arguments *a)
{
	return print(process_runs() ? switch_ask(false, switch_request("list", NULL), NULL, 0)
				    : written_switches(),
		     "switches", a->json, print_list);
}

int switch_show_command(const struct switch_arguments *a)
{
	return print(process_runs()
			     ? switch_ask(false, switch_request("show", a->operands[0]), NULL, 0)
			     : written_switch(a->operands[0]),
		     "switch", a->json, print_switch);
}

int switch_stats_command(const struct switch_arguments *a)
{
	struct json_object *request = switch_request("stats", a->operands[0]);

	if (a->count > 1) {
		json_object_object_add(request, "port", json_object_new_string(a->operands[1]));
	}
	return print(switch_ask(false, request, NULL, 0), "ports", a->json, print_stats);
}

int switch_macs_command(const struct switch_arguments *a)
{
	return print(switch_ask(false, switch_request("macs", a->operands[0]), NULL, 0), "macs",
		     a->json, print_macs);
}
