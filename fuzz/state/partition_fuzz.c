// SPDX-License-Identifier: Apache-2.0
/*
 * A saved state of a partition, with an engine under it (partition_engine.h) and messages on their way: refused, or taken and good enough to run for a moment and to
 * be saved again.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "abi/hv.h"
#include "edited.h"
#include "gmem/gmem.h"
#include "hv/host.h"
#include "lib/check.h"
#include "partition_engine.h"
#include "vid/vid.h"

#define VPS 2u
#define RAM_BYTES ((size_t)1 << 20)
#define IMAGE_BYTES ((size_t)1 << 18)
#define SINT 2u
#define DISPATCHES 30
#define RUN_US 5000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct machine {
	struct vid_partition *partition;
	struct vid_vp *vps[VPS];
	void *ram;
};

/* Of the signal handler: what runs now. */
static struct machine *volatile running;

/* ---- The ground under the core: one thread ---- */

void hv_host_lock(struct hv_lock *lock)
{
	CHECK(lock->word == 0);
	lock->word = 1;
}

void hv_host_unlock(struct hv_lock *lock)
{
	CHECK(lock->word == 1);
	lock->word = 0;
}

void hv_host_relax(unsigned round)
{
	(void)round;
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
	(void)cookie;
}

void hv_host_root_message(void *cookie)
{
	(void)cookie;
}

void hv_host_root_event(void *cookie)
{
	(void)cookie;
}

/* ---- A machine ---- */

static void *pages_alloc(void *ctx, size_t pages)
{
	void *memory = aligned_alloc(HV_PAGE_SIZE, pages * HV_PAGE_SIZE);

	(void)ctx;
	if (memory != NULL) {
		memset(memory, 0, pages * HV_PAGE_SIZE);
	}
	return memory;
}

static void pages_free(void *ctx, void *memory, size_t pages)
{
	(void)ctx;
	(void)pages;
	free(memory);
}

static void machine_create(struct machine *m)
{
	struct vid_config config = {
		.engine_config = {.vp_max = VPS},
		.pool = {.pages_alloc = pages_alloc, .pages_free = pages_free},
		.processors = VPS,
		.pa_bits = 36,
		.start_frozen = true,
	};
	int r;

	config.engine = partition_engine(&config.engine_config);
	r = vid_partition_create(&config, &m->partition);
	CHECK(r == 0);
	m->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(m->ram != MAP_FAILED);
	r = vid_map(m->partition, 0, m->ram, RAM_BYTES, GMEM_RIGHTS);
	CHECK(r == 0);
	for (uint32_t i = 0; i < VPS; i++) {
		r = vid_vp_create(m->partition, i, NULL, &m->vps[i]);
		CHECK(r == 0);
	}
}

static void machine_destroy(struct machine *m)
{
	vid_partition_destroy(m->partition);
	munmap(m->ram, RAM_BYTES);
}

/* A SynIC with a full slot and messages behind it. */
static void be_busy(struct machine *m)
{
	vid_reg_set64(m->vps[1], HvRegisterScontrol, 1);
	vid_reg_set64(m->vps[1], HvRegisterSipp, 0x8000 | 1);
	vid_reg_set64(m->vps[1], HvRegisterSifp, 0x9000 | 1);
	vid_reg_set64(m->vps[1], HvRegisterSint0 + SINT, 0xf3);
	for (uint32_t i = 0; i < 4; i++) {
		int r = vid_post_message(m->partition, 1, SINT, 1, &i, sizeof(i));

		CHECK(r == 0);
	}
}

static void on_alarm(int signal)
{
	(void)signal;
	struct machine *m = running;

	for (uint32_t i = 0; m != NULL && i < VPS; i++) {
		vid_vp_kick(m->vps[i]);
	}
}

static void run_for_a_moment(struct machine *m)
{
	const struct itimerval soon = {.it_interval = {.tv_usec = RUN_US},
				       .it_value = {.tv_usec = RUN_US}},
			       never = {0};
	static const uint64_t zeros[4];
	struct hv_message message;
	uint64_t wake_ns;

	vid_partition_freeze(m->partition, false);
	running = m;
	setitimer(ITIMER_REAL, &soon, NULL);
	for (unsigned i = 0; i < DISPATCHES; i++) {
		struct vid_vp *vp = m->vps[i % VPS];

		if (vid_vp_dispatch(vp, &message, &wake_ns) == VID_INTERCEPT) {
			vid_finish(vp, zeros);
		}
	}
	setitimer(ITIMER_REAL, &never, NULL);
	running = NULL;
	vid_partition_freeze(m->partition, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static uint8_t image[IMAGE_BYTES], again[IMAGE_BYTES];
	struct machine m;
	size_t used, own;

	signal(SIGALRM, on_alarm);
	machine_create(&m);
	be_busy(&m);
	own = vid_save(m.partition, image, sizeof(image));
	CHECK(own <= sizeof(image));
	machine_destroy(&m);
	const uint8_t *state = edited(data, bytes, image, own, &used);

	machine_create(&m);
	bool taken = vid_restore(m.partition, state, used) == 0;

	if (bytes == 1 && (data[0] & 1)) {
		/* Unchanged: what one partition saved the next one takes, and says the same again. */
		CHECK(taken && vid_save(m.partition, again, sizeof(again)) == own);
	}
	if (taken) {
		run_for_a_moment(&m);
		CHECK(vid_save(m.partition, NULL, 0) != 0);
	}
	machine_destroy(&m);
	return 0;
}
