// SPDX-License-Identifier: Apache-2.0
/* Waits for a job of the service, with a bar where a person looks. Ctrl-C asks for its end, twice leaves it alone. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "manage.h"

#define BAR_CELLS 30

static volatile sig_atomic_t interrupts;

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	interrupts++;
}

static void draw(json_t *job)
{
	char bar[BAR_CELLS + 1];
	json_t *progress = member_get(job, "progress");
	int percent = (int)json_number_value(progress);

	if (isatty(STDERR_FILENO) != 1) {
		return;
	}
	percent = percent < 0 ? 0 : percent > 100 ? 100 : percent;
	memset(bar, '.', BAR_CELLS);
	memset(bar, '#', (size_t)(BAR_CELLS * percent / 100));
	bar[BAR_CELLS] = '\0';
	fprintf(stderr, "\r[%s] %3d %%  %.40s\033[K", bar, percent, member_text(job, "phase"));
	fflush(stderr);
}

static void clear(void)
{
	if (isatty(STDERR_FILENO) == 1) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
	}
}

static int cancel(const struct manage_call *c, const char *path)
{
	json_t *answer = NULL;
	int status = manage_request(c, "DELETE", path, NULL, &answer);

	json_decref(answer);
	return status;
}

static int end_of(const struct manage_call *c, json_t *job)
{
	const char *state = member_text(job, "state");

	if (strcmp(state, "completed") == 0) {
		return CLI_OK;
	}
	if (strcmp(state, "cancelled") == 0) {
		complain("%s: cancelled", c->shown_as);
		return MANAGE_INTERRUPTED;
	}
	complain("%s: %s", c->shown_as, member_text(job, "error.message"));
	return manage_status_of(member_text(job, "error.code"));
}

/* The job as it is now, or when it has ended, whichever the service says first; takes *job over and replaces it. */
static int refresh(const struct manage_call *c, json_t **job)
{
	json_t *now = NULL;
	char *id = manage_escape(member_text(*job, "id")), path[128];

	snprintf(path, sizeof(path), "/jobs/%s?wait=1", id);
	free(id);
	int status = manage_request(c, "GET", path, NULL, &now);

	if (status == CLI_OK) {
		json_decref(*job);
		*job = now;
	}
	return status;
}

int manage_wait(const struct manage_call *c, json_t *job, json_t **ret_result)
{
	struct sigaction act = {.sa_handler = on_interrupt}, old;
	char path[128];
	int status = CLI_OK;
	sig_atomic_t told = 0;

	snprintf(path, sizeof(path), "/jobs/%s", member_text(job, "id"));
	interrupts = 0;
	sigaction(SIGINT, &act, &old);
	while (status == CLI_OK && strcmp(member_text(job, "state"), "running") == 0 &&
	       interrupts < 2) {
		draw(job);
		status = refresh(c, &job);
		if (interrupts > told) {
			told = interrupts;
			clear();
			cancel(c, path);
		}
	}
	sigaction(SIGINT, &old, NULL);
	clear();
	if (status == CLI_OK && interrupts >= 2) {
		complain("%s: goes on as job %s", c->shown_as, member_text(job, "id"));
		status = MANAGE_INTERRUPTED;
	} else if (status == CLI_OK) {
		status = end_of(c, job);
	}
	if (status == CLI_OK && ret_result != NULL) {
		*ret_result = json_incref(member_get(job, "result"));
	}
	json_decref(job);
	return status;
}
