/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VSWITCHD_START_H
#define VSWITCHD_START_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Starts the switch process in the background and waits until it serves, ended because another one does, or failed (false, @error). The
 * process belongs to init, holds nothing of the caller but its rights, and leaves no zombie.
 */
bool start_process(char *error, size_t size);

#endif
