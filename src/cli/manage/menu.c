// SPDX-License-Identifier: Apache-2.0
/*
 * `virid config`: a menu for whoever sits at the console of a host and is no expert: what the host is called, how it is reached, where machines are
 * kept, whether the service runs, and what its log says. Every entry does what one command or one file does, and says which.
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/bits.h"
#include "manage.h"
#include "menu.h"
#include "newt_late.h"

#define COLUMNS_MIN 80u
#define LINES_MIN 24u

static char ok[] = "OK", back[] = "Back";

/* ---- The entries ---- */

static bool good_host_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");

	return n > 0 && n < 64 && name[n] == '\0' && name[0] != '-' && name[n - 1] != '-';
}

static void host_name(void)
{
	char now[256] = "", text[MENU_TEXT_BYTES];

	gethostname(now, sizeof(now) - 1);
	char *name = menu_ask("Host name", "Letters, digits and '-'; at most 63.", "Name:", now);

	if (name == NULL) {
		return;
	}
	if (!good_host_name(name)) {
		menu_message("Host name",
			     "That is not a host name: letters, digits and '-' only, at most 63, "
			     "and '-' neither first nor last.");
	} else {
		const char *const argv[] = {"hostnamectl", "set-hostname", name, NULL};

		if (menu_run(argv, text, sizeof(text)) != 0) {
			menu_message("hostnamectl set-hostname", text);
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
	char text[MENU_TEXT_BYTES] = "", list[MENU_TEXT_BYTES / 2];
	const char *const argv[] = {NULL, "switch", "list", NULL};
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all) == 0) {
		for (const struct ifaddrs *a = all; a != NULL; a = a->ifa_next) {
			add_address(a, text, sizeof(text) / 2);
		}
		freeifaddrs(all);
	}
	menu_run(argv, list, sizeof(list));
	size_t used = strlen(text);

	snprintf(text + used, sizeof(text) - used,
		 "\nVirtual switches:\n%s\n"
		 "A switch to the network behind an interface: virid switch create NAME --type "
		 "external --interface IF\n"
		 "Addresses of this host are set where this system sets them: interfaces(5), "
		 "networkctl(1) or nmtui(1).",
		 list);
	menu_message("Network", text);
}

static void service(void)
{
	static const char *const actions[] = {"status",	 "start",  "stop",
					      "restart", "enable", "disable"};
	char text[MENU_TEXT_BYTES], *items[ARRAY_LEN(actions) + 1] = {NULL};
	int chosen = 0;

	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		items[i] = menu_text(actions[i]);
	}
	if (newtWinMenu(
		    menu_text("Service"),
		    menu_text("systemctl ... virid-vmms. Machines run on while the service does "
			      "not."),
		    50, 5, 5, 6, items, &chosen, ok, back, NULL) == 2) {
		return;
	}
	const char *const argv[] = {"systemctl", "--no-pager", actions[chosen], "virid-vmms", NULL};
	int status = menu_run(argv, text, sizeof(text));

	menu_message("Service", text[0] != '\0' ? text : status == 0 ? "Done." : "It failed.");
}

static void machines(void)
{
	char text[MENU_TEXT_BYTES];
	const char *const argv[] = {NULL, "vm", "list", NULL};

	menu_run(argv, text, sizeof(text));
	menu_message("Virtual machines", text);
}

static void logs(void)
{
	char text[MENU_TEXT_BYTES];
	const char *const argv[] = {"journalctl", "--no-pager", "-n", "200",
				    "-u",	  "virid-vmms", NULL};

	menu_run(argv, text, sizeof(text));
	menu_message("Log of the service", text);
}

struct entry {
	const char *title;
	void (*run)(void);
};

static const struct entry entries[] = {
	{"Host name", host_name},
	{"Network", network},
	{"Storage", menu_storage},
	{"Remote management", menu_remote},
	{"Service", service},
	{"Virtual machines", machines},
	{"Log", logs},
};

static void menu(void)
{
	char *items[ARRAY_LEN(entries) + 1] = {NULL}, name[256] = "", title[300];
	int chosen = 0;

	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		items[i] = menu_text(entries[i].title);
	}
	for (;;) {
		gethostname(name, sizeof(name) - 1);
		snprintf(title, sizeof(title), "Virid on %s", name);
		int button = newtWinMenu(title, menu_text("What do you want to look at or change?"),
					 40, 5, 5, (int)ARRAY_LEN(entries), items, &chosen, ok,
					 menu_text("Leave"), NULL);

		if (button == 2) {
			return;
		}
		entries[chosen].run();
	}
}

/* One that does not say how large it is, is taken to be. */
static bool window_is_large(void)
{
	struct winsize size = {0};

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 ||
	       (size.ws_col >= COLUMNS_MIN && size.ws_row >= LINES_MIN);
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
	if (!window_is_large()) {
		complain("config: the terminal has less than %u columns and %u lines: make it "
			 "larger",
			 COLUMNS_MIN, LINES_MIN);
		return CLI_USAGE;
	}
	if (getenv("TERM") == NULL || newtInit() != 0) {
		complain("config: this terminal (TERM=%s) cannot show a menu",
			 getenv("TERM") == NULL ? "" : getenv("TERM"));
		return CLI_FAILED;
	}
	newtCls();
	newtDrawRootText(0, 0, "virid config");
	menu();
	newtFinished();
	return CLI_OK;
}
