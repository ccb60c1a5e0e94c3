/* SPDX-License-Identifier: Apache-2.0 */
/* BT.., BSF.., LZCNT, TZCNT, POPCNT, CRC32, ADCX, ADOX. */
#define EMU_HOT
#include "exec.h"

/* ---- BT, BTS, BTR, BTC: CF alone changes ---- */

static uint64_t bit_result(enum emu_bit op, uint64_t value, uint64_t bit)
{
	return op == EMU_BTS   ? value | bit
	       : op == EMU_BTR ? value & ~bit
	       : op == EMU_BTC ? value ^ bit
			       : value;
}

#define DEFINE_BIT_REGISTER(name, op, bits)                                                        \
	static EMU_OP(name##bits##_r)                                                              \
	{                                                                                          \
		unsigned n =                                                                       \
			(unsigned)(i->rs == EMU_ATOMIC_IMM ? i->imm : vp->r[i->rs]) & (bits - 1);  \
		uint64_t value = emu_reg_read(vp, bits, i->rd);                                    \
                                                                                                   \
		emu_set_cf(vp, (value >> n) & 1);                                                  \
		if (op != EMU_BT) {                                                                \
			emu_reg_write(vp, bits, i->rd, bit_result(op, value, BIT64(n)));           \
		}                                                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}

/*
 * A bit number in a register reaches beyond the operand: the address moves by whole operands. Returns the bit within the operand;
 * its address is in vp->slow. -1: fault.
 */
static int bit_address(struct emu_vp *vp, const struct emu_insn *i, unsigned bits, unsigned access)
{
	uint64_t ea = emu_effective(vp, i);
	int64_t n;

	if (i->rs == EMU_ATOMIC_IMM) {
		n = (int64_t)(i->imm & (bits - 1));
	} else {
		n = (int64_t)emu_sign_extend(vp->r[i->rs], bits);
		ea = (ea + (uint64_t)((n >> (bits == 16	  ? 4
					     : bits == 32 ? 5
							  : 6)) *
				      (int64_t)(bits / 8))) &
		     emu_asize_mask(i);
	}
	if (!emu_segment_address(vp, i->seg, ea, bits / 8, access)) {
		return -1;
	}
	return (int)(n & (int64_t)(bits - 1));
}

#define DEFINE_BIT_MEMORY(name, op, bits)                                                          \
	static EMU_OP(name##bits##_m)                                                              \
	{                                                                                          \
		int n = bit_address(vp, i, bits, op == EMU_BT ? HV_ACCESS_READ : HV_ACCESS_WRITE); \
		uint64_t la = vp->slow, value;                                                     \
                                                                                                   \
		if (n < 0 || !(op == EMU_BT ? emu_load_slow(vp, la, bits / 8)                      \
					    : emu_rmw_begin(vp, la, bits / 8))) {                  \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		value = vp->slow;                                                                  \
		if (op != EMU_BT && !emu_store_slow(vp, la, bits / 8,                              \
						    bit_result(op, value, BIT64((unsigned)n)))) {  \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		emu_set_cf(vp, (value >> n) & 1);                                                  \
		EMU_NEXT(vp, i);                                                                   \
	}

/* LOCK: a host atomic, or the VM's split lock. */
#define DEFINE_BIT_LOCKED(name, op, bits)                                                          \
	static EMU_OP(name##bits##_l)                                                              \
	{                                                                                          \
		int n = bit_address(vp, i, bits, HV_ACCESS_WRITE);                                 \
		uint64_t la = vp->slow;                                                            \
		uint##bits##_t *host, value, bit;                                                  \
                                                                                                   \
		if (n < 0 || !emu_atomic_host(vp, la, bits / 8)) {                                 \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		bit = (uint##bits##_t)BIT64((unsigned)n);                                          \
		host = (void *)(uintptr_t)vp->slow;                                                \
		if (host != NULL) {                                                                \
			value = op == EMU_BTS	? __atomic_fetch_or(host, bit, __ATOMIC_SEQ_CST)   \
				: op == EMU_BTR ? __atomic_fetch_and(host, (uint##bits##_t) ~bit,  \
								     __ATOMIC_SEQ_CST)             \
						: __atomic_fetch_xor(host, bit, __ATOMIC_SEQ_CST); \
		} else {                                                                           \
			if (!emu_rmw_begin(vp, la, bits / 8)) {                                    \
				emu_atomic_done(vp, la, bits / 8, NULL);                           \
				return emu_leave(vp, i);                                           \
			}                                                                          \
			value = (uint##bits##_t)vp->slow;                                          \
			if (!emu_store_slow(vp, la, bits / 8, bit_result(op, value, bit))) {       \
				emu_atomic_done(vp, la, bits / 8, NULL);                           \
				return emu_leave(vp, i);                                           \
			}                                                                          \
		}                                                                                  \
		emu_atomic_done(vp, la, bits / 8, host);                                           \
		emu_set_cf(vp, (value & bit) != 0);                                                \
		EMU_NEXT(vp, i);                                                                   \
	}

#define DEFINE_BIT(name, op, bits)                                                                 \
	DEFINE_BIT_REGISTER(name, op, bits)                                                        \
	DEFINE_BIT_MEMORY(name, op, bits)
#define DEFINE_BITS(name, op)                                                                      \
	DEFINE_BIT(name, op, 16)                                                                   \
	DEFINE_BIT(name, op, 32)                                                                   \
	DEFINE_BIT(name, op, 64)
#define DEFINE_LOCKED_BITS(name, op)                                                               \
	DEFINE_BIT_LOCKED(name, op, 16)                                                            \
	DEFINE_BIT_LOCKED(name, op, 32)                                                            \
	DEFINE_BIT_LOCKED(name, op, 64)

DEFINE_BITS(bt, EMU_BT)
DEFINE_BITS(bts, EMU_BTS)
DEFINE_BITS(btr, EMU_BTR)
DEFINE_BITS(btc, EMU_BTC)
DEFINE_LOCKED_BITS(bts, EMU_BTS)
DEFINE_LOCKED_BITS(btr, EMU_BTR)
DEFINE_LOCKED_BITS(btc, EMU_BTC)

#define BIT_FORMS(name, bits)                                                                      \
	{                                                                                          \
		name##bits##_r, name##bits##_m, name##bits##_l                                     \
	}
#define BIT_SIZES(name)                                                                            \
	{                                                                                          \
		{NULL}, BIT_FORMS(name, 16), BIT_FORMS(name, 32), BIT_FORMS(name, 64)              \
	}

emu_fn *emu_find_bit(enum emu_bit op, unsigned log, bool memory, bool lock)
{
	static emu_fn *const table[EMU_BIT_OPS][4][3] = {
		{{NULL}, {bt16_r, bt16_m, NULL}, {bt32_r, bt32_m, NULL}, {bt64_r, bt64_m, NULL}},
		BIT_SIZES(bts),
		BIT_SIZES(btr),
		BIT_SIZES(btc),
	};

	return table[op][log][!memory ? 0 : lock ? 2 : 1];
}

/* ---- Scans and counts ---- */

#define DEFINE_SOURCE(name, bits, act)                                                             \
	static EMU_OP(name##bits##_r)                                                              \
	{                                                                                          \
		uint##bits##_t s = (uint##bits##_t)emu_reg_read(vp, bits, i->rs);                  \
                                                                                                   \
		act;                                                                               \
		EMU_NEXT(vp, i);                                                                   \
	}                                                                                          \
	static EMU_OP(name##bits##_m)                                                              \
	{                                                                                          \
		uint##bits##_t s;                                                                  \
		uint64_t la;                                                                       \
                                                                                                   \
		if (!emu_address(vp, i, bits / 8, HV_ACCESS_READ, &la) ||                          \
		    !emu_load##bits(vp, la, &s)) {                                                 \
			return emu_leave(vp, i);                                                   \
		}                                                                                  \
		act;                                                                               \
		EMU_NEXT(vp, i);                                                                   \
	}

/* BSF, BSR: ZF alone is defined; a source of 0 leaves the destination, all of it, as it was. */
EMU_INLINE void scan(struct emu_vp *vp, const struct emu_insn *i, unsigned bits, uint64_t s,
		     bool reverse)
{
	emu_set_zf(vp, s == 0);
	if (s != 0) {
		emu_reg_write(vp, bits, i->rd,
			      (uint64_t)(reverse ? 63 - __builtin_clzll(s) : __builtin_ctzll(s)));
	}
}

/* TZCNT, LZCNT: CF = source 0, ZF = result 0. */
EMU_INLINE void count_zeros(struct emu_vp *vp, const struct emu_insn *i, unsigned bits, uint64_t s,
			    bool leading)
{
	unsigned n = s == 0    ? bits
		     : leading ? (unsigned)__builtin_clzll(s) - (64 - bits)
			       : (unsigned)__builtin_ctzll(s);

	emu_reg_write(vp, bits, i->rd, n);
	emu_arith_set(vp, (emu_arith_get(vp) & ~(X86_CF | X86_ZF)) | (s == 0 ? X86_CF : 0) |
				  (n == 0 ? X86_ZF : 0));
}

EMU_INLINE void count_ones(struct emu_vp *vp, const struct emu_insn *i, unsigned bits, uint64_t s)
{
	emu_reg_write(vp, bits, i->rd, (uint64_t)__builtin_popcountll(s));
	emu_arith_set(vp, s == 0 ? X86_ZF : 0);
}

#define DEFINE_COUNTS(bits)                                                                        \
	DEFINE_SOURCE(bsf, bits, scan(vp, i, bits, s, false))                                      \
	DEFINE_SOURCE(bsr, bits, scan(vp, i, bits, s, true))                                       \
	DEFINE_SOURCE(tzcnt, bits, count_zeros(vp, i, bits, s, false))                             \
	DEFINE_SOURCE(lzcnt, bits, count_zeros(vp, i, bits, s, true))                              \
	DEFINE_SOURCE(popcnt, bits, count_ones(vp, i, bits, s))
DEFINE_COUNTS(16)
DEFINE_COUNTS(32)
DEFINE_COUNTS(64)

#define SOURCE_SIZES(name)                                                                         \
	{                                                                                          \
		{NULL}, {name##16_r, name##16_m}, {name##32_r, name##32_m},                        \
		{                                                                                  \
			name##64_r, name##64_m                                                     \
		}                                                                                  \
	}

emu_fn *emu_find_count(enum emu_count op, unsigned log, bool memory)
{
	static emu_fn *const table[EMU_COUNT_OPS][4][2] = {SOURCE_SIZES(bsf), SOURCE_SIZES(bsr),
							   SOURCE_SIZES(tzcnt), SOURCE_SIZES(lzcnt),
							   SOURCE_SIZES(popcnt)};

	return table[op][log][memory];
}

/* ---- CRC32 (polynomial 11EDC6F41h, bit-reflected) ---- */

static uint32_t crc32c(uint32_t crc, uint64_t data, unsigned bytes)
{
	for (unsigned n = 0; n < bytes; n++) {
		crc ^= (uint8_t)(data >> (8 * n));
		for (unsigned bit = 0; bit < 8; bit++) {
			crc = crc >> 1 ^ (0x82f63b78u & (0 - (crc & 1)));
		}
	}
	return crc;
}

#define DEFINE_CRC(bits)                                                                           \
	DEFINE_SOURCE(crc, bits, vp->r[i->rd] = crc32c((uint32_t)vp->r[i->rd], s, bits / 8))
DEFINE_CRC(8)
DEFINE_CRC(16)
DEFINE_CRC(32)
DEFINE_CRC(64)

emu_fn *emu_find_crc32(unsigned from_log, bool memory)
{
	static emu_fn *const table[4][2] = {
		{crc8_r, crc8_m}, {crc16_r, crc16_m}, {crc32_r, crc32_m}, {crc64_r, crc64_m}};

	return table[from_log][memory];
}

/* ---- ADCX (carry in CF), ADOX (carry in OF): no other flag changes ---- */

EMU_INLINE void add_chain(struct emu_vp *vp, const struct emu_insn *i, unsigned bits, uint64_t s,
			  bool overflow)
{
	uint64_t a = emu_reg_read(vp, bits, i->rd);
	unsigned in = overflow ? emu_of(vp) : emu_cf(vp);
	uint64_t sum = a + s + in;
	bool out = bits == 32 ? sum >> 32 : sum < a || (in && sum == a);

	emu_reg_write(vp, bits, i->rd, sum);
	emu_set_cf_of(vp, overflow ? emu_cf(vp) : out, overflow ? out : emu_of(vp));
}

DEFINE_SOURCE(adcx, 32, add_chain(vp, i, 32, s, false))
DEFINE_SOURCE(adcx, 64, add_chain(vp, i, 64, s, false))
DEFINE_SOURCE(adox, 32, add_chain(vp, i, 32, s, true))
DEFINE_SOURCE(adox, 64, add_chain(vp, i, 64, s, true))

emu_fn *emu_find_adx(bool overflow, unsigned log, bool memory)
{
	static emu_fn *const table[2][2][2] = {
		{{adcx32_r, adcx32_m}, {adcx64_r, adcx64_m}},
		{{adox32_r, adox32_m}, {adox64_r, adox64_m}},
	};

	return log < 2 ? NULL : table[overflow][log - 2][memory];
}
