// SPDX-License-Identifier: Apache-2.0
/* `virid switch create|remove|port|mirror`. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "switch.h"
#include "vswitchd/client.h"
#include "vswitchd/config.h"
#include "vswitchd/written.h"

static bool written_open(struct switches_written *w)
{
	char error[1200];

	if (!switches_written_open(w, true, error, sizeof(error))) {
		complain("%s", error);
		return false;
	}
	return true;
}

static bool written_save(struct switches_written *w)
{
	char error[1200];

	if (!switches_written_save(w, error, sizeof(error))) {
		complain("%s", error);
		return false;
	}
	return true;
}

/* ---- create ---- */

static void add_interfaces(json_t *o, const struct switch_arguments *a)
{
	json_t *list = json_array();

	for (int i = 0; i < a->interface_count; i++) {
		json_append(list, json_new_text(a->interfaces[i]));
	}
	json_add(o, "interfaces", list);
}

static bool describe(const struct switch_arguments *a, const struct switch_list *list,
		     struct switch_config *ret)
{
	json_t *o = json_object();
	char error[1200];

	json_add_text(o, "name", a->operands[0]);
	json_add_text(o, "type", a->type);
	if (a->interface_count > 0) {
		add_interfaces(o, a);
	}
	if (a->team != NULL) {
		json_add_text(o, "team", a->team);
	}
	if (a->aging != NULL) {
		json_add(o, "aging", json_integer(strtoll(a->aging, NULL, 10)));
	}
	if (a->no_snooping) {
		json_add_flag(o, "snooping", false);
	}
	if (a->address != NULL) {
		json_add_text(o, "address", a->address);
	}
	switch_config_complete(o, list);
	bool ok = switch_config_parse(o, ret, error, sizeof(error));

	json_decref(o);
	if (!ok) {
		complain("%s", error);
	} else if (a->team != NULL && ret->type != SWITCH_EXTERNAL) {
		complain("switch '%s': --team is for an external switch", ret->name);
		ok = false;
	}
	return ok;
}

int switch_create_command(const struct switch_arguments *a)
{
	struct switch_config c;
	struct switches_written w;
	char error[1200];

	if (a->type == NULL) {
		complain("switch create: --type is missing; expected private, internal, "
			 "external or nat");
		return CLI_USAGE;
	}
	if (!written_open(&w)) {
		return CLI_FAILED;
	}
	if (!describe(a, &w.list, &c)) {
		switches_written_close(&w);
		return CLI_USAGE;
	}
	bool ok = switches_written_create(&w, &c, error, sizeof(error)) == 0;

	switches_written_close(&w);
	if (!ok) {
		complain("%s", error);
	} else if (a->json) {
		json_t *o = switch_config_json(&c);

		json_print(o);
		json_decref(o);
	}
	return ok ? CLI_OK : CLI_FAILED;
}

/* ---- remove ---- */

int switch_remove_command(const struct switch_arguments *a)
{
	struct switches_written w;
	char error[1200];

	if (!written_open(&w)) {
		return CLI_FAILED;
	}
	int r = switches_written_remove(&w, a->operands[0], error, sizeof(error));

	switches_written_close(&w);
	if (r < 0) {
		complain("%s", error);
	}
	return r < 0 ? CLI_FAILED : CLI_OK;
}

/* ---- port, mirror ---- */

/* Appends @word, commas written twice. */
static void append(char *text, size_t size, const char *word)
{
	size_t at = strlen(text);

	for (; *word != '\0' && at + 3 < size; word++) {
		text[at++] = *word;
		if (*word == ',') {
			text[at++] = ',';
		}
	}
	text[at] = '\0';
}

/* The port of an interface outlives the process: what its options are now is written down. */
static bool write_port(const char *name, const char *port)
{
	json_t *request = vswitch_client_verb("port", name), *answer;
	struct switches_written w;

	if (!written_open(&w)) {
		json_decref(request);
		return false;
	}
	/* Asked for again under the lock: somebody else may have been faster. */
	json_add_text(request, "port", port);
	answer = switch_ask(request);
	json_t *options = json_object_get(answer, "options");
	bool ok = options != NULL;

	if (ok) {
		config_set_port(&w.list, name, port, json_incref(options));
		ok = written_save(&w);
	}
	json_decref(answer);
	switches_written_close(&w);
	return ok;
}

int switch_port_command(const struct switch_arguments *a)
{
	static char text[32768]; /* a list too long for the stack */
	char error[1200];

	append(text, sizeof(text), a->operands[0]);
	for (int i = 2; i < a->count; i++) {
		strncat(text, ",", sizeof(text) - strlen(text) - 1);
		append(text, sizeof(text), a->operands[i]);
	}
	json_t *request = vswitch_client_parse(text, error, sizeof(error));

	if (request == NULL) {
		complain("%s", error);
		return CLI_USAGE;
	}
	json_add_text(request, "do", "port");
	json_add_text(request, "port", a->operands[1]);
	json_t *answer = switch_ask(request);
	bool ok = answer != NULL;

	if (ok && json_object_get(answer, "options") != NULL) {
		ok = write_port(a->operands[0], a->operands[1]);
	}
	json_decref(answer);
	return ok ? CLI_OK : CLI_FAILED;
}

int switch_mirror_command(const struct switch_arguments *a)
{
	json_t *request = vswitch_client_verb("mirror", a->operands[0]);

	json_add_text(request, "from", a->operands[1]);
	json_add_text(request, "to", a->operands[2]);
	json_add_flag(request, "in", a->in);
	json_add_flag(request, "out", a->out);
	json_add_flag(request, "off", a->off);
	json_t *answer = switch_ask(request);

	json_decref(answer);
	return answer != NULL ? CLI_OK : CLI_FAILED;
}
