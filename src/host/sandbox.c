// SPDX-License-Identifier: Apache-2.0
#include "host/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/bits.h"

#define NOBODY 65534

static int drop_bounding_set(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM) {
			return -errno;
		}
	}
	return 0;
}

static int drop_capability_sets(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL) {
		return -errno;
	}
	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static int become_nobody(void)
{
	if (geteuid() != 0) {
		return 0;
	}
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0) {
		return -errno;
	}
	return 0;
}

/*
 * Tasks are counted by user, and many programs have the same user; but a user namespace is a count of its own. Without one there is no limit:
 * what a service manager sets for the whole service (TasksMax=) holds then.
 */
static void limit_tasks(unsigned tasks)
{
	struct rlimit limit;

	if (tasks == 0 || unshare(CLONE_NEWUSER) < 0 || getrlimit(RLIMIT_NPROC, &limit) < 0) {
		return;
	}
	limit.rlim_max = min_u64(limit.rlim_max, tasks);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NPROC, &limit);
}

int sandbox_drop_privileges(unsigned tasks, const char **ret_what)
{
	int r;

	*ret_what = "capability bounding set";
	if ((r = drop_bounding_set()) < 0) {
		return r;
	}
	*ret_what = "user and group nobody";
	if ((r = become_nobody()) < 0) {
		return r;
	}
	/* A new namespace comes with all capabilities in it. */
	limit_tasks(tasks);
	*ret_what = "capability bounding set";
	if ((r = drop_bounding_set()) < 0) {
		return r;
	}
	*ret_what = "capability sets";
	if ((r = drop_capability_sets()) < 0) {
		return r;
	}
	*ret_what = "no_new_privs";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
		return -errno;
	}
	return 0;
}

/* What a worker does while its guest runs. */
static const int allowed[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(lseek),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(futex),
	SCMP_SYS(sched_yield),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(munmap),
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(brk),
	SCMP_SYS(mincore),
	SCMP_SYS(getrusage),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(membarrier),
	SCMP_SYS(getrandom),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sysinfo),
	SCMP_SYS(fcntl),
	/* Disks. */
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(preadv),
	SCMP_SYS(preadv2),
	SCMP_SYS(pwritev),
	SCMP_SYS(pwritev2),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(sync_file_range),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	/* The control socket: connections on a socket that it was given. */
	SCMP_SYS(accept4),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
};

/* What a worker may do with these arguments only. */
static const struct {
	int call;
	struct scmp_arg_cmp arg;
} narrow[] = {
	/* Memory, but never executable: no generated code can run here. */
	{SCMP_SYS(mmap), {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}},
	{SCMP_SYS(mprotect), {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}},
	/* Saved states are written by copies of the process (src/saved/process.c), which die with it. */
	{SCMP_SYS(clone),
	 {0, SCMP_CMP_MASKED_EQ, ~(uint64_t)CLONE_PARENT, CLONE_PIDFD | CLONE_FILES | SIGCHLD}},
	{SCMP_SYS(waitid), {0, SCMP_CMP_EQ, P_PIDFD, 0}},
	/* Memory that is loaded when it is touched (src/saved/uffd.c). */
	{SCMP_SYS(ioctl), {1, SCMP_CMP_EQ, UFFDIO_COPY, 0}},
	{SCMP_SYS(ioctl), {1, SCMP_CMP_EQ, UFFDIO_ZEROPAGE, 0}},
	{SCMP_SYS(ioctl), {1, SCMP_CMP_EQ, UFFDIO_WAKE, 0}},
	{SCMP_SYS(ioctl), {1, SCMP_CMP_EQ, UFFDIO_UNREGISTER, 0}},
};

static int add_narrow_rules(scmp_filter_ctx filter)
{
	/* Files are not opened; glibc tries, when it gives memory of threads back to the system, and can do without. */
	int r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 0);

	for (size_t i = 0; i < ARRAY_LEN(narrow) && r == 0; i++) {
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, narrow[i].call, 1,
					   &narrow[i].arg);
	}
	if (r == 0) {
		/* Signals for threads of its own, as the ones that leave a system call. */
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				     SCMP_A0(SCMP_CMP_EQ, (uint64_t)getpid()));
	}
	if (r == 0) {
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 2,
				     SCMP_A0(SCMP_CMP_EQ, PR_SET_PDEATHSIG),
				     SCMP_A1(SCMP_CMP_EQ, SIGKILL));
	}
	if (r == 0) {
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setpriority), 2,
				     SCMP_A0(SCMP_CMP_EQ, PRIO_PROCESS), SCMP_A1(SCMP_CMP_EQ, 0));
	}
	return r;
}

static int add_needs(scmp_filter_ctx filter, const struct sandbox_needs *more)
{
	static const int timer_calls[] = {SCMP_SYS(timer_create), SCMP_SYS(timer_settime),
					  SCMP_SYS(timer_delete)};
	int r = 0;

	for (size_t i = 0; more->timers && i < ARRAY_LEN(timer_calls) && r == 0; i++) {
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, timer_calls[i], 0);
	}
	for (size_t i = 0; i < more->ioctl_count && r == 0; i++) {
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_EQ, more->ioctls[i]));
	}
	return r;
}

/* A sanitizer looks for leaks with a process that stops all threads, and reads files for its reports: nothing that a filter should let pass. */
#ifndef __has_feature /* Clang's */
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
	__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#else
#define SANITIZED false
#endif

int sandbox_enter(const struct sandbox_needs *more)
{
	scmp_filter_ctx filter = SANITIZED ? NULL : seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = -ENOMEM;

	if (SANITIZED) {
		return 0;
	}
	if (filter == NULL) {
		return r;
	}
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
		if ((r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0)) < 0) {
			goto out;
		}
	}
	if ((r = add_narrow_rules(filter)) < 0 ||
	    (more != NULL && (r = add_needs(filter, more)) < 0) ||
	    (r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1)) < 0) {
		goto out;
	}
	r = seccomp_load(filter);
out:
	seccomp_release(filter);
	return r;
}
