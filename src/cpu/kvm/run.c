// SPDX-License-Identifier: Apache-2.0
/*
 * The way into the guest and out of it.
 *
 * A wish of another thread (a kick, a flush, a change of the map) is written down first and then looks whether the VP is inside; the VP
 * announces "inside" first and then looks for wishes. A VP that is inside is fetched with a signal, whose handler sets immediate_exit: a
 * signal that comes before KVM_RUN makes it return at once, one that comes within it ends it. So none is lost. Deadlines are a POSIX
 * timer of the thread that sends the same signal, and counts it: one that came before the VP was inside is seen by that.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "vm.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define NEVER UINT64_MAX

/* All that a signal handler has to find its VP with. */
static _Thread_local struct kvm_run *volatile running;
static _Thread_local volatile unsigned timer_fires;

static int signal_number(void)
{
	return SIGRTMIN;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	struct kvm_run *run = running;

	if (info->si_code == SI_TIMER) {
		timer_fires++;
	}
	if (run != NULL) {
		run->immediate_exit = 1;
	}
}

int kvm_signal_install(void)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};

	sigfillset(&action.sa_mask);
	return sigaction(signal_number(), &action, NULL) < 0 ? -errno : 0;
}

/* Asked of the system once: copies of this process run no VP. */
static pid_t this_thread(void)
{
	static _Thread_local pid_t self;

	if (self == 0) {
		self = (pid_t)syscall(SYS_gettid);
	}
	return self;
}

/* ---- Wishes of other threads ---- */

void kvm_vp_poke(struct kvm_vp *vp)
{
	if (atomic_load(&vp->inside)) {
		syscall(SYS_tgkill, getpid(), atomic_load(&vp->tid), signal_number());
	}
}

struct kvm_vp *kvm_vm_next_vp(struct kvm_vm *vm, uint32_t *cursor)
{
	uint32_t top = atomic_load(&vm->vp_top);

	while (*cursor < top) {
		struct kvm_vp *vp = atomic_load(&vm->vps[(*cursor)++]);

		if (vp != NULL) {
			return vp;
		}
	}
	return NULL;
}

static void wait_outside(struct kvm_vm *vm, struct kvm_vp *vp)
{
	for (unsigned round = 0; atomic_load(&vp->inside); round++) {
		if (vm->config.relax != NULL) {
			vm->config.relax(vm->config.relax_ctx, round);
		}
	}
}

void kvm_vm_close(struct kvm_vm *vm)
{
	struct kvm_vp *vp;

	atomic_fetch_add(&vm->memory.closed, 1);
	pthread_mutex_lock(&vm->vps_lock);
	for (uint32_t i = 0; (vp = kvm_vm_next_vp(vm, &i)) != NULL;) {
		kvm_vp_poke(vp);
	}
	for (uint32_t i = 0; (vp = kvm_vm_next_vp(vm, &i)) != NULL;) {
		wait_outside(vm, vp);
	}
	pthread_mutex_unlock(&vm->vps_lock);
}

void kvm_vm_open(struct kvm_vm *vm)
{
	atomic_fetch_sub(&vm->memory.closed, 1);
}

/* ---- Deadlines ---- */

void kvm_vp_timer_fini(struct kvm_vp *vp)
{
	if (vp->timer_tid != 0) {
		timer_delete(vp->timer);
		vp->timer_tid = 0;
	}
}

/* Its signals go to one thread: another thread needs another timer. */
static bool timer_of_this_thread(struct kvm_vp *vp)
{
	pid_t tid = atomic_load(&vp->tid);
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal_number()};

	if (vp->timer_tid == tid) {
		return true;
	}
	kvm_vp_timer_fini(vp);
	event._sigev_un._tid = tid;
	if (timer_create(CLOCK_MONOTONIC, &event, &vp->timer) < 0) {
		return false;
	}
	vp->timer_tid = tid;
	vp->armed_tsc = NEVER;
	return true;
}

/* A timer that fires earlier than asked may stay: it costs a look around. False: no timer to be had. */
static bool arm(struct kvm_vp *vp, uint64_t deadline_tsc, uint64_t now)
{
	struct itimerspec spec = {0};
	uint64_t ns;

	/* It has fired: nothing is armed. From here on a signal is seen on the way in (wanted_outside). */
	if (vp->armed_fires != timer_fires) {
		vp->armed_fires = timer_fires;
		vp->armed_tsc = NEVER;
	}
	if (deadline_tsc == NEVER) {
		return true;
	}
	if (!timer_of_this_thread(vp)) {
		return false;
	}
	if (vp->armed_tsc <= deadline_tsc) {
		return true;
	}
	ns = mul_div_u64(deadline_tsc - now, NS_PER_SECOND, vp->vm->tsc_hz);
	ns = min_u64(ns, UINT64_C(1) << 62) + 1;
	spec.it_value.tv_sec = (time_t)(ns / NS_PER_SECOND);
	spec.it_value.tv_nsec = (long)(ns % NS_PER_SECOND);
	vp->armed_tsc = deadline_tsc;
	return timer_settime(vp->timer, 0, &spec, NULL) == 0;
}

/* ---- Entering ---- */

/* Something has to be looked at before guest code may run. */
static bool wanted_outside(struct kvm_vp *vp)
{
	return atomic_load(&vp->kicked) || atomic_load(&vp->flush) ||
	       atomic_load(&vp->vm->memory.closed) || vp->armed_fires != timer_fires;
}

static void wait_open(struct kvm_vm *vm)
{
	if (atomic_load(&vm->memory.closed)) {
		pthread_mutex_lock(&vm->memory.lock);
		pthread_mutex_unlock(&vm->memory.lock);
	}
}

int kvm_vp_enter(struct kvm_vp *vp, bool immediate)
{
	int r = -EINTR;

	vp->run->immediate_exit = immediate;
	running = vp->run;
	atomic_store(&vp->tid, this_thread());
	atomic_store(&vp->inside, 1);
	while (immediate && atomic_load(&vp->vm->memory.closed)) {
		atomic_store(&vp->inside, 0);
		wait_open(vp->vm);
		atomic_store(&vp->inside, 1);
	}
	if (immediate || !wanted_outside(vp)) {
		r = ioctl(vp->fd, KVM_RUN, NULL) < 0 ? -errno : 0;
		vp->unsettled = false;
		vp->injected = false;
		kvm_state_invalidate(vp);
	}
	running = NULL;
	atomic_store(&vp->inside, 0);
	return r;
}

void kvm_vp_settle(struct kvm_vp *vp)
{
	const char *what;

	if (!vp->unsettled || vp->stored) {
		return;
	}
	if (!kvm_state_flush(vp, &what)) {
		atomic_store(&vp->vm->failed, what);
		vp->unsettled = false;
		return;
	}
	if (kvm_vp_enter(vp, true) == 0) {
		vp->stored = kvm_exit_translate(vp, &vp->exit);
		return;
	}
	/* A fault that came of it would be lost when registers are set: from here on it is part of what is set. */
	kvm_state_fetch(vp, PART_EVENTS);
	if (vp->events.exception.injected || vp->events.exception.pending) {
		vp->dirty |= PART_EVENTS;
	}
}

/* ---- Running ---- */

/*
 * KVM has no call for it, but it forgets all translations of a VP whose CR4.PGE changes, as the processor does.
 */
static void flush_translations(struct kvm_vp *vp)
{
	struct kvm_sregs other;

	kvm_state_fetch(vp, PART_SREGS);
	other = vp->sregs;
	other.cr4 ^= X86_CR4_PGE;
	if (kvm_state_put_sregs(vp, &other) < 0) {
		atomic_store(&vp->vm->failed, "KVM does not drop translations");
	}
	vp->dirty |= PART_SREGS;
}

/* What must be true before the first instruction. */
const char *kvm_vp_start(struct kvm_vp *vp)
{
	kvm_memory_go_live(vp->vm);
	if (!kvm_cpuid_apply(vp)) {
		return "KVM refuses the processor model";
	}
	vp->started = true;
	return NULL;
}

/* False: go in again. */
static bool run_once(struct kvm_vp *vp, const struct hv_run *how, struct hv_exit *ret)
{
	const char *what = atomic_load(&vp->vm->failed);
	uint64_t now;
	int r;

	if (what == NULL && !vp->started) {
		what = kvm_vp_start(vp);
	}
	wait_open(vp->vm);
	if (atomic_exchange(&vp->flush, 0)) {
		flush_translations(vp);
		if (vp->stored) {
			return true;
		}
	}
	if (what != NULL || !kvm_state_flush(vp, &what)) {
		return kvm_exit_failed(ret, what);
	}
	now = kvm_clock(vp->vm);
	if (atomic_exchange(&vp->kicked, 0) || now >= how->deadline_tsc) {
		return kvm_exit_plain(ret, HV_EXIT_INTERRUPTED);
	}
	if (!arm(vp, how->deadline_tsc, now)) {
		return kvm_exit_failed(ret, "no timer for a deadline");
	}
	kvm_apic_before_run(vp);
	vp->run->request_interrupt_window = how->want_interrupt_window;
	vp->run->cr8 = vp->cr8;
	r = kvm_vp_enter(vp, false);
	vp->cr8 = (uint8_t)vp->run->cr8 & 0xF;
	if (r == -EINTR || r == -EAGAIN) {
		return false;
	}
	if (r != 0) {
		return kvm_exit_failed(ret, r == -EFAULT ? "KVM cannot reach the guest's memory"
							 : "KVM_RUN failed");
	}
	return kvm_exit_translate(vp, ret);
}

/* Nobody else moves it. */
static void count_own_exit(struct kvm_vp *vp)
{
	uint64_t before = atomic_load_explicit(&vp->own_exits, memory_order_relaxed);

	atomic_store_explicit(&vp->own_exits, before + 1, memory_order_relaxed);
}

void kvm_vp_run(struct kvm_vp *vp, const struct hv_run *how, struct hv_exit *ret_exit)
{
	atomic_store(&vp->tid, this_thread());
	if (!vp->stored) {
		while (!run_once(vp, how, &vp->exit)) {
			count_own_exit(vp);
		}
	}
	vp->stored = false;
	*ret_exit = vp->exit;
}
