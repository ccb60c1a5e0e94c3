// SPDX-License-Identifier: Apache-2.0
/* `virid disk`: the table of subcommands, and what all their command lines have in common. */
#include <stdarg.h>
#include <string.h>

#include "disk.h"
#include "lib/bits.h"
#include "manage/manage.h"

static const struct disk_command *const commands[] = {
	&disk_create_command, &disk_info_command,      &disk_map_command,    &disk_check_command,
	&disk_repair_command, &disk_convert_command,   &disk_resize_command, &disk_compact_command,
	&disk_merge_command,  &disk_reconnect_command,
};

static void print_overview(FILE *to)
{
	fputs("usage: virid disk COMMAND [OPTIONS] FILE...\n"
	      "\n"
	      "Works on virtual hard disks: VHD and VHDX, fixed, dynamic and differencing, and raw "
	      "images.\n"
	      "\n"
	      "Commands:\n",
	      to);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	}
	fputs("\n"
	      "Of machines that the management service keeps:\n",
	      to);
	for (const struct manage_verb *v = manage_disk_verbs; v->name != NULL; v++) {
		fprintf(to, "  %-10s %s\n", v->name, v->summary);
	}
	fputs("\n"
	      "  virid disk COMMAND --help   says what a command takes\n"
	      "\n"
	      "Exit status: 0 done, 1 failed, 2 usage, 3 check or repair left errors, 130 "
	      "interrupted: nothing half-made is left.\n"
	      "The manual is virid-disk(1).\n",
	      to);
}

static void print_help(const struct disk_command *c)
{
	printf("usage: virid disk %s %s\n\n%s", c->name, c->arguments, c->help);
}

int disk_usage(const char *command, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	complain("disk %s: %s; virid disk %s --help says more", command, text, command);
	return CLI_USAGE;
}

int disk_option(int argc, char **argv, const struct option *options)
{
	opterr = 0;
	int value = getopt_long(argc, argv, ":", options, NULL);

	if (value == ':') {
		disk_usage(argv[0], "%s wants a value", argv[optind - 1]);
		return '?';
	}
	if (value == '?') {
		char meant[CLI_GUESS_BYTES];

		disk_usage(argv[0], "%s is not an option here, or takes no value%s",
			   argv[optind - 1], guess_option(argv[optind - 1], options, meant));
	}
	return value;
}

bool disk_operands(int argc, char **argv, int count, const char *what)
{
	if (argc - optind == count) {
		for (int i = optind; i < argc; i++) {
			if (argv[i][0] == '\0') {
				disk_usage(argv[0], "a file name is empty; expected %s", what);
				return false;
			}
		}
		return true;
	}
	if (argc - optind > count) {
		disk_usage(argv[0], "'%s' is one argument too many; expected %s",
			   argv[optind + count], what);
	} else {
		disk_usage(argv[0], "expected %s", what);
	}
	return false;
}

bool disk_size_option(const char *command, const char *name, const char *text, uint64_t *ret)
{
	if (!parse_size(text, false, ret)) {
		disk_usage(command,
			   "%s: '%s' is not a size; expected bytes, or a number with K, M, G or T, "
			   "such as 10G",
			   name, text);
		return false;
	}
	return true;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			return true;
		}
	}
	return false;
}

static int refuse_command(const char *word)
{
	const char *names[ARRAY_LEN(commands) + 1] = {NULL};
	char meant[CLI_GUESS_BYTES];

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		names[i] = commands[i]->name;
	}
	complain("disk: '%s' is not a command%s; virid disk --help lists them", word,
		 guess(word, names, meant));
	return CLI_USAGE;
}

int disk_command(int argc, char **argv)
{
	if (argc < 2) {
		print_overview(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_overview(stdout);
		return CLI_OK;
	}
	if (manage_verb_of("disk", argv[1]) != NULL) {
		return manage_command(argc, argv);
	}
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(argv[1], commands[i]->name) != 0) {
			continue;
		}
		if (wants_help(argc - 1, argv + 1)) {
			print_help(commands[i]);
			return CLI_OK;
		}
		return commands[i]->run(argc - 1, argv + 1);
	}
	return refuse_command(argv[1]);
}
