// SPDX-License-Identifier: Apache-2.0
/* One boot: partition, memory, motherboard, tables, kernel, processors. */
#include "machine.h"

#include <errno.h>
#include <string.h>

#include "abi/hv.h"
#include "bus.h"
#include "device_state.h"
#include "emu/emu.h"
#include "firmware/acpi.h"
#include "host/log.h"
#include "host/memory.h"
#include "hv/host.h"
#include "kvm/kvm.h"
#include "lib/bits.h"
#include "restore.h"

#define GUEST_CLOCK_HZ                                                                             \
	UINT64_C(                                                                                  \
		1000000000) /* the guest's TSC counts nanoseconds: exact, and the same on every   \
				host */
#define PA_BITS_MIN 36
#define MTRR_ENABLE 0x800u
#define MTRR_FIXED_ENABLE 0x400u
#define MTRR_WRITE_BACK 6u
#define MTRR_MASK_VALID 0x800u

static void on_crash(void *ctx, const uint64_t p[5], const char *text)
{
	struct worker *w = ctx;

	if (atomic_load(&w->end) == END_NONE) {
		log_line("the guest crashed: parameters 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx",
			 (unsigned long long)p[0], (unsigned long long)p[1],
			 (unsigned long long)p[2], (unsigned long long)p[3],
			 (unsigned long long)p[4]);
		if (text != NULL && text[0] != '\0') {
			log_line("the guest's last words:\n%s", text);
		}
	}
	pthread_mutex_lock(&w->lock);
	memcpy(w->crash, p, sizeof(w->crash));
	pthread_mutex_unlock(&w->lock);
	worker_end_round(w, END_CRASH);
}

static void on_reset(void *ctx)
{
	worker_end_round(ctx, END_RESET);
}

static void engine_relax(void *ctx, unsigned round)
{
	(void)ctx;
	hv_host_relax(round);
}

static uint64_t engine_clock(void *ctx)
{
	(void)ctx;
	return host_now_ns();
}

static void engine_trace(void *ctx, const char *line)
{
	(void)ctx;
	log_line("trace: %s", line);
}

static void *pool_alloc(void *ctx, size_t pages)
{
	(void)ctx;
	return host_pages_alloc(pages);
}

static void pool_free(void *ctx, void *memory, size_t pages)
{
	(void)ctx;
	host_pages_free(memory, pages);
}

static unsigned pa_bits_for(uint64_t end_gpa)
{
	unsigned bits = PA_BITS_MIN;

	while (bits < 52 && (UINT64_C(1) << bits) < end_gpa) {
		bits++;
	}
	return bits;
}

/*
 * Memory types as firmware leaves them: RAM write-back, the hole below 1 MiB and the gap below 4 GiB
 * uncached. On every VP; INIT keeps them.
 */
static int set_memory_types(struct vid_vp *vp, unsigned pa_bits)
{
	const uint64_t all_write_back = UINT64_C(0x0606060606060606);
	const uint64_t gap_bytes = MEMORY_HIGH_BASE - MEMORY_LOW_LIMIT;
	const uint64_t gap_mask = ~(gap_bytes - 1) & ((UINT64_C(1) << pa_bits) - 1);
	const struct {
		uint32_t name;
		uint64_t value;
	} registers[] = {
		{HvX64RegisterMsrMtrrFix64k00000, all_write_back},
		{HvX64RegisterMsrMtrrFix16k80000, all_write_back},
		{HvX64RegisterMsrMtrrFix16kA0000, 0},
		{HvX64RegisterMsrMtrrPhysBase0, MEMORY_LOW_LIMIT},
		{HvX64RegisterMsrMtrrPhysMask0, gap_mask | MTRR_MASK_VALID},
		{HvX64RegisterMsrMtrrDefType, MTRR_ENABLE | MTRR_FIXED_ENABLE | MTRR_WRITE_BACK},
	};
	int r = 0;

	for (uint32_t name = HvX64RegisterMsrMtrrFix4kC0000;
	     name <= HvX64RegisterMsrMtrrFix4kF8000 && r == 0; name++) {
		r = vid_reg_set64(vp, name, all_write_back);
	}
	for (size_t i = 0; i < ARRAY_LEN(registers) && r == 0; i++) {
		r = vid_reg_set64(vp, registers[i].name, registers[i].value);
	}
	return r;
}

/* Whether it goes on from a state whose APIC timers run at a rate that the host's hypervisor does not have. */
static bool has_old_apics(const struct worker *w)
{
	size_t bytes;
	const void *records = restore_pending(w) ? restore_records(w, &bytes) : NULL;

	return records != NULL && device_state_apic_hz(records, bytes) != HV_APIC_HZ;
}

static uint32_t without(const struct worker *w)
{
	if (!has_old_apics(w)) {
		return w->config.without;
	}
	if (w->config.kvm_fd >= 0) {
		log_line(
			"the state is of an earlier version, where the guest's APIC timers ran at "
			"another "
			"rate than KVM's: until the guest is reset, KVM leaves its APICs to Virid");
	}
	return w->config.without | HV_WITHOUT_APICS;
}

static int create_partition(struct worker *w)
{
	const struct vid_config config = {
		.engine = w->config.kvm_fd >= 0 ? &kvm_engine_ops : &emu_engine_ops,
		.engine_config =
			{
				.vp_max = w->config.processors,
				.clock = engine_clock,
				.clock_hz = GUEST_CLOCK_HZ,
				.relax = engine_relax,
				.count_instructions = w->config.count_instructions,
				.trace = w->config.trace,
				.trace_line = engine_trace,
				.device_fd = w->config.kvm_fd,
				.without = without(w),
				.cpu = &w->cpu,
			},
		.pool = {.pages_alloc = pool_alloc, .pages_free = pool_free},
		.processors = w->config.processors,
		.pa_bits = pa_bits_for(w->map.end_gpa),
		.start_frozen = true,
		.root_cookie = w,
	};
	const struct vid_events events = {.crash = on_crash, .reset = on_reset, .ctx = w};
	struct machine *m = &w->machine;
	int r = vid_partition_create(&config, &m->partition);

	if (r != 0) {
		return r;
	}
	vid_set_extint_ack(m->partition, motherboard_extint_ack, w);
	vid_set_eoi(m->partition, motherboard_level_eoi, w);
	vid_set_events(m->partition, &events);
	r = intercept_trace(w);
	if (r != 0) {
		return r;
	}
	r = vid_map(m->partition, 0, w->ram, w->map.low_bytes, GMEM_RIGHTS);
	if (r == 0 && w->map.high_bytes != 0) {
		r = vid_map(m->partition, MEMORY_HIGH_BASE, (uint8_t *)w->ram + w->map.low_bytes,
			    w->map.high_bytes, GMEM_RIGHTS);
	}
	for (uint32_t i = 0; i < w->config.processors && r == 0; i++) {
		r = vid_vp_create(m->partition, i, &w->vps[i], &w->vps[i].vp);
		if (r == 0) {
			r = set_memory_types(w->vps[i].vp, config.pa_bits);
		}
	}
	return r;
}

static int build_tables(struct worker *w, uint64_t *ret_rsdp_gpa)
{
	const struct acpi_config acpi = {.map = &w->map,
					 .processors = w->config.processors,
					 .vmbus = true,
					 .no_legacy = w->config.no_legacy};
	const struct smbios_config smbios = {.processors = w->config.processors,
					     .ram_bytes = w->map.ram_bytes};
	struct gmem *gm = vid_partition_gmem(w->machine.partition);
	int r = smbios_build(&smbios, gm);

	return r < 0 ? r : acpi_build(&acpi, gm, ret_rsdp_gpa);
}

/* An engine only says that it has no resources. */
static bool report_kvm(const struct worker *w)
{
	int r = w->config.kvm_fd >= 0 ? kvm_engine_try(w->config.kvm_fd) : 0;

	if (r < 0) {
		log_line("--engine kvm: KVM makes no virtual machine: %s%s", strerror(-r),
			 r == -EBUSY ? "; another hypervisor may have the processors" : "");
	}
	return r < 0;
}

static enum worker_end failed(struct worker *w, const char *what, int r)
{
	if (r == HV_STATUS_NO_RESOURCES && report_kvm(w)) {
		/* that was why */
	} else if (r < 0) {
		log_line("%s: %s", what, strerror(-r));
	} else {
		log_line("%s: hypervisor status 0x%x", what, (unsigned)r);
	}
	machine_destroy(w);
	return END_HOST_FAILURE;
}

/* What firmware leaves in memory and registers. */
static enum worker_end boot(struct worker *w)
{
	struct loader_start start = {0};
	uint64_t rsdp_gpa;
	int r = build_tables(w, &rsdp_gpa);

	if (r != 0) {
		return failed(w, "firmware tables", r);
	}
	enum worker_end end = kernel_load(w, rsdp_gpa, &start);

	if (end != END_NONE) {
		machine_destroy(w);
		return end;
	}
	r = kernel_set_start(w->vps[0].vp, &start);
	return r != 0 ? failed(w, "initial registers", r) : END_NONE;
}

enum worker_end machine_create(struct worker *w)
{
	int r = create_partition(w);

	w->machine.paused = true;
	w->machine.critical = false;
	if (r != 0) {
		return failed(w, "partition", r);
	}
	if ((r = motherboard_create(w)) != 0) {
		return failed(w, "motherboard", r);
	}
	if ((r = bus_create(w)) != 0) {
		return failed(w, "VMBus", r);
	}
	if (!restore_pending(w)) {
		return boot(w);
	}
	if (!restore_devices(w)) {
		machine_destroy(w);
		return END_HOST_FAILURE;
	}
	return END_NONE;
}

void machine_destroy(struct worker *w)
{
	struct machine *m = &w->machine;

	bus_destroy(w);
	pthread_mutex_lock(&m->board_lock);
	struct board *board = m->board;

	m->board = NULL;
	pthread_mutex_unlock(&m->board_lock);
	board_destroy(board);
	if (m->partition != NULL) {
		vid_partition_destroy(m->partition);
		m->partition = NULL;
	}
	for (uint32_t i = 0; i < w->config.processors; i++) {
		w->vps[i].vp = NULL;
	}
}
