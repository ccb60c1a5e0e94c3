/* SPDX-License-Identifier: Apache-2.0 */
/* Switches, as the switch process and its file have them. Any thread; blocks for up to ten seconds. */
#ifndef VMMS_SWITCH_ASK_H
#define VMMS_SWITCH_ASK_H

#include <jansson.h>
#include <stdbool.h>

enum switch_ask_verb {
	SWITCH_ASK_LIST,   /* of the process; what is written down when none runs */
	SWITCH_ASK_SHOW,   /* @name */
	SWITCH_ASK_CREATE, /* @config: as in the file of switches */
	SWITCH_ASK_REMOVE, /* @name */
};

struct switch_ask {
	enum switch_ask_verb verb;
	char name[256];
	json_t *config; /* borrowed */
	/* Out. */
	json_t *answer; /* an object, the caller's; NULL: it failed, or there is nothing to say */
	int error;	/* errno; 0: done */
	char text[1300];
};

void switch_ask_run(struct switch_ask *a);

#endif
