/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block device: what a guest's disk is made of, and what filters stack on. Threads and completion as in io.h.
 */
#ifndef STORAGE_BLOCK_H
#define STORAGE_BLOCK_H

#include <stdatomic.h>

#include "lib/guid.h"
#include "storage/io.h"

struct block_info {
	uint64_t bytes;			/* a multiple of sector_bytes */
	uint32_t sector_bytes;		/* logical: 512, 2048 (DVD) or 4096 */
	uint32_t physical_sector_bytes; /* 512 or 4096 */
	bool read_only;
	bool discards;			    /* IO_DISCARD and IO_UNMAP free space */
	uint32_t discard_granularity_bytes; /* 0: unknown */
	bool discard_zeros; /* what was discarded in whole granules reads as zeros */
	bool rotational;
	struct guid id; /* stays with the disk (VPD page 83h); zero: none */
};

struct block_device;

struct block_listener {
	/* Size or read_only changed; @b's info is the new one. On the context's thread. */
	void (*changed)(struct block_listener *l, struct block_device *b);
};

struct block_ops {
	void (*submit)(struct block_device *b, struct io_request *r);
	/*
	 * Writes what is buffered (metadata of a virtual disk) to the file without waiting, soon. Called now and then, about once a
	 * second, while the device is idle or busy. May be NULL.
	 */
	void (*settle)(struct block_device *b);
	/* Frees the device and what it owns. No request may be in flight. */
	void (*destroy)(struct block_device *b);
	/* See block_filter_poll. NULL: nothing ever waits for a time. */
	uint64_t (*poll)(struct block_device *b);
	/*
	 * What lies at @offset (within the device) and how far it goes at least: 1 byte or more, within the device. Quick: no I/O beyond a
	 * file's own extent call. 0 or -errno. NULL: not known.
	 */
	int (*extent)(struct block_device *b, uint64_t offset, enum storage_extent *ret_what,
		      uint64_t *ret_bytes);
};

struct block_device {
	const struct block_ops *ops;
	struct io_context *context;
	const char *name; /* for messages; owned by the device */
	struct block_info info;
	struct block_listener *listener; /* NULL: nobody; set by the user of the device */
};

/*
 * The way in: checks what every device relies on, then forwards. Range outside the device, offset or bytes not whole sectors or a vector
 * shorter than bytes: -EINVAL; a write to a read-only device: -EROFS; bytes 0 of any data operation: success; IO_DISCARD
 * on a device that does not discard: success, nothing happens.
 */
void block_submit(struct block_device *b, struct io_request *r);
void block_settle(struct block_device *b);
/* Tells the listener. */
void block_changed(struct block_device *b);
void block_destroy(struct block_device *b);
/* As the operation. Data up to the end when the device cannot say. */
int block_extent(struct block_device *b, uint64_t offset, enum storage_extent *ret_what,
		 uint64_t *ret_bytes);

/* Waiting versions, as of files in io.h: not from a done function. 0 or -errno. */
int block_read(struct block_device *b, uint64_t offset, void *buf, size_t bytes);
int block_write(struct block_device *b, uint64_t offset, const void *buf, size_t bytes);
int block_flush(struct block_device *b);
int block_zero(struct block_device *b, uint64_t offset, uint64_t bytes, bool unmap);

/*
 * A raw file or host block device as a disk; sector size 512 or 4096 (2048: a DVD image). The size is rounded down to whole sectors.
 * Takes over @f, also on failure. -ENOMEM.
 */
int block_raw_create(struct storage_file *f, uint32_t sector_bytes, bool read_only,
		     struct block_device **ret);

/* Looks at the size of the file again and tells the listener when it changed. @raw from block_raw_create. 0 or -errno. */
int block_raw_refresh(struct block_device *raw);

/* ---- Filters: each takes over @below (also on failure) and shows a device of the same shape ---- */

/*
 * Writes go to @above, reads come from there where something was written since creation, else from @below, which is never written.
 * Takes over both. -EINVAL: @above is smaller, read-only or of another sector size; -ENOMEM.
 */
int block_cow_create(struct block_device *below, struct block_device *above,
		     struct block_device **ret);

struct block_error_rule {
	uint32_t ops;		/* mask of 1 << enum io_op */
	uint64_t offset, bytes; /* touching this range (a flush touches all); bytes 0: any */
	uint64_t after;		/* lets this many matching requests pass first */
	uint64_t count;		/* then fails this many; UINT64_MAX: all */
	int error;		/* -errno to answer with */
};
/* Copies the rules. */
int block_error_create(struct block_device *below, const struct block_error_rule *rules,
		       size_t count, struct block_device **ret);

struct block_clock {
	uint64_t (*now_ns)(void *ctx);
	void *ctx;
};
/*
 * Holds completions back until @delay_ns after submission. The owner turns the device with block_filter_poll; so does
 * everything that delays.
 */
int block_delay_create(struct block_device *below, uint64_t delay_ns,
		       const struct block_clock *clock, struct block_device **ret);

struct block_throttle {
	uint64_t
		max_iops; /* normalised: 8 KiB or part of it counts 1, as Hyper-V counts; 0: no limit */
	uint64_t max_bytes_per_s; /* 0: no limit */
	uint64_t burst_ns;	  /* how much unused allowance may be saved up; 0: 100 ms */
};
int block_throttle_create(struct block_device *below, const struct block_throttle *limits,
			  const struct block_clock *clock, struct block_device **ret);
/* Changes the limits of a running throttle. */
void block_throttle_set(struct block_device *throttle, const struct block_throttle *limits);

/* What a failed request says about the host: whether it makes sense to wait for somebody to help and try again. */
enum block_trouble {
	BLOCK_TROUBLE_NONE,  /* this request failed: a bad sector, a read-only disk ... */
	BLOCK_TROUBLE_SPACE, /* no space, or no quota of it */
	BLOCK_TROUBLE_GONE,  /* the device or the server under the file is not there */
};
/* @error: 0 or -errno. */
enum block_trouble block_trouble_of(int error);

struct block_hold {
	/* A request is held, the first since creation or block_hold_retry. On the context's thread, never from within a submit. */
	void (*trouble)(void *ctx, enum block_trouble trouble, int error);
	void *ctx;
};
/*
 * The joint between a disk's files and all above. Requests that meet trouble are not failed but held, until they are tried again or given
 * up. A gate keeps new ones back, and while nothing is in flight below, what is below may be exchanged.
 */
int block_hold_create(struct block_device *below, const struct block_hold *config,
		      struct block_device **ret);
/* Tries again what is held. */
void block_hold_retry(struct block_device *hold);
/* @give_up: what is held fails, and what meets trouble from now on does; else it will be held again. */
void block_hold_give_up(struct block_device *hold, bool give_up);
/* How many requests are held for trouble, or under way once more. 0: it is over. */
unsigned block_hold_count(struct block_device *hold);
/* Closed: requests that come wait. Opening lets them go. */
void block_hold_gate(struct block_device *hold, bool closed);
/* Nothing is in flight below. */
bool block_hold_idle(struct block_device *hold);
/* Nothing is in flight below: @below takes the place of what is there, which stays the caller's. Tells the listener if the shape differs. */
void block_hold_exchange(struct block_device *hold, struct block_device *below);

struct block_log {
	void (*line)(void *ctx, const char *text);
	void *ctx;
};
/* One line per finished request: op, offset, bytes, flags, result. */
int block_log_create(struct block_device *below, const struct block_log *log,
		     struct block_device **ret);

/* What a device was asked for since the counters were zero. Written by the device's thread, read by any. Bytes and requests are of those that went well. */
struct block_counters {
	_Atomic uint64_t reads, writes, flushes, unmaps; /* unmaps: also of zeros */
	_Atomic uint64_t read_bytes, write_bytes;
	_Atomic uint64_t normalized; /* reads and writes, each 8 KiB or part of them counts 1 */
	_Atomic uint64_t errors;
	_Atomic uint64_t latency_ns; /* sum over all that were answered */
	_Atomic uint64_t queue;	     /* submitted and not answered yet */
};
/* Counts in @counters; they and @clock outlive the device. */
int block_count_create(struct block_device *below, const struct block_clock *clock,
		       struct block_counters *counters, struct block_device **ret);

/*
 * Releases what is due of a delay or throttle filter (others: nothing). Returns in how many nanoseconds it wants to be called again;
 * UINT64_MAX: not before the next submit.
 */
uint64_t block_filter_poll(struct block_device *b);

#endif
