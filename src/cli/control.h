/* SPDX-License-Identifier: Apache-2.0 */
/* Inside `virid control`: asking a running machine. */
#ifndef CLI_CONTROL_H
#define CLI_CONTROL_H

#include "launch/packet.h"

/* Sends @p to the machine and gets the answer's text. False: there was none, after a message. */
bool control_exchange(const char *socket_path, const struct packet *p, char *ret, size_t size);
/* A request that is answered with "ok" or a reason. The exit status; @name and @operand say what was asked. */
int control_ask(const char *socket_path, const char *name, const char *operand,
		const struct packet *p);

/* A connected socket, or -1 after a message. */
int control_connect(const char *socket_path);
/* The next packet of that connection as text. False: there is none, after a message. */
bool control_receive(int fd, const char *socket_path, char *ret, size_t size);

/* control_state.c: what the words behind the socket say, if they are about the machine as a whole; the exit status. False: they are not. */
bool control_state(const char *socket_path, int count, char **words, int *ret_status);
extern const char control_state_help[];
/* Its commands, NULL at the end. */
extern const char *const control_state_names[];

/*
 * control_checkpoint.c: makes the files of PLACE=NEWFILE operands, and adds what a worker wants to know of them. False: after a message, and nothing is left. Then
 * @used: the machine has them; else they are removed.
 */
bool control_checkpoint_begin(struct packet *p, char **operands, int count);
void control_checkpoint_end(struct packet *p, char **operands, int count, bool used);

/* control_console.c: a stream, whose second end is the machine's; and it with this terminal, until one of them has enough. */
bool control_console_pair(int ends[2]);
void control_console_show(int fd);

/* control_net.c: exit statuses */
int control_attach_net(const char *socket_path, char **operands);
int control_detach_net(const char *socket_path, char **operands);
int control_connect_net(const char *socket_path, char **operands);
int control_disconnect_net(const char *socket_path, char **operands);

#endif
