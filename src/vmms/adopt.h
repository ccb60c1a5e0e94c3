/* SPDX-License-Identifier: Apache-2.0 */
/* Finding workers again after the service was killed. Loop thread, once, before anybody asks for anything. */
#ifndef VMMS_ADOPT_H
#define VMMS_ADOPT_H

#include <stdbool.h>

struct vmms;

/*
 * For each VM whose state.json names a worker: takes it up again, or finds out how it ended. @first: since the machine started no service has run, so
 * there can be none.
 */
void adopt_all(struct vmms *v, bool first);

#endif
