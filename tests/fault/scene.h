/* SPDX-License-Identifier: Apache-2.0 */
/* A scenario on stage: prepared, played while everything is written down, then cut at every event. */
#ifndef FAULT_SCENE_H
#define FAULT_SCENE_H

#include "guest.h"
#include "replay.h"
#include "subject.h"
#include "verify.h"

struct scene;

struct scenario {
	const char *name;
	const struct subject *subject;
	void (*prepare)(struct scene *s); /* not recorded */
	void (*act)(struct scene *s);
	/* Judges the files after a cut. 0; or not, and why. */
	int (*verify)(struct scene *s, const struct replay *r, struct lab *lab, uint64_t turn,
		      char *ret_why, size_t size);
	struct vhd_create create; /* of the disk */
	uint64_t largest_bytes;	  /* it will ever have; 0: create.bytes */
	enum vhd_format copy;	  /* what it is converted to */
	struct guest_mix mix;
	unsigned ops;	/* of the guest, in act */
	unsigned depth; /* at once; 0: 4 */
	unsigned every; /* one place in so many is cut; 0: each */
};

struct scene {
	const struct scenario *scenario;
	struct dice dice;
	struct lab lab, before;
	struct history history;
	struct journal journal;
	struct model model;
	struct guest guest;
	struct vhd_disk *disk; /* while open */
	struct subject_disk opened;
};

struct scene_options {
	uint64_t seed;
	unsigned variants;     /* of each place */
	unsigned every;	       /* times the scenario's */
	const char *dump;      /* where files of a failing cut go; NULL: nowhere */
	unsigned max_failures; /* then the scene ends */
	bool quiet;	       /* failures are expected */
};
struct scene_result {
	uint64_t cuts, events, failures;
};

void scene_run(const struct scenario *scenario, const struct scene_options *options,
	       struct scene_result *ret);

/* ---- For scenarios. Whatever fails on stage ends the program. ---- */

#define DISK "/lab/disk.vhdx"
#define BASE "/lab/base.vhdx"
#define MIDDLE "/lab/middle.vhdx" /* between the two, if it is there */

/* Opens the subject at @path and seats the guest at it. */
void scene_open(struct scene *s, const char *path);
/* Until the guest is done; what has finished is promised then. */
void scene_close(struct scene *s);
void scene_event(struct scene *s, enum event_kind kind, uint64_t bytes_or_mark);
/* vhd_create of scenario->create, changed by @format and @parent. */
void scene_create(struct scene *s, const char *path, enum vhd_format format, const char *parent);
/* @ops of the guest's mix on the disk at @path. */
void scene_use(struct scene *s, const char *path, const struct guest_mix *mix, unsigned ops);
/* The usual verdict: verify_disk of DISK. */
int scene_verify(struct scene *s, const struct replay *r, struct lab *lab, uint64_t turn,
		 char *ret_why, size_t size);
_Noreturn void scene_fail(const struct scene *s, const char *what, const char *why);

#endif
