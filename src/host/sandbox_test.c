// SPDX-License-Identifier: Apache-2.0
/* The system call filter: what ends the process, and what the C library may try in it. Each row runs in a process of its own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/sandbox.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "test/test.h"

#define PIECES 256u
#define PIECE_BYTES (64u << 10)

static void read_and_write(void)
{
	int fds[2];
	char c = 'x';

	CHECK(pipe(fds) == 0 && sandbox_enter(NULL) == 0);
	CHECK(write(fds[1], &c, 1) == 1 && read(fds[0], &c, 1) == 1);
}

static void open_a_file(void)
{
	CHECK(sandbox_enter(NULL) == 0);
	CHECK(open("/dev/null", O_RDONLY) < 0 && errno == EACCES);
}

static void make_a_socket(void)
{
	CHECK(sandbox_enter(NULL) == 0);
	CHECK(socket(AF_INET, SOCK_STREAM, 0) < 0);
}

static void run_a_program(void)
{
	char *const args[] = {NULL};

	CHECK(sandbox_enter(NULL) == 0);
	CHECK(execve("/bin/true", args, args) < 0);
}

static void map_code(void)
{
	CHECK(sandbox_enter(NULL) == 0);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	      MAP_FAILED);
}

/* Memory of a thread other than the first goes back to the system when its end is free: glibc reads a file of /proc first. */
static void *free_in_thread(void *arg)
{
	void *pieces[PIECES];

	for (unsigned i = 0; i < PIECES; i++) {
		pieces[i] = malloc(PIECE_BYTES);
		CHECK(pieces[i] != NULL);
		memset(pieces[i], 1, PIECE_BYTES);
	}
	CHECK(sandbox_enter(NULL) == 0);
	for (unsigned i = PIECES; i-- > 0;) {
		free(pieces[i]);
	}
	return NULL;
}

static void free_much(void)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, free_in_thread, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
}

static long clone_with(unsigned long flags, int *ret_pidfd)
{
	return syscall(SYS_clone, flags, NULL, ret_pidfd, NULL, 0);
}

/* As saved states are written. */
static void copy_itself(void)
{
	siginfo_t info = {0};
	pid_t starter = getpid();
	int pidfd = -1;

	CHECK(sandbox_enter(NULL) == 0);
	long child = clone_with(CLONE_PIDFD | CLONE_FILES | SIGCHLD, &pidfd);

	if (child == 0) {
		CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == starter);
		CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0);
		_exit(7);
	}
	CHECK(child > 0 && waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) == 0);
	CHECK(info.si_code == CLD_EXITED && info.si_status == 7);
}

static void slow_others_down(void)
{
	CHECK(sandbox_enter(NULL) == 0);
	setpriority(PRIO_PROCESS, getppid(), 19);
}

static void fork_itself(void)
{
	CHECK(sandbox_enter(NULL) == 0);
	fork();
}

static void *nothing(void *arg)
{
	return arg;
}

static void make_a_thread(void)
{
	pthread_t thread;

	CHECK(sandbox_enter(NULL) == 0);
	pthread_create(&thread, NULL, nothing, NULL);
}

static void wait_for_anybody(void)
{
	siginfo_t info;

	CHECK(sandbox_enter(NULL) == 0);
	waitid(P_ALL, 0, &info, WEXITED | WNOHANG);
}

static void outlive_its_starter(void)
{
	CHECK(sandbox_enter(NULL) == 0);
	prctl(PR_SET_PDEATHSIG, 0);
}

static void become_dumpable(void)
{
	CHECK(sandbox_enter(NULL) == 0);
	prctl(PR_SET_DUMPABLE, 1);
}

static void kill_its_starter(void)
{
	pid_t starter = getppid();

	CHECK(sandbox_enter(NULL) == 0);
	syscall(SYS_tgkill, starter, starter, 0);
}

static void signal_itself(void)
{
	signal(SIGUSR1, SIG_IGN);
	CHECK(sandbox_enter(NULL) == 0);
	CHECK(raise(SIGUSR1) == 0);
}

static void ask_a_terminal(void)
{
	int count;

	CHECK(sandbox_enter(NULL) == 0);
	ioctl(0, FIONREAD, &count);
}

/* A worker that was taken over makes copies of itself, which do the same. */
static void fork_many(void)
{
	enum { TASKS = 20 };
	const char *what;
	pid_t starter = getpid();
	unsigned made = 0;
	int pidfd;

	CHECK(sandbox_drop_privileges(TASKS, &what) == 0);
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_NPROC, &limit) == 0);
	if (limit.rlim_max != TASKS) {
		return; /* a host without user namespaces */
	}
	CHECK(sandbox_enter(NULL) == 0);
	for (; made < 2 * TASKS; made++) {
		long child = clone_with(CLONE_PIDFD | CLONE_FILES | SIGCHLD, &pidfd);

		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			while (getppid() == starter) { /* or it died before the line above */
				poll(NULL, 0, 10);
			}
			_exit(0);
		}
		if (child < 0) {
			CHECK(errno == EAGAIN);
			break;
		}
	}
	CHECK(made == TASKS - 1);
}

/* How a process ends that does this: 0 well, else the signal. */
static int outcome(void (*fn)(void))
{
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (child == 0) {
		fn();
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_filter(struct test *t)
{
	static const struct {
		const char *what;
		void (*fn)(void);
		int outcome;
	} rows[] = {
		{"reads and writes", read_and_write, 0},
		{"is refused a file", open_a_file, 0},
		{"makes a socket", make_a_socket, SIGSYS},
		{"runs a program", run_a_program, SIGSYS},
		{"maps memory as code", map_code, SIGSYS},
		{"frees much memory in a thread", free_much, 0},
		{"copies itself and waits for the copy", copy_itself, 0},
		{"slows others down", slow_others_down, SIGSYS},
		{"forks as it likes", fork_itself, SIGSYS},
		{"makes a thread", make_a_thread, SIGSYS},
		{"waits for any child", wait_for_anybody, SIGSYS},
		{"wants to outlive its starter", outlive_its_starter, SIGSYS},
		{"wants to be looked into", become_dumpable, SIGSYS},
		{"signals another process", kill_its_starter, SIGSYS},
		{"signals itself", signal_itself, 0},
		{"makes many copies", fork_many, 0},
		{"asks a terminal", ask_a_terminal, SIGSYS},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int got = outcome(rows[i].fn);

		if (got != rows[i].outcome) {
			test_fail(t, __FILE__, __LINE__, "%s: ended with %d, want %d", rows[i].what,
				  got, rows[i].outcome);
		}
	}
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_filter)};

	return test_main(cases, ARRAY_LEN(cases));
}
