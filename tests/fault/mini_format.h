/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small disk format with a block table, right or wrong in one of several ways, to see that the harness tells the difference.
 */
#ifndef FAULT_MINI_FORMAT_H
#define FAULT_MINI_FORMAT_H

#include "subject.h"

#define MINI_BYTES (UINT64_C(1) << 20)

/* subject.flags: the defect; 0: none. */
enum mini_defect {
	MINI_RIGHT,
	MINI_FLUSHES_NOTHING, /* a flush is answered at once */
	MINI_TABLE_WITHOUT_DATA, /* the table is written before the data, without a flush in between: reused blocks show old data */
	MINI_ONE_TABLE,	  /* the only copy of the table is written over */
	MINI_FORGETS_FUA, /* FUA writes data through, but not the table */
	MINI_NO_CHECKSUM, /* torn tables are believed */
};

extern const struct subject mini_right; /* its functions; copy and set flags */
/* Writes an empty one. */
int mini_create(const struct vhd_host *host, const char *path);

#endif
