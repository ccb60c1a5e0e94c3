// SPDX-License-Identifier: Apache-2.0
/* What somebody who mistyped a word may have meant. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "lib/near.h"

#define WORD_MAX 32u
#define OPTIONS_MAX 32u

const char *guess(const char *word, const char *const *choices, char text[CLI_GUESS_BYTES])
{
	struct near_search n = near_begin(word, strlen(word));

	for (; *choices != NULL; choices++) {
		near_try(&n, *choices);
	}
	text[0] = '\0';
	if (n.best != NULL) {
		snprintf(text, CLI_GUESS_BYTES, ": did you mean '%s'?", n.best);
	}
	return text;
}

const char *guess_option(const char *arg, const struct option *options, char text[CLI_GUESS_BYTES])
{
	const char *names[OPTIONS_MAX + 1];
	char word[WORD_MAX + 2], dashed[OPTIONS_MAX][WORD_MAX];
	size_t count = 0;

	for (; options->name != NULL && count < OPTIONS_MAX; options++, count++) {
		snprintf(dashed[count], sizeof(dashed[count]), "--%s", options->name);
		names[count] = dashed[count];
	}
	names[count] = NULL;
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(arg, "="), arg);
	return guess(word, names, text);
}
