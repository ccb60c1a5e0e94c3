// SPDX-License-Identifier: Apache-2.0
#include "worker.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bus.h"
#include "control.h"
#include "critical.h"
#include "end.h"
#include "firmware/loader.h"
#include "host/log.h"
#include "host/memory.h"
#include "host/sandbox.h"
#include "kvm/kvm.h"
#include "lib/bits.h"
#include "pause.h"
#include "restore.h"
#include "saving.h"

/* Threads, and copies that write saved states: far more than any machine has, and nothing to a host. */
#define TASKS_MAX 1024u
#define POPULATE_ALIGN ((size_t)2 << 20)
/* A default stack holds a whole large page, and hosts that give those to everybody gave it one, which outlives the thread in glibc's cache. */
#define POPULATE_STACK_BYTES ((size_t)64 << 10)

void worker_end_round(struct worker *w, enum worker_end why)
{
	int none = END_NONE;

	if (atomic_compare_exchange_strong(&w->end, &none, (int)why)) {
		vp_threads_kick(w);
		loop_quit(w->loop);
	}
}

static void on_timeout(void *ctx)
{
	worker_end_round(ctx, END_TIMEOUT);
}

/* Guest timers live in guest time, which runs at the host's rate while the VM runs. */
void worker_arm_board_timer(struct worker *w)
{
	uint64_t due = atomic_load(&w->machine.board_deadline_ns);

	if (due == UINT64_MAX || w->machine.paused) {
		loop_timer_set(w->loop, &w->board_timer, 0);
		return;
	}
	uint64_t now = machine_guest_ns(w);

	loop_timer_set(w->loop, &w->board_timer, host_now_ns() + (due > now ? due - now : 0));
}

static void on_board_timer(void *ctx)
{
	struct worker *w = ctx;

	pthread_mutex_lock(&w->machine.board_lock);
	board_poll(w->machine.board);
	pthread_mutex_unlock(&w->machine.board_lock);
	worker_arm_board_timer(w);
}

static void on_wake(void *ctx)
{
	struct worker *w = ctx;

	worker_arm_board_timer(w);
	if (!w->machine.paused) {
		bus_poll(w);
	}
	net_poll(w->net);
	restore_poll(w);
	critical_poll(w);
	control_poll(w->control);
}

static void on_bus_timer(void *ctx)
{
	bus_poll(ctx);
}

static void on_signal(void *ctx)
{
	worker_end_round(ctx, END_LEFT);
}

static void tell_crash(struct worker *w)
{
	char message[400];

	log_last(message, sizeof(message));
	for (char *c = message; *c != '\0'; c++) {
		*c = *c == '\n' ? ' ' : *c;
	}
	pthread_mutex_lock(&w->lock);
	const uint64_t *p = w->crash;

	control_event(w->control, "crash",
		      "p0=0x%llx\np1=0x%llx\np2=0x%llx\np3=0x%llx\np4=0x%llx\ntext=%s\n",
		      (unsigned long long)p[0], (unsigned long long)p[1], (unsigned long long)p[2],
		      (unsigned long long)p[3], (unsigned long long)p[4], message);
	pthread_mutex_unlock(&w->lock);
}

/* It runs, or stands still as it did when it was saved. */
static int begin(struct worker *w)
{
	if (!w->stay_paused) {
		return machine_resume(w);
	}
	w->stay_paused = false;
	storage_tend(w->storage);
	return 0;
}

/* Runs one boot to its end. */
static enum worker_end run_round(struct worker *w)
{
	enum worker_end end = machine_create(w);

	if (end != END_NONE) {
		return end;
	}
	malloc_trim(0); /* what loading took is nobody's now, and the machine may run for years */
	int r = begin(w);

	if (r != 0) {
		log_line("starting the machine: hypervisor status 0x%x", (unsigned)r);
		machine_destroy(w);
		return END_HOST_FAILURE;
	}
	r = loop_run(w->loop);
	if (r < 0) {
		log_line("event loop failed: %s", strerror(-r));
		worker_end_round(w, END_HOST_FAILURE);
	}
	saving_cancel(w);
	if (atomic_load(&w->end) == END_CRASH) {
		tell_crash(w);
	}
	vp_threads_wait(w);
	loop_timer_set(w->loop, &w->board_timer, 0);
	stats_collect(w);
	machine_destroy(w);
	return (enum worker_end)atomic_load(&w->end);
}

static enum worker_end run_rounds(struct worker *w)
{
	for (;;) {
		enum worker_end end = run_round(w);

		if (end != END_RESET || w->config.no_reboot) {
			return end;
		}
		restore_close(w);
		host_ram_discard(w->ram, w->map.ram_bytes);
		control_event(w->control, "reset", "state=running\n");
		atomic_store(&w->end, END_NONE);
	}
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	/* Before any thread starts, so that all of them leave the signals to the loop. */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/*
 * Most of the time to the first instruction goes into the host clearing pages for the kernel: a thread of its own begins with that
 * while this one sets up the rest.
 */
static void *populate_main(void *arg)
{
	struct worker *w = arg;

	host_ram_populate((uint8_t *)w->ram + w->populate_gpa, w->populate_bytes);
	return NULL;
}

static void start_populating(struct worker *w)
{
	uint8_t head[LOADER_HEAD_BYTES];
	ssize_t n = pread(w->config.kernel_fd, head, sizeof(head), 0);
	uint64_t gpa, bytes;
	pthread_attr_t attr;
	pthread_t thread;

	if (n < 0 || !loader_footprint(head, (size_t)n, &gpa, &bytes)) {
		return;
	}
	gpa &= ~(uint64_t)(POPULATE_ALIGN - 1);
	if (!range_within(gpa, bytes, w->map.low_bytes)) {
		return;
	}
	w->populate_gpa = gpa;
	w->populate_bytes = bytes;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, POPULATE_STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_create(&thread, &attr, populate_main,
		       w); /* refused: pages come as they are touched */
	pthread_attr_destroy(&attr);
}

static int enter_sandbox(const struct worker *w)
{
	const struct sandbox_needs kvm = {
		.ioctls = kvm_engine_ioctls, .ioctl_count = kvm_engine_ioctl_count, .timers = true};

	return sandbox_enter(w->config.kvm_fd >= 0 ? &kvm : NULL);
}

/* Before anything is built: later nobody could say more than that there are no resources. */
static bool engine_usable(const struct worker *w)
{
	int kvm = w->config.kvm_fd;
	const char *lacks = kvm >= 0 ? kvm_engine_lacks(kvm) : NULL;

	if (lacks != NULL) {
		log_line("--engine kvm: this host's KVM lacks %s; expected Linux 5.10 or later, or "
			 "--engine emu",
			 lacks);
		return false;
	}
	if (kvm >= 0 && w->config.processors > kvm_engine_vps_max(kvm)) {
		log_line(
			"--processors %u: a machine of this host's KVM has %u at most; expected no "
			"more, or --engine emu",
			w->config.processors, kvm_engine_vps_max(kvm));
		return false;
	}
	return true;
}

/* Everything that needs the world outside; after this the process is locked in. */
static enum worker_end prepare(struct worker *w, int signal_fd)
{
	const char *what = "event loop";
	int r = loop_create(&w->loop);

	if (r == 0) {
		r = loop_add(w->loop, signal_fd, on_signal, w);
	}
	if (r == 0) {
		r = sandbox_drop_privileges(TASKS_MAX, &what);
		if (!w->config.detached) {
			prctl(PR_SET_PDEATHSIG, SIGKILL); /* changing the user cleared it */
		}
	}
	if (r == 0) {
		what = "memory";
		r = host_ram_map(w->map.ram_bytes, &w->ram);
	}
	if (r == 0) {
		if (w->config.state_fd < 0) {
			start_populating(w);
		}
		what = "console";
		r = console_create(w, &w->console);
	}
	if (r == 0 && (!restore_open(w) || !cpu_choose(w))) {
		return END_HOST_FAILURE;
	}
	if (r == 0) {
		what = "threads";
		r = vp_threads_create(w);
	}
	if (r == 0) {
		r = console_start(w->console);
	}
	if (r == 0) {
		what = "disk controllers";
		w->config.storage.touch = w->config.state_fd >= 0 ? restore_touch : NULL;
		w->config.storage.touch_ctx = w;
		r = storage_create(&w->config.storage, &w->storage);
	}
	if (r == 0) {
		critical_listen(w);
		control_disk_listen(w);
		what = "network adapters";
		r = net_create(w, &w->net);
	}
	if (r == 0) {
		what = "control socket";
		r = control_create(w, &w->control);
	}
	if (r == 0) {
		what = "system call filter";
		r = enter_sandbox(w);
	}
	if (r != 0) {
		log_line("%s: %s", what, strerror(-r));
		return END_HOST_FAILURE;
	}
	return END_NONE;
}

enum worker_end worker_run(const struct worker_config *config)
{
	struct worker w = {.config = *config, .end = END_NONE};
	int signal_fd = open_signals();
	enum worker_end end = END_HOST_FAILURE;

	w.config = *config;
	atomic_init(&w.end, END_NONE);
	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.changed, NULL);
	pthread_mutex_init(&w.machine.board_lock, NULL);
	w.bus_timer = (struct loop_timer){.fn = on_bus_timer, .ctx = &w};
	w.board_timer = (struct loop_timer){.fn = on_board_timer, .ctx = &w};
	w.timeout_timer = (struct loop_timer){.fn = on_timeout, .ctx = &w};
	if (signal_fd < 0) {
		log_line("signals: %s", strerror(-signal_fd));
		end_report(&w, end);
		return end;
	}
	if (!memory_map_init(&w.map, config->memory_bytes)) {
		log_line("--memory: %llu bytes is not a size a VM can have",
			 (unsigned long long)config->memory_bytes);
		end_report(&w, END_USAGE);
		return END_USAGE;
	}
	end = engine_usable(&w) ? prepare(&w, signal_fd) : END_HOST_FAILURE;
	if (end == END_NONE && !storage_opened(w.storage)) {
		end = END_USAGE;
	}
	if (end == END_NONE) {
		loop_set_wake(w.loop, on_wake, &w);
		if (config->timeout_ns != 0) {
			loop_timer_set(w.loop, &w.timeout_timer,
				       host_now_ns() + config->timeout_ns);
		}
		end = run_rounds(&w);
	}
	vp_threads_join(&w);
	if (!storage_destroy(w.storage) && end == END_POWER_OFF) {
		end = END_HOST_FAILURE;
	}
	net_destroy(w.net);
	control_end(w.control, end);
	control_destroy(w.control);
	console_destroy(w.console);
	restore_close(&w);
	if (config->stats) {
		stats_print(&w);
	}
	loop_destroy(w.loop);
	if (w.ram != NULL) {
		host_ram_unmap(w.ram, w.map.ram_bytes);
	}
	close(signal_fd);
	end_report(&w, end);
	return end;
}
