/* SPDX-License-Identifier: Apache-2.0 */
/* What happened, in order: requests to files and their completions, what a guest was told, and where a scenario was. */
#ifndef FAULT_JOURNAL_H
#define FAULT_JOURNAL_H

#include <stddef.h>

#include "storage/io.h"

enum event_kind {
	EVENT_CREATE,	    /* @file, the next number, came into being, durably */
	EVENT_NAME,	    /* @file has another name, durably; empty: it was removed */
	EVENT_SUBMIT,	    /* a request to @file */
	EVENT_DONE,	    /* it succeeded; @ref: its EVENT_SUBMIT */
	EVENT_SIZE,	    /* @file was set to @bytes */
	EVENT_GUEST_SUBMIT, /* @ref: the guest's operation, see model.h */
	EVENT_GUEST_DONE,
	EVENT_GUEST_SETTLED, /* the disk was closed: what has finished is promised */
	EVENT_RESIZING,	     /* the disk may be @bytes long from now on */
	EVENT_RESIZED,	     /* and now it is */
	EVENT_MARK,	     /* @ref: what the scenario wants to know about */
};

struct event {
	enum event_kind kind;
	unsigned file;
	uint32_t ref;
	enum io_op op;
	uint32_t flags;
	uint64_t offset, bytes;
	uint8_t *data; /* of a write; EVENT_CREATE, EVENT_NAME: the path */
};

struct journal {
	struct event *events;
	uint32_t count, room;
};

/* Takes over event->data. Returns its number. */
uint32_t journal_add(struct journal *j, const struct event *event);
void journal_clear(struct journal *j);

#endif
