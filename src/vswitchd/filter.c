// SPDX-License-Identifier: Apache-2.0
/* What a serving switch needs of the kernel. Unlike a worker it makes sockets: its guests' connections through NAT. */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "daemon.h"
#include "lib/bits.h"

static const int allowed[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(stat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(lseek),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(futex),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(munmap),
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(brk),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(tgkill),
	SCMP_SYS(getrandom),
	SCMP_SYS(fcntl),
	SCMP_SYS(ioctl),
	/* Cables. */
	SCMP_SYS(memfd_create),
	SCMP_SYS(ftruncate),
	SCMP_SYS(eventfd2),
	/* Requests and NAT. */
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(bind),
	SCMP_SYS(connect),
	SCMP_SYS(listen),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	/* Builds for finding bugs alone: looking for leaks at the end stops all threads, and reports name functions. */
	SCMP_SYS(clone),
	SCMP_SYS(getppid),
	SCMP_SYS(getdents),
	SCMP_SYS(open),
	SCMP_SYS(getdents64),
	SCMP_SYS(pipe2),
	SCMP_SYS(prctl),
	SCMP_SYS(ptrace),
	SCMP_SYS(readlink),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(wait4),
#endif
};

/* No executable memory, no file but for reading (the list of name servers), no socket beyond the Internet. */
static int allow_some(scmp_filter_ctx f)
{
	static const int memory[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
	static const unsigned families[] = {AF_INET, AF_INET6};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(memory); i++) {
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, memory[i], 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	}
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(families); i++) {
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, families[i]));
	}
	/* libslirp looks for other kinds as well; it can do without. */
	if (r == 0) {
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_GT, AF_INET6));
	}
	return r != 0 ? r
		      : seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
					 SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC,
						 O_RDONLY));
}

int filter_enter(void)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = f == NULL ? -ENOMEM : 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(allowed); i++) {
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
	}
	if (r == 0) {
		r = allow_some(f);
	}
	if (r == 0) {
		r = seccomp_load(f);
	}
	if (f != NULL) {
		seccomp_release(f);
	}
	return r;
}
