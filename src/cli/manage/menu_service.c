// SPDX-License-Identifier: Apache-2.0
/* Entries of `virid config` for what the management service keeps in its settings: it checks them, and says what is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/bits.h"
#include "manage.h"
#include "menu.h"
#include "newt_late.h"

#define FOLDERS_MAX 64u

static char ok[] = "OK", cancel[] = "Cancel", back[] = "Back";

/* The host's settings; NULL after a message. */
static json_t *settings(const char *title)
{
	char why[MANAGE_WHY_BYTES] = "";
	const struct manage_call c = {.shown_as = "config", .quiet = true, .why = why};
	json_t *host = NULL;

	if (manage_request(&c, "GET", "/host", NULL, &host) != CLI_OK) {
		menu_say(title, "%s", why);
		return NULL;
	}
	return host;
}

/* Makes @value (taken over) the setting @name. */
static bool change(const char *title, const char *name, json_t *value)
{
	char why[MANAGE_WHY_BYTES] = "";
	const struct manage_call c = {.shown_as = "config", .quiet = true, .why = why};
	json_t *body = json_object(), *answer = NULL;

	json_add(body, name, value);
	bool done = manage_request(&c, "PATCH", "/host", body, &answer) == CLI_OK;

	if (!done) {
		menu_say(title, "%s", why);
	}
	json_decref(body);
	json_decref(answer);
	return done;
}

/* ---- Storage ---- */

/* The folders without number @without (-1: all), and @more (NULL: none). */
static json_t *folders_like(json_t *folders, int without, const char *more)
{
	json_t *list = json_array();

	for (size_t i = 0; i < json_array_size(folders); i++) {
		if ((int)i != without) {
			json_append(list, json_incref(json_array_get(folders, i)));
		}
	}
	if (more != NULL) {
		json_append(list, json_new_text(more));
	}
	return list;
}

static void add_folder(json_t *folders)
{
	char *path =
		menu_ask("Storage", "An absolute path. Only who is trusted should write there.",
			 "Folder:", "");

	if (path == NULL) {
		return;
	}
	if (!json_is_utf8(path)) {
		menu_say("Storage", "The folder's name is not UTF-8, and has to be.");
	} else if (path[0] == '/' && access(path, F_OK) < 0) {
		menu_say("Storage", "%s: there is no such folder. Make it first.", path);
	} else {
		change("Storage", "disk_folders", folders_like(folders, -1, path));
	}
	free(path);
}

/* False: the person has seen enough. */
static bool one_look_at_storage(json_t *host)
{
	json_t *folders = member_get(host, "disk_folders");
	size_t count = min_u64(json_array_size(folders), FOLDERS_MAX);
	char *items[FOLDERS_MAX + 1] = {NULL}, text[1024];
	int chosen = 0;

	for (size_t i = 0; i < count; i++) {
		const char *path = json_string_value(json_array_get(folders, i));

		items[i] = menu_text(path != NULL ? path : "");
	}
	if (count == 0) {
		items[0] = menu_text("(none yet)");
	}
	snprintf(text, sizeof(text),
		 "Machines are kept in %s. Administrators may have disks in these folders, too:",
		 member_text(host, "vm_folder"));
	switch (newtWinMenu(menu_text("Storage"), text, 60, 5, 5, 6, items, &chosen,
			    menu_text("Add"), menu_text("Remove"), back, NULL)) {
	case 1:
		add_folder(folders);
		return true;
	case 2:
		if (count > 0) {
			change("Storage", "disk_folders", folders_like(folders, chosen, NULL));
		}
		return true;
	default:
		return false;
	}
}

void menu_storage(void)
{
	json_t *host;

	while ((host = settings("Storage")) != NULL) {
		bool more = one_look_at_storage(host);

		json_decref(host);
		if (!more) {
			return;
		}
	}
}

/* ---- Remote management ---- */

enum { ADDRESS, PORT, CERTIFICATE, KEY, CLIENT_CA, PASSWORDS, FIELDS };

static const struct {
	const char *prompt, *member, *at_first;
} fields[FIELDS] = {
	[ADDRESS] = {"Address (empty: all)", "address", ""},
	[PORT] = {"Port", "port", "2180"},
	[CERTIFICATE] = {"Certificate (PEM file)", "certificate", "/etc/virid/server.pem"},
	[KEY] = {"Its key (PEM file)", "key", "/etc/virid/server.key"},
	[CLIENT_CA] = {"Who signs clients' (PEM file)", "client_ca", "/etc/virid/clients.pem"},
	[PASSWORDS] = {"Names and passwords (yes, no)", "passwords", "no"},
};

static void fill(json_t *tls, char values[FIELDS][MENU_WIDTH * 4])
{
	for (size_t i = 0; i < FIELDS; i++) {
		json_t *v = member_get(tls, fields[i].member);
		const char *text = fields[i].at_first;

		if (tls != NULL && i == PASSWORDS) {
			text = json_is_true(v) ? "yes" : "no";
		} else if (tls != NULL) {
			text = v == NULL ? "" : member_text(tls, fields[i].member);
		}
		snprintf(values[i], sizeof(values[i]), "%s", text);
		if (tls != NULL && i == PORT) {
			snprintf(values[i], sizeof(values[i]), "%lld",
				 (long long)json_integer_value(v));
		}
	}
}

/* A service that does not find its certificate does not start again. False, after a message: it would not. */
static bool is_there(const char *what, const char *path)
{
	if (path[0] == '/' && access(path, R_OK) == 0 && json_is_utf8(path)) {
		return true;
	}
	menu_say("Remote management",
		 "%s: '%s' cannot be read; expected the absolute path of a PEM file that is there.",
		 what, path);
	return false;
}

/* What was typed, as the setting; NULL after a message. */
static json_t *tls_of(char *const values[FIELDS])
{
	json_t *tls;
	char *end;
	long port = strtol(values[PORT], &end, 10);
	bool yes = strcmp(values[PASSWORDS], "yes") == 0;

	if (*end != '\0' || port < 1 || port > 65535) {
		menu_say("Remote management", "'%s' is not a port; expected 1 to 65535.",
			 values[PORT]);
		return NULL;
	}
	if (!yes && strcmp(values[PASSWORDS], "no") != 0) {
		menu_say("Remote management",
			 "Names and passwords: expected yes or no, found '%s'.", values[PASSWORDS]);
		return NULL;
	}
	if (!yes && values[CLIENT_CA][0] == '\0') {
		menu_say("Remote management", "Nobody could be let in: name who signs clients' "
					      "certificates, or allow names and passwords.");
		return NULL;
	}
	if (!is_there("The certificate", values[CERTIFICATE]) ||
	    !is_there("Its key", values[KEY]) ||
	    (values[CLIENT_CA][0] != '\0' &&
	     !is_there("Who signs clients' certificates", values[CLIENT_CA]))) {
		return NULL;
	}
	tls = json_object();
	json_add_number(tls, "port", port);
	json_add_flag(tls, "passwords", yes);
	for (size_t i = 0; i < FIELDS; i++) {
		if (i != PORT && i != PASSWORDS && values[i][0] != '\0') {
			json_add_text(tls, fields[i].member, values[i]);
		}
	}
	return tls;
}

/* The settings of the API, with that for TLS (NULL: none). */
static bool set_tls(json_t *host, json_t *tls)
{
	json_t *api = json_object(), *now = member_get(host, "api");
	static const char *const others[] = {"group", "request_timeout_s"};

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		json_t *v = json_object_get(now, others[i]);

		if (v != NULL) {
			json_add(api, others[i], json_incref(v));
		}
	}
	if (tls != NULL) {
		json_add(api, "tls", tls);
	}
	return change("Remote management", "api", api);
}

static void say_how(void)
{
	menu_message("Remote management",
		     "This holds when the service is started again: Service, restart.\n\n"
		     "On the other computer:\n\n"
		     "  VIRID_HOST=https://this-host:PORT VIRID_CA=ca.pem VIRID_CERT=me.pem "
		     "VIRID_KEY=me.key virid vm list\n\n"
		     "Who may do what: virid role grant CN=me administrator. The manuals are "
		     "virid-vm(1) and virid-api(7).");
}

static void change_tls(json_t *host)
{
	char now[FIELDS][MENU_WIDTH * 4], *values[FIELDS];
	struct newtWinEntry entries[FIELDS + 1] = {{0}};

	fill(member_get(host, "api.tls"), now);
	for (size_t i = 0; i < FIELDS; i++) {
		values[i] = now[i];
		entries[i] = (struct newtWinEntry){menu_text(fields[i].prompt), &values[i],
						   NEWT_FLAG_SCROLL};
	}
	int button = newtWinEntries(menu_text("Remote management"),
				    menu_text("How other computers reach the service."), 60, 5, 5,
				    32, entries, ok, cancel, NULL);

	/* newt has put copies there. */
	if (button != 2) {
		json_t *tls = tls_of(values);

		if (tls != NULL && set_tls(host, tls)) {
			say_how();
		}
	}
	for (size_t i = 0; i < FIELDS; i++) {
		if (values[i] != now[i]) {
			free(values[i]);
		}
	}
}

void menu_remote(void)
{
	json_t *host = settings("Remote management"), *tls;
	char text[512];

	if (host == NULL) {
		return;
	}
	tls = member_get(host, "api.tls");
	snprintf(text, sizeof(text),
		 tls == NULL ? "Only this host reaches the service: it listens on a socket."
			     : "Other computers reach the service on port %lld.",
		 (long long)json_integer_value(member_get(tls, "port")));
	switch (newtWinTernary(menu_text("Remote management"), menu_text("Change"),
			       menu_text("Turn off"), back, menu_text("%s"), text)) {
	case 1:
		change_tls(host);
		break;
	case 2:
		if (tls != NULL && set_tls(host, NULL)) {
			say_how();
		}
		break;
	default:
		break;
	}
	json_decref(host);
}
