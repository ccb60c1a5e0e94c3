// SPDX-License-Identifier: Apache-2.0
#include "end.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"
#include "lib/bits.h"

#define MESSAGE_BYTES 600u

static const struct {
	enum worker_end end;
	const char *word;
	bool explained; /* by the last line of the log */
} ends[] = {
	{END_POWER_OFF, "power-off", false},
	{END_HOST_FAILURE, "host-failure", true},
	{END_USAGE, "usage", true},
	{END_RESET, "reset", false},
	{END_CRASH, "crash", true},
	{END_SAVED, "saved", false},
	{END_TURNED_OFF, "turned-off", false},
	{END_TIMEOUT, "timeout", false},
	{END_LEFT, "left", false},
};

const char *end_word(enum worker_end end)
{
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		if (ends[i].end == end) {
			return ends[i].word;
		}
	}
	return "host-failure";
}

static bool explained(enum worker_end end)
{
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		if (ends[i].end == end) {
			return ends[i].explained;
		}
	}
	return false;
}

static void put(struct worker *w, const char *text)
{
	if (w->config.end_fd >= 0) {
		ssize_t n = pwrite(w->config.end_fd, text, strlen(text), 0);

		(void)n; /* nobody is left to be told */
	}
}

void end_ran(struct worker *w)
{
	if (!w->ran) {
		w->ran = true;
		put(w, "ran=1\n");
	}
}

void end_report(struct worker *w, enum worker_end end)
{
	char message[MESSAGE_BYTES] = "", text[MESSAGE_BYTES + 100];

	if (explained(end)) {
		log_last(message, sizeof(message));
	}
	for (char *c = message; *c != '\0'; c++) {
		*c = *c == '\n' ? ' ' : *c;
	}
	snprintf(text, sizeof(text), "end=%s\nran=%d\nmessage=%s\n", end_word(end), w->ran,
		 message);
	put(w, text);
}
