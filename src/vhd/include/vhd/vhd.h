/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual hard disks: VHD (fixed, dynamic, differencing) and VHDX (same), alone or in chains. An open disk is a block device
 * (vhd_block) that reads through its parents; everything else here is management: create, inspect, check, and long
 * operations done in steps.
 *
 * Threads: as storage/io.h. All files of a disk live on one context. Functions that are not the block device's submit wait for their
 * I/O (they turn the context) and are called at the top of the thread's loop; they may be used while guest requests are in flight unless said
 * otherwise.
 *
 * Errors: 0, a negative errno of the host, or a positive enum vhd_status when the file or the caller is wrong. Whatever is
 * not 0 is described in struct vhd_error.
 */
#ifndef VHD_VHD_H
#define VHD_VHD_H

#include "lib/guid.h"
#include "storage/block.h"

enum vhd_status {
	VHD_OK = 0,
	VHD_NOT_A_DISK,	      /* no signature of any format: C03A0015 */
	VHD_CORRUPT,	      /* a structure is damaged: C03A0003/0008/000A ... */
	VHD_UNSUPPORTED,      /* version, required unknown region or item, sector size: C03A0005 */
	VHD_TRUNCATED,	      /* the file is shorter than its structures say: C03A0013 */
	VHD_INCOMPLETE,	      /* its creation was never finished */
	VHD_PARENT_MISSING,   /* C03A000D */
	VHD_PARENT_MISMATCH,  /* identity: C03A000E */
	VHD_PARENT_SIZE,      /* size or sector size does not fit: C03A0017 */
	VHD_CHAIN_CYCLE,      /* C03A0018 */
	VHD_INVALID_ARGUMENT, /* what the caller asks cannot be: size, block size, type */
	VHD_WOULD_TRUNCATE,   /* shrinking would cut data off: C03A0025 */
	VHD_NOT_POSSIBLE,     /* not for this format or state: saved state, has no parent ... */
	VHD_IN_USE,	      /* somebody has the file open */
	VHD_MERGED, /* its contents went into its parent, which was written since: vhd_merge_live of the top */
};

/* Filled in by whatever fails. text: one line with file, structure, offset, found, expected, and what to do. */
struct vhd_error {
	char text[512];
};
/* What a person can do about a file that met @err (-errno): begins with "; ", or is empty. */
const char *vhd_advice(int err);

enum vhd_format {
	VHD_RAW,
	VHD_VHD_FIXED,
	VHD_VHD_DYNAMIC,
	VHD_VHD_DIFFERENCING,
	VHD_VHDX_FIXED,
	VHD_VHDX_DYNAMIC,
	VHD_VHDX_DIFFERENCING,
};
/* "raw", "vhd-fixed", ... as on the command line. */
const char *vhd_format_name(enum vhd_format format);
bool vhd_format_parse(const char *name, enum vhd_format *ret);

/* What the library needs from the program. */
struct vhd_host {
	struct io_context *context;
	/*
	 * Opens a file by path. -ENOENT and so on; VHD_IN_USE as a positive result when somebody has it locked. @create: must not
	 * exist, and need not be durable under this name: rename makes it so. Relative paths are relative to the process.
	 */
	int (*open)(void *ctx, const char *path, bool write, bool create,
		    struct storage_file **ret);
	/* Removes a file that the library itself created or replaced. */
	int (*remove)(void *ctx, const char *path);
	/* Gives @from the name @to, which nobody has (else -EEXIST), durably (directory flushed). */
	int (*rename)(void *ctx, const char *from, const char *to);
	/* True when both paths name the same file. */
	bool (*same_file)(void *ctx, const char *a, const char *b);
	/* An absolute path without links for @path; 0 or -errno. @size at least 4096. */
	int (*real_path)(void *ctx, const char *path, char *ret, size_t size);
	/* @bytes of good randomness. */
	void (*random)(void *ctx, void *buf, size_t bytes);
	/* Seconds since 1970. */
	int64_t (*now_s)(void *ctx);
	/*
	 * For vhd_merge_live (else NULL). claim opens for writing the file @path, which the caller has open for reading as @present, and which nobody
	 * else may have open (VHD_IN_USE). Both stay open; the lock goes over to *ret. unclaim: @f, open for either, is for reading only from
	 * now on, with a reader's lock; where the lock is with another handle, that one is closed before.
	 */
	int (*claim)(void *ctx, const char *path, struct storage_file *present,
		     struct storage_file **ret);
	void (*unclaim)(void *ctx, struct storage_file *f);
	void *ctx;
};

struct vhd_disk;

#define VHD_OPEN_WRITE 0x1u
#define VHD_OPEN_NO_PARENT                                                                         \
	0x2u /* do not open parents: for inspection and repair; the disk can then be read only where it has data */
#define VHD_OPEN_RAW 0x4u      /* the file is raw, whatever it contains */
#define VHD_OPEN_CHS_SIZE 0x8u /* a VHD's size is what its geometry says (Virtual PC), for import */

/*
 * Opens @path and its parents (read-only, of any depth, checked for identity and loops). The format is found by content; a file without
 * any known signature is VHD_NOT_A_DISK unless VHD_OPEN_RAW. A VHDX log is replayed: into the file with VHD_OPEN_WRITE, else in memory.
 */
int vhd_open(const struct vhd_host *host, const char *path, uint32_t flags, struct vhd_disk **ret,
	     struct vhd_error *error);
/* Writes everything out, marks the file clean, closes the chain. No request may be in flight. Result of the last flush. */
int vhd_close(struct vhd_disk *d);
/* The disk as a block device; its destroy is vhd_close. Belongs to @d. */
struct block_device *vhd_block(struct vhd_disk *d);

struct vhd_info {
	enum vhd_format format;
	uint64_t bytes;
	uint32_t sector_bytes;
	uint32_t physical_sector_bytes;
	uint64_t block_bytes;	  /* 0: raw, fixed VHD */
	uint64_t file_bytes;	  /* length of the file */
	uint64_t allocated_bytes; /* payload blocks in the file, in bytes */
	uint64_t minimum_bytes;	  /* the disk can shrink to this (last used block) */
	struct guid id;		  /* VHDX: page 83 id; VHD: unique id */
	struct guid linkage;	  /* VHDX: DataWriteGuid; VHD: unique id: what a child must name */
	bool has_parent;
	bool saved_state;      /* VHD */
	bool log_was_replayed; /* when it was opened */
	char creator[64];      /* UTF-8 */
	char path[4096];
	char parent_path[4096]; /* resolved if it was found, else as recorded; empty: no parent */
	struct guid parent_linkage;
};
void vhd_get_info(struct vhd_disk *d, struct vhd_info *ret);
/* As it was opened; a parent: where it was found. Owned by @d. */
const char *vhd_path(const struct vhd_disk *d);
/* @depth 0: @d itself, 1: its parent, ...; NULL: no further one. Owned by @d. */
struct vhd_disk *vhd_ancestor(struct vhd_disk *d, unsigned depth);

enum vhd_extent_kind {
	VHD_EXTENT_ABSENT, /* nobody in the chain has it: zeros */
	VHD_EXTENT_ZERO,   /* zeros by record (hides parents) */
	VHD_EXTENT_DATA,
};
struct vhd_extent {
	enum vhd_extent_kind kind;
	unsigned depth; /* which file of the chain */
	uint64_t bytes;
	uint64_t file_offset; /* VHD_EXTENT_DATA */
};
/* What the disk has at @offset, for at least one sector. Only this file when opened without parents. */
int vhd_map(struct vhd_disk *d, uint64_t offset, struct vhd_extent *ret, struct vhd_error *error);

struct vhd_create {
	enum vhd_format format;
	uint64_t bytes;			/* differencing: 0: the parent's */
	uint64_t block_bytes;		/* 0: the format's default */
	uint32_t sector_bytes;		/* VHDX: 512 or 4096; 0: 512 (differencing: the parent's) */
	uint32_t physical_sector_bytes; /* 0: 4096 */
	const char *
		parent; /* differencing: path of the parent as it is to be recorded (relative to the process here) */
	struct guid id; /* zero: random */
};
/*
 * Makes a new file; -EEXIST when there is one. It has its name only when it is complete, as with vhd_convert. Nothing is left behind on
 * failure. Durable when it returns 0.
 */
int vhd_create(const struct vhd_host *host, const char *path, const struct vhd_create *create,
	       struct vhd_error *error);

/* ---- A new top for a disk in use ---- */

/*
 * A checkpoint of the open, writable disk @parent, in three calls that wait. The first may take its time, with requests in flight: the file
 * @path, which exists and is empty, becomes a differencing child, durable but for its name, open for writing on @host and not joined yet.
 * Its format follows: VHDX on VHDX; VHD on VHD, and on a raw disk of at most 2040 GiB (larger ones, VHD_NOT_POSSIBLE, must be converted: no VHDX
 * can stand on them). On failure the file is the caller's to remove; vhd_close of @ret gives it up later.
 */
int vhd_branch_create(const struct vhd_host *host, const char *path, struct vhd_disk *parent,
		      struct vhd_disk **ret, struct vhd_error *error);
/*
 * No request in flight: from now on @child is the disk, and owns @parent, which is never written again. Everything that was written before is
 * durable. Not 0 (VHD_PARENT_MISMATCH: @parent was resized or merged since): nothing has happened.
 */
int vhd_branch_switch(struct vhd_disk *child, struct vhd_disk *parent, struct vhd_error *error);
/*
 * Before anything was written through the child, with no request in flight: the parent is the disk again, which is returned; the child is by
 * itself, for vhd_close.
 */
struct vhd_disk *vhd_branch_undo(struct vhd_disk *child);
/*
 * Some time after the switch, with requests in flight: brings the parent's file into order (it has no log to replay afterwards). What is not done
 * here is done when the chain is closed.
 */
int vhd_branch_finish(struct vhd_disk *child, struct vhd_error *error);

/* ---- Long operations, in steps ---- */

struct vhd_job;
struct vhd_progress {
	uint64_t done_bytes, total_bytes;
	const char *phase; /* constant text: "copying", "moving blocks" ... */
};
/*
 * Does a bounded piece of work (some requests). Returns 1: more to do; 0: finished, durable; else the error (then the job can only
 * be destroyed). Guest requests may be served between steps.
 */
int vhd_job_step(struct vhd_job *j, struct vhd_progress *ret_progress, struct vhd_error *error);
/* Ends the job wherever it is: what it made is removed, disks it worked on stay whole. */
void vhd_job_destroy(struct vhd_job *j);

/* New size of an open writable disk. Shrinking below vhd_info.minimum_bytes: VHD_WOULD_TRUNCATE. */
int vhd_resize(struct vhd_disk *d, uint64_t bytes, struct vhd_job **ret, struct vhd_error *error);
/* Frees blocks that are unused, trimmed or zero, moves the rest together and cuts the file. */
int vhd_compact(struct vhd_disk *d, struct vhd_job **ret, struct vhd_error *error);
/*
 * Copies what @source (open, may be a chain) shows into a new file. The file has its name only when it is complete: until then it
 * is called TARGET.part-XXXXXXXX and removed if the job ends early. -EEXIST when TARGET exists.
 */
int vhd_convert(const struct vhd_host *host, struct vhd_disk *source, const char *target,
		const struct vhd_create *create, struct vhd_job **ret, struct vhd_error *error);
/*
 * Writes the data of the files above ancestor @depth of @child into that ancestor, which is reopened for writing; children of the top
 * file see the same disk in the ancestor afterwards. @child is opened without write. The child's files stay; the caller removes them when
 * the job is done. Interrupted at any point the child still shows its contents, and the merge can be started again.
 */
int vhd_merge(const struct vhd_host *host, const char *child, unsigned depth, struct vhd_job **ret,
	      struct vhd_error *error);
/*
 * Merges files of a chain in use: those at @depth .. @depth + @count - 1 go into the one below them, while requests of the guest are served between
 * steps; what is above is connected to that one then. @depth 0: with the top itself, and what is written to it meanwhile; then the one below
 * becomes the disk.
 *
 * @host claims the files that are open for reading and have to be written: the one below, the lowest of those that go, and the one above them (the
 * last two unless they are the top). When the job is over, the files that went are closed and the caller's to remove; those that stay are for
 * reading only again. Until the job is destroyed nobody may do anything to the chain but use its block device.
 *
 * Interrupted at any point (a crash, a failure, vhd_job_destroy) the chain shows its contents, and the merge can be begun again, also by
 * vhd_merge and vhd_reconnect. With @depth 0 there is one moment from which on the old chain must not be used any more, as the guest writes
 * to the file below: then opening it is VHD_MERGED.
 *
 * A file that is merged into changes. Whatever else stands on it, differencing disks beside the chain, is destroyed: that there is nothing
 * is for the caller to know. A VHDX gets another identity, so that such disks are at least refused later; a VHD does not.
 */
int vhd_merge_live(struct vhd_disk *top, unsigned depth, unsigned count,
		   const struct vhd_host *host, struct vhd_job **ret, struct vhd_error *error);
/* The next step of a vhd_merge_live needs that no request is in flight in the chain: it takes as long as some flushes. */
bool vhd_merge_wants_quiet(struct vhd_job *j);
/* What was to happen has happened, durably: it makes no sense to give the job up, only to finish it. */
bool vhd_merge_is_decided(struct vhd_job *j);
/*
 * After each step: the disk that is the top instead of the one that the job began with; NULL: still that one. Its block device takes the
 * place of the old one before the next request; it is the caller's to close, the old one is not any more.
 */
struct vhd_disk *vhd_merge_top(struct vhd_job *j);
/* Records another place (and, with @force, identity) of the parent. With @force a file of no known format is one, too: a raw disk under a VHD. */
int vhd_reconnect(const struct vhd_host *host, const char *child, const char *parent, bool force,
		  struct vhd_error *error);

/* How the library sees which files lie in a directory. */
struct vhd_directory {
	/* Calls @entry with the name of each file in @path, until it returns false. 0 or -errno. */
	int (*list)(void *ctx, const char *path, bool (*entry)(void *entry_ctx, const char *name),
		    void *entry_ctx);
	void *ctx;
};
/*
 * Finds the differencing disks (.vhd, .avhd, .vhdx, .avhdx) in the directory of @path whose recorded parent is the file @path, and calls
 * @found with the path of each until it returns false. What is no disk, is damaged, or is in use is passed over: whoever has a child open
 * holds a lock on its parent too. To be asked before a disk is opened for writing. 0 or -errno.
 */
int vhd_find_children(const struct vhd_host *host, const char *path,
		      const struct vhd_directory *directory,
		      bool (*found)(void *ctx, const char *child), void *ctx,
		      struct vhd_error *error);

/* ---- Check and repair ---- */

enum vhd_finding_kind {
	VHD_FINDING_ERROR,   /* data is lost or may be wrong */
	VHD_FINDING_WARNING, /* harmless, or waste */
};
struct vhd_finding {
	enum vhd_finding_kind kind;
	bool repairable; /* without guessing */
	bool repaired;
	uint64_t file_offset;
	char text[400]; /* structure, found, expected, what repair does */
};
struct vhd_check {
	bool repair;
	void (*finding)(void *ctx, const struct vhd_finding *f); /* as they are found */
	void *ctx;
};
struct vhd_check_result {
	unsigned errors, warnings, repaired;
	uint64_t blocks_checked;
};
/*
 * Examines every structure of one file (not its parents, but that the parent is there and fits). Repair changes only what follows from
 * other structures of the file; what would be a guess is reported and left. 0 also when there are findings.
 */
int vhd_check(const struct vhd_host *host, const char *path, const struct vhd_check *check,
	      struct vhd_check_result *ret, struct vhd_error *error);

#endif
