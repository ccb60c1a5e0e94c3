// SPDX-License-Identifier: Apache-2.0
/*
 * The radix tree behind a GPA space. Tables are never freed while the space lives, so that readers need no lock: a reader that raced with
 * a change sees either the old or the new entry, and whoever changed the map flushes the engines before the old page is reused.
 */
#include "gmem/gmem.h"

#include "lib/bits.h"
#include "lib/err.h"

#define LEVEL_BITS 9
#define LEVEL_ENTRIES (1u << LEVEL_BITS)

struct gmem_table {
	uint64_t slot[LEVEL_ENTRIES]; /* lower table's address, or an entry in the last level */
};
_Static_assert(sizeof(struct gmem_table) == GMEM_PAGE_BYTES, "a table is a page");

static unsigned levels(const struct gmem *gm)
{
	return (gm->pa_bits - GMEM_PAGE_SHIFT + LEVEL_BITS - 1) / LEVEL_BITS;
}

static bool gpn_valid(const struct gmem *gm, uint64_t gpn)
{
	return gpn >> (gm->pa_bits - GMEM_PAGE_SHIFT) == 0;
}

static unsigned slot_index(uint64_t gpn, unsigned level)
{
	return (unsigned)(gpn >> (level * LEVEL_BITS)) & (LEVEL_ENTRIES - 1);
}

/* The last-level slot of @gpn, or NULL when there is no table for it. */
static uint64_t *find_slot(const struct gmem *gm, uint64_t gpn)
{
	struct gmem_table *table = gm->root;

	if (unlikely(!gpn_valid(gm, gpn))) {
		return NULL;
	}
	for (unsigned level = levels(gm) - 1; level > 0; level--) {
		uint64_t next =
			__atomic_load_n(&table->slot[slot_index(gpn, level)], __ATOMIC_ACQUIRE);

		if (next == 0) {
			return NULL;
		}
		table = (struct gmem_table *)(uintptr_t)next;
	}
	return &table->slot[slot_index(gpn, 0)];
}

/* The same, creating tables on the way. */
static int make_slot(struct gmem *gm, uint64_t gpn, uint64_t **ret_slot)
{
	struct gmem_table *table = gm->root;

	if (!gpn_valid(gm, gpn)) {
		return -ERR_INVAL;
	}
	for (unsigned level = levels(gm) - 1; level > 0; level--) {
		uint64_t *slot = &table->slot[slot_index(gpn, level)];

		if (*slot == 0) {
			void *page = gm->pages.alloc(gm->pages.ctx);

			if (page == NULL) {
				return -ERR_NOMEM;
			}
			__atomic_store_n(slot, (uint64_t)(uintptr_t)page, __ATOMIC_RELEASE);
		}
		table = (struct gmem_table *)(uintptr_t)*slot;
	}
	*ret_slot = &table->slot[slot_index(gpn, 0)];
	return 0;
}

static uint64_t make_entry(const void *page, uint32_t bits)
{
	return (uint64_t)(uintptr_t)page | bits;
}

int gmem_init(struct gmem *gm, unsigned pa_bits, const struct gmem_pages *pages)
{
	if (pa_bits < 32 || pa_bits > 52) {
		return -ERR_INVAL;
	}
	*gm = (struct gmem){.pages = *pages, .pa_bits = pa_bits};
	gm->root = pages->alloc(pages->ctx);
	return gm->root != NULL ? 0 : -ERR_NOMEM;
}

/* Post-order walk with an explicit stack: at most five levels. */
static void for_each_table(const struct gmem *gm,
			   void (*visit)(const struct gmem *gm, struct gmem_table *table,
					 bool last_level))
{
	struct gmem_table *stack[8];
	unsigned next[8];
	unsigned top = levels(gm) - 1, level = top;

	stack[level] = gm->root;
	next[level] = 0;
	for (;;) {
		if (level == 0 || next[level] == LEVEL_ENTRIES) {
			visit(gm, stack[level], level == 0);
			if (level == top) {
				return;
			}
			level++;
			continue;
		}
		uint64_t child = stack[level]->slot[next[level]++];
		if (child != 0) {
			level--;
			stack[level] = (struct gmem_table *)(uintptr_t)child;
			next[level] = 0;
		}
	}
}

static void free_table(const struct gmem *gm, struct gmem_table *table, bool last_level)
{
	(void)last_level;
	gm->pages.free(gm->pages.ctx, table);
}

void gmem_fini(struct gmem *gm)
{
	if (gm->root != NULL && gm->pages.free != NULL) {
		for_each_table(gm, free_table);
	}
	*gm = (struct gmem){0};
}

void gmem_set_watch(struct gmem *gm, const struct gmem_watch *watch)
{
	gm->watch = *watch;
}

static struct gmem_overlay *newest_overlay(const struct gmem *gm, uint64_t gpn)
{
	struct gmem_overlay *o = gm->overlays;

	while (o != NULL && o->gpn != gpn) {
		o = o->next;
	}
	return o;
}

static struct gmem_overlay *oldest_overlay(const struct gmem *gm, uint64_t gpn)
{
	struct gmem_overlay *found = NULL;

	for (struct gmem_overlay *o = gm->overlays; o != NULL; o = o->next) {
		if (o->gpn == gpn) {
			found = o;
		}
	}
	return found;
}

/* Where the parent's mapping of @gpn is kept: in the tree, or beneath an overlay. */
static uint64_t *parents_slot(const struct gmem *gm, uint64_t gpn, uint64_t *slot)
{
	if (__atomic_load_n(slot, __ATOMIC_RELAXED) & GMEM_OVERLAY) {
		return &oldest_overlay(gm, gpn)->under;
	}
	return slot;
}

int gmem_map(struct gmem *gm, uint64_t gpn, void *page, uint32_t rights)
{
	uint64_t *slot;
	int err = make_slot(gm, gpn, &slot);

	if (err) {
		return err;
	}
	__atomic_store_n(parents_slot(gm, gpn, slot),
			 make_entry(page, (rights & GMEM_RIGHTS) | GMEM_DIRTY), __ATOMIC_RELEASE);
	return 0;
}

int gmem_unmap(struct gmem *gm, uint64_t gpn)
{
	uint64_t *slot = find_slot(gm, gpn);

	if (slot == NULL) {
		return -ERR_NOENT;
	}
	return __atomic_exchange_n(parents_slot(gm, gpn, slot), 0, __ATOMIC_ACQ_REL) != 0
		       ? 0
		       : -ERR_NOENT;
}

int gmem_protect(struct gmem *gm, uint64_t gpn, uint32_t rights)
{
	uint64_t *slot = find_slot(gm, gpn);
	uint64_t old, *where;

	if (slot == NULL) {
		return -ERR_NOENT;
	}
	where = parents_slot(gm, gpn, slot);
	old = __atomic_load_n(where, __ATOMIC_RELAXED);
	do {
		if (gmem_entry_page(old) == NULL) {
			return -ERR_NOENT;
		}
	} while (!__atomic_compare_exchange_n(
		where, &old, (old & ~(uint64_t)GMEM_RIGHTS) | (rights & GMEM_RIGHTS), true,
		__ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return 0;
}

int gmem_overlay_add(struct gmem *gm, struct gmem_overlay *o, uint64_t gpn, void *page,
		     uint32_t rights)
{
	struct gmem_overlay *covered;
	uint64_t *slot, before;
	int err = make_slot(gm, gpn, &slot);

	if (err) {
		return err;
	}
	*o = (struct gmem_overlay){.gpn = gpn, .active = true};
	covered = newest_overlay(gm, gpn);
	before = __atomic_exchange_n(
		slot, make_entry(page, (rights & GMEM_RIGHTS) | GMEM_OVERLAY | GMEM_DIRTY),
		__ATOMIC_ACQ_REL);
	if (covered != NULL) {
		covered->entry = before;
	} else {
		o->under = before;
	}
	o->next = gm->overlays;
	gm->overlays = o;
	return 0;
}

void gmem_overlay_remove(struct gmem *gm, struct gmem_overlay *o)
{
	uint64_t *slot = find_slot(gm, o->gpn);
	struct gmem_overlay *above = NULL, *below = NULL, **link = &gm->overlays;

	if (!o->active) {
		return;
	}
	for (; *link != o; link = &(*link)->next) {
		if ((*link)->gpn == o->gpn) {
			above = *link;
		}
	}
	*link = o->next;
	for (below = o->next; below != NULL && below->gpn != o->gpn; below = below->next) {
	}
	if (above == NULL) {
		uint64_t shown = below != NULL ? below->entry : o->under;

		/* The page's contents change for whoever keeps a copy: it counts as written. */
		if (gmem_entry_page(shown) != NULL) {
			shown |= GMEM_DIRTY;
		}
		__atomic_store_n(slot, shown, __ATOMIC_RELEASE);
	} else if (below == NULL) {
		above->under = o->under;
	}
	o->active = false;
}

uint64_t gmem_entry(const struct gmem *gm, uint64_t gpn)
{
	const uint64_t *slot = find_slot(gm, gpn);

	return slot != NULL ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : 0;
}

/* Applies (entry | @set) & ~@clear if a page is there. */
static uint64_t change_flags(struct gmem *gm, uint64_t gpn, uint64_t set, uint64_t clear)
{
	uint64_t *slot = find_slot(gm, gpn);
	uint64_t old;

	if (slot == NULL) {
		return 0;
	}
	old = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
	do {
		if (gmem_entry_page(old) == NULL) {
			return 0;
		}
	} while (!__atomic_compare_exchange_n(slot, &old, (old | set) & ~clear, true,
					      __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE));
	return old;
}

uint64_t gmem_entry_set(struct gmem *gm, uint64_t gpn, uint32_t bits)
{
	return change_flags(gm, gpn, bits & (GMEM_DIRTY | GMEM_CODE | GMEM_WCACHED), 0);
}

uint64_t gmem_entry_clear(struct gmem *gm, uint64_t gpn, uint32_t bits)
{
	return change_flags(gm, gpn, 0, bits & (GMEM_DIRTY | GMEM_CODE | GMEM_WCACHED));
}

/* The part of [@gpa, @gpa + @bytes) that lies in its first page. */
static size_t in_page(uint64_t gpa, size_t bytes)
{
	return (size_t)min_u64(bytes, GMEM_PAGE_BYTES - (gpa & (GMEM_PAGE_BYTES - 1)));
}

static uint8_t *page_byte(uint64_t entry, uint64_t gpa)
{
	return (uint8_t *)gmem_entry_page(entry) + (gpa & (GMEM_PAGE_BYTES - 1));
}

static bool usable(uint64_t entry, uint32_t rights)
{
	return gmem_entry_page(entry) != NULL && (entry & rights) == rights;
}

static bool copy_out(const struct gmem *gm, uint64_t gpa, uint8_t *buf, size_t bytes,
		     uint32_t rights)
{
	while (bytes > 0) {
		size_t n = in_page(gpa, bytes);
		uint64_t entry = gmem_entry(gm, gpa >> GMEM_PAGE_SHIFT);

		if (!usable(entry, rights)) {
			return false;
		}
		__builtin_memcpy(buf, page_byte(entry, gpa), n);
		buf += n;
		gpa += n;
		bytes -= n;
	}
	return true;
}

/*
 * After the write, not before: a log taken in between would miss it, while a page marked too late is only copied once more.
 */
static void mark_written(const struct gmem *gm, uint64_t gpa, size_t bytes)
{
	uint64_t *slot = find_slot(gm, gpa >> GMEM_PAGE_SHIFT);
	uint64_t old;

	if (slot == NULL) {
		return;
	}
	old = __atomic_load_n(slot, __ATOMIC_SEQ_CST);
	while (gmem_entry_page(old) != NULL && !(old & GMEM_DIRTY) &&
	       !__atomic_compare_exchange_n(slot, &old, old | GMEM_DIRTY, true, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST)) {
	}
	if ((old & GMEM_CODE) && gm->watch.code_written != NULL) {
		gm->watch.code_written(gm->watch.ctx, gpa, bytes);
	}
}

static bool copy_in(const struct gmem *gm, uint64_t gpa, const uint8_t *buf, size_t bytes,
		    uint32_t rights)
{
	while (bytes > 0) {
		size_t n = in_page(gpa, bytes);
		uint64_t entry = gmem_entry(gm, gpa >> GMEM_PAGE_SHIFT);

		if (!usable(entry, rights)) {
			return false;
		}
		__builtin_memcpy(page_byte(entry, gpa), buf, n);
		mark_written(gm, gpa, n);
		buf += n;
		gpa += n;
		bytes -= n;
	}
	return true;
}

bool gmem_read(const struct gmem *gm, uint64_t gpa, void *buf, size_t bytes)
{
	return copy_out(gm, gpa, buf, bytes, GMEM_R);
}

bool gmem_write(struct gmem *gm, uint64_t gpa, const void *buf, size_t bytes)
{
	return copy_in(gm, gpa, buf, bytes, GMEM_W);
}

bool gmem_read_any(const struct gmem *gm, uint64_t gpa, void *buf, size_t bytes)
{
	return copy_out(gm, gpa, buf, bytes, 0);
}

bool gmem_write_any(struct gmem *gm, uint64_t gpa, const void *buf, size_t bytes)
{
	return copy_in(gm, gpa, buf, bytes, 0);
}

void *gmem_ptr(const struct gmem *gm, uint64_t gpa, size_t bytes, uint32_t rights)
{
	uint64_t entry = gmem_entry(gm, gpa >> GMEM_PAGE_SHIFT);

	if (!usable(entry, rights & GMEM_RIGHTS) || in_page(gpa, bytes) != bytes) {
		return NULL;
	}
	return page_byte(entry, gpa);
}

void gmem_touch(struct gmem *gm, uint64_t gpa, size_t bytes)
{
	while (bytes > 0) {
		size_t n = in_page(gpa, bytes);

		mark_written(gm, gpa, n);
		gpa += n;
		bytes -= n;
	}
}

static void mark_table(const struct gmem *gm, struct gmem_table *table, bool last_level)
{
	(void)gm;
	for (unsigned i = 0; last_level && i < LEVEL_ENTRIES; i++) {
		if (gmem_entry_page(__atomic_load_n(&table->slot[i], __ATOMIC_RELAXED)) != NULL) {
			__atomic_fetch_or(&table->slot[i], GMEM_DIRTY, __ATOMIC_SEQ_CST);
		}
	}
}

void gmem_dirty_all(struct gmem *gm)
{
	for_each_table(gm, mark_table);
}

void gmem_dirty_take(struct gmem *gm, uint64_t first_gpn, uint64_t count, uint64_t *bitmap)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t entry = gmem_entry(gm, first_gpn + i);
		uint64_t bit = UINT64_C(1) << (i % 64);

		if (i % 64 == 0) {
			bitmap[i / 64] = 0;
		}
		if ((entry & GMEM_DIRTY) &&
		    (gmem_entry_clear(gm, first_gpn + i, GMEM_DIRTY) & GMEM_DIRTY)) {
			bitmap[i / 64] |= bit;
		}
	}
}
