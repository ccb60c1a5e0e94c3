/* SPDX-License-Identifier: Apache-2.0 */
/* Processor models as people write them: MODEL[,-FEATURE...][,+FEATURE...] (virid(1), --cpu). */
#ifndef LAUNCH_CPU_H
#define LAUNCH_CPU_H

#include <stdbool.h>

#include "launch/error.h"

/*
 * @text, foreign, is such a wish, or empty: the usual one of the engine. Whether the host can grant it is for the worker to say. False: @error names the word that
 * is wrong, and what may have been meant.
 */
bool launch_cpu_valid(const char *text, struct launch_error *error);

#endif
