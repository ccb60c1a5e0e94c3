// SPDX-License-Identifier: Apache-2.0
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "disk.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "manage/manage.h"

static const struct cli_command commands[] = {
	{"vm", "make, change, start and stop virtual machines", manage_command},
	{"checkpoint", "remember states of machines and go back to them", manage_command},
	{"disk", "make, inspect, check and change virtual hard disks", disk_command},
	{"switch", "make, inspect and change virtual switches", switch_command},
	{"adapter", "network adapters of machines", manage_command},
	{"dvd", "DVD drives of machines", manage_command},
	{"job", "what the management service is busy with", manage_command},
	{"event", "what happens, as it happens", manage_command},
	{"host", "this host and its settings", manage_command},
	{"role", "who may do what", manage_command},
	{"audit", "who changed what", manage_command},
	{"engine", "what runs machines: KVM or the software engine, and why", engine_command},
	{"config", "a menu for the console of a host", config_command},
	{"run", "run one virtual machine in the foreground, without the service", run_command},
	{"control", "change a machine that 'virid run' runs", control_command},
};

void complain(const char *fmt, ...)
{
	va_list ap;

	fputs("virid: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void check_failed(const char *expr, const char *file, int line)
{
	fprintf(stderr, "virid: %s:%d: check failed: %s (a bug in Virid: please report it)\n", file,
		line, expr);
	abort();
}

static void print_help(FILE *to)
{
	fputs("usage: virid COMMAND [OPTIONS]\n"
	      "\n"
	      "Virid runs virtual machines whose guests see Microsoft Hyper-V, on any x86-64 Linux "
	      "host.\n"
	      "\n"
	      "Commands:\n",
	      to);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
	}
	fputs("\n"
	      "  virid COMMAND --help   says what a command takes\n"
	      "  virid Get-VM ...       the names of Hyper-V's cmdlets work too; virid help "
	      "cmdlets lists them\n"
	      "  virid --version        prints the version\n"
	      "\n"
	      "The manual is virid(1).\n",
	      to);
}

static int refuse_command(const char *word)
{
	const char *names[ARRAY_LEN(commands) + 1] = {NULL};
	char meant[CLI_GUESS_BYTES];

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		names[i] = commands[i].name;
	}
	complain("'%s' is not a command%s; virid --help lists them", word,
		 guess(word, names, meant));
	return CLI_USAGE;
}

static const struct cli_command *find_command(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(word, commands[i].name) == 0) {
			return &commands[i];
		}
	}
	return NULL;
}

/* virid help disk create: what virid disk create --help says. */
static int help_about(char **words)
{
	const struct cli_command *c = find_command(words[0]);
	char option[] = "--help", *argv[] = {words[0], option, NULL, NULL};

	if (c == NULL) {
		return refuse_command(words[0]);
	}
	if (words[1] != NULL) {
		argv[1] = words[1];
		argv[2] = option;
	}
	return c->run(words[1] != NULL ? 3 : 2, argv);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "help") == 0 && argc == 3 && strcmp(argv[2], "cmdlets") == 0) {
		cmdlet_print_list(stdout);
		return CLI_OK;
	}
	if (strcmp(argv[1], "help") == 0 && argc > 2) {
		return help_about(argv + 2);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return CLI_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("virid " VIRID_VERSION);
		return CLI_OK;
	}
	if (strcmp(argv[1], "complete") == 0) {
		return complete_command(argc - 1, argv + 1); /* for the shell, not for people */
	}
	/* Widths of names in tables. `run` prints none, and stays in memory beside its machine. */
	if (strcmp(argv[1], "run") != 0) {
		setlocale(LC_CTYPE, "");
	}
	if (cmdlet_known(argv[1])) {
		return cmdlet_command(argc - 1, argv + 1);
	}
	const struct cli_command *c = find_command(argv[1]);

	return c != NULL ? c->run(argc - 1, argv + 1) : refuse_command(argv[1]);
}
