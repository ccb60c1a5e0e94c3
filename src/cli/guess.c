// SPDX-License-Identifier: Apache-2.0
/* What somebody who mistyped a word may have meant. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "lib/bits.h"

#define WORD_MAX 32u
#define OPTIONS_MAX 32u

/* How many letters have to be changed, added, taken out or swapped with the next to make @b of @a. */
static unsigned distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	unsigned rows[3][WORD_MAX + 1] = {{0}};
	unsigned *before = rows[0], *last = rows[1], *row = rows[2];

	for (unsigned j = 0; j <= b_length; j++) {
		row[j] = j;
	}
	for (unsigned i = 1; i <= a_length; i++) {
		unsigned *oldest = before;

		before = last;
		last = row;
		row = oldest;
		row[0] = i;
		for (unsigned j = 1; j <= b_length; j++) {
			bool same = a[i - 1] == b[j - 1];

			row[j] = last[j - 1] + !same;
			row[j] = row[j] < last[j] + 1 ? row[j] : last[j] + 1;
			row[j] = row[j] < row[j - 1] + 1 ? row[j] : row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < row[j]) {
				row[j] = before[j - 2] + 1;
			}
		}
	}
	return row[b_length];
}

/* 0: it is meant. Beginnings are as good as the word. */
static unsigned farness(const char *word, const char *choice)
{
	size_t a = strlen(word), b = strlen(choice);

	if (a > WORD_MAX || b > WORD_MAX) {
		return WORD_MAX;
	}
	return a >= 2 && strncmp(word, choice, a) == 0 ? 0 : distance(word, a, choice, b);
}

const char *guess(const char *word, const char *const *choices, char text[CLI_GUESS_BYTES])
{
	/* In a short word a single letter is much. */
	unsigned best = strlen(word) < 4 ? 1 : 2;
	const char *found = NULL;

	for (; *choices != NULL; choices++) {
		unsigned far = farness(word, *choices);

		if (far < best || (far == best && found == NULL)) {
			best = far;
			found = *choices;
		}
	}
	text[0] = '\0';
	if (found != NULL) {
		snprintf(text, CLI_GUESS_BYTES, ": did you mean '%s'?", found);
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
