/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An open VHDX file.
 *
 * How it stays whole. All metadata (BAT, sector bitmaps, items, region tables) is changed in memory, in cached 4 KiB pages, and
 * reaches the file only in commit cycles (vhdx_commit.c): snapshot the dirty pages, write them as one log entry, flush, answer the
 * flushes that waited, write the pages in place. Three rules make every instant safe to lose power in:
 *
 *  1. One cycle is one log entry, so whatever is changed without waiting in between becomes durable together or not at all.
 *  2. Space that is handed out (vhdx_space.c) is known to read as zeros, durably: beyond the old end of the file, or
 *     punched out and flushed. So an allocated block may be committed before its data has been written: until then it shows zeros, or with all
 *     bits of the sector bitmap clear the parent, as before.
 *  3. A change that would expose data too early (a bit of a sector bitmap, the new place of a moved block) is made after that data was
 *     written and carries the number of the file flush that must have completed before it may be logged (data_flush).
 *
 * Space that a change frees is used again only after that change is durable, after every request that may still be using the old
 * place is done (epochs), and, when the log may hold a copy of what was there, after the log has moved past it.
 *
 * Concurrency: one thread. Nothing in flight holds on to a place across a wait: whoever waits starts over with a new look-up. Data transfers in
 * flight count in an epoch.
 */
#ifndef VHD_VHDX_H
#define VHD_VHDX_H

#include "format.h"
#include "lib/check.h"
#include "vhdx_format.h"

struct vhdx;

/* Results of what may have to wait, beside 0 and -errno: the waiter was queued and will be woken. */
#define VHDX_WAIT 1

/* Somebody who goes on later. Woken once, with 0 (start over) or -errno. */
struct vhdx_waiter {
	struct vhdx_waiter *next;
	void (*wake)(struct vhdx_waiter *w, int result);
};
struct vhdx_waiters {
	struct vhdx_waiter *first;
};
void vhdx_wait_on(struct vhdx_waiters *q, struct vhdx_waiter *w);
/* Wakes those who wait now, in order. */
void vhdx_wake_all(struct vhdx_waiters *q, int result);

/*
 * For functions that wait: do { rc = f(..., vhdx_sync_begin(&s)); } while (vhdx_sync_again(v, &s, &rc));
 */
struct vhdx_sync {
	struct vhdx_waiter w;
	bool woken;
	int result;
};
struct vhdx_waiter *vhdx_sync_begin(struct vhdx_sync *s);
bool vhdx_sync_again(struct vhdx *v, struct vhdx_sync *s, int *rc);

/* Our own request to the file. */
struct vhdx_io {
	struct io_request r;
	struct io_vec vec;
	struct vhdx *v;
	void (*then)(struct vhdx_io *io, int result);
	uint64_t flush;	     /* of a flush: its number */
	uint64_t size_bytes; /* of a flush: how long the file was */
};
void vhdx_io_write(struct vhdx *v, struct vhdx_io *io, uint64_t offset, void *buf, size_t bytes,
		   void (*then)(struct vhdx_io *io, int result));
void vhdx_io_read(struct vhdx *v, struct vhdx_io *io, uint64_t offset, void *buf, size_t bytes,
		  void (*then)(struct vhdx_io *io, int result));
void vhdx_io_zero(struct vhdx *v, struct vhdx_io *io, uint64_t offset, uint64_t bytes,
		  void (*then)(struct vhdx_io *io, int result));
/* Numbered: whatever was written when v->flush_started was n is stable when v->flush_completed is above n. */
void vhdx_io_flush(struct vhdx *v, struct vhdx_io *io,
		   void (*then)(struct vhdx_io *io, int result));

/* ---- Metadata pages (vhdx_meta.c) ---- */

struct vhdx_page {
	struct vhdx_page *hash_next;
	struct vhdx_page *newer,
		*older;	     /* in the cache's order of use, or in its list of dirty pages */
	uint64_t offset;     /* in the file */
	uint8_t *data;	     /* VHDX_PAGE bytes */
	uint64_t data_flush; /* may be logged when this file flush has completed */
	bool loading;
	bool dirty;		     /* changed since the last snapshot */
	bool logged;		     /* a snapshot is on its way into its place */
	struct vhdx_waiters waiters; /* while loading */
	struct vhdx_io io;
};

struct vhdx_pages {
	struct vhdx_page *newest, *oldest; /* ends of a list */
	size_t count;
};

struct vhdx_cache {
	struct vhdx_page **buckets;
	size_t bucket_count; /* power of two */
	size_t count, limit; /* pages; the limit is exceeded while all are needed */
	struct vhdx_pages clean;
	struct vhdx_pages dirty;
};

int vhdx_cache_init(struct vhdx_cache *c, size_t limit);
/* No page is loading or being written. */
void vhdx_cache_fini(struct vhdx_cache *c);
/*
 * The page at @offset (aligned). 0: here it is, until control returns to the loop; VHDX_WAIT: @w will be woken when it is there,
 * or with -errno; -ENOMEM.
 */
int vhdx_page_get(struct vhdx *v, uint64_t offset, struct vhdx_waiter *w, struct vhdx_page **ret);
/* The same, turning the context until it is there. */
int vhdx_page_get_sync(struct vhdx *v, uint64_t offset, struct vhdx_page **ret);
/* A page of space that is known to be zeros. 0 or -ENOMEM. */
int vhdx_page_get_zero(struct vhdx *v, uint64_t offset, struct vhdx_page **ret);
/* If it is in memory and complete, else NULL. */
struct vhdx_page *vhdx_page_peek(struct vhdx *v, uint64_t offset);
/* It was changed, or is about to be before control returns to the loop. @data_flush: see struct vhdx_page; 0: at once. */
void vhdx_page_dirty(struct vhdx *v, struct vhdx_page *p, uint64_t data_flush);
/* The page is in the running cycle's entry as it is now. */
void vhdx_page_snapshot(struct vhdx *v, struct vhdx_page *p);
/* The end of that: it was written to its place, or (false) that failed. */
void vhdx_page_written(struct vhdx *v, struct vhdx_page *p, bool in_place);
/* Forgets the clean pages in the range. Dirty ones and such on their way become clean first: the caller has committed. */
void vhdx_pages_forget(struct vhdx *v, const struct vhdx_extent *range);

/* ---- Headers (vhdx_header.c) ---- */

#define VHDX_CHANGE_FILE 0x1u /* new FileWriteGuid */
#define VHDX_CHANGE_DATA 0x2u /* new DataWriteGuid */
#define VHDX_CHANGE_LOG 0x4u  /* LogGuid becomes @log */

struct vhdx_header_change {
	struct vhdx_header_change *next;
	unsigned what;
	struct guid data; /* VHDX_CHANGE_DATA: zero: random */
	struct guid log;
	void (*then)(struct vhdx_header_change *c, int result);
	struct vhdx *v;
};
/* Carries out @c after those before it: durable when @then is called. */
void vhdx_header_change(struct vhdx *v, struct vhdx_header_change *c);
/* The same, waiting. */
int vhdx_header_change_sync(struct vhdx *v, unsigned what, const struct guid *data,
			    const struct guid *log);
/*
 * Before the first change of this open: gives the file new GUIDs. @what VHDX_CHANGE_FILE or _DATA. 0: done; VHDX_WAIT: @w is woken;
 * -errno.
 */
int vhdx_session_start(struct vhdx *v, unsigned what, struct vhdx_waiter *w);
int vhdx_session_start_sync(struct vhdx *v, unsigned what);

/* ---- Commit (vhdx_commit.c, vhdx_log_write.c) ---- */

struct vhdx_log {
	struct guid guid;
	bool published;	      /* the header in the file names it */
	uint32_t head;	      /* where the next entry goes */
	uint32_t tail;	      /* oldest entry that replay needs; head: none */
	uint32_t entry;	      /* the last entry that was written */
	uint32_t entry_bytes; /* 0: the cycle has none */
	uint64_t sequence;    /* of the next entry */
};

struct vhdx_commit {
	bool running;
	bool again;		 /* somebody wants one more cycle */
	uint64_t cycle;		 /* number of the running or last cycle */
	uint64_t durable;	 /* the last one whose log entry is durable */
	struct io_request *next; /* flushes that the next cycle answers, in order */
	struct io_request **next_tail;
	struct io_request *now;	  /* those of the running one */
	struct vhdx_waiters room; /* for more dirty pages */
	bool hold;		  /* no cycle begins */
	unsigned page_max;	  /* pages of one cycle */
	unsigned page_count;	  /* of the running one */
	struct vhdx_page **pages; /* sorted by offset */
	uint8_t *buffer;	  /* the entry: head, then a page for each page */
	struct vhdx_io *ios;	  /* page_max */
	unsigned pending;
	int result;
	struct vhdx_io io;
	struct vhdx_header_change publish;
};

int vhdx_commit_init(struct vhdx *v);
void vhdx_commit_fini(struct vhdx *v);
/* Answers @r when everything that has completed by now is on stable storage. */
void vhdx_commit_flush(struct vhdx *v, struct io_request *r);
/* Starts a cycle if there is anything to write; asks for one more if one is running. */
void vhdx_commit_start(struct vhdx *v);
/* True: @pages more pages may become dirty, now. Else @w is woken when it makes sense to ask again. */
bool vhdx_commit_room(struct vhdx *v, unsigned pages, struct vhdx_waiter *w);
/* A guest's flush, waiting. */
int vhdx_commit_sync(struct vhdx *v);
/* Waits until no cycle is running, and lets none begin until the release. */
void vhdx_commit_hold(struct vhdx *v);
void vhdx_commit_release(struct vhdx *v);
/* With commits held and nothing dirty: the header names no log afterwards. The next cycle begins a new one. 0 or -errno. */
int vhdx_log_close(struct vhdx *v);
/* A flush of the file, waiting. */
int vhdx_flush_sync(struct vhdx *v);
/* Writing has failed for good: everything that would write fails from now on. */
void vhdx_broken(struct vhdx *v, int error);

/* Builds the log entry of the snapshot in v->commit and says where it goes. */
void vhdx_log_build(struct vhdx *v);
/* Makes the pages in the buffer what they were before vhdx_log_build. */
void vhdx_log_restore(struct vhdx *v);

/* ---- Space (vhdx_space.c) ---- */

struct vhdx_freed {
	struct vhdx_freed *next;
	struct vhdx_extent x;
	uint64_t cycle; /* in which the change that freed it is committed */
	uint64_t epoch;
	bool metadata;	/* the log may hold copies of it */
	uint64_t flush; /* punched: clean when this flush has completed */
	struct vhdx_io io;
};

/* Bit for each unit: something is there. */
struct vhdx_used_map {
	uint64_t *bits;
	uint64_t units;
	bool check_overlap;
};

struct vhdx_space {
	uint64_t end;		/* nothing in use lies beyond */
	uint64_t file_bytes;	/* length of the file; from end to here it is zeros */
	uint64_t durable_bytes; /* of it, length on stable storage */
	uint64_t *clean;	/* bit for each unit below end: free, zeros, durably */
	size_t clean_words;
	uint64_t clean_units;	  /* how many are set */
	uint64_t clean_from;	  /* none is set below */
	uint64_t failed_units;	  /* no run of this many units is clean; UINT64_MAX: not known */
	struct vhdx_freed *freed; /* in order; not punched yet */
	struct vhdx_freed **freed_tail, *last_freed; /* last_freed: valid while there is one */
	struct vhdx_freed *punched;		     /* waiting for a flush */
	struct vhdx_freed **punched_tail;
	unsigned punching;
	struct vhdx_used_map *used; /* somebody is looking for gaps */
	bool suspect; /* the BAT contradicts itself: space that is freed may be somebody else's, and is left alone */
};

void vhdx_space_init(struct vhdx *v, uint64_t file_bytes);
void vhdx_space_fini(struct vhdx *v);
/* @bytes (whole units) that read as zeros, below @limit (UINT64_MAX: anywhere, growing the file). -ENOSPC and so on. */
int vhdx_space_alloc(struct vhdx *v, uint64_t bytes, uint64_t limit, uint64_t *ret_offset);
/* The change that frees the space has just been made in memory. @metadata: pages of it may be in the log. -ENOMEM: it leaks. */
void vhdx_space_free(struct vhdx *v, uint64_t offset, uint64_t bytes, bool metadata);
/* Something happened that space may have waited for. */
void vhdx_space_progress(struct vhdx *v);
/* Waits until everything that was freed is clean. 0 or -errno. */
int vhdx_space_settle(struct vhdx *v);
/* Cuts the file behind the last used unit. The header names no log, or no entry names more. 0 or -errno. */
int vhdx_space_cut(struct vhdx *v);

/* An entry of the BAT that cannot be, or not beside another one. */
struct vhdx_contradiction {
	enum { VHDX_NO_CONTRADICTION, VHDX_IMPOSSIBLE, VHDX_OVERLAPS, VHDX_HAS_NO_BITMAP } what;
	uint64_t index, entry;
};
/*
 * Finds the space that nothing uses, and frees it (vhdx_gaps.c). Waits. @opening: nobody else is at work; blocks in the same place are noticed,
 * too. A BAT that contradicts itself is told, and nothing is ever freed then. 0 or -errno.
 */
int vhdx_gaps_find(struct vhdx *v, bool opening, struct vhdx_contradiction *ret);
/* Space was taken or freed. */
void vhdx_used_mark(struct vhdx *v, uint64_t offset, uint64_t bytes);

/* ---- BAT (vhdx_bat.c) ---- */

/* Where a block is. */
struct vhdx_place {
	enum vhdx_state state;
	uint64_t offset; /* FULLY_PRESENT, PARTIALLY_PRESENT */
};

/* 0, VHDX_WAIT, -ENODATA: the entry is impossible, -errno. @ret_page may be NULL. */
int vhdx_bat_get(struct vhdx *v, uint64_t block, struct vhdx_waiter *w, struct vhdx_place *ret,
		 struct vhdx_page **ret_page);
int vhdx_bat_get_bitmap(struct vhdx *v, uint64_t chunk, struct vhdx_waiter *w,
			struct vhdx_place *ret, struct vhdx_page **ret_page);
/* @page is that of the block's entry and may become dirty. */
void vhdx_bat_set(struct vhdx *v, uint64_t block, struct vhdx_page *page, enum vhdx_state state,
		  uint64_t offset, uint64_t data_flush);
void vhdx_bat_set_bitmap(struct vhdx *v, uint64_t chunk, struct vhdx_page *page,
			 enum vhdx_state state, uint64_t offset);
/* Checks an entry of the BAT. @bitmap: of a bitmap block. 0 or -ENODATA. */
int vhdx_entry_decode(const struct vhdx *v, uint64_t entry, bool bitmap, struct vhdx_place *ret);
static inline uint64_t vhdx_entry_page(const struct vhdx *v, uint64_t index);

/*
 * Gives the block a place: FULLY_PRESENT with zeros, or in a differencing disk where the parent shows through PARTIALLY_PRESENT with nothing
 * of its own. 0: done, look it up again; VHDX_WAIT; -errno.
 */
int vhdx_block_allocate(struct vhdx *v, uint64_t block, struct vhdx_waiter *w);

/*
 * Walks the BAT (vhdx_scan.c) without filling the cache; waits. Calls @fn for each entry that is not 0, in order, until it returns not
 * 0, and returns that; or -errno. @fn must not wait.
 */
int vhdx_scan(struct vhdx *v, int (*fn)(void *ctx, uint64_t index, uint64_t entry), void *ctx);

/* What is wrong with an entry. VHD_CORRUPT. */
int vhdx_refuse_entry(const struct vhdx *v, const struct vhdx_contradiction *c,
		      struct vhd_error *error);

/* The file has nothing in the range, and reads as zeros there. */
bool vhdx_is_hole(struct vhdx *v, uint64_t offset, uint64_t bytes);

/* ---- Sector bitmaps (vhdx_bitmap.c) ---- */

/* Sectors of one block. */
struct vhdx_sectors {
	uint64_t block;
	uint64_t first, count; /* within the block */
};
/* Whether the first of the sectors is in this file, and how many after it are as well (or not either). The block is PARTIALLY_PRESENT. */
int vhdx_bitmap_run(struct vhdx *v, const struct vhdx_sectors *s, struct vhdx_waiter *w,
		    bool *ret_here, uint64_t *ret_count);
/*
 * Before a block becomes PARTIALLY_PRESENT: loads its bits in the bitmap block at @bitmap and counts the pages that vhdx_bitmap_clear will
 * make dirty. 0, VHDX_WAIT, -errno.
 */
int vhdx_bitmap_load(struct vhdx *v, uint64_t block, uint64_t bitmap, struct vhdx_waiter *w,
		     unsigned *ret_dirty);
void vhdx_bitmap_clear(struct vhdx *v, uint64_t block, uint64_t bitmap);
/*
 * The sectors, now written at @place, are in this file from now on; when that are all of the block it becomes FULLY_PRESENT. Nothing happens when the
 * block is not PARTIALLY_PRESENT at @place any more. @data_flush: see struct vhdx_page.
 */
int vhdx_bitmap_mark(struct vhdx *v, const struct vhdx_sectors *s, uint64_t place,
		     uint64_t data_flush, struct vhdx_waiter *w);

/* ---- Requests (vhdx_request.c, vhdx_read.c, vhdx_write.c, vhdx_trim.c) ---- */

/* One transfer of a request. */
struct vhdx_part {
	struct io_request io;
	struct vhdx_op *op;
	struct vhdx_part *next; /* free ones */
	uint64_t epoch;
	bool marks; /* when it is written, the sectors are ours */
	struct vhdx_sectors sectors;
	uint64_t place;
	uint64_t data_flush;
	struct vhdx_waiter wait;
};

/* A guest's request being carried out. */
struct vhdx_op {
	struct vhdx *v;
	struct vhdx_op *next; /* free ones */
	struct io_request *guest;
	uint64_t at;	  /* how much has been handed on */
	unsigned pending; /* parts on their way, and 1 until all has been handed on */
	int result;
	uint64_t limit; /* size of the disk when it came */
	bool unsafe;	/* FUA, and not everything went to the file with FUA */
	bool own_part_used;
	struct vhdx_waiter wait;
	struct vhdx_part own_part; /* most requests need just one */
};

struct vhdx_flow {
	struct vhdx_op *free_ops;
	struct vhdx_part *free_parts;
	unsigned free_count;
	uint64_t epoch;
	uint64_t in_epoch[2]; /* transfers that began in an even and an odd epoch */
	bool gate;	      /* nothing new begins */
	struct vhdx_waiters gated;
	uint64_t frozen; /* nothing new is written to this block; UINT64_MAX: none */
	struct vhdx_waiters frozen_waiters;
};

void vhdx_flow_init(struct vhdx *v);
void vhdx_flow_fini(struct vhdx *v);
void vhdx_submit(struct block_device *b, struct io_request *r);
/* What is left of the request, handed on piece by piece. Each: 0 and *ret_bytes > 0 done or on its way, VHDX_WAIT, -errno. */
int vhdx_read_piece(struct vhdx_op *op, uint64_t *ret_bytes);
int vhdx_write_piece(struct vhdx_op *op, uint64_t *ret_bytes);
int vhdx_trim_piece(struct vhdx_op *op, uint64_t *ret_bytes);
/* A transfer for the @bytes next to be handed on; its io is that slice of the guest's request, at its offset of the disk. NULL: no memory. */
struct vhdx_part *vhdx_part_create(struct vhdx_op *op, uint64_t bytes);
/* Off it goes, to @offset of the file. */
void vhdx_part_submit(struct vhdx_part *part, uint64_t offset);
/* Off it goes, to the parent. */
void vhdx_part_submit_parent(struct vhdx_part *part);
/* How much of what is left of @op, from @offset of the disk at @place of the file, lies in one piece there. */
uint64_t vhdx_run_bytes(struct vhdx_op *op, uint64_t offset, uint64_t place);
/* True: everybody who was transferring in @epoch or before is done. */
bool vhdx_epoch_passed(struct vhdx *v, uint64_t epoch);
/* Waits for that. */
void vhdx_epoch_wait(struct vhdx *v, uint64_t epoch);
/* Stops the guest's requests, and waits for those on their way. */
void vhdx_gate_close(struct vhdx *v);
void vhdx_gate_open(struct vhdx *v);
void vhdx_freeze(struct vhdx *v, uint64_t block);
void vhdx_thaw(struct vhdx *v);

/* ---- All of it ---- */

struct vhdx {
	struct vhd_layer layer;
	struct vhdx_shape shape;
	struct vhdx_layout layout;
	struct vhdx_items items;
	bool writable;
	bool replayed;
	bool crc_instruction;
	int error; /* writing has failed */
	char creator[64];

	struct vhdx_header header; /* the current one */
	unsigned header_slot;
	struct vhdx_header_change *changes; /* first: under way */
	uint8_t *header_page;
	bool header_again; /* the change under way is in one slot and goes to the other, too */
	struct vhdx_io header_io;
	unsigned session; /* VHDX_CHANGE_*: done in this open */
	bool session_busy;
	struct vhdx_header_change session_change;
	struct vhdx_waiters session_waiters;

	uint64_t flush_started, flush_completed;
	struct vhdx_cache cache;
	struct vhdx_log log;
	struct vhdx_commit commit;
	struct vhdx_space space;
	struct vhdx_flow flow;
	struct vhdx_compact *compact; /* NULL: none under way */
};

static inline struct vhdx *vhdx_from_layer(struct vhd_layer *l)
{
	return container_of(l, struct vhdx, layer);
}
static inline struct vhdx *vhdx_from_block(struct block_device *b)
{
	return container_of(b, struct vhdx, layer.block);
}
static inline uint64_t vhdx_entry_page(const struct vhdx *v, uint64_t index)
{
	return v->layout.bat.offset + align_down(index * 8, VHDX_PAGE);
}
/* One turn of the context while a waiting function waits. */
void vhdx_turn(struct vhdx *v);

/* Reads all that is to be known before the first request; replays the log. @flags VHD_OPEN_*. */
int vhdx_load(struct vhdx *v, uint32_t flags, struct vhd_error *error);

/* ---- Operations of the format ---- */

int vhdx_open(const struct vhd_host *host, struct storage_file *f, uint32_t flags,
	      struct vhd_layer **ret, struct vhd_error *error);
int vhdx_close(struct vhd_layer *l);
int vhdx_create(const struct vhd_host *host, struct storage_file *f,
		const struct vhd_create *create, const struct vhd_locator *locator,
		struct vhd_error *error);
int vhdx_locator(struct vhd_layer *l, struct vhd_locator *ret, struct vhd_error *error);
int vhdx_set_locator(struct vhd_layer *l, const struct vhd_locator *locator,
		     struct vhd_error *error);
void vhdx_info(struct vhd_layer *l, struct vhd_info *info);
void vhdx_usage(struct vhd_layer *l, struct vhd_info *info);
int vhdx_settle_linkage(struct vhd_layer *l, struct vhd_error *error);
int vhdx_freeze_file(struct vhd_layer *l, struct vhd_error *error);
int vhdx_map(struct vhd_layer *l, uint64_t offset, struct vhd_local_extent *ret,
	     struct vhd_error *error);
int vhdx_resize(struct vhd_layer *l, uint64_t bytes, struct vhd_error *error);
int vhdx_compact_step(struct vhd_layer *l, struct vhd_progress *ret_progress,
		      struct vhd_error *error);
void vhdx_compact_end(struct vhdx *v);
int vhdx_new_linkage(struct vhd_layer *l, const struct guid *linkage, struct vhd_error *error);
/* Fills in layer.block.info. */
void vhdx_block_info(struct vhdx *v);

/* ---- Changes of items and tables (vhdx_items_change.c) ---- */

struct vhdx_change {
	uint64_t offset; /* in the file */
	const void *value;
	size_t bytes;
};
/* Makes all of them in one commit cycle to come. Waits for room and pages. -EFBIG: too much for one. */
int vhdx_change(struct vhdx *v, const struct vhdx_change *changes, unsigned count);
int vhdx_set_disk_bytes(struct vhdx *v, uint64_t bytes);

/* ---- The parent locator (vhdx_locator.c) ---- */

/* Decision: what we write is at most this long, and so fits into one commit cycle. */
#define VHDX_LOCATOR_ITEM_MAX (64 * 1024u)
/* 0, VHD_CORRUPT, VHD_UNSUPPORTED. */
int vhdx_locator_parse(const uint8_t *item, size_t bytes, const char *file, struct vhd_locator *ret,
		       struct vhd_error *error);
/*
 * Makes the item; keys of @old (may be NULL) that we do not know are kept. *ret is malloc'd. 0, -ENOMEM, VHD_INVALID_ARGUMENT: not UTF-8, or too
 * long.
 */
int vhdx_locator_build(const struct vhd_locator *locator, const uint8_t *old, size_t old_bytes,
		       uint8_t **ret, size_t *ret_bytes);

#endif
