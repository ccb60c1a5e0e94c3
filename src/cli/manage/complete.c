// SPDX-License-Identifier: Apache-2.0
/*
 * `virid complete WORD...` prints what the last WORD may become, one a line: for the shell's completion, from the same tables that understand the words, with the names
 * of machines, checkpoints and jobs that the service has now. Says nothing where it knows nothing; a line "@files" stands for names of files.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cmdlet.h"
#include "manage.h"

static const struct manage_call as_completion = {.shown_as = "complete", .quiet = true};

static void offer(const char *word, const char *current)
{
	if (strncmp(word, current, strlen(current)) == 0) {
		puts(word);
	}
}

static void offer_option(const char *name, const char *current)
{
	char word[80];

	snprintf(word, sizeof(word), "--%s", name);
	offer(word, current);
}

/* "a|b|c" */
static void offer_choices(const char *choices, const char *current)
{
	char copy[256], *at = copy, *word;

	snprintf(copy, sizeof(copy), "%s", choices);
	while ((word = strsep(&at, "|")) != NULL) {
		offer(word, current);
	}
}

/* The member @name of each object in the list @list of the answer to GET @path. */
static void offer_from(const char *path, const char *list, const char *name, const char *current)
{
	json_t *answer = NULL, *rows;

	if (manage_request(&as_completion, "GET", path, NULL, &answer) != CLI_OK) {
		return;
	}
	rows = member_get(answer, list);
	for (size_t i = 0; json_is_array(rows) && i < json_array_size(rows); i++) {
		json_t *v = member_get(json_array_get(rows, i), name);
		char text[512];

		if (v != NULL) {
			offer(json_show(v, "", text, sizeof(text)), current);
		}
	}
	json_decref(answer);
}

static void offer_of_vm(const char *vm, const char *what, const char *list, const char *name,
			const char *current)
{
	char *escaped = manage_escape(vm), path[1024];

	snprintf(path, sizeof(path), "/vms/%s/%s", escaped, what);
	free(escaped);
	offer_from(path, list, name, current);
}

/* What operand @n of @v may be; @first is operand 0. */
static void offer_operand(const struct manage_verb *v, size_t n, const char *first,
			  const char *current)
{
	char copy[128], *at = copy, *word = NULL;

	snprintf(copy, sizeof(copy), "%s", v->operands);
	for (size_t i = 0; i <= n; i++) {
		char *next = strsep(&at, " ");

		word = next != NULL ? next : word;
	}
	if (word == NULL || word[0] == '\0') {
		return;
	}
	if (strncmp(word, "VM", 2) == 0) {
		offer_from("/vms", "vms", "name", current);
	} else if (strcmp(word, "CHECKPOINT") == 0) {
		offer_of_vm(first, "checkpoints", "checkpoints", "name", current);
	} else if (strncmp(word, "JOB", 3) == 0) {
		offer_from("/jobs", "jobs", "id", current);
	} else if (strcmp(word, "PLACE") == 0) {
		bool dvd = strcmp(v->noun, "dvd") == 0;

		offer_of_vm(first, dvd ? "dvds" : "disks", dvd ? "dvds" : "disks", "place",
			    current);
	} else if (strcmp(word, "NUMBER") == 0) {
		offer_of_vm(first, "adapters", "adapters", "number", current);
	} else if (strcmp(word, "ROLE") == 0) {
		offer_choices("administrator|operator|viewer", current);
	} else if (strstr(word, "FILE") != NULL || strstr(word, "FOLDER") != NULL) {
		puts("@files");
	}
}

static const struct manage_option *option_of(const struct manage_verb *v, const char *word)
{
	const struct manage_option *o = v->options;

	while (o != NULL && o->name != NULL && strcmp(o->name, word) != 0) {
		o++;
	}
	return o != NULL && o->name != NULL ? o : NULL;
}

static bool takes_value(const struct manage_option *o)
{
	return o->kind != OPTION_FLAG && o->kind != OPTION_QUERY;
}

static void offer_value(const struct manage_option *o, const char *current)
{
	bool file = o->kind == OPTION_PATH || o->kind == OPTION_FILE ||
		    (o->value != NULL && strcmp(o->value, "FILE") == 0);

	if (file) {
		puts("@files");
	} else if (o->choices != NULL) {
		offer_choices(o->choices, current);
	} else if (o->value != NULL && strcmp(o->value, "VM") == 0) {
		offer_from("/vms", "vms", "name", current);
	}
}

static void complete_verb(const struct manage_verb *v, size_t count, char **words)
{
	const char *current = words[count - 1], *first = "";
	const struct manage_option *before = NULL;
	size_t operands = 0;

	for (size_t i = 0; i + 1 < count; i++) {
		bool value = before != NULL;

		before = NULL;
		if (!value && strncmp(words[i], "--", 2) == 0) {
			const struct manage_option *o = option_of(v, words[i] + 2);

			before = o != NULL && takes_value(o) ? o : NULL;
		} else if (!value) {
			first = operands++ == 0 ? words[i] : first;
		}
	}
	if (before != NULL) {
		offer_value(before, current);
	} else if (current[0] == '-') {
		for (const struct manage_option *o = v->options; o != NULL && o->name != NULL;
		     o++) {
			offer_option(o->name, current);
		}
		offer_option("json", current);
		if (v->answer == ANSWER_DONE) {
			offer_option("no-wait", current);
		}
		offer_option("help", current);
	} else {
		offer_operand(v, operands, first, current);
	}
}

/* Cmdlets' names and parameters in any case. */
static void offer_any_case(const char *prefix, const char *word, const char *current)
{
	size_t n = strlen(prefix);

	if (strncmp(current, prefix, n) == 0 &&
	    strncasecmp(word, current + n, strlen(current) - n) == 0) {
		printf("%s%s\n", prefix, word);
	}
}

static void complete_cmdlet(const struct cmdlet *c, size_t count, char **words)
{
	const char *current = words[count - 1],
		   *before = count > 1 && words[count - 2][0] == '-' ? words[count - 2] + 1 : NULL;

	if (current[0] == '-') {
		for (const struct cmdlet_parameter *p = c->parameters; p->name != NULL; p++) {
			offer_any_case("-", p->name, current);
		}
	} else if ((before == NULL && c->positional[0] != NULL &&
		    strstr(c->positional[0], "Name") != NULL) ||
		   (before != NULL && strcasecmp(before, "VMName") == 0)) {
		offer_from("/vms", "vms", "name", current);
	} else {
		puts("@files");
	}
}

int complete_command(int argc, char **argv)
{
	if (argc < 2) {
		return CLI_USAGE;
	}
	if (argc == 2) {
		for (const struct cmdlet *c = cmdlets; c->name != NULL && argv[1][0] != '\0'; c++) {
			offer_any_case("", c->name, argv[1]);
		}
		return CLI_OK;
	}
	for (const struct cmdlet *c = cmdlets; c->name != NULL; c++) {
		if (strcasecmp(c->name, argv[1]) == 0) {
			complete_cmdlet(c, (size_t)argc - 2, argv + 2);
			return CLI_OK;
		}
	}
	const struct manage_verb *v = manage_noun(argv[1]);

	if (v == NULL) {
		return CLI_OK;
	}
	if (argc == 3) {
		for (; v->name != NULL; v++) {
			offer(v->name, argv[2]);
		}
		offer("--help", argv[2]);
		return CLI_OK;
	}
	v = manage_verb_of(argv[1], argv[2]);
	if (v != NULL) {
		complete_verb(v, (size_t)argc - 3, argv + 3);
	}
	return CLI_OK;
}
