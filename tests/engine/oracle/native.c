// SPDX-License-Identifier: Apache-2.0
/*
 * The host's processor: a child process in strict seccomp runs each case from a full register load (IRETQ) to the exception that
 * ends it, INT3 at the latest. The signal handler finds all state in its frame, stores it and starts the next case; it never returns.
 * The child uses no thread-local storage, because FS and GS belong to the cases.
 */
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "lib/bits.h"
#include "oracle.h"

#define HANG_MS 20000
#define SEL_CODE16 0x07
#define SEL_DATA16 0x0f
#define CHILD __attribute__((no_sanitize("address", "undefined"), noinline))

struct oracle_native {
	struct oracle_shared *shared;
	int code_fd;
	int to_child, from_child;
	pid_t pid;
};

/* What native_enter loads, in this order. */
struct enter_frame {
	uint8_t fx[512];
	uint64_t gpr[16];
	uint64_t fs_base, gs_base, set_bases;
	uint64_t rip, cs, rflags, rsp, ss;
} __attribute__((aligned(64)));

/* The child's own; static because the signal handler has no other way to it. */
static struct {
	struct oracle_shared *shared;
	uint8_t *code; /* of the slots, in the parent's numbering the same */
	int in, out;
	struct enter_frame frame;
	uint8_t stack[65536] __attribute__((aligned(64)));
} child;

_Noreturn void native_enter(const struct enter_frame *frame);
void native_handler_entry(int signo, siginfo_t *info, void *context);
void native_handler(int signo, siginfo_t *info, void *context);

/* clang-format off */
__asm__(
	".text\n"
	".globl native_enter\n"
	"native_enter:\n"
	"	fxrstor64 (%rdi)\n"
	"	cmpq $0, 656(%rdi)\n"
	"	je 1f\n"
	"	movq 640(%rdi), %rax\n"
	"	wrfsbase %rax\n"
	"	movq 648(%rdi), %rax\n"
	"	wrgsbase %rax\n"
	"1:	movq 512(%rdi), %rax\n"
	"	movq 520(%rdi), %rcx\n"
	"	movq 528(%rdi), %rdx\n"
	"	movq 536(%rdi), %rbx\n"
	"	movq 552(%rdi), %rbp\n"
	"	movq 560(%rdi), %rsi\n"
	"	movq 576(%rdi), %r8\n"
	"	movq 584(%rdi), %r9\n"
	"	movq 592(%rdi), %r10\n"
	"	movq 600(%rdi), %r11\n"
	"	movq 608(%rdi), %r12\n"
	"	movq 616(%rdi), %r13\n"
	"	movq 624(%rdi), %r14\n"
	"	movq 632(%rdi), %r15\n"
	"	leaq 664(%rdi), %rsp\n"
	"	movq 568(%rdi), %rdi\n"
	"	iretq\n"
	/* A case may leave AC, NT or DF set: compiled code wants none of them. */
	".globl native_handler_entry\n"
	"native_handler_entry:\n"
	"	pushq $2\n"
	"	popfq\n"
	"	jmp native_handler\n");
/* clang-format on */
_Static_assert(offsetof(struct enter_frame, gpr) == 512 &&
		       offsetof(struct enter_frame, fs_base) == 640 &&
		       offsetof(struct enter_frame, rip) == 664,
	       "native_enter knows the offsets");

static CHILD void copy(void *to, const void *from, size_t bytes)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

static CHILD long raw_syscall(long number, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return ret;
}

static CHILD void child_case_start(void)
{
	const struct oracle_case *c = &child.shared->cases[child.shared->current];
	struct enter_frame *f = &child.frame;

	for (unsigned w = 0; w < ORACLE_WINDOWS; w++) {
		const struct oracle_window *win = &oracle_windows[w];

		copy((void *)(uintptr_t)win->address, child.shared->pool + c->pool + win->offset,
		     win->bytes);
	}
	for (unsigned i = 0; i < c->patch_count; i++) {
		copy((void *)(uintptr_t)c->patch[i].address, c->patch[i].data, c->patch[i].bytes);
	}
	copy(f->fx, c->in.fx, sizeof(f->fx));
	copy(f->gpr, c->in.gpr, sizeof(f->gpr));
	f->fs_base = c->in.fs_base;
	f->gs_base = c->in.gs_base;
	f->set_bases = child.shared->fsgsbase && child.shared->mode == 64;
	f->rip = c->in.rip;
	f->cs = child.shared->mode == 64 ? 0x33 : child.shared->mode == 32 ? 0x23 : SEL_CODE16;
	f->rflags = c->in.rflags;
	f->rsp = c->in.gpr[4];
	f->ss = 0x2b;
	native_enter(f);
}

static CHILD void child_wait(void)
{
	char byte;

	if (raw_syscall(SYS_read, child.in, (long)&byte, 1) != 1) {
		raw_syscall(SYS_exit, 0, 0, 0);
	}
	child.shared->current = 0;
	child_case_start();
}

static CHILD void child_result(const ucontext_t *uc, struct oracle_result *r)
{
	static const uint8_t order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
					  REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
					  REG_R12, REG_R13, REG_R14, REG_R15};
	const greg_t *g = uc->uc_mcontext.gregs;

	for (unsigned i = 0; i < 16; i++) {
		r->out.gpr[i] = (uint64_t)g[order[i]];
	}
	r->out.rip = (uint64_t)g[REG_RIP];
	r->out.rflags = (uint64_t)g[REG_EFL];
	r->vector = (uint32_t)g[REG_TRAPNO];
	r->error = (uint32_t)g[REG_ERR];
	r->cr2 = (uint64_t)g[REG_CR2];
	r->out.fs_base = r->out.gs_base = 0;
	if (child.frame.set_bases) {
		__asm__ volatile("rdfsbase %0" : "=r"(r->out.fs_base));
		__asm__ volatile("rdgsbase %0" : "=r"(r->out.gs_base));
	}
	copy(r->out.fx, uc->uc_mcontext.fpregs, sizeof(r->out.fx));
	for (unsigned w = 0; w < ORACLE_WINDOWS; w++) {
		const struct oracle_window *win = &oracle_windows[w];

		copy(r->mem + win->offset, (const void *)(uintptr_t)win->address, win->bytes);
	}
}

CHILD void native_handler(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)info;
	child_result(context, &child.shared->results[child.shared->current]);
	child.shared->current++;
	if (child.shared->current == child.shared->count) {
		char byte = 0;

		raw_syscall(SYS_write, child.out, (long)&byte, 1);
		child_wait();
	}
	child_case_start();
}

static bool child_map(int code_fd)
{
	uint8_t *rw = (uint8_t *)(uintptr_t)ORACLE_RW;
	int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE;

	if (mmap(rw, 0x3000, PROT_READ | PROT_WRITE, fixed, -1, 0) != rw) {
		return false;
	}
	memset(rw, 0, 0x3000);
	memcpy(rw + ORACLE_RW_BYTES, child.shared->pool, 4096);
	if (mprotect(rw + ORACLE_RW_BYTES, 4096, PROT_READ) != 0) {
		return false;
	}
	return mmap((void *)(uintptr_t)ORACLE_CODE, ORACLE_CODE_BYTES, PROT_READ | PROT_EXEC,
		    MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, code_fd,
		    0) == (void *)(uintptr_t)ORACLE_CODE;
}

static bool child_signals(void)
{
	static const int signals[] = {SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS};
	struct sigaction sa = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	stack_t stack = {.ss_sp = child.stack, .ss_size = sizeof(child.stack)};

	sa.sa_sigaction = native_handler_entry;
	if (sigaltstack(&stack, NULL) != 0) {
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		if (sigaction(signals[i], &sa, NULL) != 0) {
			return false;
		}
	}
	return true;
}

/* 16-bit code and data segments in the child's local descriptor table. */
static bool child_segments16(void)
{
	struct user_desc code = {.entry_number = 0, .base_addr = ORACLE_CODE, .limit = 0xffff};
	struct user_desc data = {.entry_number = 1, .base_addr = ORACLE_DATA, .limit = 0xffff};

	code.contents = 2; /* code; useable, 16-bit, byte granular */
	return syscall(SYS_modify_ldt, 1, &code, sizeof(code)) == 0 &&
	       syscall(SYS_modify_ldt, 1, &data, sizeof(data)) == 0;
}

static _Noreturn void child_main(int code_fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!child_map(code_fd) || !child_signals()) {
		fprintf(stderr, "oracle: the child's memory or signals: %s\n", strerror(errno));
		_exit(1);
	}
	if (child.shared->mode == 16) {
		if (!child_segments16()) {
			fprintf(stderr, "oracle: modify_ldt: %s\n", strerror(errno));
			_exit(1);
		}
		__asm__ volatile("movw %w0, %%ds\n\tmovw %w0, %%es" : : "r"(SEL_DATA16));
	}
	if (child.shared->mode == 32) {
		__asm__ volatile("movw %w0, %%ds\n\tmovw %w0, %%es" : : "r"(0x2b));
	}
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) {
		fprintf(stderr, "oracle: seccomp: %s\n", strerror(errno));
		_exit(1);
	}
	raw_syscall(SYS_write, child.out, (long)"r", 1); /* ready */
	for (;;) {
		child_wait();
	}
}

static void reap(struct oracle_native *n)
{
	close(n->to_child);
	close(n->from_child);
	kill(n->pid, SIGKILL);
	waitpid(n->pid, NULL, 0);
}

static bool start(struct oracle_native *n)
{
	int down[2], up[2];
	char ready;

	if (pipe(down) != 0 || pipe(up) != 0) {
		fprintf(stderr, "oracle: pipe: %s\n", strerror(errno));
		return false;
	}
	fflush(stdout);
	n->pid = fork();
	if (n->pid < 0) {
		fprintf(stderr, "oracle: fork: %s\n", strerror(errno));
		return false;
	}
	if (n->pid == 0) {
		child.shared = n->shared;
		child.in = down[0];
		child.out = up[1];
		close(down[1]);
		close(up[0]);
		child_main(n->code_fd);
	}
	close(down[0]);
	close(up[1]);
	n->to_child = down[1];
	n->from_child = up[0];
	if (read(n->from_child, &ready, 1) != 1) {
		reap(n);
		return false;
	}
	return true;
}

struct oracle_native *oracle_native_start(struct oracle_shared *shared, int code_fd)
{
	struct oracle_native *n = calloc(1, sizeof(*n));

	if (n == NULL) {
		return NULL;
	}
	n->shared = shared;
	n->code_fd = code_fd;
	shared->fsgsbase = (getauxval(AT_HWCAP2) & 2) != 0;
	if (!start(n)) {
		free(n);
		return NULL;
	}
	return n;
}

void oracle_native_submit(struct oracle_native *n)
{
	/* A child that is gone shows in finish. */
	if (write(n->to_child, "g", 1) != 1) {
		fprintf(stderr, "oracle: the child does not listen\n");
	}
}

bool oracle_native_finish(struct oracle_native *n)
{
	struct pollfd fd = {.fd = n->from_child, .events = POLLIN};
	char byte;

	if (poll(&fd, 1, HANG_MS) == 1 && read(n->from_child, &byte, 1) == 1) {
		return true;
	}
	reap(n);
	if (!start(n)) {
		exit(1);
	}
	return false;
}

void oracle_native_stop(struct oracle_native *n)
{
	reap(n);
	free(n);
}
