/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory as instructions see it: linear addresses, the software TLB, host pointers. Fast paths are here, everything else in mem.c.
 *
 * All functions that return bool: false means that the access faulted or needs the parent (vp->event says which); nothing was changed and
 * the handler returns emu_leave(). Plain accesses that are naturally aligned are single host accesses.
 *
 * A store on a page that holds decoded code, MMIO, page crossings, alignment checks and data breakpoints all take the slow path.
 */
#ifndef EMU_MEM_H
#define EMU_MEM_H

#include "vp.h"

#define EMU_PAGE_MASK (~UINT64_C(0xfff))
#define EMU_INLINE static inline __attribute__((always_inline))

struct emu_u8 {
	uint8_t v;
} __attribute__((packed, may_alias));
struct emu_u16 {
	uint16_t v;
} __attribute__((packed, may_alias));
struct emu_u32 {
	uint32_t v;
} __attribute__((packed, may_alias));
struct emu_u64 {
	uint64_t v;
} __attribute__((packed, may_alias));

/* ---- Addresses ---- */

bool emu_address_slow(struct emu_vp *vp, const struct emu_insn *i, unsigned bytes, unsigned access);
/*
 * Linear address of @seg:@ea for @bytes bytes: limit and type checks in legacy modes (#GP, or #SS for SS), wrap to 32 bits there; in 64-bit
 * mode FS/GS base is added, canonicality is left to the access itself. Result in vp->slow.
 */
bool emu_segment_address(struct emu_vp *vp, unsigned seg, uint64_t ea, unsigned bytes,
			 unsigned access);

/* Effective address (offset) of the memory operand, wrapped to the address size: LEA. */
EMU_INLINE uint64_t emu_effective(const struct emu_vp *vp, const struct emu_insn *i)
{
	uint64_t ea = vp->r[i->base] + (vp->r[i->index] << i->scale) + (uint64_t)(int64_t)i->disp;

	return i->asize == 8 ? ea : i->asize == 4 ? (uint32_t)ea : (uint16_t)ea;
}

/* Linear address of the memory operand. @bytes: size of the access for the limit check, @access HV_ACCESS_READ or _WRITE. */
EMU_INLINE bool emu_address(struct emu_vp *vp, const struct emu_insn *i, unsigned bytes,
			    unsigned access, uint64_t *ret_la)
{
	if (likely(!(i->flags & EMU_I_SLOWADDR))) {
		*ret_la =
			vp->r[i->base] + (vp->r[i->index] << i->scale) + (uint64_t)(int64_t)i->disp;
		return true;
	}
	if (!emu_address_slow(vp, i, bytes, access)) {
		return false;
	}
	*ret_la = vp->slow;
	return true;
}

/*
 * The common case of emu_address() without the other one. A handler that tries this first and leaves all else to a second function, as a tail
 * call, needs no stack frame.
 */
EMU_INLINE bool emu_address_quick(const struct emu_vp *vp, const struct emu_insn *i,
				  uint64_t *ret_la)
{
	uint64_t sum = vp->r[i->base] + (vp->r[i->index] << i->scale) + (uint64_t)(int64_t)i->disp;

	if (likely(!(i->flags & EMU_I_SLOWADDR))) {
		*ret_la = sum;
		return true;
	}
	if (i->asize == 8) {
		/* FS or GS in 64-bit code. */
		*ret_la = sum + vp->seg[i->seg].base;
		return true;
	}
	/* Flat segments of 32-bit code; an access across the end of them misses the TLB. */
	*ret_la = (uint32_t)sum;
	return i->asize == 4 && (vp->flat >> i->seg & 1);
}

/* ---- Loads and stores ---- */

/* Any size 1..8; value in vp->slow. */
bool emu_load_slow(struct emu_vp *vp, uint64_t la, unsigned bytes);
bool emu_store_slow(struct emu_vp *vp, uint64_t la, unsigned bytes, uint64_t value);

EMU_INLINE struct emu_tlb_entry *emu_tlb_slot(const struct emu_vp *vp, uint64_t la)
{
	return &vp->tlb[(la >> 12) & (EMU_TLB_ENTRIES - 1)];
}

/* Tells the compiler that a hit is no NULL. */
EMU_INLINE void *emu_host(uintptr_t host)
{
	if (host == 0) {
		__builtin_unreachable();
	}
	return (void *)host;
}

/* Host pointer for a read / write of @bytes at @la within one page, or NULL: slow path needed. Never faults. */
EMU_INLINE void *emu_fast_read(const struct emu_vp *vp, uint64_t la, unsigned bytes)
{
	const struct emu_tlb_entry *e = emu_tlb_slot(vp, la);

	return likely(e->tag_r == ((la + bytes - 1) & EMU_PAGE_MASK)) ? emu_host(la + e->addend)
								      : NULL;
}

EMU_INLINE void *emu_fast_write(const struct emu_vp *vp, uint64_t la, unsigned bytes)
{
	const struct emu_tlb_entry *e = emu_tlb_slot(vp, la);

	return likely(e->tag_w == ((la + bytes - 1) & EMU_PAGE_MASK)) ? emu_host(la + e->addend)
								      : NULL;
}

#define EMU_DEFINE_ACCESS(bits)                                                                    \
	EMU_INLINE bool emu_load##bits(struct emu_vp *vp, uint64_t la, uint##bits##_t *ret)        \
	{                                                                                          \
		const volatile struct emu_u##bits *p = emu_fast_read(vp, la, bits / 8);            \
                                                                                                   \
		if (likely(p != NULL)) {                                                           \
			*ret = p->v;                                                               \
			return true;                                                               \
		}                                                                                  \
		if (!emu_load_slow(vp, la, bits / 8)) {                                            \
			return false;                                                              \
		}                                                                                  \
		*ret = (uint##bits##_t)vp->slow;                                                   \
		return true;                                                                       \
	}                                                                                          \
	EMU_INLINE bool emu_store##bits(struct emu_vp *vp, uint64_t la, uint##bits##_t value)      \
	{                                                                                          \
		volatile struct emu_u##bits *p = emu_fast_write(vp, la, bits / 8);                 \
                                                                                                   \
		if (likely(p != NULL)) {                                                           \
			p->v = value;                                                              \
			return true;                                                               \
		}                                                                                  \
		return emu_store_slow(vp, la, bits / 8, value);                                    \
	}
EMU_DEFINE_ACCESS(8)
EMU_DEFINE_ACCESS(16)
EMU_DEFINE_ACCESS(32)
EMU_DEFINE_ACCESS(64)
#undef EMU_DEFINE_ACCESS

/*
 * Runs of bytes, 1..4096, any alignment. A store checks the whole range before it writes anything. @buf may be a local of the caller,
 * but a handler that has one cannot make its tail call: keep such handlers off the hot path.
 */
bool emu_load_bytes(struct emu_vp *vp, uint64_t la, void *buf, unsigned bytes);
bool emu_store_bytes(struct emu_vp *vp, uint64_t la, const void *buf, unsigned bytes);

/* Would the access succeed? Faults like the access; unmapped guest memory is no fault (the access itself exits). */
bool emu_probe(struct emu_vp *vp, uint64_t la, unsigned bytes, unsigned access);

/*
 * Read-modify-write without LOCK: emu_rmw_begin checks for write access first, then loads (value in vp->slow); the caller computes
 * and stores with emu_storeN, and changes flags and registers only when that succeeded. Use emu_fast_write() first.
 */
bool emu_rmw_begin(struct emu_vp *vp, uint64_t la, unsigned bytes);

/*
 * Read-modify-write with LOCK, @bytes 1..8, or 16. True with *ret_host set: use a host atomic there, then call emu_atomic_done().
 * True with NULL: the operand is split or not plain memory; the caller holds the VM's split lock now, uses
 * emu_rmw_begin/emu_load.. and emu_store.., and calls emu_atomic_done() whether or not those succeeded.
 */
bool emu_atomic_begin(struct emu_vp *vp, uint64_t la, unsigned bytes, void **ret_host);
void emu_atomic_done(struct emu_vp *vp, uint64_t la, unsigned bytes, void *host);
/* The same as emu_atomic_begin with the host pointer in vp->slow, for handlers that must not have escaping locals. */
bool emu_atomic_host(struct emu_vp *vp, uint64_t la, unsigned bytes);

/* Supervisor access regardless of CPL (descriptor tables, TSS); SMAP applies as with AC clear. */
bool emu_load8_sys(struct emu_vp *vp, uint64_t la, uint8_t *ret);
bool emu_load16_sys(struct emu_vp *vp, uint64_t la, uint16_t *ret);
bool emu_load32_sys(struct emu_vp *vp, uint64_t la, uint32_t *ret);
bool emu_load64_sys(struct emu_vp *vp, uint64_t la, uint64_t *ret);
bool emu_store8_sys(struct emu_vp *vp, uint64_t la, uint8_t value);
bool emu_store16_sys(struct emu_vp *vp, uint64_t la, uint16_t value);
bool emu_store32_sys(struct emu_vp *vp, uint64_t la, uint32_t value);
bool emu_store64_sys(struct emu_vp *vp, uint64_t la, uint64_t value);
bool emu_probe_sys(struct emu_vp *vp, uint64_t la, unsigned bytes, unsigned access);

/* ---- Stack, current CPL ---- */

/* Mask of the stack pointer: 64, 32 or 16 bits after SS.B. */
static inline uint64_t emu_sp_mask(const struct emu_vp *vp)
{
	return vp->mode == EMU_MODE_64			 ? ~UINT64_C(0)
	       : vp->seg[X86_SS].attributes & X86_SEG_DB ? 0xffffffffu
							 : 0xffffu;
}

/* RSP, ESP or SP becomes @sp; the bits above stay (SP) or become 0 (ESP in legacy code). */
static inline void emu_sp_set(struct emu_vp *vp, uint64_t sp)
{
	uint64_t mask = emu_sp_mask(vp);

	vp->r[X86_RSP] = mask == 0xffffu ? (vp->r[X86_RSP] & ~mask) | (sp & mask) : sp & mask;
}

/* Address of SS:@sp (masked), checked; result in vp->slow. Faults are #SS. */
bool emu_stack_address(struct emu_vp *vp, uint64_t sp, unsigned bytes, unsigned access);
/* @bytes 2, 4, 8. RSP moves only on success. A pop leaves the value in vp->slow. */
bool emu_push(struct emu_vp *vp, unsigned bytes, uint64_t value);
bool emu_pop(struct emu_vp *vp, unsigned bytes);
/* The same @offset bytes above the stack pointer, RSP unchanged: for instructions that pop several words. */
bool emu_stack_load(struct emu_vp *vp, uint64_t offset, unsigned bytes);

/* ---- TLB ---- */

/* Chooses vp->tlb for CPL, SMAP/AC, alignment checks and data breakpoints. Called by emu_mode_update(). */
void emu_tlb_select(struct emu_vp *vp);

/* Linear address of code at CS:@rip. */
static inline uint64_t emu_code_address(const struct emu_vp *vp, uint64_t rip)
{
	return vp->mode == EMU_MODE_64 ? rip : (uint32_t)(vp->seg[X86_CS].base + rip);
}

static inline bool emu_canonical(uint64_t la)
{
	return ((uint64_t)((int64_t)(la << 16) >> 16)) == la;
}

/* #GP(0), which emu_leave turns into #SS(0) when the operand's segment is SS. Returns false. */
bool emu_raise_noncanonical(struct emu_vp *vp);

/* ---- Registers ---- */

/* 8-bit register operands are byte offsets into vp->r. */
EMU_INLINE uint8_t *emu_r8(struct emu_vp *vp, unsigned offset)
{
	return (uint8_t *)vp->r + offset;
}

/* Writes the low @bits of register @n with the architecture's rule for the rest: 16 keeps it, 32 clears it. */
EMU_INLINE void emu_reg_write(struct emu_vp *vp, unsigned bits, unsigned n, uint64_t value)
{
	if (bits == 8) {
		*emu_r8(vp, n) = (uint8_t)value;
	} else if (bits == 16) {
		vp->r[n] = (vp->r[n] & ~UINT64_C(0xffff)) | (uint16_t)value;
	} else if (bits == 32) {
		vp->r[n] = (uint32_t)value;
	} else {
		vp->r[n] = value;
	}
}

EMU_INLINE uint64_t emu_reg_read(struct emu_vp *vp, unsigned bits, unsigned n)
{
	return bits == 8    ? *emu_r8(vp, n)
	       : bits == 16 ? (uint16_t)vp->r[n]
	       : bits == 32 ? (uint32_t)vp->r[n]
			    : vp->r[n];
}

#endif
