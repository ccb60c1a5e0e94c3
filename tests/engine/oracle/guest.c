// SPDX-License-Identifier: Apache-2.0
/*
 * The engine under test, through its table of operations alone: one VP at CPL 3 with the same memory at the same addresses as the
 * child. Where the engine can intercept exceptions, every one is, so a case ends with an exit and nothing of a kernel is needed but page
 * tables. Else they are delivered, to a handler that tells by its exit which one it was (guest_idt.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/hv.h"
#include "emu/emu.h"
#include "gmem/gmem.h"
#include "kvm/kvm.h"
#include "lib/bits.h"
#include "oracle.h"
#include "test/guest_ram.h"
#include "x86/arch.h"

#define TABLES 0x1000u /* GPA of the page tables; everything else is at GPA = linear address */
#define TABLE_PAGES 5u
#define SYSTEM_PAGES (TABLE_PAGES + ORACLE_IDT_PAGES)
#define INSTRUCTIONS_MAX 100000u
#define TICKS_MAX UINT64_C(10000000000) /* where time is real: some seconds */

struct oracle_guest {
	const struct hv_engine_ops *ops;
	struct hv_engine_vm *vm;
	struct hv_engine_vp *vp;
	struct gmem gmem;
	unsigned mode;
	const uint8_t *pool;
	uint8_t *memory;  /* SYSTEM_PAGES, read-write: 2 pages, read-only: 1 page */
	bool delivered;	  /* exceptions are not intercepted */
	uint64_t bp_bias; /* the engine reports #BP with RIP at or after INT3 */
};

static void code_written(void *ctx, uint64_t gpa, size_t bytes)
{
	struct oracle_guest *g = ctx;

	g->ops->code_written(g->vm, gpa, bytes);
}

static uint64_t clock_ticks(void *ctx)
{
	(void)ctx;
	return __builtin_ia32_rdtsc();
}

static _Noreturn void give_up(const char *what)
{
	fprintf(stderr, "oracle: the engine: %s\n", what);
	exit(1);
}

static void map_pages(struct oracle_guest *g, uint64_t gpa, uint8_t *host, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++) {
		if (gmem_map(&g->gmem, gpa / GMEM_PAGE_BYTES + i, host + i * GMEM_PAGE_BYTES,
			     GMEM_RIGHTS) != 0) {
			give_up("gmem_map failed");
		}
	}
	g->ops->gpa_changed(g->vm, gpa / GMEM_PAGE_BYTES, pages);
}

/* Present, user, accessed, dirty; then writable and no-execute as asked. */
static void table_put(struct oracle_guest *g, unsigned table, unsigned index, uint64_t entry)
{
	store_le64(g->memory + table * GMEM_PAGE_BYTES + index * 8, entry | 0x65);
}

static void build_tables(struct oracle_guest *g)
{
	const uint64_t nx = UINT64_C(1) << 63;

	table_put(g, 0, 0, (TABLES + 0x1000) | 2);
	table_put(g, 1, 0, (TABLES + 0x2000) | 2);
	table_put(g, 2, ORACLE_DATA >> 21, (TABLES + 0x3000) | 2);
	table_put(g, 2, ORACLE_CODE >> 21, (TABLES + 0x4000) | 2);
	table_put(g, 3, 1, ORACLE_RW | 2 | nx);
	table_put(g, 3, 2, (ORACLE_RW + 0x1000) | 2 | nx);
	table_put(g, 3, 3, ORACLE_RO | nx);
	for (unsigned i = 0; i < ORACLE_IDT_PAGES; i++) { /* supervisor only */
		store_le64(g->memory + 3 * GMEM_PAGE_BYTES +
				   ((ORACLE_IDT - ORACLE_DATA) / GMEM_PAGE_BYTES + i) * 8,
			   (TABLES + (TABLE_PAGES + i) * GMEM_PAGE_BYTES) | 0x63);
	}
	oracle_idt_build(g->memory + TABLE_PAGES * GMEM_PAGE_BYTES);
	for (unsigned i = 0; i < ORACLE_CODE_BYTES / GMEM_PAGE_BYTES; i++) {
		table_put(g, 4, i, ORACLE_CODE + i * GMEM_PAGE_BYTES);
	}
}

static void reg_put(struct oracle_guest *g, uint32_t name, uint64_t lo, uint64_t hi)
{
	struct hv_u128 v = {lo, hi};

	if (!g->ops->reg_set(g->vp, name, &v)) {
		fprintf(stderr, "oracle: register 0x%x = 0x%llx%016llx\n", name,
			(unsigned long long)hi, (unsigned long long)lo);
		give_up("refuses a register");
	}
}

static struct hv_u128 reg_take(struct oracle_guest *g, uint32_t name)
{
	struct hv_u128 v = {0, 0};

	if (!g->ops->reg_get(g->vp, name, &v)) {
		fprintf(stderr, "oracle: register 0x%x\n", name);
		give_up("does not know a register");
	}
	return v;
}

static void segment_put(struct oracle_guest *g, unsigned seg, uint16_t selector,
			uint16_t attributes, uint64_t base)
{
	uint32_t limit = attributes != 0 ? UINT32_MAX : 0;

	reg_put(g, HvX64RegisterEs + seg, base,
		limit | (uint64_t)selector << 32 | (uint64_t)attributes << 48);
}

/* The selectors Linux gives a 64-bit process, a 32-bit one, and one with two entries in its local table. */
static void segments_set(struct oracle_guest *g)
{
	uint64_t limit16 = 0xffff, code16 = UINT64_C(0x07) << 32 | UINT64_C(0x00fb) << 48;
	uint64_t data16 = UINT64_C(0x0f) << 32 | UINT64_C(0x00f3) << 48;

	segment_put(g, X86_SS, 0x2b, 0xc0f3, 0);
	switch (g->mode) {
	case 64:
		segment_put(g, X86_CS, 0x33, 0xa0fb, 0);
		segment_put(g, X86_DS, 0, 0, 0);
		segment_put(g, X86_ES, 0, 0, 0);
		break;
	case 32:
		segment_put(g, X86_CS, 0x23, 0xc0fb, 0);
		segment_put(g, X86_DS, 0x2b, 0xc0f3, 0);
		segment_put(g, X86_ES, 0x2b, 0xc0f3, 0);
		break;
	default:
		reg_put(g, HvX64RegisterCs, ORACLE_CODE, limit16 | code16);
		reg_put(g, HvX64RegisterDs, ORACLE_DATA, limit16 | data16);
		reg_put(g, HvX64RegisterEs, ORACLE_DATA, limit16 | data16);
		break;
	}
}

static void system_state(struct oracle_guest *g)
{
	uint64_t cr4 = X86_CR4_PAE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_FSGSBASE;
	uint32_t features[4];

	g->ops->cpuid(g->vm, 7, 0, features);
	if ((features[1] & 1) == 0) {
		cr4 &= ~(uint64_t)X86_CR4_FSGSBASE;
	}
	reg_put(g, HvX64RegisterCr4, cr4, 0);
	reg_put(g, HvX64RegisterCr3, TABLES, 0);
	reg_put(g, HvX64RegisterEfer, X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE | X86_EFER_SCE, 0);
	reg_put(g, HvX64RegisterCr0,
		X86_CR0_PE | X86_CR0_MP | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_AM |
			X86_CR0_PG,
		0);
	segments_set(g);
	segment_put(g, X86_FS, 0, 0, 0);
	segment_put(g, X86_GS, 0, 0, 0);
	reg_put(g, HvX64RegisterTr, ORACLE_IDT,
		0x67 | UINT64_C(0x40) << 32 | UINT64_C(0x008b) << 48);
	if (g->delivered) {
		reg_put(g, HvX64RegisterGdtr, (uint64_t)(ORACLE_GDT_BYTES - 1) << 48, ORACLE_GDT);
		reg_put(g, HvX64RegisterIdtr, UINT64_C(0xfff) << 48, ORACLE_IDT_TABLE);
	}
}

/* INT3 at a known place shows which RIP the engine reports for it. */
static void calibrate(struct oracle_guest *g)
{
	static struct oracle_case c; /* large; zero */
	static struct oracle_result r;

	uint64_t start = g->mode == 16 ? 0 : ORACLE_CODE;

	c.in.rip = start;
	c.in.rflags = 2 | X86_IF;
	store_le16(c.in.fx + FX_FCW, 0x37f);
	store_le32(c.in.fx + FX_MXCSR, 0x1f80);
	oracle_guest_run(g, &c, &r);
	if (r.vector != 3 || r.out.rip - start > 1) {
		fprintf(stderr, "oracle: vector 0x%x rip 0x%llx\n", r.vector,
			(unsigned long long)r.out.rip);
		give_up("does not run INT3");
	}
	g->bp_bias = 1 - (r.out.rip - start);
}

static void engine_create(struct oracle_guest *g, int device)
{
	struct hv_engine_config config = {.gmem = &g->gmem,
					  .vp_max = 1,
					  .clock = clock_ticks,
					  .clock_hz = 1000000000,
					  .count_instructions = device < 0,
					  .device_fd = device};

	g->ops = device >= 0 ? &kvm_engine_ops : &emu_engine_ops;
	if (g->ops->vm_create(&config, &g->vm) != 0 || g->ops->vp_create(g->vm, 0, &g->vp) != 0) {
		give_up("cannot be created");
	}
	gmem_set_watch(&g->gmem, &(struct gmem_watch){code_written, g});
	if (!g->delivered) {
		g->ops->intercept_exceptions(g->vm, UINT32_MAX);
	}
}

struct oracle_guest *oracle_guest_create(uint8_t *code, const uint8_t *pool, unsigned mode,
					 int device, bool delivered)
{
	struct oracle_guest *g = calloc(1, sizeof(*g));

	if (g == NULL || test_space_init(&g->gmem, 40) != 0) {
		give_up("no memory");
	}
	g->mode = mode;
	g->pool = pool;
	g->delivered = delivered || device >= 0;
	g->memory = test_pages_alloc(SYSTEM_PAGES + 3);
	if (g->memory == NULL) {
		give_up("no memory");
	}
	memcpy(g->memory + (SYSTEM_PAGES + 2) * GMEM_PAGE_BYTES, pool, GMEM_PAGE_BYTES);
	build_tables(g);
	engine_create(g, device);
	map_pages(g, TABLES, g->memory, SYSTEM_PAGES);
	map_pages(g, ORACLE_RW, g->memory + SYSTEM_PAGES * GMEM_PAGE_BYTES, 3);
	map_pages(g, ORACLE_CODE, code, ORACLE_CODE_BYTES / GMEM_PAGE_BYTES);
	system_state(g);
	memset(code, 0xcc, ORACLE_CODE_BYTES);
	calibrate(g);
	return g;
}

void oracle_guest_destroy(struct oracle_guest *g)
{
	g->ops->vp_destroy(g->vp);
	g->ops->vm_destroy(g->vm);
	gmem_fini(&g->gmem);
	free(g->memory);
	free(g);
}

void oracle_guest_cpuid(void *guest, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	struct oracle_guest *g = guest;

	regs[0] = regs[1] = regs[2] = regs[3] = 0;
	g->ops->cpuid(g->vm, leaf, subleaf, regs);
}

void oracle_guest_code_changed(struct oracle_guest *g)
{
	for (unsigned at = 0; at < ORACLE_CODE_BYTES; at += GMEM_PAGE_BYTES) {
		gmem_touch(&g->gmem, ORACLE_CODE + at, GMEM_PAGE_BYTES);
	}
}

static uint8_t *window_memory(struct oracle_guest *g, const struct oracle_window *win)
{
	return g->memory + SYSTEM_PAGES * GMEM_PAGE_BYTES + (win->address - ORACLE_RW);
}

static void load(struct oracle_guest *g, const struct oracle_case *c)
{
	static uint8_t mem[ORACLE_MEM_BYTES];
	const struct oracle_state *s = &c->in;
	const uint8_t *fx = s->fx;

	oracle_case_memory(c, g->pool, mem);
	for (unsigned w = 0; w < ORACLE_WINDOWS; w++) {
		memcpy(window_memory(g, &oracle_windows[w]), mem + oracle_windows[w].offset,
		       oracle_windows[w].bytes);
	}
	for (uint32_t i = 0; i < 16; i++) {
		reg_put(g, HvX64RegisterRax + i, s->gpr[i], 0);
	}
	if (g->delivered) {
		segments_set(g); /* they are the handler's */
	}
	reg_put(g, HvX64RegisterRip, s->rip, 0);
	reg_put(g, HvX64RegisterRflags, s->rflags, 0);
	if (g->mode == 64) {
		segment_put(g, X86_FS, 0, 0, s->fs_base);
		segment_put(g, X86_GS, 0, 0, s->gs_base);
	}
	reg_put(g, HvX64RegisterFpControlStatus,
		load_le16(fx + FX_FCW) | (uint64_t)load_le16(fx + FX_FSW) << 16 |
			(uint64_t)fx[FX_FTW] << 32,
		0);
	reg_put(g, HvX64RegisterXmmControlStatus, 0,
		load_le32(fx + FX_MXCSR) | UINT64_C(0xffff) << 32);
	for (uint32_t i = 0; i < 8; i++) {
		reg_put(g, HvX64RegisterFpMmx0 + i, load_le64(fx + FX_ST + 16 * i),
			load_le16(fx + FX_ST + 16 * i + 8));
	}
	for (uint32_t i = 0; i < 16; i++) {
		reg_put(g, HvX64RegisterXmm0 + i, load_le64(fx + FX_XMM + 16 * i),
			load_le64(fx + FX_XMM + 16 * i + 8));
	}
}

static void store(struct oracle_guest *g, struct oracle_result *r)
{
	struct oracle_state *s = &r->out;
	struct hv_u128 v;

	memset(s, 0, sizeof(*s));
	for (unsigned w = 0; w < ORACLE_WINDOWS; w++) {
		memcpy(r->mem + oracle_windows[w].offset, window_memory(g, &oracle_windows[w]),
		       oracle_windows[w].bytes);
	}
	for (uint32_t i = 0; i < 16; i++) {
		s->gpr[i] = reg_take(g, HvX64RegisterRax + i).lo;
	}
	s->rip = reg_take(g, HvX64RegisterRip).lo;
	s->rflags = reg_take(g, HvX64RegisterRflags).lo;
	if (g->mode == 64) {
		s->fs_base = reg_take(g, HvX64RegisterEs + X86_FS).lo;
		s->gs_base = reg_take(g, HvX64RegisterEs + X86_GS).lo;
	}
	v = reg_take(g, HvX64RegisterFpControlStatus);
	store_le16(s->fx + FX_FCW, (uint16_t)v.lo);
	store_le16(s->fx + FX_FSW, (uint16_t)(v.lo >> 16));
	s->fx[FX_FTW] = (uint8_t)(v.lo >> 32);
	store_le32(s->fx + FX_MXCSR, (uint32_t)reg_take(g, HvX64RegisterXmmControlStatus).hi);
	for (uint32_t i = 0; i < 8; i++) {
		v = reg_take(g, HvX64RegisterFpMmx0 + i);
		store_le64(s->fx + FX_ST + 16 * i, v.lo);
		store_le16(s->fx + FX_ST + 16 * i + 8, (uint16_t)v.hi);
	}
	for (uint32_t i = 0; i < 16; i++) {
		v = reg_take(g, HvX64RegisterXmm0 + i);
		store_le64(s->fx + FX_XMM + 16 * i, v.lo);
		store_le64(s->fx + FX_XMM + 16 * i + 8, v.hi);
	}
}

/* The handler said which exception it was; the rest lies on its stack. */
static void from_handler(struct oracle_guest *g, const struct hv_exit *exit,
			 struct oracle_result *ret)
{
	struct oracle_idt_frame frame;

	oracle_idt_frame_get(g->memory + TABLE_PAGES * GMEM_PAGE_BYTES, exit->port.port, &frame);
	ret->vector = exit->port.port;
	ret->error = frame.error;
	ret->cr2 = ret->vector == X86_EXC_PF ? reg_take(g, HvX64RegisterCr2).lo : 0;
	ret->out.rip = frame.rip;
	ret->out.rflags = frame.rflags;
	ret->out.gpr[X86_RSP] = frame.rsp;
}

static void from_intercept(const struct hv_exit *exit, struct oracle_result *ret)
{
	ret->vector = exit->exception.vector;
	ret->error = exit->exception.has_error ? exit->exception.error : 0;
	ret->cr2 = exit->exception.vector == X86_EXC_PF ? exit->exception.parameter : 0;
}

void oracle_guest_run(struct oracle_guest *g, const struct oracle_case *c,
		      struct oracle_result *ret)
{
	uint64_t limit = g->ops == &emu_engine_ops ? INSTRUCTIONS_MAX : TICKS_MAX;
	struct hv_run how = {.deadline_tsc = g->ops->tsc(g->vm) + limit};
	struct hv_exit exit;

	load(g, c);
	do {
		g->ops->run(g->vp, &how, &exit);
	} while (exit.kind == HV_EXIT_INTERRUPTED && g->ops->tsc(g->vm) < how.deadline_tsc);
	store(g, ret);
	ret->error = 0;
	ret->cr2 = 0;
	if (g->delivered && exit.kind == HV_EXIT_PORT && exit.port.write && exit.port.port < 256) {
		from_handler(g, &exit, ret);
		g->ops->abandon(g->vp);
	} else if (exit.kind == HV_EXIT_EXCEPTION) {
		from_intercept(&exit, ret);
	} else {
		if (exit.kind == HV_EXIT_FAILED) {
			give_up(exit.failed.what);
		}
		ret->vector = ORACLE_VECTOR_ENGINE_EXIT + (uint32_t)exit.kind;
		g->ops->abandon(g->vp);
		return;
	}
	if (ret->vector == X86_EXC_BP) {
		ret->out.rip += g->bp_bias;
	}
}
