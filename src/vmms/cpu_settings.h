/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration says about the host's processors. No state; any thread. */
#ifndef VMMS_CPU_SETTINGS_H
#define VMMS_CPU_SETTINGS_H

#include <jansson.h>

#include "hostcpu/shares.h"
#include "schema.h"

#define CPU_LIST_TEXT_MAX 1000 /* of a list in a configuration */

struct cpu_settings {
	struct hostcpu_claim claim; /* .set: the affinity */
	struct hostcpu_set nodes;   /* empty: any */
};

/* "0-3,8", or "" */
bool cpu_list_is_valid(const char *text);
/* What the members have to do with each other, and the processor model. */
bool cpu_settings_check(const json_t *config, struct schema_error *error);
/* Of a configuration that was checked; members that it lacks are as by default. */
void cpu_settings_read(const json_t *config, struct cpu_settings *ret);
/* Weight, reserve and limit are all as by default. */
bool cpu_settings_are_usual(const struct cpu_settings *s);

#endif
