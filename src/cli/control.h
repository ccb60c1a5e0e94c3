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

/* control_net.c: exit statuses */
int control_attach_net(const char *socket_path, char **operands);
int control_detach_net(const char *socket_path, char **operands);
int control_connect_net(const char *socket_path, char **operands);
int control_disconnect_net(const char *socket_path, char **operands);

#endif
