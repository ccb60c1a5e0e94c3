// SPDX-License-Identifier: Apache-2.0
#include "journal.h"

#include <stdlib.h>

#include "lib/check.h"

uint32_t journal_add(struct journal *j, const struct event *event)
{
	if (j->count == j->room) {
		j->room = j->room == 0 ? 1024 : 2 * j->room;
		j->events = realloc(j->events, j->room * sizeof(*j->events));
		CHECK(j->events != NULL);
	}
	j->events[j->count] = *event;
	return j->count++;
}

void journal_clear(struct journal *j)
{
	for (uint32_t i = 0; i < j->count; i++) {
		free(j->events[i].data);
	}
	free(j->events);
	*j = (struct journal){0};
}
