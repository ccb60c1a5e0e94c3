// SPDX-License-Identifier: Apache-2.0
/* One boot: partition, memory, motherboard, tables, kernel, processors. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "abi/hv.h"
#include "bus.h"
#include "emu/emu.h"
#include "firmware/acpi.h"
#include "firmware/loader.h"
#include "host/log.h"
#include "host/memory.h"
#include "hv/host.h"
#include "lib/bits.h"
#include "worker.h"

#define GUEST_CLOCK_HZ                                                                             \
	UINT64_C(                                                                                  \
		1000000000) /* the guest's TSC counts nanoseconds: exact, and the same on every   \
				host */
#define NS_PER_REFERENCE 100
#define NS_PER_S UINT64_C(1000000000)
#define COUNTED_EPOCH_S 1767225600 /* 2026-01-01 */
#define PA_BITS_MIN 36
#define MTRR_ENABLE 0x800u
#define MTRR_FIXED_ENABLE 0x400u
#define MTRR_WRITE_BACK 6u
#define MTRR_MASK_VALID 0x800u

uint64_t machine_guest_ns(struct worker *w)
{
	return vid_reference_time_100ns(w->machine.partition) * NS_PER_REFERENCE;
}

static uint64_t board_now_ns(void *ctx)
{
	return machine_guest_ns(ctx);
}

/* Counted instructions give the same run every time: the calendar starts on a fixed day then. */
static uint64_t board_wall_ns(void *ctx)
{
	struct worker *w = ctx;
	struct timespec ts = {.tv_sec = COUNTED_EPOCH_S};

	if (w->config.count_instructions) {
		return (uint64_t)ts.tv_sec * NS_PER_S + machine_guest_ns(w);
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void board_rearm(void *ctx, uint64_t deadline_ns)
{
	struct worker *w = ctx;

	if (atomic_exchange(&w->machine.board_deadline_ns, deadline_ns) != deadline_ns) {
		loop_wake(w->loop);
	}
}

static void board_interrupt(void *ctx, uint32_t type, uint8_t vector, uint32_t destination,
			    bool logical, bool level)
{
	struct worker *w = ctx;

	vid_assert_interrupt(w->machine.partition, type, vector, destination, logical, level);
}

static void board_extint(void *ctx, bool raised)
{
	struct worker *w = ctx;

	vid_set_extint(w->machine.partition, raised);
}

static void board_power(void *ctx, enum board_power what)
{
	worker_end_round(ctx, what == BOARD_POWER_RESET ? END_RESET : END_POWER_OFF);
}

static void board_serial_out(void *ctx, unsigned port, const uint8_t *data, size_t bytes)
{
	struct worker *w = ctx;

	if (port == 0) {
		console_write(w->console, data, bytes);
	}
}

static void board_serial_ready(void *ctx, unsigned port)
{
	struct worker *w = ctx;

	if (port == 0) {
		console_ready(w->console);
	}
}

static int create_board(struct worker *w)
{
	const struct board_config config = {
		.ram_bytes = w->map.ram_bytes,
		.processors = w->config.processors,
		.ctx = w,
		.now_ns = board_now_ns,
		.wall_ns = board_wall_ns,
		.rearm = board_rearm,
		.interrupt = board_interrupt,
		.extint = board_extint,
		.power = board_power,
		.serial_out = board_serial_out,
		.serial_ready = board_serial_ready,
	};

	atomic_store(&w->machine.board_deadline_ns, UINT64_MAX);
	pthread_mutex_lock(&w->machine.board_lock);
	int r = board_create(&config, &w->machine.board);

	console_ready(w->console); /* input may be waiting already */
	pthread_mutex_unlock(&w->machine.board_lock);
	return r;
}

/* Called by the hypervisor on a VP's thread. */
static int extint_ack(void *ctx)
{
	struct worker *w = ctx;

	pthread_mutex_lock(&w->machine.board_lock);
	int vector = board_pic_ack(w->machine.board);

	pthread_mutex_unlock(&w->machine.board_lock);
	return vector;
}

static void level_eoi(void *ctx, uint8_t vector)
{
	struct worker *w = ctx;

	pthread_mutex_lock(&w->machine.board_lock);
	board_eoi(w->machine.board, vector);
	pthread_mutex_unlock(&w->machine.board_lock);
}

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

static int create_partition(struct worker *w)
{
	const struct vid_config config = {
		.engine = &emu_engine_ops,
		.engine_config =
			{
				.vp_max = w->config.processors,
				.clock = engine_clock,
				.clock_hz = GUEST_CLOCK_HZ,
				.relax = engine_relax,
				.count_instructions = w->config.count_instructions,
				.trace = w->config.trace,
				.trace_line = engine_trace,
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
	vid_set_extint_ack(m->partition, extint_ack, w);
	vid_set_eoi(m->partition, level_eoi, w);
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

/* A file as the loader wants it; mapped only while it loads. */
struct file_view {
	void *data;
	size_t bytes;
};

static int view_file(int fd, struct file_view *ret)
{
	struct stat st;

	*ret = (struct file_view){0};
	if (fd < 0) {
		return 0;
	}
	if (fstat(fd, &st) < 0) {
		return -errno;
	}
	if (st.st_size == 0) {
		return 0;
	}
	void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

	if (data == MAP_FAILED) {
		return -errno;
	}
	*ret = (struct file_view){data, (size_t)st.st_size};
	return 0;
}

static void unview_file(struct file_view *view)
{
	if (view->data != NULL) {
		munmap(view->data, view->bytes);
	}
}

static int set_segment(struct vid_vp *vp, uint32_t name, const struct x86_segment *s)
{
	const struct hv_u128 value = {s->base, s->limit | (uint64_t)s->selector << 32 |
						       (uint64_t)s->attributes << 48};

	return vid_reg_set(vp, name, &value);
}

static int set_table(struct vid_vp *vp, uint32_t name, const struct x86_table *t)
{
	const struct hv_u128 value = {(uint64_t)t->limit << 48, t->base};

	return vid_reg_set(vp, name, &value);
}

/* Control registers go in the order in which a processor would accept them. */
static int set_start(struct vid_vp *vp, const struct loader_start *start)
{
	const struct {
		uint32_t name;
		uint64_t value;
	} words[] = {
		{HvX64RegisterCr4, start->cr4},	  {HvX64RegisterCr3, start->cr3},
		{HvX64RegisterEfer, start->efer}, {HvX64RegisterCr0, start->cr0},
		{HvX64RegisterRip, start->rip},	  {HvX64RegisterRflags, start->rflags},
	};
	static const uint32_t segments[X86_SEG_COUNT] = {
		HvX64RegisterEs, HvX64RegisterCs, HvX64RegisterSs,   HvX64RegisterDs,
		HvX64RegisterFs, HvX64RegisterGs, HvX64RegisterLdtr, HvX64RegisterTr,
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(words) && r == 0; i++) {
		r = vid_reg_set64(vp, words[i].name, words[i].value);
	}
	for (uint32_t i = 0; i < X86_GPR_COUNT && r == 0; i++) {
		r = vid_reg_set64(vp, HvX64RegisterRax + i, start->gpr[i]);
	}
	for (size_t i = 0; i < X86_SEG_COUNT && r == 0; i++) {
		r = set_segment(vp, segments[i], &start->segment[i]);
	}
	if (r == 0) {
		r = set_table(vp, HvX64RegisterGdtr, &start->gdtr);
	}
	if (r == 0) {
		r = set_table(vp, HvX64RegisterIdtr, &start->idtr);
	}
	return r;
}

/* One line that names the option, what was found and what was expected. */
static void report_load(const struct worker *w, const struct loader_error *error)
{
	switch (error->part) {
	case LOADER_PART_KERNEL:
		log_line("--kernel %s: %s", w->config.kernel_path, error->text);
		break;
	case LOADER_PART_INITRD:
		log_line("--initrd %s: %s", w->config.initrd_path, error->text);
		break;
	case LOADER_PART_CMDLINE:
		log_line("--cmdline: %s", error->text);
		break;
	case LOADER_PART_MEMORY:
		log_line("--memory %lluM: %s", (unsigned long long)(w->map.ram_bytes >> 20),
			 error->text);
		break;
	}
}

static enum worker_end load_kernel(struct worker *w, uint64_t rsdp_gpa, struct loader_start *ret)
{
	struct file_view kernel, initrd = {0};
	struct loader_error error = {0};
	int r = view_file(w->config.kernel_fd, &kernel);

	if (r < 0) {
		log_line("--kernel %s: %s", w->config.kernel_path, strerror(-r));
		return END_HOST_FAILURE;
	}
	r = view_file(w->config.initrd_fd, &initrd);
	if (r < 0) {
		log_line("--initrd %s: %s", w->config.initrd_path, strerror(-r));
		unview_file(&kernel);
		return END_HOST_FAILURE;
	}
	const struct loader_input in = {
		.kernel = kernel.data,
		.kernel_bytes = kernel.bytes,
		.initrd = initrd.data,
		.initrd_bytes = initrd.bytes,
		.cmdline = w->config.cmdline,
		.map = &w->map,
		.rsdp_gpa = rsdp_gpa,
	};
	enum loader_status status =
		loader_load(&in, vid_partition_gmem(w->machine.partition), ret, &error);

	unview_file(&kernel);
	unview_file(&initrd);
	if (status != LOADER_OK) {
		report_load(w, &error);
		return status == LOADER_HOST ? END_HOST_FAILURE : END_USAGE;
	}
	return END_NONE;
}

static int build_tables(struct worker *w, uint64_t *ret_rsdp_gpa)
{
	const struct acpi_config acpi = {
		.map = &w->map, .processors = w->config.processors, .vmbus = true};
	const struct smbios_config smbios = {.processors = w->config.processors,
					     .ram_bytes = w->map.ram_bytes};
	struct gmem *gm = vid_partition_gmem(w->machine.partition);
	int r = smbios_build(&smbios, gm);

	return r < 0 ? r : acpi_build(&acpi, gm, ret_rsdp_gpa);
}

static enum worker_end failed(struct worker *w, const char *what, int r)
{
	if (r < 0) {
		log_line("%s: %s", what, strerror(-r));
	} else {
		log_line("%s: hypervisor status 0x%x", what, (unsigned)r);
	}
	machine_destroy(w);
	return END_HOST_FAILURE;
}

enum worker_end machine_create(struct worker *w)
{
	struct loader_start start = {0};
	uint64_t rsdp_gpa;
	int r = create_partition(w);

	if (r != 0) {
		return failed(w, "partition", r);
	}
	if ((r = create_board(w)) != 0) {
		return failed(w, "motherboard", r);
	}
	if ((r = bus_create(w)) != 0) {
		return failed(w, "VMBus", r);
	}
	if ((r = build_tables(w, &rsdp_gpa)) != 0) {
		return failed(w, "firmware tables", r);
	}
	enum worker_end end = load_kernel(w, rsdp_gpa, &start);

	if (end != END_NONE) {
		machine_destroy(w);
		return end;
	}
	if ((r = set_start(w->vps[0].vp, &start)) != 0) {
		return failed(w, "initial registers", r);
	}
	if ((r = vid_partition_freeze(w->machine.partition, false)) != 0) {
		return failed(w, "starting time", r);
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
