/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved states of VMs: one file with memory and device state (Decision: docs/design/0006-saved-state.md, README for the format).
 *
 * Errors: 0, a negative errno of the host, or a positive enum saved_status when the file is wrong; saved_error says what, where, found, expected.
 */
#ifndef SAVED_SAVED_H
#define SAVED_SAVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAVED_CHUNK_BYTES 65536u

enum saved_status {
	SAVED_OK = 0,
	SAVED_NOT_ONE,	   /* no signature, or never finished */
	SAVED_CORRUPT,	   /* a checksum or a structure is wrong */
	SAVED_TRUNCATED,   /* shorter than its index says */
	SAVED_UNSUPPORTED, /* written by a newer version */
};

struct saved_error {
	char text[400];
};

/* What is to be saved; all of it the caller's. */
struct saved_image {
	const void *memory;
	uint64_t memory_bytes; /* a multiple of 4 KiB */
	const void *devices;   /* records, lib/state.h */
	size_t device_bytes;
	bool awaited; /* the machine stands still until it is written: who writes it steps back for nobody */
};

/* ---- Writing: works inside the worker's sandbox ---- */

struct saved_job;
/*
 * Catches @image by a copy of the process: when this returns, the caller may change memory and devices again. Up to @processes (1..16) child processes write @fd,
 * an empty file opened for writing. The file is the caller's and stays open until saved_job_destroy. All memory has to be there (no
 * lazy loading under way), and nobody may write to it during the call. Other threads may hold any lock. The children die with the calling thread.
 * 0 or -errno: nothing was started.
 */
int saved_start(int fd, const struct saved_image *image, unsigned processes,
		struct saved_job **ret);
/* Readable when the job has ended; valid until saved_job_destroy. Who wants to show progress asks saved_job_poll now and then. */
int saved_job_fd(const struct saved_job *j);
/*
 * 1: goes on; 0: complete and durable (the file; not its name); else -errno with @error filled: the file is no saved state and should be removed. @ret_done of @ret_total bytes of memory
 * are through.
 */
int saved_job_poll(struct saved_job *j, uint64_t *ret_done, uint64_t *ret_total,
		   struct saved_error *error);
/* Also ends a job that goes on, as soon as a write that the host is at returns; no process is left behind. */
void saved_job_destroy(struct saved_job *j);

/* ---- Reading ---- */

struct saved_file;
/* Checks header, index and device state of @fd (the caller's, stays open until saved_close). */
int saved_open(int fd, struct saved_file **ret, struct saved_error *error);
void saved_close(struct saved_file *f);
uint64_t saved_memory_bytes(const struct saved_file *f);
const void *saved_devices(const struct saved_file *f, size_t *ret_bytes);
/* Bytes of memory that are in the file at all (not zero). */
uint64_t saved_data_bytes(const struct saved_file *f);
/* Loads everything into @ram (zeroed, saved_memory_bytes), on the calling thread and @threads - 1 of its own (in a sandbox: 1 in all). Blocks. */
int saved_load(struct saved_file *f, void *ram, unsigned threads, struct saved_error *error);

/* ---- Lazy loading ---- */

struct saved_lazy;
/*
 * Lets @ram (private anonymous, page-aligned, untouched, saved_memory_bytes) be loaded as it is touched, and all the rest in the background by @threads. One more answers faults. Threads are made
 * here: before the sandbox. -ENOSYS, -EPERM: this host cannot; use saved_load. @ended comes once, from any thread and perhaps before this returns, when all is there,
 * or with the error when the file is damaged or cannot be read: then threads that touch what is missing hang until saved_lazy_destroy, which
 * gives them zeros. Nothing of this may be called in @ended. The file stays open until saved_lazy_destroy.
 * Meanwhile memory may be discarded (it is then zeros, or what was saved where that had not come yet) but not caught by saved_start: saved_lazy_finish first.
 */
struct saved_lazy_events {
	void (*ended)(void *ctx, int result, const struct saved_error *error);
	void *ctx;
};
int saved_lazy_start(struct saved_file *f, void *ram, unsigned threads,
		     const struct saved_lazy_events *events, struct saved_lazy **ret);
/* For whoever hands guest memory to the kernel: makes it present. Cheap once all is loaded. NULL: nothing to do. Any thread. */
void saved_lazy_touch(struct saved_lazy *l, const void *start, size_t bytes);
/* Waits until everything is loaded, and `ended` has returned. 0 or the error. */
int saved_lazy_finish(struct saved_lazy *l, struct saved_error *error);
/* Ends loading wherever it is: what is missing becomes zeros. */
void saved_lazy_destroy(struct saved_lazy *l);

#endif
