/* SPDX-License-Identifier: Apache-2.0 */
/* Inside `virid engine`. */
#ifndef CLI_ENGINE_H
#define CLI_ENGINE_H

#include <stdbool.h>

/* Models and features, and what the engines have of them; @device is KVM's. */
void engine_cpus_print(const char *device, bool json);

#endif
