/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: one partition's GPA space. The only code that turns a guest physical address into a pointer.
 *
 * A space is a radix tree of 4 KiB pages; an entry is one 64-bit word: the host page's address plus GMEM_* bits.
 * Readers (VP threads, devices) never lock: they load an entry atomically. Changes to the map (map, unmap, protect,
 * overlay) are serialized by the caller (the hypervisor holds its partition lock) and must be followed by
 * a flush of every engine's cached translations before the old page is reused.
 *
 * Guest memory is hostile and changes under the reader: read it once into a local, then validate the local.
 */
#ifndef GMEM_GMEM_H
#define GMEM_GMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GMEM_PAGE_SHIFT 12
#define GMEM_PAGE_BYTES 4096u
#define GMEM_PAGE_MASK (~(uint64_t)0xfff)

/* Entry bits. 0 in all of them and no page: nothing mapped there. */
#define GMEM_R 0x1u
#define GMEM_W 0x2u
#define GMEM_X 0x4u
#define GMEM_RIGHTS 0x7u
#define GMEM_DIRTY 0x8u /* written, or shown anew, since the log was last taken */
#define GMEM_CODE                                                                                  \
	0x10u /* an engine holds decoded instructions of this page: writes must be reported */
#define GMEM_OVERLAY 0x20u /* an overlay page covers what the parent mapped */
#define GMEM_WCACHED 0x40u /* some VP may hold a cached translation that writes without asking */

/*
 * Where page-table pages come from; pages are 4 KiB, aligned, zeroed. NULL from alloc: out of memory. @free may be NULL when the
 * owner takes all pages back by other means. Tables are never freed before gmem_fini: readers hold no lock.
 */
struct gmem_pages {
	void *(*alloc)(void *ctx);
	void (*free)(void *ctx, void *page);
	void *ctx;
};

/* Told of every write that gmem_write (or a device through gmem_touch) makes to a page with GMEM_CODE set. */
struct gmem_watch {
	void (*code_written)(void *ctx, uint64_t gpa, size_t bytes);
	void *ctx;
};

struct gmem_overlay {
	uint64_t gpn;
	uint64_t entry; /* while another overlay lies above this one: this one's entry */
	uint64_t under; /* in the oldest overlay of its page: the entry that the parent mapped */
	bool active;
	struct gmem_overlay *next; /* all overlays of the space, newest first */
};

struct gmem {
	struct gmem_pages pages;
	struct gmem_watch watch;
	unsigned pa_bits;
	void *root;
	struct gmem_overlay *overlays;
};

/* @pa_bits 32..52: GPAs at or above 1 << @pa_bits cannot be mapped. -ENOMEM when pages run out. */
int gmem_init(struct gmem *gm, unsigned pa_bits, const struct gmem_pages *pages);
void gmem_fini(struct gmem *gm);
void gmem_set_watch(struct gmem *gm, const struct gmem_watch *watch);

/*
 * Maps guest page @gpn onto the 4 KiB host page @page with @rights (GMEM_R|W|X), replacing what was there; beneath
 * an overlay the change stays hidden until the overlay goes. The page counts as written. -ENOMEM: no page-table page; -EINVAL: gpn beyond the space.
 */
int gmem_map(struct gmem *gm, uint64_t gpn, void *page, uint32_t rights);
int gmem_unmap(struct gmem *gm, uint64_t gpn);
/* Changes the rights of a mapped page; -ENOENT when nothing is mapped. */
int gmem_protect(struct gmem *gm, uint64_t gpn, uint32_t rights);

/*
 * Puts @o (caller's memory, lives until removed) over @gpn: the guest sees @page with @rights there until
 * gmem_overlay_remove brings back what lies beneath. Overlays on one page stack; the newest is seen.
 * Works where nothing is mapped too. -EINVAL: beyond the space; -ENOMEM.
 */
int gmem_overlay_add(struct gmem *gm, struct gmem_overlay *o, uint64_t gpn, void *page,
		     uint32_t rights);
void gmem_overlay_remove(struct gmem *gm, struct gmem_overlay *o);

/* The entry of @gpn (0: unmapped or beyond the space). Lock-free. */
uint64_t gmem_entry(const struct gmem *gm, uint64_t gpn);
static inline void *gmem_entry_page(uint64_t entry)
{
	return (void *)(uintptr_t)(entry & GMEM_PAGE_MASK);
}
/* Atomically sets / clears flag bits (DIRTY, CODE, WCACHED) of a mapped page and returns the entry before; 0 if unmapped. */
uint64_t gmem_entry_set(struct gmem *gm, uint64_t gpn, uint32_t bits);
uint64_t gmem_entry_clear(struct gmem *gm, uint64_t gpn, uint32_t bits);

/*
 * Copies out of / into guest memory; may cross pages. Rights that are missing (GMEM_R, GMEM_W) or an unmapped page
 * give false; a write may then have been done in part. Writes set GMEM_DIRTY and report GMEM_CODE pages.
 */
bool gmem_read(const struct gmem *gm, uint64_t gpa, void *buf, size_t bytes);
bool gmem_write(struct gmem *gm, uint64_t gpa, const void *buf, size_t bytes);
/* The same without regard to rights (the parent's own access, loaders); unmapped still fails. */
bool gmem_read_any(const struct gmem *gm, uint64_t gpa, void *buf, size_t bytes);
bool gmem_write_any(struct gmem *gm, uint64_t gpa, const void *buf, size_t bytes);

/*
 * Pointer to [@gpa, @gpa + @bytes) within one page if it is mapped with @rights, else NULL. The page stays mapped as long as the
 * partition lives, unless the parent unmaps it. A holder that writes calls gmem_touch afterwards.
 */
void *gmem_ptr(const struct gmem *gm, uint64_t gpa, size_t bytes, uint32_t rights);
/* Marks [@gpa, @gpa + @bytes) as written: dirty log and code watch. */
void gmem_touch(struct gmem *gm, uint64_t gpa, size_t bytes);

/*
 * Dirty log: sets bit i of @bitmap when page @first_gpn + i was written or mapped, covered or uncovered since the last call, and clears it
 * (unmapped: 0). What VPs wrote is in it as their engine says: hv_engine_ops.dirty_take, which calls this, is what users want.
 * gmem_dirty_all: every mapped page counts as written. With the caller's lock for changes of the map.
 */
void gmem_dirty_all(struct gmem *gm);
void gmem_dirty_take(struct gmem *gm, uint64_t first_gpn, uint64_t count, uint64_t *bitmap);

#endif
