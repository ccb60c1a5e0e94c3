// SPDX-License-Identifier: Apache-2.0
/* Command lines as PowerShell has them: -Name web -MemoryStartupBytes 1GB, any case, names cut short, -Switch:value. */
#include "cmdlet.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../disk.h"
#include "lib/check.h"

#define WORDS_MAX (2 * MANAGE_OPTIONS_MAX + MANAGE_OPERANDS_MAX)

/* The command line of the verb, as it comes together. */
struct line {
	const struct cmdlet *cmdlet;
	const char *verb;
	const char *operands[4];
	char *words[WORDS_MAX]; /* options; allocated */
	size_t count;
	bool json;
};

static const struct cmdlet *find(const char *word)
{
	const struct cmdlet *c = cmdlets;

	while (c->name != NULL && strcasecmp(c->name, word) != 0) {
		c++;
	}
	return c->name != NULL ? c : NULL;
}

/* A word with a capital verb and a dash, such as Get-VM, in any case: one of our cmdlets. */
bool cmdlet_known(const char *word)
{
	return find(word) != NULL;
}

void cmdlet_print_list(FILE *to)
{
	for (const struct cmdlet *c = cmdlets; c->name != NULL; c++) {
		fprintf(to, "%s\n", c->name);
	}
}

/* ---- Parameters ---- */

int cmdlet_usage(const struct cmdlet *c, const char *what, const char *word)
{
	complain("%s: %s '%s'; 'virid %s -?' lists its parameters", c->name, what, word, c->name);
	return CLI_USAGE;
}

/* By name, or by the beginning of one name alone. NULL after a message. */
static const struct cmdlet_parameter *parameter_of(const struct cmdlet *c, const char *word,
						   size_t length)
{
	const struct cmdlet_parameter *found = NULL;
	unsigned count = 0;

	for (const struct cmdlet_parameter *p = c->parameters; p->name != NULL; p++) {
		if (strncasecmp(p->name, word, length) != 0) {
			continue;
		}
		if (strlen(p->name) == length) {
			return p;
		}
		found = p;
		count++;
	}
	if (count == 1) {
		return found;
	}
	cmdlet_usage(c, count == 0 ? "has no parameter" : "has several parameters that begin with",
		     word);
	return NULL;
}

static void add_word(struct line *l, const char *text)
{
	CHECK(l->count < WORDS_MAX);
	l->words[l->count] = strdup(text);
	CHECK(l->words[l->count] != NULL);
	l->count++;
}

static void add_option(struct line *l, const char *name, const char *value)
{
	char word[80];

	snprintf(word, sizeof(word), "--%s", name);
	add_word(l, word);
	if (value != NULL) {
		add_word(l, value);
	}
}

/* Our word for the cmdlet's: "Nothing=none|Start=always". NULL: not one of them. */
static const char *translate(const char *values, const char *word, char ours[64])
{
	for (const char *at = values; at != NULL && *at != '\0';) {
		size_t left = strcspn(at, "="), whole = strcspn(at, "|");

		if (strlen(word) == left && strncasecmp(at, word, left) == 0) {
			snprintf(ours, 64, "%.*s", (int)(whole - left - 1), at + left + 1);
			return ours;
		}
		at += whole + (at[whole] == '|');
	}
	return NULL;
}

/* A switch parameter may say -Force:$false. */
static bool says_false(const char *value)
{
	return value != NULL && (strcasecmp(value, "$false") == 0 || strcmp(value, "0") == 0);
}

static int apply(struct line *l, const struct cmdlet_parameter *p, const char *value)
{
	char ours[64], option[64];

	switch (p->kind) {
	case PARAMETER_OPERAND:
		l->operands[p->to[0] - '0'] = value;
		break;
	case PARAMETER_OPTION:
		if (p->values != NULL && translate(p->values, value, ours) == NULL) {
			return cmdlet_usage(l->cmdlet, p->values, value);
		}
		add_option(l, p->to, p->values != NULL ? ours : value);
		break;
	case PARAMETER_SWITCH:
		if (p->to != NULL && !says_false(value)) {
			add_option(l, p->to, NULL);
		}
		break;
	case PARAMETER_VERB:
		l->verb = says_false(value) ? l->verb : p->to;
		break;
	case PARAMETER_FIXED:
		snprintf(option, sizeof(option), "%.*s", (int)strcspn(p->to, "="), p->to);
		add_option(l, option, strchr(p->to, '=') + 1);
		break;
	case PARAMETER_VALUE:
		break;
	}
	return CLI_OK;
}

static bool takes_value(const struct cmdlet_parameter *p)
{
	return p->kind == PARAMETER_OPERAND || p->kind == PARAMETER_OPTION ||
	       p->kind == PARAMETER_VALUE;
}

static void print_parameters(const struct cmdlet *c)
{
	printf("usage: virid %s [PARAMETER...] [--json]\n\nParameters:\n", c->name);
	for (const struct cmdlet_parameter *p = c->parameters; p->name != NULL; p++) {
		printf("  -%s%s\n", p->name, takes_value(p) ? " VALUE" : "");
	}
	if (c->noun != NULL) {
		printf("\nIt is `virid %s %s`.\n", c->noun, c->verb);
	}
}

/* One named parameter, and its value, at argv[*at]. */
static int take_named(struct line *l, int argc, char **argv, int *at)
{
	const char *word = argv[*at] + 1;
	size_t length = strcspn(word, ":=");
	const char *value = word[length] != '\0' ? word + length + 1 : NULL;
	const struct cmdlet_parameter *p = parameter_of(l->cmdlet, word, length);

	if (p == NULL) {
		return CLI_USAGE;
	}
	if (value == NULL && takes_value(p)) {
		if (*at + 1 >= argc) {
			return cmdlet_usage(l->cmdlet, "wants a value behind", argv[*at]);
		}
		value = argv[++*at];
	}
	return apply(l, p, value);
}

static int parse(struct line *l, int argc, char **argv)
{
	size_t unnamed = 0;
	int status = CLI_OK;

	for (int i = 1; i < argc && status == CLI_OK; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			l->json = true;
		} else if (argv[i][0] == '-' && argv[i][1] != '\0') {
			status = take_named(l, argc, argv, &i);
		} else if (unnamed < 2 && l->cmdlet->positional[unnamed] != NULL) {
			const char *name = l->cmdlet->positional[unnamed++];

			status = apply(l, parameter_of(l->cmdlet, name, strlen(name)), argv[i]);
		} else {
			status = cmdlet_usage(l->cmdlet, "does not expect", argv[i]);
		}
	}
	return status;
}

/* ---- Verbs ---- */

/* New-VHD says the kind of the file in its name and in a switch: vhdx-fixed. */
static void complete_format(struct line *l)
{
	const char *path = l->operands[strcmp(l->verb, "convert") == 0 ? 1 : 0];
	size_t n = path == NULL ? 0 : strlen(path);
	bool old = n > 4 && strcasecmp(path + n - 4, ".vhd") == 0;

	for (size_t i = 0; i + 1 < l->count; i++) {
		char *text;

		if (strcmp(l->words[i], "--format") != 0) {
			continue;
		}
		if (asprintf(&text, "%s-%s", old ? "vhd" : "vhdx", l->words[i + 1]) < 0) {
			abort();
		}
		free(l->words[i + 1]);
		l->words[i + 1] = text;
	}
}

static int run_verb(struct line *l)
{
	const struct manage_verb *v = manage_verb_of(l->cmdlet->noun, l->verb);
	char *argv[WORDS_MAX + 8], verb[32];
	int argc = 0, status;

	if (strcmp(l->cmdlet->noun, "disk") == 0 && v == NULL) {
		complete_format(l);
	}
	snprintf(verb, sizeof(verb), "%s", l->verb);
	if (v == NULL) {
		argv[argc++] = verb; /* in front: `virid disk`, `virid switch` skip it */
	}
	argv[argc++] = verb;
	for (size_t i = 0; i < 4; i++) {
		if (l->operands[i] != NULL) {
			argv[argc++] = (char *)(uintptr_t)l->operands[i];
		}
	}
	for (size_t i = 0; i < l->count; i++) {
		argv[argc++] = l->words[i];
	}
	argv[argc] = NULL;
	if (v != NULL) {
		status = manage_verb_run(v, l->cmdlet->name, argc, argv);
	} else {
		status = strcmp(l->cmdlet->noun, "disk") == 0 ? disk_command(argc, argv)
							      : switch_command(argc, argv);
	}
	return status;
}

/* ---- The whole ---- */

static void add_before(struct line *l)
{
	if (l->cmdlet->before != NULL) {
		add_word(l, l->cmdlet->before);
	}
	if (l->json) {
		add_word(l, "--json");
	}
}

int cmdlet_command(int argc, char **argv)
{
	const struct cmdlet *c = find(argv[0]);
	int status;

	CHECK(c != NULL);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-?") == 0 || strcmp(argv[i], "--help") == 0) {
			print_parameters(c);
			return CLI_OK;
		}
	}
	struct line l = {.cmdlet = c, .verb = c->verb};

	status = parse(&l, argc, argv);
	if (status == CLI_OK) {
		if (c->path != NULL) {
			status = cmdlet_get(c, l.operands[0], l.json);
		} else {
			add_before(&l);
			status = run_verb(&l);
		}
	}
	for (size_t i = 0; i < l.count; i++) {
		free(l.words[i]);
	}
	return status;
}
