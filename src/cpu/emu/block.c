/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoded blocks of one VP. Memory is an arena that is dropped as a whole when it is full: links between blocks then need no bookkeeping.
 * An invalidated block stays where it is, with every handler replaced by emu_op_stale, so that links to it and a run through it find out.
 */
#include "core.h"
#include "exec.h"

#include <stdlib.h>
#include <string.h>

static size_t arena_bytes(uint32_t vps)
{
	size_t share = EMU_CACHE_BYTES_VM / (vps > 0 ? vps : 1);

	share = share > EMU_CACHE_BYTES_MAX ? EMU_CACHE_BYTES_MAX : share;
	return share < EMU_CACHE_BYTES_MIN ? EMU_CACHE_BYTES_MIN : share;
}

struct emu_cache *emu_cache_create(uint32_t vps)
{
	struct emu_cache *cache = calloc(1, sizeof(*cache));

	if (cache == NULL) {
		return NULL;
	}
	cache->bytes = arena_bytes(vps);
	cache->arena = malloc(cache->bytes);
	if (cache->arena == NULL) {
		free(cache);
		return NULL;
	}
	cache->none.key = EMU_KEY_NONE;
	emu_cache_drop(cache);
	return cache;
}

void emu_cache_destroy(struct emu_cache *cache)
{
	if (cache != NULL) {
		free(cache->arena);
		free(cache);
	}
}

void emu_cache_drop(struct emu_cache *cache)
{
	for (unsigned n = 0; n < EMU_BLOCK_HASH; n++) {
		cache->hash[n] = &cache->none;
	}
	memset(cache->pages, 0, sizeof(cache->pages));
	cache->used = 0;
}

static unsigned page_bucket(uint64_t gpn)
{
	return (unsigned)(gpn ^ gpn >> 12) & (EMU_PAGE_BUCKETS - 1);
}

static void hash_insert(struct emu_cache *cache, struct emu_block *b)
{
	struct emu_block **slot = &cache->hash[emu_block_slot(b->key)];

	b->hash_next = *slot;
	*slot = b;
}

static void hash_remove(struct emu_cache *cache, struct emu_block *b)
{
	struct emu_block **slot = &cache->hash[emu_block_slot(b->key)];

	while (*slot != b) {
		CHECK(*slot != &cache->none);
		slot = &(*slot)->hash_next;
	}
	*slot = b->hash_next;
}

/* Finds @key and brings it to the front, where the fast lookup looks. */
static struct emu_block *hash_find(struct emu_cache *cache, uint64_t key)
{
	struct emu_block **head = &cache->hash[emu_block_slot(key)];

	for (struct emu_block **slot = head; *slot != &cache->none; slot = &(*slot)->hash_next) {
		struct emu_block *b = *slot;

		if (b->key == key) {
			*slot = b->hash_next;
			b->hash_next = *head;
			*head = b;
			return b;
		}
	}
	return NULL;
}

static void kill_block(struct emu_cache *cache, struct emu_block *b)
{
	hash_remove(cache, b);
	b->dead = true;
	for (uint32_t n = 0; n < b->slots; n++) {
		b->insns[n].fn = emu_op_stale;
	}
}

void emu_cache_invalidate(struct emu_cache *cache, uint64_t gpn, uint64_t lines)
{
	struct emu_page_link **slot = &cache->pages[page_bucket(gpn)];

	while (*slot != NULL) {
		struct emu_page_link *link = *slot;

		if (link->gpn == gpn && (link->lines & lines) != 0 && !link->block->dead) {
			kill_block(cache, link->block);
		}
		if (link->block->dead) {
			*slot = link->next;
		} else {
			slot = &link->next;
		}
	}
}

static void page_insert(struct emu_cache *cache, struct emu_block *b, unsigned n, uint64_t gpn,
			uint64_t lines)
{
	struct emu_page_link *link = &b->links[n];
	struct emu_page_link **bucket = &cache->pages[page_bucket(gpn)];

	*link = (struct emu_page_link){.block = b, .next = *bucket, .gpn = gpn, .lines = lines};
	*bucket = link;
}

/* Lines that [@first, @first + @bytes) within a page touches. */
static uint64_t line_mask(unsigned first, unsigned bytes)
{
	unsigned from = first >> 6, to = (first + bytes - 1) >> 6;

	return (~UINT64_C(0) << from) & (~UINT64_C(0) >> (63 - (to > 63 ? 63 : to)));
}

/* Copies the @slots slots of the scratch area into a new block. */
static struct emu_block *block_add(struct emu_cache *cache, uint64_t key, uint64_t gpn,
				   uint32_t slots, uint32_t bytes)
{
	size_t size = align_up(sizeof(struct emu_block) + slots * sizeof(struct emu_insn), 64);
	struct emu_block *b;

	if (size > cache->bytes - cache->used) {
		emu_cache_drop(cache);
	}
	b = (struct emu_block *)(void *)(cache->arena + cache->used);
	cache->used += size;
	*b = (struct emu_block){.key = key,
				.gpn = gpn,
				.gpn2 = EMU_NO_GPA,
				.count = slots - 1,
				.bytes = bytes,
				.slots = slots};
	memcpy(b->insns, cache->scratch, slots * sizeof(struct emu_insn));
	cache->decoded += b->count;
	hash_insert(cache, b);
	return b;
}

/* Marks the lines that the next 15 bytes at @offset may touch; @marked keeps what is marked already. */
static bool mark_ahead(struct emu_vp *vp, uint64_t gpn, unsigned offset, uint64_t *marked,
		       bool *retry)
{
	unsigned bytes = 4096 - offset < 15 ? 4096 - offset : 15;
	uint64_t lines = line_mask(offset, bytes) & ~*marked;

	*marked |= lines;
	return lines == 0 || emu_code_mark(vp, gpn, lines, retry);
}

/* Host memory of a code page whose lines are marked; NULL: not mapped any more. */
static const uint8_t *code_page(const struct emu_vp *vp, uint64_t gpn)
{
	uint64_t entry = gmem_entry(vp->vm->gmem, gpn);

	return entry & GMEM_X ? gmem_entry_page(entry) : NULL;
}

static const struct emu_block *mark_failed(struct emu_vp *vp, bool retry)
{
	if (!retry) {
		vp->exit.failed.what = "out of memory for the code map";
		emu_exit(vp, HV_EXIT_FAILED);
	}
	return NULL;
}

static void terminate(struct emu_insn *i, uint16_t offset, bool one)
{
	*i = (struct emu_insn){.fn = one ? emu_op_stop : emu_op_next,
			       .offset = offset,
			       .imm = offset,
			       .osize = 4,
			       .base = EMU_REG_NONE,
			       .index = EMU_REG_NONE};
}

/* The page behind the one that @la is in. */
static uint64_t next_page(const struct emu_vp *vp, uint64_t la)
{
	uint64_t next = (la | 0xfff) + 1;

	return vp->mode == EMU_MODE_64 ? next : (uint32_t)next;
}

/*
 * The instruction at vp->rip crosses into the next page. Its block begins with emu_op_straddle, which sees to it that the second page is
 * still where it was.
 */
static const struct emu_block *decode_straddling(struct emu_vp *vp, struct emu_decode_state *s,
						 uint64_t gpn, bool one)
{
	struct emu_cache *cache = vp->cache;
	const struct emu_tlb_entry *e = emu_tlb_execute(vp, next_page(vp, s->la));
	unsigned first = s->available, offset = (unsigned)s->la & 0xfff;
	struct emu_insn *slots = cache->scratch;
	struct emu_block *b;
	const uint8_t *page;
	uint64_t gpn2;
	bool retry = false;

	if (e == NULL) {
		return NULL;
	}
	gpn2 = e->gpn;
	if (!emu_code_mark(vp, gpn2, 1, &retry)) {
		return mark_failed(vp, retry);
	}
	page = code_page(vp, gpn2);
	if (page == NULL) {
		return NULL;
	}
	memcpy(s->code + first, page, 15 - first);
	s->available = 15;
	terminate(&slots[0], 0, one);
	slots[0].fn = emu_op_straddle;
	/* 15 bytes are enough for any instruction, so that this cannot ask for more. */
	CHECK(emu_decode(s, &slots[1]) == EMU_DECODE_OK);
	terminate(&slots[2], slots[1].bytes, one);
	b = block_add(cache,
		      gpn << 12 | offset | (uint64_t)vp->mode << EMU_KEY_MODE_SHIFT |
			      (one ? EMU_KEY_ONE : 0),
		      gpn, 3, slots[1].bytes);
	b->gpn2 = gpn2;
	page_insert(cache, b, 0, gpn, line_mask(offset, first));
	page_insert(cache, b, 1, gpn2, 1);
	return b;
}

/* Conditional jumps inside a block take the instructions behind them off the count. */
static void settle_counts(struct emu_insn *insns, uint32_t count)
{
	for (uint32_t n = 0; n < count; n++) {
		if (insns[n].flags & EMU_I_EXIT) {
			insns[n].disp = (int32_t)(count - n - 1);
		}
	}
}

static const struct emu_block *decode_block(struct emu_vp *vp, uint64_t la, uint64_t gpn, bool one)
{
	struct emu_cache *cache = vp->cache;
	unsigned start = (unsigned)la & 0xfff, offset = start, max = one ? 1 : EMU_BLOCK_INSNS;
	struct emu_decode_state s = {.vp = vp, .la = la, .ip = vp->rip};
	uint32_t count = 0;
	uint64_t marked = 0;
	bool ended = false, retry = false;
	struct emu_block *b;

	while (count < max && !ended && offset < 4096 && s.exits < EMU_BLOCK_EXITS) {
		struct emu_insn *i = &cache->scratch[count];
		const uint8_t *page;

		if (!mark_ahead(vp, gpn, offset, &marked, &retry)) {
			return mark_failed(vp, retry);
		}
		page = code_page(vp, gpn);
		if (page == NULL) {
			return NULL;
		}
		s.available = 4096 - offset < 15 ? 4096 - offset : 15;
		s.offset = (uint16_t)(offset - start);
		memcpy(s.code, page + offset, s.available);
		if (emu_decode(&s, i) == EMU_DECODE_MORE) {
			if (count == 0) {
				return decode_straddling(vp, &s, gpn, one);
			}
			break;
		}
		offset += i->bytes;
		ended = i->flags & EMU_I_END;
		count++;
	}
	settle_counts(cache->scratch, count);
	emu_fuse(cache->scratch, count);
	terminate(&cache->scratch[count], (uint16_t)(offset - start), one);
	b = block_add(cache,
		      gpn << 12 | start | (uint64_t)vp->mode << EMU_KEY_MODE_SHIFT |
			      (one ? EMU_KEY_ONE : 0),
		      gpn, count + 1, offset - start);
	page_insert(cache, b, 0, gpn, line_mask(start, offset - start));
	return b;
}

const struct emu_block *emu_block_find(struct emu_vp *vp, bool one)
{
	uint64_t la = emu_code_address(vp, vp->rip), key, limit = vp->seg[X86_CS].limit;
	bool legacy = vp->mode != EMU_MODE_64;
	const struct emu_tlb_entry *e;
	const struct emu_block *b;

	if (legacy ? vp->rip > limit : !emu_canonical(la)) {
		emu_raise_error(vp, X86_EXC_GP, 0);
		return NULL;
	}
	e = emu_tlb_execute(vp, la);
	if (e == NULL) {
		return NULL;
	}
	key = e->gpn << 12 | (la & 0xfff) | (uint64_t)vp->mode << EMU_KEY_MODE_SHIFT;
	b = hash_find(vp->cache, key | (one ? EMU_KEY_ONE : 0));
	if (b == NULL) {
		b = decode_block(vp, la, e->gpn, one);
	}
	if (b != NULL && legacy && vp->rip + b->bytes - 1 > limit) {
		if (!one) {
			return emu_block_find(vp, true);
		}
		emu_raise_error(vp, X86_EXC_GP, 0);
		return NULL;
	}
	return b;
}

const struct emu_insn *emu_op_stop(struct emu_vp *vp, const struct emu_insn *i)
{
	vp->rip = emu_insn_rip(vp, i);
	return NULL;
}

const struct emu_insn *emu_op_stale(struct emu_vp *vp, const struct emu_insn *i)
{
	return emu_leave(vp, i);
}

/* Counts as an instruction in the block, but not for the budget. */
const struct emu_insn *emu_op_straddle(struct emu_vp *vp, const struct emu_insn *i)
{
	const struct emu_block *b = vp->block;
	uint64_t la2 = next_page(vp, emu_code_address(vp, vp->r[EMU_REG_BASE]));
	const struct emu_tlb_entry *e = emu_tlb_execute(vp, la2);

	if (e == NULL) {
		return emu_leave(vp, i);
	}
	if (e->gpn != b->gpn2) {
		emu_cache_invalidate(vp->cache, b->gpn, b->links[0].lines);
		return emu_leave(vp, i);
	}
	vp->budget++;
	return i + 1;
}
