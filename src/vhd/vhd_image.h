/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An open dynamic or differencing VHD.
 *
 * The format has no log, so its order of writes is its safety. What a guest writes goes to its place at once; the metadata that makes it
 * reachable (BAT entries, bits of sector bitmaps, the footer at the end) changes in memory and is written by a commit
 * (vhd_commit.c), one for many changes:
 *
 *	1. the footer behind all blocks that were allocated	   (the old one has been overwritten by them)
 *	2. flush: now data, fresh bitmaps and footer are durable
 *	3. BAT sectors and bitmap sectors, as they were in memory when the commit began
 *	4. flush
 *
 * A cut before 2 may lose the footer at the end; the copy at 0 stands in for it, and nothing refers to what lies beyond the known
 * blocks. A cut between 2 and 4 leaves some sectors of the tables old and some new, each entry of which is good: a block that is named has
 * been zeros or data since 2, a bit that is set has its data since 2. Tables are written in whole 512-byte sectors,
 * which disks do not tear.
 */
#ifndef VHD_VHD_IMAGE_H
#define VHD_VHD_IMAGE_H

#include "format.h"
#include "vhd_layout.h"

struct vhd_image;
struct vhd_place;

#define VHD_PAGE_BYTES 4096u
#define VHD_PAGE_ENTRIES (VHD_PAGE_BYTES / 4)
#define VHD_PAGE_BITS (VHD_PAGE_BYTES * 8)
#define VHD_PAGE_BUCKETS 8192u
#define VHD_CACHE_BYTES (16u << 20)
#define VHD_DIRTY_SOFT 256u  /* dirty pages: a commit begins by itself */
#define VHD_DIRTY_HARD 1024u /* writes that need more wait for it */
#define VHD_ALIGN 4096u /* of the data of blocks that we place: pages of the host are not split */
#define VHD_ALIGN_FROM                                                                             \
	(64u << 10) /* block size; smaller ones are not worth the space that aligning costs */

/* ---- Guest requests ---- */

/* A guest request under way. Whoever makes it wait has it in one queue. */
struct vhd_op {
	struct vhd_op *next;
	struct vhd_image *v;
	struct io_request *guest;
	uint64_t at; /* how much of it has been dealt out */
	unsigned outstanding;
	int result;
	bool waiting;
	bool throttled; /* waiting for its own children */
};

struct vhd_queue {
	struct vhd_op *head;
	struct vhd_op **tail;
};

/* A piece of an op that the file or the parent carries out. */
struct vhd_child {
	struct io_request r;
	struct vhd_op *op;
	struct vhd_alloc *alloc; /* writes the first data of this block */
	struct vhd_page *bitmap; /* pinned: where bits are set when it is done; NULL: none to set */
	uint32_t bit, bits;
	struct vhd_child *next_free;
};

extern const struct block_ops vhd_image_block_ops;
void vhd_queue_init(struct vhd_queue *q);
/* Frees what is kept for reuse. */
void vhd_ops_free(struct vhd_image *v);
/* Fails @op; false, for steps. */
bool vhd_op_fail(struct vhd_op *op, int err);
/* Makes @op wait in @q. */
void vhd_op_park(struct vhd_op *op, struct vhd_queue *q);
/* Goes on with everything in @q; @error: fails it instead. */
void vhd_queue_wake(struct vhd_queue *q, int error);
/* A piece [op->at, op->at + bytes) at @offset of the file. NULL: no memory, op->result says so. */
struct vhd_child *vhd_child_create(struct vhd_op *op, enum io_op what, uint64_t bytes,
				   uint64_t offset);
/* Sends it off to the file; op->at moves on. */
void vhd_child_submit(struct vhd_child *c);
/* The same to the parent. */
void vhd_child_submit_parent(struct vhd_child *c);
/* The end of a child: its op goes on or finishes. */
void vhd_child_finish(struct vhd_child *c, int result);

/* ---- Metadata pages (vhd_page.c) ---- */

enum vhd_page_kind {
	VHD_PAGE_BAT,
	VHD_PAGE_BITMAP,
};

/* A piece of the BAT or of a block's bitmap, cached. */
struct vhd_page {
	struct vhd_page *hash_next;
	struct vhd_page *newer, *older; /* all pages, by use */
	struct vhd_page *dirty_next;
	struct vhd_page *commit_next;
	struct vhd_image *v;
	uint64_t offset; /* in the file: its key */
	uint32_t bytes;
	enum vhd_page_kind kind;
	bool ready;
	uint8_t dirty;	 /* mask of 512-byte sectors that differ from the file */
	uint8_t writing; /* the same: being written by a commit */
	unsigned pins;
	uint8_t *shadow; /* what a commit writes */
	struct vhd_queue waiting;
	struct io_request r;
	struct io_vec vec;
	uint8_t data[];
};

/*
 * The page at @offset. False: @op waits for it, or has failed (op->result). The page stays valid until the context is turned, longer only if
 * it is pinned.
 */
bool vhd_page_get(struct vhd_op *op, enum vhd_page_kind kind, uint64_t offset, uint32_t bytes,
		  struct vhd_page **ret);
/* The page if it is in memory, else NULL. */
struct vhd_page *vhd_page_find(struct vhd_image *v, uint64_t offset);
/* A page whose contents are known, unless it is there: all bytes @fill, or a copy of @data. NULL: no memory. */
struct vhd_page *vhd_page_insert(struct vhd_image *v, enum vhd_page_kind kind, uint64_t offset,
				 uint32_t bytes, const uint8_t *data, uint8_t fill);
static inline void vhd_page_pin(struct vhd_page *p)
{
	p->pins++;
}
static inline void vhd_page_unpin(struct vhd_page *p)
{
	p->pins--;
}
/* Makes sure that the page can be changed and written later without fail. False: no memory. */
bool vhd_page_prepare(struct vhd_page *p);
/* Byte @at of a prepared page was changed. */
void vhd_page_mark(struct vhd_page *p, uint32_t at);
/* Forgets what lies in a range of the file; nothing there may be pinned or dirty. */
void vhd_page_drop(struct vhd_image *v, uint64_t offset, uint64_t bytes);
void vhd_page_drop_all(struct vhd_image *v);

/* ---- Blocks ---- */

/* A block being allocated: its head (bitmap) and its first data are on their way. */
struct vhd_alloc {
	struct vhd_alloc *next;
	struct vhd_image *v;
	uint64_t block;
	uint64_t slot;		       /* where its space begins */
	uint64_t position;	       /* of its bitmap */
	struct vhd_page *bat, *bitmap; /* pinned */
	unsigned outstanding;
	int head_result;
	bool reused; /* its space may hold something */
	struct vhd_child *data;
	int data_result;
	struct vhd_queue waiting;
	struct io_request r;
	struct io_vec vec;
};

struct vhd_commit {
	bool running;
	bool footer_in_flight; /* its place must not be taken now */
	unsigned outstanding;
	int result;
	struct vhd_page *pages; /* snapshots to write, by commit_next */
	struct io_request *now, *next,
		**next_tail; /* flushes that this one, the next one completes */
	struct io_request r;
	struct io_vec vec;
	uint8_t footer[VHD_FOOTER_BYTES];
};

struct vhd_compaction;

struct vhd_image {
	struct vhd_layer layer;
	struct vhd_footer footer;
	struct vhd_header header;
	bool differencing;
	uint32_t block_bytes;
	uint32_t block_shift;
	uint32_t bitmap_bytes;
	uint64_t stride;      /* bitmap and data */
	uint64_t first_block; /* nothing below may be a block */
	uint64_t tail;	      /* where the next block or the footer goes */
	bool tail_excess;     /* the file goes on behind @tail with what nobody refers to */
	bool footer_dirty;
	int failed; /* metadata could not be written: no further write */

	struct vhd_page **buckets;
	struct vhd_page *newest, *oldest;
	size_t cached_bytes;
	struct vhd_page *dirty;
	unsigned dirty_pages;

	struct vhd_alloc *allocs; /* under way */
	struct vhd_alloc *slots;  /* given up: space to be used again, cleared first */
	struct vhd_queue wait_footer;
	struct vhd_queue wait_commit;
	uint8_t *head; /* VHD_ALIGN zeros, then a fresh bitmap */

	struct vhd_commit commit;

	unsigned hold;	 /* guest requests wait in held */
	unsigned active; /* ops that are not held */
	struct vhd_queue held;
	struct vhd_op *free_ops;
	struct vhd_child *free_children;

	struct vhd_compaction *compaction;
};

static inline struct vhd_image *vhd_image_of(struct vhd_layer *l)
{
	return (struct vhd_image *)(void *)((char *)l - offsetof(struct vhd_image, layer));
}

/* ---- Steps of ops (vhd_read.c, vhd_write.c): deal out the piece at op->at. False: it waits, or has failed. ---- */
bool vhd_read_step(struct vhd_op *op);
bool vhd_write_step(struct vhd_op *op);
/* A child with bits to set, or of an allocation, is done. */
void vhd_write_done(struct vhd_child *c, int result);

/* ---- Allocation (vhd_alloc.c) ---- */

/* There is more to commit than may be: @op waits. */
bool vhd_too_many_dirty(struct vhd_op *op);
/* The piece of @op at @place becomes the first of its block. False: as vhd_write_step. */
bool vhd_allocate(struct vhd_op *op, struct vhd_page *bat, struct vhd_place place);
/* The head or the data of @a is written, or has failed. */
void vhd_alloc_part_done(struct vhd_alloc *a);
/* What @c has written is in this file from now on. */
void vhd_set_bits(struct vhd_child *c);

/* ---- BAT (vhd_bat.c) ---- */

/* The entry of @block, from its page. False: as vhd_page_get. */
bool vhd_bat_get(struct vhd_op *op, uint64_t block, uint32_t *ret_entry,
		 struct vhd_page **ret_page);
/* How many blocks from @block on are unused, as far as @page tells. */
uint64_t vhd_bat_unused_run(const struct vhd_image *v, const struct vhd_page *page, uint64_t block);
/* The file offset of the block behind @entry; 0: there can be none. */
uint64_t vhd_bat_position(const struct vhd_image *v, uint32_t entry);
void vhd_bat_set(struct vhd_page *page, uint64_t block, uint32_t entry);

/* The rest waits. Reads @count entries from @first on, memory before file. */
int vhd_bat_read(struct vhd_image *v, uint64_t first, uint32_t *ret, size_t count);
/* Calls @fn for each used entry of the whole table until it answers other than 0. */
int vhd_bat_scan(struct vhd_image *v, int (*fn)(void *ctx, uint64_t block, uint32_t entry),
		 void *ctx);
/* Checks all entries and finds the end of the last block; reads the table into memory if it is small. */
int vhd_bat_check(struct vhd_image *v, uint64_t *ret_end, struct vhd_error *error);
/* Writes an entry into the file, and into memory where the page is. Not flushed. If that fails the disk is read-only from then on. */
int vhd_bat_write(struct vhd_image *v, uint64_t block, uint32_t entry);
/* Tables above this are not read as a whole when a disk is opened. */
#define VHD_BAT_CHECK_MAX (64u << 20)

/* ---- Commit (vhd_commit.c) ---- */

void vhd_commit_init(struct vhd_image *v);
/* Something is not yet durable that was promised to become so. */
bool vhd_commit_needed(const struct vhd_image *v);
/* Completes @r when everything up to now is durable; NULL: just begins. */
void vhd_commit_request(struct vhd_image *v, struct io_request *r);
void vhd_image_fail(struct vhd_image *v, int err);

/* ---- For management, waiting ---- */

/* Lets what runs finish, holds back what comes, and makes everything durable. 0 or the commit's error; in both cases vhd_release follows. */
int vhd_hold(struct vhd_image *v);
void vhd_release(struct vhd_image *v);
/* Makes everything in the file durable; if that fails the disk is read-only from then on. */
int vhd_image_flush(struct vhd_image *v);
/* Ends the file behind a footer at v->tail again, after an operation that put something there has failed. */
void vhd_image_restore_end(struct vhd_image *v);
/* Writes a footer at @offset, and flushes. */
int vhd_footer_write(struct vhd_image *v, const struct vhd_footer *f, uint64_t offset);
/* Where a block's bitmap goes when there is space from @slot on. */
uint64_t vhd_align_block(const struct vhd_image *v, uint64_t slot);
/* The end of what locators and the header take behind the table; at least the table's end. */
uint64_t vhd_image_extras_end(const struct vhd_image *v);
/* Copies the block at @from to @to, which does not overlap. Not flushed. */
int vhd_block_copy(struct vhd_image *v, uint64_t from, uint64_t to);

/* ---- Opening ---- */

/* What was found of the footers. */
struct vhd_footers {
	uint64_t file_bytes;
	uint64_t tail_offset; /* of the footer at the end; where it should be, if it is not there */
	bool tail_good, copy_good;
	struct vhd_footer tail, copy;
	char tail_text[VHD_FAULT_BYTES], copy_text[VHD_FAULT_BYTES];
};

/* @f stays the caller's if they fail. */
int vhd_fixed_open(const struct vhd_footers *found, struct storage_file *f, uint32_t flags,
		   struct vhd_layer **ret, struct vhd_error *error);
int vhd_image_open(const struct vhd_footers *found, struct storage_file *f, uint32_t flags,
		   struct vhd_layer **ret, struct vhd_error *error);
/* What both kinds have in common. */
void vhd_init_block(struct vhd_layer *l, struct storage_file *f, const struct vhd_footer *footer,
		    uint32_t flags);
void vhd_describe_block(const struct vhd_layer *l, struct vhd_info *info);
void vhd_describe_footer(const struct vhd_footer *f, struct vhd_info *info);
int vhd_new_linkage(struct vhd_layer *l, const struct guid *linkage, struct vhd_error *error);

/* ---- Operations of the format ---- */

/* A fresh footer for a new disk. */
void vhd_footer_init(const struct vhd_host *host, const struct vhd_create *create,
		     struct vhd_footer *ret);
/* Now, as footers and headers count. */
uint32_t vhd_timestamp(const struct vhd_host *host);
/* Fills [@offset, @end) of @f with 0xff: unused BAT entries. */
int vhd_fill_unused(struct storage_file *f, uint64_t offset, uint64_t end);
/* @footer with another size, and the geometry that goes with it. */
void vhd_footer_set_bytes(struct vhd_footer *footer, uint64_t bytes);
int vhd_vhd_create(const struct vhd_host *host, struct storage_file *f,
		   const struct vhd_create *create, const struct vhd_locator *locator,
		   struct vhd_error *error);
int vhd_vhd_locator(struct vhd_layer *l, struct vhd_locator *ret, struct vhd_error *error);
int vhd_vhd_set_locator(struct vhd_layer *l, const struct vhd_locator *locator,
			struct vhd_error *error);
int vhd_vhd_resize(struct vhd_layer *l, uint64_t bytes, struct vhd_error *error);
int vhd_vhd_compact_step(struct vhd_layer *l, struct vhd_progress *ret_progress,
			 struct vhd_error *error);
/* Forgets how far a compaction is. */
void vhd_compaction_destroy(struct vhd_image *v);
/* Sizes, saved state: what no VHD can be resized to or in. */
int vhd_resize_check(struct vhd_layer *l, const struct vhd_footer *f, uint64_t bytes,
		     struct vhd_error *error);

/* ---- Locators in a header ---- */

#define VHD_LOCATOR_TEXTS 2u /* W2ru, W2ku */
struct vhd_locator_texts {
	uint8_t text[VHD_LOCATOR_TEXTS][VHD_LOCATOR_TEXT_MAX];
	struct vhd_locator_entry entry[VHD_LOCATOR_TEXTS]; /* without an offset */
};

/* Fills in what a header says about the parent but where the texts are, and the texts. */
int vhd_locator_encode(const struct vhd_host *host, const char *file, const struct vhd_locator *l,
		       struct vhd_header *header, struct vhd_locator_texts *ret,
		       struct vhd_error *error);
/* Places the texts one after the other from @offset on in @header; returns where they end. */
uint64_t vhd_locator_lay_out(const struct vhd_locator_texts *t, uint64_t offset,
			     struct vhd_header *header);
/* Writes the texts to where @header says. */
int vhd_locator_write(struct storage_file *f, const struct vhd_locator_texts *t,
		      const struct vhd_header *header);

#endif
