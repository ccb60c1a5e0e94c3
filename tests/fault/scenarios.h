/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAULT_SCENARIOS_H
#define FAULT_SCENARIOS_H

#include "scene.h"

struct scenario_list {
	const struct scenario *scenarios;
	size_t count;
};

/* Disks in use: writing, trimming, many openings. */
extern const struct scenario_list scenarios_use;
/* Making and changing disks: create, resize, compact, reconnect. */
extern const struct scenario_list scenarios_change;
/* Copying disks into others: merge, convert. */
extern const struct scenario_list scenarios_copy;
/* Disks that get a new top. */
extern const struct scenario_list scenarios_branch;
/* Disks in disorder: logs to replay, damage to repair. */
extern const struct scenario_list scenarios_recover;

#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1) << 20)

static inline bool is_differencing(enum vhd_format format)
{
	return format == VHD_VHD_DIFFERENCING || format == VHD_VHDX_DIFFERENCING;
}
/* An empty disk as scenario->create says, on a parent in use if it is to have one. */
void prepare_empty(struct scene *s);
/* The same, in use. */
void prepare_used(struct scene *s);
/* Three files deep, each in use. */
void prepare_chain(struct scene *s);
/* Steps to the end, with @guest at work in between; a failure ends the program. */
void run_job(struct scene *s, struct vhd_job *job, bool guest);

#endif
