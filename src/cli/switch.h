/* SPDX-License-Identifier: Apache-2.0 */
/* `virid switch`: one function per subcommand. */
#ifndef CLI_SWITCH_H
#define CLI_SWITCH_H

#include <stdbool.h>

#include "json/json.h"

/* What was given after the subcommand: operands in order, options apart. */
#define SWITCH_OPERANDS_MAX 64
struct switch_arguments {
	const char *operands[SWITCH_OPERANDS_MAX];
	int count;
	bool json;
	/* create */
	const char *type, *team, *address, *aging;
	bool no_snooping;
	const char *interfaces[9]; /* one more than can be */
	int interface_count;
	/* mirror */
	bool in, out, off;
};

/* Asks the switch process that runs for @request, which is given up. NULL after a message. */
json_t *switch_ask(json_t *request);
/* Members of an answer; "" and 0 when absent. */
const char *switch_text(const json_t *o, const char *key);
uint64_t switch_number(const json_t *o, const char *key);

/* switch_change.c */
int switch_create_command(const struct switch_arguments *a);
int switch_remove_command(const struct switch_arguments *a);
int switch_port_command(const struct switch_arguments *a);
int switch_mirror_command(const struct switch_arguments *a);

/* switch_show.c */
int switch_list_command(const struct switch_arguments *a);
int switch_show_command(const struct switch_arguments *a);
int switch_stats_command(const struct switch_arguments *a);
int switch_macs_command(const struct switch_arguments *a);

#endif
