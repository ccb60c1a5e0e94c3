/* SPDX-License-Identifier: Apache-2.0 */
/* Between the core files of the engine: decoded blocks, code tracking, requests from other threads. */
#ifndef EMU_CORE_H
#define EMU_CORE_H

#include "mem.h"

/* ---- Blocks (block.c) ---- */

#define EMU_BLOCK_INSNS 32u /* instructions in a block, at most */
#define EMU_BLOCK_EXITS                                                                            \
	4u /* conditional jumps in a block, at most: code behind them is decoded again when it is jumped to */
#define EMU_BLOCK_HASH_BITS 15
#define EMU_BLOCK_HASH (1u << EMU_BLOCK_HASH_BITS)
#define EMU_PAGE_BUCKETS 4096u
/* Decoded code of one VP; a VM with many VPs shares out a budget. */
#define EMU_CACHE_BYTES_MAX (6u << 20)
#define EMU_CACHE_BYTES_MIN (2u << 20)
#define EMU_CACHE_BYTES_VM (20u << 20)

/*
 * A block is known by its guest physical address and how it was decoded, so that it outlives changes of the page tables. Bits of the key
 * above the address:
 */
#define EMU_KEY_MODE_SHIFT 56		/* enum emu_mode */
#define EMU_KEY_ONE (UINT64_C(1) << 58) /* one instruction, then back to the run loop */
#define EMU_KEY_NONE (~UINT64_C(0))

struct emu_page_link {
	struct emu_block *block;
	struct emu_page_link *next;
	uint64_t gpn;
	uint64_t lines; /* 64-byte lines of the page that the block was decoded from */
};

/* What entering a block reads comes first. */
struct emu_block {
	uint64_t key;
	uint64_t gpn;
	uint32_t count; /* instructions */
	uint32_t bytes; /* length of the code */
	uint32_t slots; /* entries of insns: instructions and a terminator */
	bool dead;	/* invalidated; its memory stays until the whole cache is dropped */
	struct emu_block *hash_next;
	uint64_t gpn2; /* second page of a straddling instruction */
	struct emu_page_link links[2];
	struct emu_insn insns[];
};

struct emu_cache {
	struct emu_block *hash[EMU_BLOCK_HASH];
	struct emu_page_link *pages[EMU_PAGE_BUCKETS];
	uint8_t *arena;
	size_t bytes; /* of the arena */
	size_t used;
	uint64_t decoded; /* instructions decoded so far */
	struct emu_insn scratch[EMU_BLOCK_INSNS + 1];
	struct emu_block none; /* what empty hash slots point to */
};

static inline unsigned emu_block_slot(uint64_t key)
{
	return (unsigned)(key ^ (key >> EMU_BLOCK_HASH_BITS)) & (EMU_BLOCK_HASH - 1);
}

/* @vps: how many VPs the VM may have. */
struct emu_cache *emu_cache_create(uint32_t vps);
void emu_cache_destroy(struct emu_cache *cache);
void emu_cache_drop(struct emu_cache *cache);
/* Drops the blocks decoded from the 64-byte @lines of page @gpn. The running block may be one: it stops before its next instruction. */
void emu_cache_invalidate(struct emu_cache *cache, uint64_t gpn, uint64_t lines);
/*
 * The block at vp->rip, decoded if need be; @one: a block of one instruction. NULL: an event was recorded (fetch fault), or
 * the caller has to start over because requests were handled on the way.
 */
const struct emu_block *emu_block_find(struct emu_vp *vp, bool one);
/* Decodes code at linear address @la (page @gpn at host address @page) into scratch slots; block.c and decode.c. */
struct emu_decode_state {
	struct emu_vp *vp;
	uint64_t la; /* of the block */
	uint64_t ip;
	uint16_t offset; /* of the next instruction from the block's first */
	uint8_t code[16];
	unsigned available; /* bytes in code */
	unsigned exits;	    /* conditional jumps so far */
};
enum emu_decode_result {
	EMU_DECODE_OK,
	EMU_DECODE_MORE, /* the instruction goes on beyond the bytes available */
};
/* Fills @i from @s->code; an undefined instruction becomes one that raises #UD (or #GP when longer than 15 bytes). */
enum emu_decode_result emu_decode(struct emu_decode_state *s, struct emu_insn *i);

/* Handlers that are no instruction. */
emu_fn emu_op_next;	/* end of a block without a jump: go on with the following code */
emu_fn emu_op_stop;	/* the same, back to the run loop */
emu_fn emu_op_straddle; /* before an instruction that crosses into another page: checks that page */
emu_fn emu_op_stale;	/* overwritten code: decode again */

/* Goes on in @b, whose first instruction is at @rip. */
EMU_INLINE const struct emu_insn *emu_enter(struct emu_vp *vp, const struct emu_block *b,
					    uint64_t rip)
{
	vp->r[EMU_REG_BASE] = rip;
	if (unlikely(vp->budget <= 0 ||
		     atomic_load_explicit(&vp->attention, memory_order_relaxed) != 0)) {
		vp->rip = rip;
		return NULL;
	}
	vp->budget -= b->count;
	vp->block = b;
	EMU_CONTINUE(vp, b->insns);
}

/* The block at @rip if it is at hand; NULL: the run loop has to find it. @mode is vp->mode. */
EMU_INLINE const struct emu_block *emu_block_in(struct emu_vp *vp, uint64_t rip, unsigned mode)
{
	uint64_t la = mode == EMU_MODE_64 ? rip : (uint32_t)(vp->seg[X86_CS].base + rip);
	const struct emu_tlb_entry *e = emu_tlb_slot(vp, la);
	uint64_t key;
	const struct emu_block *b;

	if (unlikely(e->tag_x != (la & EMU_PAGE_MASK))) {
		return NULL;
	}
	key = e->gpn << 12 | (la & 0xfff) | (uint64_t)mode << EMU_KEY_MODE_SHIFT;
	b = vp->cache->hash[emu_block_slot(key)];
	if (unlikely(b->key != key)) {
		return NULL;
	}
	if (mode != EMU_MODE_64 && unlikely(rip + b->bytes - 1 > vp->seg[X86_CS].limit)) {
		return NULL;
	}
	return b;
}

EMU_INLINE const struct emu_block *emu_block_at(struct emu_vp *vp, uint64_t rip)
{
	return emu_block_in(vp, rip, vp->mode);
}

EMU_INLINE const struct emu_insn *emu_goto_in(struct emu_vp *vp, uint64_t rip, unsigned mode)
{
	const struct emu_block *b = emu_block_in(vp, rip, mode);

	if (unlikely(b == NULL)) {
		vp->rip = rip;
		return NULL;
	}
	return emu_enter(vp, b, rip);
}

EMU_INLINE const struct emu_insn *emu_goto_inline(struct emu_vp *vp, uint64_t rip)
{
	return emu_goto_in(vp, rip, vp->mode);
}

/* ---- Which guest memory holds code (code.c) ---- */

struct emu_code *emu_code_create(void);
void emu_code_destroy(struct emu_code *code);
/*
 * Before bytes of @lines of page @gpn are decoded. False: out of memory, or (@ret_retry) other VPs had to be waited for, own requests may
 * have been handled, and the caller starts over.
 */
bool emu_code_mark(struct emu_vp *vp, uint64_t gpn, uint64_t lines, bool *ret_retry);
/* After bytes of a page with GMEM_CODE were written; @vp is the VP whose thread this is, or NULL. */
void emu_code_written(struct emu_vm *vm, struct emu_vp *vp, uint64_t gpa, size_t bytes);

/* ---- Requests (remote.c) ---- */

struct emu_requests *emu_requests_create(void);
void emu_requests_destroy(struct emu_requests *requests);
/* Returns the number to wait for. */
uint64_t emu_post_flush(struct emu_vp *vp, bool non_global_only);
void emu_post_flush_page(struct emu_vp *vp, uint64_t la);
void emu_post_lines(struct emu_vp *vp, uint64_t gpn, uint64_t lines);
void emu_post_gpa(struct emu_vp *vp, uint64_t gpn, uint64_t count);
/* Returns the number to wait for. */
uint64_t emu_post_no_write(struct emu_vp *vp, uint64_t gpn);
bool emu_post_done(struct emu_vp *vp, uint64_t number);
bool emu_post_idle(struct emu_vp *vp);
/* Request @number of VP @n is done, or that is not @vp any more. [any] */
bool emu_vp_done(struct emu_vm *vm, uint32_t n, const struct emu_vp *vp, uint64_t number);
/* No VP stores any more without marking the page as written, until it has stored there again. The caller runs no VP. */
void emu_stores_ask(struct emu_vm *vm);
/* Owner thread, between blocks. */
void emu_requests_handle(struct emu_vp *vp);

void emu_spin_lock(struct emu_vm *vm, _Atomic uint32_t *lock);
void emu_spin_unlock(_Atomic uint32_t *lock);
void emu_relax(struct emu_vm *vm, unsigned round);

/* ---- TLB (mem.c) ---- */

void emu_tlb_init(struct emu_vp *vp);
void emu_tlb_drop_gpns(struct emu_vp *vp, uint64_t gpn, uint64_t count);
void emu_tlb_drop_writes(struct emu_vp *vp, uint64_t gpn);
/* Translation of code at @la; NULL: fault or exit recorded. */
const struct emu_tlb_entry *emu_tlb_execute(struct emu_vp *vp, uint64_t la);

/* ---- Run loop (run.c) ---- */

void emu_run(struct emu_vp *vp, const struct hv_run *how, struct hv_exit *ret_exit);
/* Runs the instruction at vp->rip, or one element of a string instruction; the outcome is in vp->event. */
void emu_step(struct emu_vp *vp);
void emu_guest_enter(struct emu_vp *vp);
void emu_guest_leave(struct emu_vp *vp);
void emu_complete(struct emu_vp *vp, const uint64_t values[4]);
void emu_abandon(struct emu_vp *vp);

#endif
