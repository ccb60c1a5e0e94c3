// SPDX-License-Identifier: Apache-2.0
/* One random case from a form: bytes, state, memory. */
#include <string.h>

#include "lib/bits.h"
#include "oracle.h"
#include "x86/arch.h"

/* Base of FS and GS in 64-bit cases; small so that base + displacement stays below 2 GiB. */
#define FS_BASE 0x00345000u
#define GS_BASE 0x00567000u

bool oracle_patch_add(struct oracle_case *c, uint64_t address, const void *data, uint32_t bytes)
{
	struct oracle_patch *p = &c->patch[c->patch_count];

	if (c->patch_count == ORACLE_PATCHES || bytes > sizeof(p->data)) {
		return false;
	}
	for (unsigned w = 0; w < ORACLE_WINDOWS; w++) {
		const struct oracle_window *win = &oracle_windows[w];

		if (address >= win->address &&
		    range_within(address - win->address, bytes, win->bytes)) {
			p->address = (uint32_t)address;
			p->bytes = bytes;
			memcpy(p->data, data, bytes);
			c->patch_count++;
			return true;
		}
	}
	return false;
}

void oracle_case_memory(const struct oracle_case *c, const uint8_t *pool,
			uint8_t mem[ORACLE_MEM_BYTES])
{
	memcpy(mem, pool + c->pool, ORACLE_MEM_BYTES);
	for (unsigned i = 0; i < c->patch_count; i++) {
		const struct oracle_patch *p = &c->patch[i];

		for (unsigned w = 0; w < ORACLE_WINDOWS; w++) {
			const struct oracle_window *win = &oracle_windows[w];

			if (p->address >= win->address && p->address < win->address + win->bytes) {
				memcpy(mem + win->offset + (p->address - win->address), p->data,
				       p->bytes);
			}
		}
	}
}

void oracle_case_slot(const struct oracle_case *c, uint8_t *slot)
{
	uint32_t at = c->address % ORACLE_SLOT_BYTES;
	uint32_t room = ORACLE_SLOT_BYTES - at;

	memset(slot, 0xcc, ORACLE_SLOT_BYTES);
	memcpy(slot + at, c->code, min_u64(c->length, room));
}

const struct oracle_form *oracle_pick_form(const struct oracle_forms *forms, struct oracle_rng *rng)
{
	size_t m;

	if (oracle_percent(rng, 30)) {
		return &forms->form[oracle_below(rng, (uint32_t)forms->count)];
	}
	m = oracle_below(rng, (uint32_t)forms->mnemonic_count);
	return &forms->form[forms->first[m] +
			    oracle_below(rng, (uint32_t)(forms->first[m + 1] - forms->first[m]))];
}

/* ModRM, SIB and displacement. */
static unsigned put_modrm(const struct oracle_form *f, struct oracle_rng *rng, uint8_t *buf)
{
	uint32_t r = (uint32_t)oracle_random(rng);
	uint8_t mod = f->mod3 ? 3 : (uint8_t)(r % 3), rm = f->fixed_rm ? f->rm : (r >> 8) & 7;
	unsigned n = 0, disp;

	buf[n++] = (uint8_t)(mod << 6 | f->reg << 3 | rm);
	if (mod == 3) {
		return n;
	}
	disp = mod == 0 ? 0 : mod == 1 ? 1 : 4;
	if (rm == 4) {
		buf[n++] = (uint8_t)(r >> 16);
		disp = mod == 0 && (buf[1] & 7) == 5 ? 4 : disp;
	} else if (mod == 0 && rm == 5) {
		disp = 4;
	}
	if (disp == 1) {
		buf[n++] = (uint8_t)oracle_random(rng);
	} else if (disp == 4) {
		uint32_t d = (uint32_t)oracle_value_int(rng);

		memcpy(buf + n, &d, 4);
		n += 4;
	}
	return n;
}

static unsigned put_prefixes(const struct oracle_gen *gen, const struct oracle_form *f,
			     struct oracle_rng *rng, uint8_t *buf)
{
	static const uint8_t segments[] = {0x26, 0x2e, 0x36, 0x3e};
	uint32_t r = oracle_below(rng, 200);
	unsigned n = 0;

	if (r < 8 && gen->mode == 64) {
		buf[n++] = r < 4 ? 0x64 : 0x65;
	} else if (r < 12 && gen->mode == 64) {
		buf[n++] = segments[r & 3];
	} else if (r < 60 && gen->mode == 16) {
		buf[n++] = r < 48 ? 0x3e : segments[r & 3];
	}
	if (oracle_percent(rng, 4)) {
		buf[n++] = 0x67;
	}
	if (f->vex) {
		return n;
	}
	if (oracle_percent(rng, 8)) {
		buf[n++] = 0xf0;
	}
	if (f->prefix == 1) {
		buf[n++] = 0x66;
		buf[n++] = 0xf2;
	} else if (f->prefix != 0) {
		buf[n++] = f->prefix;
	}
	if (gen->mode == 64 && (f->rex_w || oracle_percent(rng, 50))) {
		buf[n++] = (uint8_t)(0x40 | (f->rex_w ? 8 : 0) | oracle_below(rng, 8));
	}
	return n;
}

void oracle_put_code(const struct oracle_gen *gen, const struct oracle_form *f,
		     struct oracle_rng *rng, uint8_t buf[40])
{
	unsigned n = put_prefixes(gen, f, rng, buf);

	if (f->vex) {
		uint32_t r = (uint32_t)oracle_random(rng);

		buf[n++] = 0xc4;
		buf[n++] = (uint8_t)((gen->mode == 64 ? (r & 0xe0) : 0xe0) | f->map);
		buf[n++] = (uint8_t)((f->rex_w ? 0x80 : 0) | ((r >> 8) & 0x78) |
				     oracle_vex_prefix(f->prefix));
	} else if (f->map != 0) {
		buf[n++] = 0x0f;
		if (f->map >= 2) {
			buf[n++] = f->map == 2 ? 0x38 : 0x3a;
		}
	}
	buf[n++] = f->opcode;
	if (f->has_modrm) {
		n += put_modrm(f, rng, buf + n);
	}
	while (n <= 24) {
		uint64_t imm = oracle_percent(rng, 50) ? oracle_random(rng) : oracle_value_int(rng);

		memcpy(buf + n, &imm, 8);
		n += 8;
	}
}

static enum oracle_kind kind_of(const struct oracle_form *f, const ZydisDecodedInstruction *insn,
				const ZydisDecodedOperand *ops, struct oracle_rng *rng)
{
	for (unsigned i = 0; i < insn->operand_count_visible && !oracle_percent(rng, 10); i++) {
		if (ops[i].element_type == ZYDIS_ELEMENT_TYPE_FLOAT32) {
			return ORACLE_KIND_F32;
		}
		if (ops[i].element_type == ZYDIS_ELEMENT_TYPE_FLOAT64) {
			return ORACLE_KIND_F64;
		}
	}
	if (f->group == ORACLE_INT && oracle_percent(rng, 20)) {
		return ORACLE_KIND_SAME;
	}
	return oracle_percent(rng, 80) ? ORACLE_KIND_INT
				       : (enum oracle_kind)oracle_below(rng, ORACLE_POOL_REGIONS);
}

static void state_x87(struct oracle_rng *rng, uint8_t *fx)
{
	static const uint16_t precision[] = {0x300, 0x300, 0x300, 0x200, 0x000};
	uint64_t r = oracle_random(rng);
	uint16_t fcw = (uint16_t)(0x40 | precision[(r & 0xff) % 5] | ((r >> 8) & 3) << 10);
	uint16_t fsw =
		(uint16_t)(((r >> 16) & 7) << 11 | (((r >> 20) & 0x47) << 8)); /* TOP, C3, C2..C0 */
	uint8_t flags = oracle_percent(rng, 40) ? (r >> 32) & 0x7f : 0;

	fcw |= oracle_percent(rng, 85) ? 0x3f : (r >> 40) & 0x3f;
	if (!oracle_percent(rng, 5)) {
		flags &= (uint8_t)(fcw | 0x40); /* nothing pending */
	}
	fsw |= flags;
	if ((flags & ~fcw & 0x3f) != 0) {
		fsw |= 0x8080; /* ES and B follow from the flags */
	}
	store_le16(fx + FX_FCW, fcw);
	store_le16(fx + FX_FSW, fsw);
	fx[FX_FTW] = oracle_percent(rng, 60) ? 0xff : (uint8_t)(r >> 48);
	for (unsigned i = 0; i < 8; i++) {
		oracle_value_f80(rng, fx + FX_ST + 16 * i);
	}
}

static void state_init(const struct oracle_gen *gen, struct oracle_rng *rng, struct oracle_case *c,
		       unsigned group, enum oracle_kind kind)
{
	struct oracle_state *s = &c->in;
	uint64_t r = oracle_random(rng);

	memset(s, 0, sizeof(*s));
	for (unsigned i = 0; i < 16; i++) {
		s->gpr[i] = oracle_value_int(rng);
		if (gen->mode != 64) {
			s->gpr[i] = i < 8 ? (uint32_t)s->gpr[i] : 0;
		}
	}
	s->rip = c->address - (gen->mode == 16 ? ORACLE_CODE : 0);
	s->rflags = 2 | X86_IF | (r & X86_ARITH) | (((r >> 32) & 3) == 0 ? X86_DF : 0);
	s->fs_base = gen->mode == 64 ? FS_BASE : 0;
	s->gs_base = gen->mode == 64 ? GS_BASE : 0;
	if ((group & (ORACLE_X87 | ORACLE_MMX)) != 0) {
		state_x87(rng, s->fx);
	} else {
		store_le16(s->fx + FX_FCW, 0x37f);
	}
	store_le32(s->fx + FX_MXCSR, 0x1f80);
	if ((group & (ORACLE_SSE | ORACLE_MMX)) != 0) {
		uint32_t mxcsr = (uint32_t)(((r >> 40) & 3) << 13 |
					    ((r >> 42) & 0x3f)); /* rounding, flags */

		mxcsr |= ((r >> 48) & 7) == 0 ? 0x8000 : 0; /* FTZ */
		mxcsr |= ((r >> 51) & 7) == 0 ? 0x0040 : 0; /* DAZ */
		mxcsr |= oracle_percent(rng, 90) ? 0x1f80 : (uint32_t)((r >> 54) & 0x3f) << 7;
		store_le32(s->fx + FX_MXCSR, mxcsr);
		for (unsigned i = 0; i < (gen->mode == 64 ? 16u : 8u); i++) {
			enum oracle_kind k = oracle_percent(rng, 85)
						     ? kind
						     : (enum oracle_kind)oracle_below(rng, 4);

			oracle_value_fill(rng, k, s->fx + FX_XMM + 16 * i, 16);
		}
	}
}

static bool try_sequence(const struct oracle_gen *gen, struct oracle_rng *rng,
			 struct oracle_case *c)
{
	memset(c->code, 0, sizeof(c->code));
	c->patch_count = 0;
	c->bad_lock = false;
	c->pool = 0;
	c->address = (uint32_t)(ORACLE_CODE + (c->number % ORACLE_BATCH) * ORACLE_SLOT_BYTES +
				ORACLE_SLOT_START);
	state_init(gen, rng, c, ORACLE_INT, ORACLE_KIND_INT);
	return oracle_sequence(gen, rng, c);
}

static bool try_case(const struct oracle_gen *gen, struct oracle_rng *rng, struct oracle_case *c)
{
	const struct oracle_form *f = oracle_pick_form(gen->forms, rng);
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	enum oracle_kind kind;
	uint8_t buf[40];

	oracle_put_code(gen, f, rng, buf);
	c->patch_count = 0;
	c->bad_lock = false;
	if (ZYAN_FAILED(ZydisDecoderDecodeFull(&gen->decoder, buf, 15, &insn, ops)) ||
	    insn.mnemonic != f->mnemonic || !oracle_acceptable(gen->forms, gen->mode, &insn, ops)) {
		return false;
	}
	memset(c->code, 0, sizeof(c->code));
	memcpy(c->code, buf, 15);
	c->length = insn.length;
	c->instructions = 1;
	/* Some cases do not begin in the middle of their slot but end exactly at the end of mapped code, or are cut by it. */
	c->address = (uint32_t)(ORACLE_CODE + (c->number % ORACLE_BATCH) * ORACLE_SLOT_BYTES +
				ORACLE_SLOT_START);
	if (c->number % ORACLE_BATCH == ORACLE_BATCH - 1) {
		uint32_t missing = oracle_percent(rng, 50) ? oracle_below(rng, insn.length) : 0;

		c->address = ORACLE_CODE_END - (uint32_t)(insn.length - missing);
	}
	kind = kind_of(f, &insn, ops, rng);
	state_init(gen, rng, c, oracle_group_of(&insn, ops), kind);
	c->pool = (uint32_t)kind * ORACLE_POOL_REGION_BYTES +
		  16 * oracle_below(rng, (ORACLE_POOL_REGION_BYTES - ORACLE_MEM_BYTES) / 16);
	if (!oracle_steer(gen, rng, c, &insn, ops) ||
	    (gen->below_qemu && oracle_emulated_wrong(c, &insn, ops))) {
		return false;
	}
	if ((insn.attributes & (ZYDIS_ATTRIB_ACCEPTS_LOCK | ZYDIS_ATTRIB_HAS_LOCK)) == 0 &&
	    insn.length < 15 && c->number % ORACLE_BATCH != ORACLE_BATCH - 1 &&
	    oracle_below(rng, 300) == 0) {
		memmove(c->code + 1, c->code, 15);
		c->code[0] = 0xf0;
		c->length++;
		c->bad_lock = true;
	}
	return true;
}

void oracle_case_make(const struct oracle_gen *gen, uint64_t number, struct oracle_case *ret_case)
{
	struct oracle_rng rng = {gen->seed * UINT64_C(0xd1342543de82ef95) + number};

	rng.state = oracle_random(&rng) ^ number;
	ret_case->number = number;
	/* One case in eight is a sequence, but for the slot at the end of the code. */
	if (gen->sequences && number % 8 == 3) {
		while (!try_sequence(gen, &rng, ret_case)) {
		}
		return;
	}
	while (!try_case(gen, &rng, ret_case)) {
	}
}

bool oracle_case_decode(const struct oracle_gen *gen, const struct oracle_case *c,
			ZydisDecodedInstruction *insn, ZydisDecodedOperand *ops)
{
	unsigned skip = c->bad_lock ? 1 : 0;

	return ZYAN_SUCCESS(
		ZydisDecoderDecodeFull(&gen->decoder, c->code + skip, 15 - skip, insn, ops));
}
