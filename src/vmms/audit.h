/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who did what, or tried to: one JSON object a line, only ever added to.
 *
 *	{"time": "2026-11-21T19:20:00.123Z", "who": "alice", "what": "POST /vms/ID/start", "vm": ID or null, "result": "started", ...}
 *
 * result: "done", "started" (with "job"), "denied", "refused" or "failed" (with "code" and "message"). What can be written at once is written at
 * once, flushed once, off the loop thread. At AUDIT_BYTES_MAX the file becomes audit.log.1, that one audit.log.2, and so on; the last one goes.
 */
#ifndef VMMS_AUDIT_H
#define VMMS_AUDIT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define AUDIT_BYTES_MAX ((uint64_t)16 << 20)
#define AUDIT_OLD_FILES 9u
#define AUDIT_LINE_BYTES_MAX 8192u
#define AUDIT_ANSWER_MAX 1000u
#define AUDIT_DENIED_BURST 100u /* at once, and one more each second */

struct audit;
struct tasks;

/* @tasks: NULL: everything at once, within the call. -errno with a sentence in @error. */
int audit_create(const char *path, struct tasks *tasks, struct audit **ret, char *error,
		 size_t size);
/* The tasks have ended. Writes what is left. */
void audit_destroy(struct audit *a);

/* @vm: NULL: none. @extra (taken over, may be NULL) goes behind the rest. Loop thread; @a may be NULL. */
void audit_note(struct audit *a, const char *who, const char *what, const char *vm,
		const char *result, json_t *extra);
/* The same for "denied". Who has no rights must not be able to push the rest out of the log: of many such lines only some are written, "left_out" says how many not. */
void audit_note_denied(struct audit *a, const char *who, const char *what, const char *vm,
		       json_t *extra);
/* Lines that could not be written since the start; the reason goes to the log. */
uint64_t audit_lost(const struct audit *a);

struct audit_query {
	char since[32], until[32]; /* the beginning of a time; empty: any */
	char vm[40], who[64];	   /* empty: any */
	unsigned limit;		   /* 1 to AUDIT_ANSWER_MAX */
};
/*
 * Looks for the newest entries that fit among all that were noted before, and calls @done from the loop with {"entries": [oldest first], "truncated": whether there are older
 * ones} (its own from then on).
 */
void audit_read(struct audit *a, const struct audit_query *q,
		void (*done)(void *ctx, json_t *answer), void *ctx);

#endif
