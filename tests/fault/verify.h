/* SPDX-License-Identifier: Apache-2.0 */
/* Is what a power cut left a whole disk that keeps its promises? */
#ifndef FAULT_VERIFY_H
#define FAULT_VERIFY_H

#include "model.h"
#include "record_file.h"
#include "subject.h"

struct verify {
	const struct subject *subject;
	const char *path;      /* of the disk */
	const char *others[3]; /* further files of its chain; NULL: no more */
	const struct model *model;
	uint64_t turn; /* chooses what is tried besides opening, reading and checking */
};

/*
 * The disk in @lab opens for writing, has an allowed size and allowed contents, closes, and its files check clean. In some turns first: is
 * checked or read without being written to; its opening is cut once more; afterwards: is used again. 0; or not, and @ret_why.
 */
int verify_disk(const struct verify *v, struct lab *lab, char *ret_why, size_t size);
/* Only the reading: an open disk shows what is allowed. */
int verify_contents(const struct verify *v, struct block_device *block, char *ret_why, size_t size);
/* Opens read-only, reads, closes. */
int verify_read_only(const struct verify *v, struct lab *lab, char *ret_why, size_t size);

#endif
