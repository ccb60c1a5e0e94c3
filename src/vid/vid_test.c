// SPDX-License-Identifier: Apache-2.0
/* What the parent's handle adds to the hypervisor, with the software engine under it. */
#include "vid/vid.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi/hv.h"
#include "emu/emu.h"
#include "gmem/gmem.h"
#include "hv/host.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "test/test.h"

#define RAM_BYTES ((size_t)1 << 20)
#define CODE 0x1000u
#define HANDLER 0x2000u
#define VECTOR 0x20u
#define PORT 0x42u
#define INTERRUPTS 20000u

/* ---- The ground under the core ---- */

void hv_host_lock(struct hv_lock *lock)
{
	while (__atomic_exchange_n(&lock->word, 1, __ATOMIC_ACQUIRE) != 0) {
		sched_yield();
	}
}

void hv_host_unlock(struct hv_lock *lock)
{
	__atomic_store_n(&lock->word, 0, __ATOMIC_RELEASE);
}

void hv_host_relax(unsigned round)
{
	sched_yield();
}

void *hv_host_page(uint64_t spn)
{
	return (void *)(uintptr_t)(spn << 12);
}

uint64_t hv_host_spn(const void *page)
{
	return (uintptr_t)page >> 12;
}

void hv_host_wake(void *cookie)
{
}

void hv_host_root_message(void *cookie)
{
}

void hv_host_root_event(void *cookie)
{
}

/* ---- A machine with an 8259 of one line ---- */

struct machine {
	struct vid_partition *partition;
	struct vid_vp *vp;
	uint8_t *ram;
	bool raised;
	unsigned acknowledged;
	atomic_bool stop;
};

static uint64_t clock_ns(void *ctx)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void *pages_alloc(void *ctx, size_t pages)
{
	void *memory = aligned_alloc(HV_PAGE_SIZE, pages * HV_PAGE_SIZE);

	CHECK(memory != NULL);
	return memset(memory, 0, pages * HV_PAGE_SIZE);
}

static void pages_free(void *ctx, void *memory, size_t pages)
{
	free(memory);
}

static int acknowledge(void *ctx)
{
	struct machine *m = ctx;

	if (!m->raised) {
		return -1;
	}
	m->raised = false;
	m->acknowledged++;
	vid_set_extint(m->partition, false);
	return VECTOR;
}

static void raise_line(struct machine *m)
{
	m->raised = true;
	vid_set_extint(m->partition, true);
}

/* Real mode at 0:CODE, with nothing behind but a HLT; the handler says that it was there. */
static void guest(struct machine *m)
{
	static const uint8_t code[] = {0xFB, 0xF4, 0xEB, 0xFC}, /* sti; hlt; jmp */
		handler[] = {0xE6, PORT, 0xCF};			/* out PORT, al; iret */
	const struct hv_u128 cs = {0, 0xFFFF | UINT64_C(0x9B) << 48};

	memcpy(m->ram + CODE, code, sizeof(code));
	memcpy(m->ram + HANDLER, handler, sizeof(handler));
	store_le32(m->ram + (size_t)VECTOR * 4, HANDLER);
	CHECK(vid_reg_set(m->vp, HvX64RegisterCs, &cs) == 0 &&
	      vid_reg_set64(m->vp, HvX64RegisterRip, CODE) == 0 &&
	      vid_reg_set64(m->vp, HvX64RegisterRsp, 0x8000) == 0);
}

static void machine_init(struct machine *m)
{
	const struct vid_config config = {
		.engine = &emu_engine_ops,
		.engine_config = {.vp_max = 1, .clock = clock_ns, .clock_hz = 1000000000},
		.pool = {.pages_alloc = pages_alloc, .pages_free = pages_free},
		.processors = 1,
		.pa_bits = 36,
	};

	*m = (struct machine){.ram = pages_alloc(NULL, RAM_BYTES / HV_PAGE_SIZE)};
	CHECK(vid_partition_create(&config, &m->partition) == 0 &&
	      vid_map(m->partition, 0, m->ram, RAM_BYTES, GMEM_RIGHTS) == 0 &&
	      vid_vp_create(m->partition, 0, NULL, &m->vp) == 0);
	vid_set_extint_ack(m->partition, acknowledge, m);
	guest(m);
}

static void machine_fini(struct machine *m)
{
	vid_partition_destroy(m->partition);
	free(m->ram);
}

/* The VP runs until its handler was there, or it sleeps with nothing raised: what was acknowledged is lost then. */
static bool take_interrupt(struct machine *m)
{
	const uint64_t none[4] = {0};
	struct hv_message message;
	uint64_t wake_ns;

	raise_line(m);
	for (;;) {
		switch (vid_vp_dispatch(m->vp, &message, &wake_ns)) {
		case VID_INTERCEPT:
			vid_finish(m->vp, none);
			return true;
		case VID_BLOCKED:
			if (!m->raised) {
				return false;
			}
			break;
		default:
			break;
		}
	}
}

/* Another VP may look at this one's registers by hypercall: it has it for a moment. */
static void *look(void *arg)
{
	struct machine *m = arg;
	struct hv_u128 value;

	while (!atomic_load(&m->stop)) {
		vid_reg_get(m->vp, HvX64RegisterRip, &value);
	}
	return NULL;
}

static void test_acknowledged_vector_arrives(struct test *t)
{
	struct machine m;
	pthread_t other;
	unsigned taken = 0;

	machine_init(&m);
	CHECK(pthread_create(&other, NULL, look, &m) == 0);
	while (taken < INTERRUPTS && take_interrupt(&m)) {
		taken++;
	}
	atomic_store(&m.stop, true);
	pthread_join(other, NULL);
	EXPECT_EQ(t, taken, INTERRUPTS);
	EXPECT_EQ(t, m.acknowledged, taken);
	machine_fini(&m);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_acknowledged_vector_arrives)};

	return test_main(cases, ARRAY_LEN(cases));
}
