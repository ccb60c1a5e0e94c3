/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of `virid` that are requests to the management service: nouns and verbs in tables (verbs_*.c), most of them nothing but a
 * method, a path and options that become members of the request. Spec: the service's OpenAPI document.
 */
#ifndef CLI_MANAGE_H
#define CLI_MANAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "../cli.h"
#include "json/json.h"

/* Exit statuses beyond cli.h (virid-vm(1)). */
enum {
	MANAGE_NOT_FOUND = 3,
	MANAGE_CONFLICT = 4, /* wrong state, busy, ambiguous, changed meanwhile, exists */
	MANAGE_DENIED = 5,
	MANAGE_UNREACHABLE = 6, /* no service */
	MANAGE_INTERRUPTED = 130,
};

#define MANAGE_OPERANDS_MAX 64
#define MANAGE_OPTIONS_MAX 40

/* ---- Options ---- */

enum option_kind {
	OPTION_TEXT,
	OPTION_SIZE,	 /* bytes: 512M, 20G */
	OPTION_NUMBER,	 /* not negative */
	OPTION_DURATION, /* whole seconds */
	OPTION_CHOICE,	 /* one of .choices */
	OPTION_FLAG,	 /* takes no value; .choices NULL: true, else the text that it stands for */
	OPTION_PATH,	 /* made absolute: the service has another folder */
	OPTION_FILE,	 /* the text of the file it names */
	OPTION_FUNCTION, /* .apply puts it into the body */
	OPTION_QUERY,	 /* a flag that becomes "member=1" of the query */
	OPTION_OURS,	 /* not for the service: read by the verb's run */
};

struct manage_option {
	const char *name; /* without dashes */
	enum option_kind kind;
	const char *member;  /* "memory.startup_bytes"; NULL: none */
	const char *choices; /* "save|shutdown|turn-off" */
	const char *value;   /* what help calls it: SIZE */
	const char *help;
	/* OPTION_FUNCTION: false after a message. */
	bool (*apply)(json_t *body, const char *text);
	bool bare_mib; /* OPTION_SIZE: a bare number is MiB */
};

/* ---- Tables for people ---- */

enum column_kind {
	COLUMN_TEXT,
	COLUMN_BYTES,
	COLUMN_SECONDS, /* a duration */
	COLUMN_TIME,	/* RFC 3339, shown in local time */
	COLUMN_PERCENT,
};

struct manage_column {
	const char *title;
	const char *member; /* "a.b" */
	enum column_kind kind;
	/* NULL, or makes the cell itself. */
	void (*cell)(json_t *row, char *text, size_t size);
};

/* ---- Verbs ---- */

enum verb_answer {
	ANSWER_DONE, /* nothing to show but .done, or a job to wait for */
	ANSWER_LIST, /* a table of .columns from member .list */
	ANSWER_SHOW, /* one thing: lines of .columns */
};

struct manage_call;
struct manage_verb {
	const char *noun, *name;
	const char *operands; /* "VM", "VM CHECKPOINT", "[VM]", "VM..." (each one a request) */
	const char *summary;
	const char *method, *path;	     /* "/vms/{0}/start"; NULL: .run does it */
	const struct manage_option *options; /* until name NULL; may be NULL */
	enum verb_answer answer;
	const char *list;
	const struct manage_column *columns; /* until title NULL */
	const char *done;		     /* "{0} is running" */
	const char *operand_member
		[2];	   /* members that the first two operands become; NULL: they do not */
	const char *notes; /* more help */
	/* Instead of, or NULL; the exit status. */
	int (*run)(struct manage_call *c);
};

#define MANAGE_WHY_BYTES 2048u

/* One command line, understood. */
struct manage_call {
	const struct manage_verb *verb;
	const char *operands[MANAGE_OPERANDS_MAX];
	size_t operand_count;
	const char *values[MANAGE_OPTIONS_MAX]; /* of verb->options; NULL: not given */
	json_t *body;				/* NULL: no options given */
	char query[256];			/* "?subtree=1" or empty */
	bool json, no_wait, quiet, yes;
	char *why; /* MANAGE_WHY_BYTES for the reason of a failure, which is not said with quiet; NULL: nobody wants it */
	const char *shown_as; /* how messages call the command: "vm start", "Start-VM" */
};

/* The nouns: each a table until name NULL. verbs_vm.c, verbs_devices.c, verbs_host.c */
extern const struct manage_verb manage_vm_verbs[], manage_checkpoint_verbs[], manage_disk_verbs[],
	manage_dvd_verbs[], manage_adapter_verbs[], manage_host_verbs[], manage_job_verbs[],
	manage_event_verbs[], manage_role_verbs[], manage_audit_verbs[];

/* nouns.c */
/* The table of @noun; NULL: no such noun. */
const struct manage_verb *manage_noun(const char *noun);
const struct manage_verb *manage_verb_of(const char *noun, const char *name);

/* command.c */
/* `virid NOUN VERB ...`; argv[0] is the noun. */
int manage_command(int argc, char **argv);
/* The same without the noun's help: argv[0] is skipped, @v is known. */
int manage_verb_run(const struct manage_verb *v, const char *shown_as, int argc, char **argv);
/* How many operands: "VM CHECKPOINT" 2 to 2, "[VM]" 0 to 1, "VM..." 1 to many. */
void manage_count_operands(const char *text, size_t *ret_min, size_t *ret_max);
/* Value of an option that was given; NULL: it was not. */
const char *manage_value(const struct manage_call *c, const char *name);
/* Prints what is wrong and where help is; CLI_USAGE. */
__attribute__((format(printf, 2, 3))) int manage_usage(const struct manage_call *c, const char *fmt,
						       ...);

/* members.c: members of objects by paths such as "memory.startup_bytes" */
/* NULL: not there, or null. */
json_t *member_get(json_t *o, const char *path);
const char *member_text(json_t *o, const char *path); /* "" if it is no text */
/* Takes @value over; makes the objects on the way. */
void member_set(json_t *o, const char *path, json_t *value);

/* request.c */
/*
 * Sends a request and reads the answer. @path is under /api/v1. CLI_OK: *ret is the answer (NULL without one; the caller's); else the exit status, after a message
 * unless c->quiet (with --json the error object is on standard output).
 */
int manage_request(const struct manage_call *c, const char *method, const char *path, json_t *body,
		   json_t **ret);
/* As the verb says: path with operands, body, query. */
int manage_send(struct manage_call *c, size_t operand, json_t **ret);
/* @text with %XX for what cannot stand in a path; allocated. */
char *manage_escape(const char *text);
/* A fresh curl handle aimed at the service, for streams; *ret_base gets the URL up to /api/v1 (allocated). NULL after a message. */
void *manage_curl(const struct manage_call *c, char **ret_base);
/* Exit status for an error code of the API. */
int manage_status_of(const char *code);
/* Says why there is no service; MANAGE_UNREACHABLE. */
int manage_unreachable(const struct manage_call *c, const char *why);

/* wait.c */
/* Waits for @job (freed) with a progress bar. *ret_result (may be NULL): its result, the caller's. The exit status. */
int manage_wait(const struct manage_call *c, json_t *job, json_t **ret_result);

/* table.c */
void table_print(json_t *rows, const struct manage_column *columns);
void table_show(json_t *o, const struct manage_column *columns);
void table_cell(json_t *row, const struct manage_column *column, char *text, size_t size);

/* usual.c, for verbs with a run of their own: what happens without one. */
int manage_usual(struct manage_call *c);
/* Prints @o, as JSON. */
void manage_print(json_t *o);

/* options.c */
/* Takes @text as the value of the verb's option @i; false after a message. */
bool manage_option_apply(struct manage_call *c, size_t i, const char *text);
json_t *manage_body(struct manage_call *c); /* made when there is none */
/* Makes @value (taken over) a member of the request. False for NULL, which somebody complained about. */
bool manage_put(struct manage_call *c, const char *member, json_t *value);
/* @text for the service, which is JSON and so UTF-8; what is not would mean another name. NULL after a message. */
json_t *manage_text(const char *text);
/* @path as the service can find it. NULL after a message. */
json_t *manage_absolute(const char *path);

/* Verbs that are more than one request. */
int vm_show_run(struct manage_call *c); /* vm.c */
int vm_remove_run(struct manage_call *c);
int vm_stats_run(struct manage_call *c);
int vm_folder_run(struct manage_call *c);
int dvd_eject_run(struct manage_call *c);
int job_cancel_run(struct manage_call *c);
int role_grant_run(struct manage_call *c);
int role_revoke_run(struct manage_call *c);
int audit_list_run(struct manage_call *c);
int checkpoint_list_run(struct manage_call *c); /* checkpoint.c */
int checkpoint_rename_run(struct manage_call *c);
int vm_console_run(struct manage_call *c);  /* console.c */
int event_watch_run(struct manage_call *c); /* watch.c */

/* cmdlet.c */
/* True: @word is the name of a cmdlet. */
bool cmdlet_known(const char *word);
int cmdlet_command(int argc, char **argv);
void cmdlet_print_list(FILE *to);

/* complete.c */
int complete_command(int argc, char **argv);

/* menu.c */
int config_command(int argc, char **argv);

#endif
