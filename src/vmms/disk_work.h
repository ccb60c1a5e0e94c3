/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done with files of virtual disks, as `virid disk` does it: plain values in and out, for a thread that may block. Nothing half-made is left; what a crash
 * interrupts stays whole (src/vhd).
 */
#ifndef VMMS_DISK_WORK_H
#define VMMS_DISK_WORK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "call.h"
#include "vhd/vhd.h"

#define DISK_WORK_CHAIN_MAX 256u

struct job;

enum disk_work_kind {
	DISK_WORK_INFO,
	DISK_WORK_CREATE,
	DISK_WORK_RESIZE,
	DISK_WORK_COMPACT,
	DISK_WORK_CONVERT,
	DISK_WORK_MERGE,
};

struct disk_work {
	enum disk_work_kind kind;
	char *path;		  /* the disk; CREATE: the new one */
	char *target;		  /* CONVERT: the new disk */
	char *parent;		  /* CREATE: of a differencing disk; NULL: none */
	bool raw;		  /* the file is a raw image, whatever is in it */
	struct vhd_create create; /* CREATE, CONVERT; without its texts */
	uint64_t bytes;		  /* RESIZE */
	unsigned depth;		  /* MERGE: into which ancestor, 1: the parent */
	struct job *job;	  /* learns how far it is, and may be cancelled; NULL: none */
	/* Out. */
	bool cancelled;
	bool failed;
	enum api_error error; /* when it failed */
	char text[1024];
	json_t *result; /* {"disk": what it is now}; INFO: and "chain" */
};

void disk_work_run(struct disk_work *w);
void disk_work_fini(struct disk_work *w);
/* The format that a file's name asks for (".vhdx" ...); false: none. */
bool disk_format_of_name(const char *path, enum vhd_format *ret);
/* One file of a chain, for the API. */
json_t *disk_info_json(const struct vhd_info *info);

#endif
