/* SPDX-License-Identifier: Apache-2.0 */
/* The names of Hyper-V's PowerShell cmdlets as commands: each is one of our verbs with its parameters under other names. */
#ifndef CLI_MANAGE_CMDLET_H
#define CLI_MANAGE_CMDLET_H

#include "manage.h"

enum parameter_kind {
	PARAMETER_OPERAND, /* .to: "0", "1": which operand */
	PARAMETER_OPTION,  /* .to: the verb's option */
	PARAMETER_SWITCH, /* takes no value; .to: the verb's option, or NULL: accepted, changes nothing */
	PARAMETER_VERB,	 /* takes no value; .to: the verb to use instead */
	PARAMETER_FIXED, /* takes no value; .to: "option=value" */
	PARAMETER_VALUE, /* takes a value that changes nothing */
};

struct cmdlet_parameter {
	const char *name;
	enum parameter_kind kind;
	const char *to;
	const char *
		values; /* "Nothing=none|Start=always": the cmdlet's words and ours; NULL: as it is */
};

struct cmdlet {
	const char *name;
	const char *noun,
		*verb; /* "disk"/"switch" with verbs of their own are called as `virid disk` is */
	const struct cmdlet_parameter *parameters; /* until name NULL */
	const char *positional[2];		   /* names of parameters that need no name */
	const char *before; /* words in front of the others, such as "--format vhdx-fixed" */
	/* Get-*: */
	const char *path; /* of the request; "{0}" is the operand; NULL: a verb does it */
	const char *list; /* member of the answer; NULL: the answer itself is the one object */
	const struct manage_column *properties; /* titles are the properties' names */
};

extern const struct cmdlet cmdlets[]; /* until name NULL */

/* Complains about @word of @c's command line. Returns CLI_USAGE. */
int cmdlet_usage(const struct cmdlet *c, const char *what, const char *word);

/* Shows what a Get-* cmdlet is asked for. @operand: the first one, or NULL. Returns the exit status. */
int cmdlet_get(const struct cmdlet *c, const char *operand, bool json);

#endif
