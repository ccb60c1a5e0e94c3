/* SPDX-License-Identifier: Apache-2.0 */
/* What goes over the switch process's socket: one JSON object in one packet, descriptors beside it. Both sides use it. */
#ifndef VSWITCHD_MESSAGE_H
#define VSWITCHD_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json/json.h"

#define MESSAGE_BYTES_MAX ((size_t)64 << 10)
#define MESSAGE_LONG_MAX ((size_t)32 << 20)
#define MESSAGE_DESCRIPTORS 80u

struct message {
	json_t *body; /* an object */
	int fds[MESSAGE_DESCRIPTORS];
	unsigned fd_count;
};

/*
 * Sends @body with @fds (not closed). One that is too long for a packet travels in a memfd: {"long": bytes} and one more descriptor.
 * @flags: MSG_DONTWAIT or 0. -errno; -EMSGSIZE: too many descriptors, or longer than MESSAGE_LONG_MAX.
 */
int message_send(int socket, json_t *body, const int *fds, unsigned fd_count, int flags);

/*
 * 1: *ret is the caller's (message_drop). 0: the other side hung up. -errno of the socket. -EBADMSG: what came is no message, and *ret_why says
 * why; it is gone, and the connection can go on. @allow_long: take a long one; only from somebody who is trusted not to waste memory.
 */
int message_receive(int socket, int flags, bool allow_long, struct message *ret,
		    const char **ret_why);
/* Closes the descriptors that are still there (not -1). */
void message_drop(struct message *m);

/* As json_parse, at most 8 levels deep, and nobody asks why not. */
json_t *message_parse(const char *text, size_t bytes);

/* Writes why something is refused to @error; false, for `return refuse(...)`. */
__attribute__((format(printf, 3, 4))) bool refuse(char *error, size_t size, const char *fmt, ...);

#endif
