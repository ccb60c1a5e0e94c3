/* SPDX-License-Identifier: Apache-2.0 */
/* New cables for the worker of a VM when the switch process went away. Asking for them blocks, so it is done off the loop. Loop thread. */
#ifndef VMMS_KEEPER_H
#define VMMS_KEEPER_H

struct keeper;
struct loop;
struct tasks;

/* @fd: our end of the launcher's socket pair, taken over. NULL: no memory. */
struct keeper *keeper_create(struct loop *loop, struct tasks *tasks, int fd);
void keeper_destroy(struct keeper *k);

#endif
