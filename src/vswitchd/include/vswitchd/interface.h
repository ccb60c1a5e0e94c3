/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the host interfaces of a switch, by somebody who may: root, or who has CAP_NET_ADMIN (TAP) or CAP_NET_RAW (packet sockets). The
 * switch process gets the descriptors and needs no rights of its own.
 */
#ifndef VSWITCHD_INTERFACE_H
#define VSWITCHD_INTERFACE_H

#include "vswitchd/config.h"

/*
 * Opens what @c names, one descriptor for each interface in order. An internal switch's TAP is made, set up and given its address. An external
 * switch's interfaces must exist when @must_exist; else the switch waits for them. False: nothing is open, @error says what to do.
 */
bool interface_open_all(const struct switch_config *c, bool must_exist, int *ret_fds, char *error,
			size_t size);

#endif
