// SPDX-License-Identifier: Apache-2.0
/* Command lines of the management verbs: help, and which words are options and which are operands. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "manage.h"

/* Options that every verb has. */
enum common { COMMON_JSON, COMMON_WAIT, COMMON_NO_WAIT, COMMON_YES, COMMON_HELP, COMMON_COUNT };
static const char *const common_names[COMMON_COUNT + 1] = {"json", "wait", "no-wait",
							   "yes",  "help", NULL};

/* ---- Help ---- */

static void print_option(const struct manage_option *o)
{
	char left[96];

	snprintf(left, sizeof(left), "--%s%s%s", o->name,
		 o->kind == OPTION_FLAG || o->kind == OPTION_QUERY ? "" : " ",
		 o->kind == OPTION_FLAG || o->kind == OPTION_QUERY ? ""
		 : o->value != NULL				   ? o->value
		 : o->kind == OPTION_CHOICE			   ? o->choices
								   : "VALUE");
	if (strlen(left) > 26) {
		printf("  %s\n  %-26s %s\n", left, "", o->help);
	} else {
		printf("  %-26s %s\n", left, o->help);
	}
}

static void print_verb_help(const struct manage_verb *v)
{
	printf("usage: virid %s %s%s%s%s\n\n%s.\n", v->noun, v->name,
	       v->operands[0] == '\0' ? "" : " ", v->operands,
	       v->options == NULL ? "" : " [OPTION...]", v->summary);
	if (v->options != NULL) {
		putchar('\n');
	}
	for (const struct manage_option *o = v->options; o != NULL && o->name != NULL; o++) {
		print_option(o);
	}
	fputs("\n  --json                     the service's answer as JSON\n", stdout);
	if (v->answer == ANSWER_DONE) {
		fputs("  --no-wait                  do not wait for a job to end; its id is "
		      "printed\n",
		      stdout);
	}
	if (v->notes != NULL) {
		printf("\n%s", v->notes);
	}
}

static void print_noun_help(const struct manage_verb *table, FILE *to)
{
	fprintf(to, "usage: virid %s COMMAND ...\n\nCommands:\n", table->noun);
	for (; table->name != NULL; table++) {
		char left[96];

		snprintf(left, sizeof(left), "%s %s", table->name, table->operands);
		fprintf(to, "  %-34s %s\n", left, table->summary);
	}
	fputs("\n  virid NOUN COMMAND --help   says what a command takes\n"
	      "\n"
	      "Exit status: 0 done, 1 failed, 2 usage, 3 no such thing, 4 not now (state, busy, "
	      "ambiguous, changed), 5 not allowed,\n"
	      "6 no service, 130 interrupted. The manual is virid-vm(1).\n",
	      to);
}

int manage_usage(const struct manage_call *c, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	complain("%s: %s; virid %s %s --help says more", c->shown_as, text, c->verb->noun,
		 c->verb->name);
	return CLI_USAGE;
}

const char *manage_value(const struct manage_call *c, const char *name)
{
	for (size_t i = 0; c->verb->options != NULL && c->verb->options[i].name != NULL; i++) {
		if (strcmp(c->verb->options[i].name, name) == 0) {
			return c->values[i];
		}
	}
	return NULL;
}

/* ---- Options ---- */

static bool set_common(struct manage_call *c, enum common which)
{
	c->json |= which == COMMON_JSON;
	c->no_wait |= which == COMMON_NO_WAIT;
	c->yes |= which == COMMON_YES;
	if (which == COMMON_HELP) {
		print_verb_help(c->verb);
	}
	return which != COMMON_HELP;
}

static int find_name(const char *const *names, const char *word, size_t length)
{
	for (int i = 0; names[i] != NULL; i++) {
		if (strlen(names[i]) == length && strncmp(names[i], word, length) == 0) {
			return i;
		}
	}
	return -1;
}

static void refuse_option(const struct manage_call *c, const char *arg)
{
	const char *names[MANAGE_OPTIONS_MAX + COMMON_COUNT + 1];
	char meant[CLI_GUESS_BYTES], word[64];
	size_t n = 0;

	for (const struct manage_option *o = c->verb->options; o != NULL && o->name != NULL; o++) {
		names[n++] = o->name;
	}
	for (size_t i = 0; i < COMMON_COUNT; i++) {
		names[n++] = common_names[i];
	}
	names[n] = NULL;
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(arg + 2, "="), arg + 2);
	manage_usage(c, "%s is not an option here%s", arg, guess(word, names, meant));
}

/* One option; *at is moved over a value that stands by itself. 1: taken, 0: help was given, -1 after a message. */
static int take_option(struct manage_call *c, char **argv, int argc, int *at)
{
	const char *arg = argv[*at], *word = arg + 2;
	size_t length = strcspn(word, "=");
	const char *value = word[length] == '=' ? word + length + 1 : NULL;
	int common = find_name(common_names, word, length);

	for (size_t i = 0; c->verb->options != NULL && c->verb->options[i].name != NULL; i++) {
		const struct manage_option *o = &c->verb->options[i];
		bool flag = o->kind == OPTION_FLAG || o->kind == OPTION_QUERY;

		if (strlen(o->name) != length || strncmp(o->name, word, length) != 0) {
			continue;
		}
		if (flag && value != NULL) {
			manage_usage(c, "--%s takes no value", o->name);
			return -1;
		}
		if (!flag && value == NULL) {
			if (*at + 1 >= argc) {
				manage_usage(c, "--%s wants a value", o->name);
				return -1;
			}
			value = argv[++*at];
		}
		return manage_option_apply(c, i, flag ? "" : value) ? 1 : -1;
	}
	if (common >= 0 && value == NULL) {
		return set_common(c, (enum common)common) ? 1 : 0;
	}
	refuse_option(c, arg);
	return -1;
}

static int parse(struct manage_call *c, int argc, char **argv)
{
	bool options = true;

	for (int i = 1; i < argc; i++) {
		if (options && strcmp(argv[i], "--") == 0) {
			options = false;
		} else if (options && strcmp(argv[i], "-h") == 0) {
			return set_common(c, COMMON_HELP) ? 1 : 0;
		} else if (options && strncmp(argv[i], "--", 2) == 0) {
			int r = take_option(c, argv, argc, &i);

			if (r <= 0) {
				return r;
			}
		} else if (c->operand_count == MANAGE_OPERANDS_MAX) {
			manage_usage(c, "more than %d names", MANAGE_OPERANDS_MAX);
			return -1;
		} else {
			c->operands[c->operand_count++] = argv[i];
		}
	}
	return 1;
}

/* ---- Operands ---- */

void manage_count_operands(const char *text, size_t *ret_min, size_t *ret_max)
{
	*ret_min = 0;
	*ret_max = 0;
	while (*text != '\0') {
		size_t n = strcspn(text, " ");

		*ret_max += 1;
		*ret_min += *text != '[';
		if (n > 3 && strncmp(text + n - 3, "...", 3) == 0) {
			*ret_max = MANAGE_OPERANDS_MAX;
		}
		text += n + (text[n] == ' ');
	}
}

/* Operand @which is a PLACE: the service has no path for one without its two parts. */
static bool lacks_a_part(const struct manage_call *c, size_t which)
{
	const char *names = c->verb->operands;

	for (size_t i = 0; i < which && names[0] != '\0'; i++) {
		names += strcspn(names, " ");
		names += names[0] == ' ';
	}
	return strncmp(names, "PLACE", 5) == 0 && strchr(c->operands[which], ':') == NULL;
}

static bool check_operands(const struct manage_call *c)
{
	size_t min, max;

	manage_count_operands(c->verb->operands, &min, &max);
	for (size_t i = 0; i < c->operand_count; i++) {
		if (c->operands[i][0] == '\0') {
			manage_usage(c, "a name is empty");
			return false;
		}
		if (lacks_a_part(c, i)) {
			manage_usage(c, "'%s' is not a place; expected such as scsi0:1 or ide0:1",
				     c->operands[i]);
			return false;
		}
	}
	if (c->operand_count > max) {
		manage_usage(c, "'%s' is one argument too many; expected %s", c->operands[max],
			     max == 0 ? "none" : c->verb->operands);
	} else if (c->operand_count < min) {
		manage_usage(c, "expected %s", c->verb->operands);
	}
	return c->operand_count >= min && c->operand_count <= max;
}

int manage_verb_run(const struct manage_verb *v, const char *shown_as, int argc, char **argv)
{
	struct manage_call c = {.verb = v, .shown_as = shown_as};
	int status = CLI_USAGE, parsed = parse(&c, argc, argv);

	if (parsed == 0) {
		status = CLI_OK;
	} else if (parsed > 0 && check_operands(&c)) {
		status = v->run != NULL ? v->run(&c) : manage_usual(&c);
	}
	json_decref(c.body);
	return status;
}

static int refuse_verb(const struct manage_verb *table, const char *word)
{
	const char *names[64] = {NULL}, *noun = table->noun;
	char meant[CLI_GUESS_BYTES];

	for (size_t i = 0; table->name != NULL && i < 63; i++, table++) {
		names[i] = table->name;
	}
	complain("%s: '%s' is not a command%s; virid %s --help lists them", noun, word,
		 guess(word, names, meant), noun);
	return CLI_USAGE;
}

int manage_command(int argc, char **argv)
{
	const struct manage_verb *table = manage_noun(argv[0]), *v;
	char shown_as[64];

	CHECK(table != NULL);
	if (argc < 2) {
		print_noun_help(table, stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_noun_help(table, stdout);
		return CLI_OK;
	}
	v = manage_verb_of(argv[0], argv[1]);
	if (v == NULL) {
		return refuse_verb(table, argv[1]);
	}
	snprintf(shown_as, sizeof(shown_as), "%s %s", v->noun, v->name);
	return manage_verb_run(v, shown_as, argc - 1, argv + 1);
}
