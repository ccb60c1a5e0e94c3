// SPDX-License-Identifier: Apache-2.0
/*
 * The guest on KVM, in a child: a KVM that hangs, or that ends us, shall not do so to the caller. Between fork and _exit the child only makes
 * system calls: the caller may have threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "kvm/kvm.h"
#include "measure.h"

#define CHILD_CPU_S 10 /* on an emulated processor it may take three */
#define CHILD_WALL_MS 60000
#define CPUID_ENTRIES 256	/* with less room than KVM has to tell it tells nothing */
#define TSS_ADDRESS 0xfffbd000u /* three pages that processors without unrestricted guests need */

/* What went wrong, from the child to the parent; text is made by the parent. */
struct outcome {
	enum engines_kvm_state state;
	int error;	      /* errno of @what, or 0 */
	char what[40];	      /* the call that failed, or "" */
	uint64_t exit_reason; /* of the run that should not have ended so */
	uint64_t step;
	struct engines_rates rates;
};

struct kvm_vp {
	struct measured_vp base;
	int vm, vp;
	uint8_t *memory;
	struct kvm_run *run;
	struct outcome *out;
};

static bool failed(struct kvm_vp *k, const char *what)
{
	k->out->state = ENGINES_KVM_FAILED;
	k->out->error = errno;
	strncpy(k->out->what, what, sizeof(k->out->what) - 1);
	return false;
}

static bool create(struct kvm_vp *k, int device)
{
	struct kvm_userspace_memory_region region = {.memory_size = GUEST_BYTES};
	int run_bytes = ioctl(device, KVM_GET_VCPU_MMAP_SIZE, 0);

	k->vm = ioctl(device, KVM_CREATE_VM, 0);
	if (k->vm < 0) {
		return failed(k, "KVM_CREATE_VM");
	}
	(void)ioctl(k->vm, KVM_SET_TSS_ADDR, TSS_ADDRESS); /* processors that need none refuse it */
	k->memory =
		mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (k->memory == MAP_FAILED) {
		return failed(k, "mmap");
	}
	guest_build(k->memory);
	region.userspace_addr = (uintptr_t)k->memory;
	if (ioctl(k->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0) {
		return failed(k, "KVM_SET_USER_MEMORY_REGION");
	}
	k->vp = ioctl(k->vm, KVM_CREATE_VCPU, 0);
	if (k->vp < 0) {
		return failed(k, "KVM_CREATE_VCPU");
	}
	k->run = mmap(NULL, (size_t)run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, k->vp, 0);
	return k->run != MAP_FAILED || failed(k, "mmap of the processor");
}

static bool set_cpuid(struct kvm_vp *k, int device)
{
	union {
		struct kvm_cpuid2 head;
		uint8_t bytes[sizeof(struct kvm_cpuid2) +
			      CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2)];
	} cpuid = {.head.nent = CPUID_ENTRIES};

	if (ioctl(device, KVM_GET_SUPPORTED_CPUID, &cpuid) < 0) {
		return failed(k, "KVM_GET_SUPPORTED_CPUID");
	}
	return ioctl(k->vp, KVM_SET_CPUID2, &cpuid) == 0 || failed(k, "KVM_SET_CPUID2");
}

static void segment(struct kvm_segment *s, unsigned selector, bool code)
{
	*s = (struct kvm_segment){.limit = UINT32_MAX,
				  .selector = (uint16_t)selector,
				  .type = code ? 11 : 3,
				  .present = 1,
				  .dpl = selector & 3,
				  .db = !code,
				  .s = 1,
				  .l = code,
				  .g = 1};
}

static bool start(struct measured_vp *base, uint64_t rip, uint64_t rcx, bool user)
{
	struct kvm_vp *k = (struct kvm_vp *)base;
	struct kvm_regs regs = {.rip = rip,
				.rcx = rcx,
				.rsi = GUEST_DATA,
				.rsp = GUEST_STACK,
				.rflags = user ? GUEST_RFLAGS_USER : GUEST_RFLAGS_KERNEL};
	struct kvm_sregs sregs;

	/* The last access to a port is only complete after one more entry. */
	k->run->immediate_exit = 1;
	(void)ioctl(k->vp, KVM_RUN, 0);
	k->run->immediate_exit = 0;
	if (ioctl(k->vp, KVM_GET_SREGS, &sregs) < 0) {
		return failed(k, "KVM_GET_SREGS");
	}
	segment(&sregs.cs, user ? GUEST_CS_USER : GUEST_CS_KERNEL, true);
	segment(&sregs.ss, user ? GUEST_SS_USER : GUEST_SS_KERNEL, false);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss;
	sregs.gdt = (struct kvm_dtable){.base = GUEST_GDT, .limit = GUEST_GDT_LIMIT};
	sregs.idt = (struct kvm_dtable){.base = 0, .limit = 0}; /* any exception ends the run */
	sregs.cr0 = GUEST_CR0;
	sregs.cr3 = GUEST_CR3;
	sregs.cr4 = GUEST_CR4;
	sregs.efer = GUEST_EFER;
	if (ioctl(k->vp, KVM_SET_SREGS, &sregs) < 0) {
		return failed(k, "KVM_SET_SREGS");
	}
	return ioctl(k->vp, KVM_SET_REGS, &regs) == 0 || failed(k, "KVM_SET_REGS");
}

static bool run(struct measured_vp *base)
{
	struct kvm_vp *k = (struct kvm_vp *)base;
	int r;

	do {
		r = ioctl(k->vp, KVM_RUN, 0);
	} while (r < 0 && (errno == EINTR || errno == EAGAIN));
	if (r < 0) {
		return failed(k, "KVM_RUN");
	}
	if (k->run->exit_reason == KVM_EXIT_IO && k->run->io.port == GUEST_PORT_DONE) {
		return true;
	}
	struct kvm_regs regs = {0};

	(void)ioctl(k->vp, KVM_GET_REGS, &regs);
	k->out->state = ENGINES_KVM_LACKS;
	k->out->exit_reason = k->run->exit_reason;
	k->out->step = regs.r15;
	return false;
}

/* Locks of the caller's files, and pipes that others wait for the end of, are not held on to. */
static void close_others(int a, int b)
{
	unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);

	if (low > STDERR_FILENO + 1) {
		(void)close_range(STDERR_FILENO + 1, low - 1, 0);
	}
	if (low + 1 < high) {
		(void)close_range(low + 1, high - 1, 0);
	}
	(void)close_range(high + 1, ~0U, 0);
}

static _Noreturn void child(int device, int result)
{
	struct outcome out = {.state = ENGINES_KVM_WORKS};
	struct kvm_vp k = {{start, run}, -1, -1, NULL, NULL, &out};
	struct rlimit limit = {CHILD_CPU_S, CHILD_CPU_S};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close_others(device, result);
	setrlimit(RLIMIT_CPU, &limit);
	/* Why it goes no further is in @out. */
	(void)(create(&k, device) && set_cpuid(&k, device) && measure_rates(&k.base, &out.rates) &&
	       start(&k.base, guest_entry(GUEST_CHECK), 0, false) && run(&k.base));
	_exit(write(result, &out, sizeof(out)) == sizeof(out) ? 0 : 1);
}

/* The child's outcome; false: it ended, or was ended, without one. */
static bool take_outcome(int result, struct outcome *ret_out)
{
	struct pollfd p = {.fd = result, .events = POLLIN};
	int r;

	do {
		r = poll(&p, 1, CHILD_WALL_MS);
	} while (r < 0 && errno == EINTR);
	return r > 0 && read(result, ret_out, sizeof(*ret_out)) == sizeof(*ret_out);
}

static void report(const struct outcome *out, struct engines_report *r)
{
	r->kvm_state = out->state;
	r->kvm = out->rates;
	r->detail[0] = '\0';
	if (out->state == ENGINES_KVM_FAILED) {
		snprintf(r->detail, sizeof(r->detail), "%.39s: %s", out->what,
			 strerror(out->error));
	} else if (out->state == ENGINES_KVM_LACKS) {
		snprintf(r->detail, sizeof(r->detail),
			 "instructions that kernels need: %s (exit reason %llu)",
			 guest_step_name(out->step), (unsigned long long)out->exit_reason);
	}
}

void measure_kvm(int device, struct engines_report *ret_report)
{
	bool is_kvm = ioctl(device, KVM_GET_API_VERSION, 0) == KVM_API_VERSION;
	const char *lacks = is_kvm ? kvm_engine_lacks(device) : "the API of version 12";
	struct outcome out;
	int pipe_fds[2];

	ret_report->kvm = (struct engines_rates){0};
	if (lacks != NULL) {
		ret_report->kvm_state = ENGINES_KVM_LACKS;
		snprintf(ret_report->detail, sizeof(ret_report->detail), "%s", lacks);
		return;
	}
	ret_report->kvm_state = ENGINES_KVM_FAILED;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		snprintf(ret_report->detail, sizeof(ret_report->detail), "pipe: %s",
			 strerror(errno));
		return;
	}
	pid_t pid = fork();

	if (pid == 0) {
		child(device, pipe_fds[1]);
	}
	close(pipe_fds[1]);
	if (pid < 0) {
		snprintf(ret_report->detail, sizeof(ret_report->detail), "fork: %s",
			 strerror(errno));
	} else if (take_outcome(pipe_fds[0], &out)) {
		report(&out, ret_report);
	} else {
		ret_report->kvm_state = ENGINES_KVM_LACKS;
		snprintf(ret_report->detail, sizeof(ret_report->detail),
			 "an end: a tiny guest took more than %d seconds", CHILD_CPU_S);
	}
	close(pipe_fds[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
		}
	}
}
