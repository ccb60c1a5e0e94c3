/* SPDX-License-Identifier: Apache-2.0 */
/* Talking to a worker on its control socket (Decision: docs/design/0006-saved-state.md), without waiting. Loop thread. */
#ifndef VMMS_LINK_H
#define VMMS_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "launch/packet.h"

struct link;
struct loop;

/* @folder has the socket "control". NULL: no memory. */
struct link *link_create(struct loop *loop, const char *folder);
/* Requests on their way are answered with NULL, from within. */
void link_destroy(struct link *l);

/* @answer: the worker's text; NULL: it was gone before it answered. */
typedef void link_answered(void *ctx, const char *answer);
/* Sends @p (malloced, taken over, with its descriptors: packet_copy_fd); @answered (may be NULL) once, later. */
void link_ask(struct link *l, struct packet *p, link_answered *answered, void *ctx);
/* The same for a list of words, NULL at its end, and a descriptor that is taken over (-1: none). */
void link_ask_list(struct link *l, link_answered *answered, void *ctx, int fd,
		   const char *const *words);
#define link_ask_words(l, answered, ctx, fd, ...)                                                  \
	link_ask_list(l, answered, ctx, fd, (const char *const[]){__VA_ARGS__})
/* From now on each event of the worker. @name and the lines of @text ("key=value\n...") are its own. */
void link_watch(struct link *l, void (*event)(void *ctx, const char *name, const char *text),
		void *ctx);

/* Did the worker do it? */
bool link_is_ok(const char *answer);
/* The value of @key in lines "key=value"; false: not there, or too long. */
bool link_value(const char *text, const char *key, char *ret, size_t size);
unsigned long long link_number(const char *text, const char *key);

#endif
