/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A laboratory: named files in memory and the vhd_host that opens them. It writes down what is asked of them, lets requests finish
 * in any order, lets some of them fail, and watches for requests whose order nothing guarantees.
 */
#ifndef FAULT_RECORD_FILE_H
#define FAULT_RECORD_FILE_H

#include "dice.h"
#include "image.h"
#include "journal.h"
#include "vhd/vhd.h"

#define LAB_FILES 8

struct lab_file {
	char path[64]; /* empty: removed */
	struct image *image;
	unsigned readers, writers;
};

struct lab_request;

struct lab {
	struct io_context context;
	struct vhd_host host; /* paths are absolute, "/lab/..." */
	struct dice dice;
	struct journal *journal; /* NULL: nothing is written down */
	bool shuffle;		 /* requests finish later, in any order; else in turn */
	struct lab_file files[LAB_FILES];
	unsigned file_count;
	struct lab_request *held; /* submitted, not finished */
	/* Errors: the request or size call number fail_at (from 1; 0: none), and with fail_on all after it, answers fail_error. */
	uint64_t calls, fail_at;
	int fail_error;
	bool fail_on;
	uint64_t limit_bytes; /* of each file: -ENOSPC beyond; 0: none */
	char violation[256];  /* the first breach of the rules of I/O; empty: none */
};

void lab_init(struct lab *lab, uint64_t seed);
/* All files are closed. */
void lab_fini(struct lab *lab);
/* A file with this content, taken over. @path empty: one that was removed, to keep the numbers. */
void lab_add(struct lab *lab, const char *path, struct image *image);
/* Its number; -1: there is none. */
int lab_find(const struct lab *lab, const char *path);
/* A laboratory with copies of the files of @from. */
void lab_copy(struct lab *lab, struct lab *from, uint64_t seed);
/* Completes everything that is held. */
void lab_drain(struct lab *lab);

/* ---- Between lab.c and record_file.c ---- */

/* What the next request or call is to answer, when it is to fail; 0. */
int lab_next_error(struct lab *lab);
/* A handle of the file @number. */
struct storage_file *lab_open_file(struct lab *lab, unsigned number, bool write);
/* Which file such a handle is of. */
unsigned lab_file_number(struct storage_file *f);
/* The context's poll. */
void lab_poll(struct io_context *c, bool block, uint64_t timeout_ns);

#endif
