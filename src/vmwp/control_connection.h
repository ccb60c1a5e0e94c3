/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside control*.c: one asker, and the words that it can say. Each file of words has a table that control.c knows. Loop thread, except where
 * noted.
 */
#ifndef VMWP_CONTROL_CONNECTION_H
#define VMWP_CONTROL_CONNECTION_H

#include "backend/backend.h"
#include "control.h"
#include "packet.h"
#include "storage.h"
#include "worker.h"

#define CONTROL_PACKET_BYTES ((size_t)64 << 10)
#define CONTROL_ANSWER_BYTES ((size_t)60 << 10)

/* An asker has at most one request on its way. */
struct connection {
	struct control *control;
	struct worker *worker;
	int fd;
	bool busy;    /* its request is with somebody else, who answers */
	bool hung_up; /* the asker is gone, or cut off; freed when not busy */
	bool watches; /* events go there */

	/* control_disk.c */
	struct storage_request request;
	struct storage_config parsed; /* what the request's options say */
	struct backend_handed *files;

	/* control_checkpoint.c */
	int state_fd;
	char why[700];

	bool plain;			   /* the answer is this text alone, without "ok" */
	char answer[CONTROL_ANSWER_BYTES]; /* lines */
	size_t answer_bytes;
	struct connection *next; /* of all */
	struct connection
		*answered; /* next of those that the loop thread has something to do for */
	void (*then)(struct connection *c); /* that; NULL: the request is done */
	char packet[CONTROL_PACKET_BYTES];
};

/* What follows the word: options with a NUL at the end of each; and descriptors. */
struct control_request {
	char *options;
	char *end;
	const int *fds;
	size_t fd_count;
};

struct control_word {
	const char *word; /* NULL: end of the table */
	unsigned fds;	  /* how many descriptors it takes; CONTROL_ANY_FDS: it looks itself */
	/* True: done or on its way (c->busy); descriptors are somebody's. False, after control_refuse: they are closed. */
	bool (*run)(struct connection *c, const struct control_request *q);
};
#define CONTROL_ANY_FDS (~0u)

extern const struct control_word control_checkpoint_words[];
extern const struct control_word control_disk_words[];
extern const struct control_word control_net_words[];
extern const struct control_word control_ic_words[];
extern const struct control_word control_copy_words[];
extern const struct control_word control_ip_words[];
extern const struct control_word control_state_words[];

/* The answer is @text instead of "ok". */
void control_answer(struct connection *c, const char *text);
/* The answer is @why; returns false. */
bool control_refuse(struct connection *c, const char *why);
/* The answer's next line, without newline. */
__attribute__((format(printf, 2, 3))) void control_say(struct connection *c, const char *fmt, ...);
/* True, or after control_refuse false: a machine that stands still cannot do that. */
bool control_running(struct connection *c);
/* The option after @at (NULL: the first); NULL: none. */
char *control_option(const struct control_request *q, char *at);
/* Is @word among the options? */
bool control_has(const struct control_request *q, const char *word);

/* The loop thread calls @fn soon; @c stays busy. Any thread. */
void control_later(struct connection *c, void (*fn)(struct connection *c));
/* A busy connection's request is done; @why NULL: well. Any thread. */
void control_done(struct connection *c, const char *why);

/* control_disk.c: what a request's options left behind. */
void control_disk_forget(struct connection *c);

#endif
