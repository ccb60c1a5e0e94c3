/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which engine machines get that leave it to the service ("auto"): what src/engines measures, kept in memory and on disk, looked at anew when
 * the device comes or goes. Measuring takes half a second and more and is done on threads; nothing on the loop thread waits for it.
 */
#ifndef VMMS_ENGINE_GUIDE_H
#define VMMS_ENGINE_GUIDE_H

#include <stdbool.h>

#include "engines/engines.h"
#include "launch/error.h"

struct engine_guide;
struct tasks;

/* @device: KVM's, such as ENGINES_KVM_DEVICE; @folder: where the report is kept when this user has no home. Both are copied. */
struct engine_guide *engine_guide_create(const char *device, const char *folder);
/* No thread may use it any more. */
void engine_guide_destroy(struct engine_guide *g);

/* Measures in the background, unless that goes on. Loop thread. */
void engine_guide_begin(struct engine_guide *g, struct tasks *tasks);
/* The choice, as far as it is known; false: it is being measured, and is begun if need be. Loop thread; does not wait. */
bool engine_guide_peek(struct engine_guide *g, struct tasks *tasks,
		       struct engines_choice *ret_choice);
/* The choice. Any thread but the loop's: measures, or waits for who does. */
void engine_guide_choose(struct engine_guide *g, struct engines_choice *ret_choice);

/* KVM's device for a machine whose configuration asks for KVM; -1: @error says what to do. Any thread. */
int engine_guide_open(const struct engine_guide *g, struct launch_error *error);

#endif
