// SPDX-License-Identifier: Apache-2.0
#include "lib/near.h"

#define WORD_MAX 32u

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
			unsigned same = a[i - 1] == b[j - 1];

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
static unsigned farness(const char *word, size_t a, const char *choice)
{
	size_t b = 0, common = 0;

	while (b <= WORD_MAX && choice[b] != '\0') {
		b++;
	}
	if (a > WORD_MAX || b > WORD_MAX) {
		return WORD_MAX;
	}
	while (common < a && common < b && word[common] == choice[common]) {
		common++;
	}
	return a >= 2 && common == a ? 0 : distance(word, a, choice, b);
}

struct near_search near_begin(const char *word, size_t length)
{
	/* In a short word a single letter is much. */
	return (struct near_search){.word = word, .length = length, .far = length < 4 ? 1 : 2};
}

void near_try(struct near_search *n, const char *choice)
{
	unsigned far = farness(n->word, n->length, choice);

	if (far < n->far || (far == n->far && n->best == NULL)) {
		n->far = far;
		n->best = choice;
	}
}
