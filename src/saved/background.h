/* SPDX-License-Identifier: Apache-2.0 */
/* Work that a machine does not wait for. */
#ifndef SAVED_BACKGROUND_H
#define SAVED_BACKGROUND_H

#include <sys/resource.h>

#define BACKGROUND_NICENESS 5

/* The calling thread leaves processors to those that machines run on; or stays as it is, if it does so already. */
static inline void background_enter(void)
{
	setpriority(PRIO_PROCESS, 0, BACKGROUND_NICENESS);
}

#endif
