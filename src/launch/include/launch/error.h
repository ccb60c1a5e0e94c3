/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_ERROR_H
#define LAUNCH_ERROR_H

#include <stdbool.h>

/* Why something could not be had: one sentence that names it, what was found, and what was expected. */
struct launch_error {
	char text[1200];
};

/* Returns false, for `return launch_refuse(...)`. */
__attribute__((format(printf, 2, 3))) bool launch_refuse(struct launch_error *error,
							 const char *fmt, ...);

#endif
