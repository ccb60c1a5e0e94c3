/* SPDX-License-Identifier: Apache-2.0 */
/* Where the switch process of this user listens, and what is around. */
#ifndef VSWITCHD_PATHS_H
#define VSWITCHD_PATHS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The socket, as client.h says. @make: makes its folder, and refuses one in /tmp that is not ours alone. False: @error says why.
 */
bool paths_socket(bool make, char *ret, size_t ret_size, char *error, size_t size);
/* Makes the folders above @path, with mode 0700 for an ordinary user and 0755 for root. */
bool paths_make_above(const char *path, char *error, size_t size);
/* The switch program: beside this one, or where it was installed. */
void paths_program(char *ret, size_t ret_size);

#endif
