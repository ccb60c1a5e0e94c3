// SPDX-License-Identifier: Apache-2.0
/* The guest on the software engine, in this process. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "abi/hv.h"
#include "emu/emu.h"
#include "gmem/gmem.h"
#include "guest.h"
#include "measure.h"

#define SEGMENT_CODE UINT64_C(0xa09b) /* present, long, accessed, execute and read */
#define SEGMENT_DATA UINT64_C(0xc093)
#define SEGMENT_DPL_SHIFT 5

struct emu_vp {
	struct measured_vp base;
	const struct hv_engine_ops *ops;
	struct hv_engine_vm *vm;
	struct hv_engine_vp *vp;
	struct gmem gmem;
	uint8_t *memory;
};

static void *page_alloc(void *ctx)
{
	void *page = aligned_alloc(GMEM_PAGE_BYTES, GMEM_PAGE_BYTES);

	if (page != NULL) {
		memset(page, 0, GMEM_PAGE_BYTES);
	}
	return page;
}

static void page_free(void *ctx, void *page)
{
	free(page);
}

static uint64_t clock_ns(void *ctx)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static bool put(struct emu_vp *e, uint32_t name, uint64_t lo, uint64_t hi)
{
	struct hv_u128 v = {lo, hi};

	return e->ops->reg_set(e->vp, name, &v);
}

static bool put_segment(struct emu_vp *e, uint32_t name, unsigned selector, uint64_t attributes)
{
	attributes |= (uint64_t)(selector & 3) << SEGMENT_DPL_SHIFT;
	return put(e, name, 0, UINT32_MAX | (uint64_t)selector << 32 | attributes << 48);
}

static bool put_segments(struct emu_vp *e, bool user)
{
	unsigned ss = user ? GUEST_SS_USER : GUEST_SS_KERNEL;

	return put_segment(e, HvX64RegisterCs, user ? GUEST_CS_USER : GUEST_CS_KERNEL,
			   SEGMENT_CODE) &&
	       put_segment(e, HvX64RegisterSs, ss, SEGMENT_DATA) &&
	       put_segment(e, HvX64RegisterDs, ss, SEGMENT_DATA) &&
	       put_segment(e, HvX64RegisterEs, ss, SEGMENT_DATA);
}

/* In this order: paging needs EFER.LME and CR4.PAE, the code segment long mode. */
static bool start(struct measured_vp *base, uint64_t rip, uint64_t rcx, bool user)
{
	struct emu_vp *e = (struct emu_vp *)base;

	e->ops->vp_reset(e->vp, false);
	return put(e, HvX64RegisterCr3, GUEST_CR3, 0) && put(e, HvX64RegisterCr4, GUEST_CR4, 0) &&
	       put(e, HvX64RegisterEfer, GUEST_EFER & ~UINT64_C(0x400), 0) &&
	       put(e, HvX64RegisterCr0, GUEST_CR0, 0) && put_segments(e, user) &&
	       put(e, HvX64RegisterGdtr, (uint64_t)GUEST_GDT_LIMIT << 48, GUEST_GDT) &&
	       put(e, HvX64RegisterIdtr, 0, 0) && put(e, HvX64RegisterRcx, rcx, 0) &&
	       put(e, HvX64RegisterRsi, GUEST_DATA, 0) &&
	       put(e, HvX64RegisterRsp, GUEST_STACK, 0) &&
	       put(e, HvX64RegisterRflags, user ? GUEST_RFLAGS_USER : GUEST_RFLAGS_KERNEL, 0) &&
	       put(e, HvX64RegisterRip, rip, 0);
}

static bool run(struct measured_vp *base)
{
	struct emu_vp *e = (struct emu_vp *)base;
	const struct hv_run how = {.deadline_tsc = UINT64_MAX};
	struct hv_exit exit = {.kind = HV_EXIT_INTERRUPTED};
	uint64_t values[4] = {0};
	uint32_t regs[4];

	for (;;) {
		e->ops->run(e->vp, &how, &exit);
		if (exit.kind == HV_EXIT_CPUID) {
			e->ops->cpuid(e->vm, exit.cpuid.leaf, exit.cpuid.subleaf, regs);
			for (unsigned i = 0; i < 4; i++) {
				values[i] = regs[i];
			}
			e->ops->complete(e->vp, values);
		} else if (exit.kind == HV_EXIT_PORT) {
			e->ops->complete(e->vp, values);
			return exit.port.port == GUEST_PORT_DONE;
		} else if (exit.kind != HV_EXIT_INTERRUPTED) {
			return false;
		}
	}
}

static bool map_memory(struct emu_vp *e)
{
	for (uint64_t gpn = 0; gpn < GUEST_BYTES / GMEM_PAGE_BYTES; gpn++) {
		if (gmem_map(&e->gmem, gpn, e->memory + gpn * GMEM_PAGE_BYTES, GMEM_RIGHTS) != 0) {
			return false;
		}
	}
	return true;
}

static bool on_vm(struct emu_vp *e, struct engines_rates *ret_rates)
{
	const struct hv_engine_config config = {
		.gmem = &e->gmem, .vp_max = 1, .clock = clock_ns, .clock_hz = 1000000000};
	bool ok = false;

	if (e->ops->vm_create(&config, &e->vm) != 0) {
		return false;
	}
	if (e->ops->vp_create(e->vm, 0, &e->vp) == 0) {
		ok = start(&e->base, guest_entry(GUEST_CHECK), 0, false) && run(&e->base) &&
		     measure_rates(&e->base, ret_rates);
		e->ops->vp_destroy(e->vp);
	}
	e->ops->vm_destroy(e->vm);
	return ok;
}

bool measure_emu(struct engines_rates *ret_rates)
{
	const struct gmem_pages pages = {page_alloc, page_free, NULL};
	struct emu_vp e = {.base = {start, run}, .ops = &emu_engine_ops};
	struct engines_rates rates = {0};
	bool ok = false;

	e.memory =
		mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (e.memory == MAP_FAILED) {
		return false;
	}
	if (gmem_init(&e.gmem, 40, &pages) == 0) {
		guest_build(e.memory);
		ok = map_memory(&e) && on_vm(&e, &rates);
		gmem_fini(&e.gmem);
	}
	munmap(e.memory, GUEST_BYTES);
	if (ok) {
		*ret_rates = rates;
	}
	return ok;
}
