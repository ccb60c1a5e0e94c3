/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole disk, damaged: the input chooses one that the library has made itself, says which bytes of which structure are others, and which
 * checksums are made right again afterwards, so that every parser is reached. Then what is left is checked, used and repaired.
 */
#ifndef FUZZ_VHD_HOSTILE_H
#define FUZZ_VHD_HOSTILE_H

#include "test/input.h"
#include "testing.h"

#define HOSTILE_DISK "/disk"
#define HOSTILE_PARENT "/parent"

/* A part of the file that is worth changing. */
struct hostile_area {
	uint64_t offset; /* from the end when @from_end */
	uint32_t bytes;
	bool from_end;
};

struct hostile_format {
	/* Makes HOSTILE_DISK, and HOSTILE_PARENT if it needs one. */
	void (*make)(struct vhd_testing *t, unsigned kind);
	unsigned kinds; /* at most HOSTILE_KINDS_MAX */
	const struct hostile_area *areas;
	unsigned area_count;
	/* Makes the checksums of structures right whose bit is not set in @wrong. */
	void (*sum)(struct storage_file *f, uint8_t wrong);
};
#define HOSTILE_KINDS_MAX 4u

/* The disk of the input, damaged as it says. To be destroyed with vhd_testing_destroy. */
struct vhd_testing *hostile_make(const struct hostile_format *format, struct input *in);

struct hostile_verdict {
	int status; /* of vhd_check */
	unsigned errors, repairable;
};
struct hostile_verdict hostile_check(struct vhd_testing *t, bool repair);
/* Opens the disk; if that works, does with it what the input says, and closes it. The result of opening. */
int hostile_use(struct vhd_testing *t, bool write, struct input *in);

#endif
