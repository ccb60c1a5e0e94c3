// SPDX-License-Identifier: Apache-2.0
/* The usual course of a verb: a request for each operand, a job to wait for, and what is printed then. */
#include <stdlib.h>
#include <string.h>

#include "manage.h"

void manage_print(json_t *o)
{
	json_print(o != NULL ? o : json_null());
}

/* "{0} is running": a number is an operand, a name a member of the answer. */
static void print_done(const struct manage_call *c, size_t each, json_t *answer)
{
	for (const char *at = c->verb->done; *at != '\0'; at++) {
		char name[64], text[512];

		if (*at != '{') {
			putchar(*at);
			continue;
		}
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(at + 1, "}"), at + 1);
		at += strlen(name) + 1;
		size_t n = (size_t)(name[0] - '0');

		json_t *v = n < 10 ? NULL : member_get(answer, name);

		fputs(n < 10 ? c->operands[n == 0 ? each : n]
			     : json_show(v, "", text, sizeof(text)),
		      stdout);
	}
	putchar('\n');
}

static bool is_job(json_t *o)
{
	return member_get(o, "progress") != NULL && member_get(o, "kind") != NULL;
}

static int show(struct manage_call *c, size_t each, json_t *answer)
{
	if (c->json) {
		if (answer != NULL) {
			manage_print(answer);
		}
	} else if (c->verb->answer == ANSWER_LIST) {
		table_print(member_get(answer, c->verb->list), c->verb->columns);
	} else if (c->verb->answer == ANSWER_SHOW) {
		table_show(answer, c->verb->columns);
	} else if (c->verb->done != NULL) {
		print_done(c, each, answer);
	}
	return CLI_OK;
}

static int send_one(struct manage_call *c, size_t each)
{
	json_t *answer = NULL, *result = NULL;
	int status = manage_send(c, each, &answer);

	if (status != CLI_OK) {
		return status;
	}
	if (c->verb->answer == ANSWER_DONE && is_job(answer)) {
		if (c->no_wait) {
			c->json ? manage_print(answer) : (void)puts(member_text(answer, "id"));
			json_decref(answer);
			return CLI_OK;
		}
		status = manage_wait(c, answer, &result);
		answer = result;
	}
	if (status == CLI_OK) {
		show(c, each, answer);
	}
	json_decref(answer);
	return status;
}

int manage_usual(struct manage_call *c)
{
	size_t min, max, times;
	int worst = CLI_OK;

	manage_count_operands(c->verb->operands, &min, &max);
	for (size_t i = 0; i < 2; i++) {
		const char *member = c->verb->operand_member[i];

		if (member != NULL && i < c->operand_count &&
		    !manage_put(c, member, manage_text(c->operands[i]))) {
			return CLI_USAGE;
		}
	}
	times = max == MANAGE_OPERANDS_MAX ? c->operand_count : 1;
	for (size_t i = 0; i < times; i++) {
		int status = send_one(c, i);

		worst = status != CLI_OK ? status : worst;
	}
	return worst;
}
