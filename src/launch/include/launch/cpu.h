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

/*
 * Why a machine with this wish, which goes on from the state @state_fd (-1: none), belongs on the software engine whatever the host's KVM can do; NULL: it does
 * not. For who chooses an engine by what suits: a guest that was told that its processor does not speculate leaves out what it needs on one that does.
 */
const char *launch_cpu_emu_reason(const char *text, int state_fd);

#endif
