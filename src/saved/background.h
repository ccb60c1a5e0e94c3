/* SPDX-License-Identifier: Apache-2.0 */
/* Work that a machine does not wait for. */
#ifndef SAVED_BACKGROUND_H
#define SAVED_BACKGROUND_H

#include <sys/resource.h>

/* What a person waits for, but after machines; and what is in nobody's way if it takes long. */
#define BACKGROUND_WRITER 5
#define BACKGROUND_LOADER 10

/* The calling thread leaves processors to those that machines run on; or stays as it is, if it does so already. */
static inline void background_enter(int niceness)
{
	setpriority(PRIO_PROCESS, 0, niceness);
}

#endif
