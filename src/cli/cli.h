/* SPDX-License-Identifier: Apache-2.0 */
/* The `virid` command: one file per subcommand, listed in main.c. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli_command {
	const char *name;
	const char *summary; /* one line for `virid --help` */
	int (*run)(int argc,
		   char **argv); /* argv[0] is the command's name; returns the exit status */
};

/* run.c */
int run_command(int argc, char **argv);

/* engine.c */
int engine_command(int argc, char **argv);

/* switch.c */
int switch_command(int argc, char **argv);

/* control.c */
int control_command(int argc, char **argv);

/* parse.c: false when @text is not wholly such a value. */
/* Bytes: digits with an optional K, M, G or T (binary, also KiB .. or KB ..); a bare number is MiB
 * when @bare_mib. */
bool parse_size(const char *text, bool bare_mib, uint64_t *ret_bytes);
bool parse_count(const char *text, uint64_t *ret);
/* Seconds with an optional fraction or unit ms, s, m, h. */
bool parse_duration_ns(const char *text, uint64_t *ret_ns);

/* guess.c */
#define CLI_GUESS_BYTES 64
/* ": did you mean 'X'?" if one of @choices (NULL-terminated) is like @word, else "". Returns @text. */
const char *guess(const char *word, const char *const *choices, char text[CLI_GUESS_BYTES]);
struct option;
/* The same for an argument that getopt_long did not know. */
const char *guess_option(const char *arg, const struct option *options, char text[CLI_GUESS_BYTES]);

/* terminal.c */
/* Puts the terminal on standard input into raw mode; terminal_restore undoes it. False: no
 * terminal. */
bool terminal_raw(void);
void terminal_restore(void);

/* One line on standard error: "virid: text". */
__attribute__((format(printf, 1, 2))) void complain(const char *fmt, ...);

#endif
