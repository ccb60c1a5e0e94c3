// SPDX-License-Identifier: Apache-2.0
/*
 * `virid config`: a menu for whoever sits at the console of a host and is no expert: what the host is called, how it is reached, where machines are
 * kept, whether the service runs, and what its log says. Every entry does what one command or one file does, and says which.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <newt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/bits.h"
#include "manage.h"

#define TEXT_BYTES 16384
#define WIDTH 70

static char ok[] = "OK", cancel[] = "Cancel", back[] = "Back";

/* newt takes texts as if it changed them. */
static char *text_of(const char *text)
{
	return (char *)(uintptr_t)text;
}

static void message(const char *title, const char *text)
{
	newtComponent form = newtForm(NULL, NULL, 0), box, button;
	int rows = 16;

	newtCenteredWindow(WIDTH, (unsigned)rows + 5, title);
	box = newtTextbox(1, 1, WIDTH - 2, rows, NEWT_FLAG_SCROLL | NEWT_FLAG_WRAP);
	newtTextboxSetText(box, text);
	button = newtButton(WIDTH / 2 - 5, rows + 2, ok);
	newtFormAddComponents(form, box, button, NULL);
	newtRunForm(form);
	newtFormDestroy(form);
	newtPopWindow();
}

/* Runs a program and shows what it says. Its exit status, -1: it could not be run. */
static int run_program(const char *const *argv, char *text, size_t size)
{
	int pipe_fds[2], status = -1;
	size_t used = 0;
	ssize_t n;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		return -1;
	}
	pid_t pid = fork();

	if (pid == 0) {
		dup2(pipe_fds[1], STDOUT_FILENO);
		dup2(pipe_fds[1], STDERR_FILENO);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		dprintf(STDERR_FILENO, "%s: %m\n", argv[0]);
		_exit(127);
	}
	close(pipe_fds[1]);
	while (pid > 0 && used + 1 < size &&
	       (n = read(pipe_fds[0], text + used, size - 1 - used)) > 0) {
		used += (size_t)n;
	}
	text[used] = '\0';
	close(pipe_fds[0]);
	if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status)) {
		return WEXITSTATUS(status);
	}
	return -1;
}

/* One line of text from the person; NULL: cancelled. The caller frees. */
static char *ask(const char *title, const char *what, const char *prompt, const char *now)
{
	char *value = NULL;
	const char *result = NULL;
	newtComponent form = newtForm(NULL, NULL, 0), entry, yes, no, label;

	newtCenteredWindow(WIDTH, 9, title);
	label = newtLabel(1, 1, what);
	newtComponent prompt_label = newtLabel(1, 3, prompt);
	entry = newtEntry((int)strlen(prompt) + 2, 3, now, WIDTH - (int)strlen(prompt) - 4, &result,
			  NEWT_FLAG_SCROLL);
	yes = newtButton(15, 5, ok);
	no = newtButton(40, 5, cancel);
	newtFormAddComponents(form, label, prompt_label, entry, yes, no, NULL);
	newtFormAddHotKey(form, NEWT_KEY_ESCAPE);
	struct newtExitStruct how;

	newtFormRun(form, &how);
	bool taken = how.reason == NEWT_EXIT_COMPONENT && how.u.co != no;

	if (taken && result != NULL && result[0] != '\0' && strcmp(result, now) != 0) {
		value = strdup(result);
	}
	newtFormDestroy(form);
	newtPopWindow();
	return value;
}

/* ---- The entries ---- */

static bool good_host_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");

	return n > 0 && n < 64 && name[n] == '\0' && name[0] != '-' && name[n - 1] != '-';
}

static void host_name(void)
{
	char now[256] = "", text[TEXT_BYTES];

	gethostname(now, sizeof(now) - 1);
	char *name = ask("Host name", "Letters, digits and '-'; at most 63.", "Name:", now);

	if (name == NULL) {
		return;
	}
	if (!good_host_name(name)) {
		message("Host name",
			"That is not a host name: letters, digits and '-' only, at most 63, "
			"and '-' neither first nor last.");
	} else {
		const char *const argv[] = {"hostnamectl", "set-hostname", name, NULL};

		if (run_program(argv, text, sizeof(text)) != 0) {
			message("hostnamectl set-hostname", text);
		}
	}
	free(name);
}

static void add_address(const struct ifaddrs *a, char *text, size_t size)
{
	char address[INET6_ADDRSTRLEN] = "";
	size_t used = strlen(text);

	if (a->ifa_addr == NULL) {
		return;
	}
	if (a->ifa_addr->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)a->ifa_addr;

		inet_ntop(AF_INET, &in->sin_addr, address, sizeof(address));
	} else if (a->ifa_addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)a->ifa_addr;

		inet_ntop(AF_INET6, &in6->sin6_addr, address, sizeof(address));
	} else {
		return;
	}
	snprintf(text + used, size - used, "%-16s %-6s %s\n", a->ifa_name,
		 (a->ifa_flags & IFF_RUNNING) != 0 ? "up" : "down", address);
}

static void network(void)
{
	char text[TEXT_BYTES] = "", list[TEXT_BYTES / 2];
	const char *const argv[] = {"virid", "switch", "list", NULL};
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all) == 0) {
		for (const struct ifaddrs *a = all; a != NULL; a = a->ifa_next) {
			add_address(a, text, sizeof(text) / 2);
		}
		freeifaddrs(all);
	}
	run_program(argv, list, sizeof(list));
	size_t used = strlen(text);

	snprintf(text + used, sizeof(text) - used,
		 "\nVirtual switches:\n%s\n"
		 "A switch to the network behind an interface: virid switch create NAME --type "
		 "external --interface IF\n"
		 "Addresses of this host are set where this system sets them: interfaces(5), "
		 "networkctl(1) or nmtui(1).",
		 list);
	message("Network", text);
}

static const struct manage_call as_menu = {.shown_as = "config", .quiet = true};

/* One of the host's settings, read from and given to the service. */
static void host_setting(const char *title, const char *what, const char *member)
{
	struct json_object *host = NULL, *body, *answer = NULL;

	if (manage_request(&as_menu, "GET", "/host", NULL, &host) != CLI_OK) {
		message(title, "The management service does not answer. Start it first: Service.");
		return;
	}
	char *value = ask(title, what, "Folder:", member_text(host, member));

	if (value != NULL) {
		body = json_object_new_object();
		member_set(body, member, json_object_new_string(value));
		if (manage_request(&as_menu, "PATCH", "/host", body, &answer) != CLI_OK) {
			message(title, "The service refused that; 'virid host set' says why.");
		}
		json_object_put(body);
		json_object_put(answer);
		free(value);
	}
	json_object_put(host);
}

static void storage(void)
{
	host_setting("Storage", "New machines are kept in this folder.", "vm_folder");
}

static void service(void)
{
	static const char *const actions[] = {"status",	 "start",  "stop",
					      "restart", "enable", "disable"};
	char text[TEXT_BYTES], *items[ARRAY_LEN(actions) + 1] = {NULL};
	int chosen = 0;

	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		items[i] = text_of(actions[i]);
	}
	if (newtWinMenu(text_of("Service"),
			text_of("systemctl ... virid-vmms. Machines run on while the service does "
				"not."),
			50, 5, 5, 6, items, &chosen, ok, back, NULL) == 2) {
		return;
	}
	const char *const argv[] = {"systemctl", "--no-pager", actions[chosen], "virid-vmms", NULL};
	int status = run_program(argv, text, sizeof(text));

	message("Service", text[0] != '\0' ? text : status == 0 ? "Done." : "It failed.");
}

static void remote(void)
{
	message("Remote management", "The service listens on a socket of this host. To be reached "
				     "from others it needs a certificate; in host.json, beside the "
				     "machines' folder:\n\n"
				     "  \"tls\": {\"address\": \"0.0.0.0\", \"port\": 8443,\n"
				     "          \"certificate\": \"/etc/virid/host.crt\", \"key\": "
				     "\"/etc/virid/host.key\",\n"
				     "          \"client_ca\": \"/etc/virid/ca.crt\"}\n\n"
				     "Then restart the service, and on the other computer:\n\n"
				     "  VIRID_HOST=https://this-host:8443 VIRID_CA=ca.crt "
				     "VIRID_CERT=me.crt VIRID_KEY=me.key virid vm list\n\n"
				     "Who may do what: virid role grant CN=me administrator. The "
				     "manual is virid-vmms(8).");
}

static void machines(void)
{
	char text[TEXT_BYTES];
	const char *const argv[] = {"virid", "vm", "list", NULL};

	run_program(argv, text, sizeof(text));
	message("Virtual machines", text);
}

static void logs(void)
{
	char text[TEXT_BYTES];
	const char *const argv[] = {"journalctl", "--no-pager", "-n", "200",
				    "-u",	  "virid-vmms", NULL};

	run_program(argv, text, sizeof(text));
	message("Log of the service", text);
}

struct entry {
	const char *title;
	void (*run)(void);
};

static const struct entry entries[] = {
	{"Host name", host_name},
	{"Network", network},
	{"Storage", storage},
	{"Remote management", remote},
	{"Service", service},
	{"Virtual machines", machines},
	{"Log", logs},
};

static void menu(void)
{
	char *items[ARRAY_LEN(entries) + 1] = {NULL}, name[256] = "", title[300];
	int chosen = 0;

	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		items[i] = text_of(entries[i].title);
	}
	for (;;) {
		gethostname(name, sizeof(name) - 1);
		snprintf(title, sizeof(title), "Virid on %s", name);
		int button = newtWinMenu(title, text_of("What do you want to look at or change?"),
					 40, 5, 5, (int)ARRAY_LEN(entries), items, &chosen, ok,
					 text_of("Leave"), NULL);

		if (button == 2) {
			return;
		}
		entries[chosen].run();
	}
}

int config_command(int argc, char **argv)
{
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		puts("usage: virid config\n\nA menu for the console of a host: name, network, "
		     "storage, remote management, "
		     "service, machines, log.");
		return CLI_OK;
	}
	if (argc > 1) {
		complain("config: '%s' is one argument too many; virid config --help explains it",
			 argv[1]);
		return CLI_USAGE;
	}
	if (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1) {
		complain("config: needs a terminal; the same can be done with virid host, virid "
			 "switch and systemctl");
		return CLI_USAGE;
	}
	if (newtInit() != 0) {
		complain("config: this terminal (TERM=%s) cannot show a menu", getenv("TERM"));
		return CLI_FAILED;
	}
	newtCls();
	newtDrawRootText(0, 0, "virid config");
	menu();
	newtFinished();
	return CLI_OK;
}
