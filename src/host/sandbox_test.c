// SPDX-License-Identifier: Apache-2.0
/* The system call filter: what ends the process, and what the C library may try in it. Each row runs in a process of its own. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
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

	CHECK(pipe(fds) == 0 && sandbox_enter() == 0);
	CHECK(write(fds[1], &c, 1) == 1 && read(fds[0], &c, 1) == 1);
}

static void open_a_file(void)
{
	CHECK(sandbox_enter() == 0);
	CHECK(open("/dev/null", O_RDONLY) < 0 && errno == EACCES);
}

static void make_a_socket(void)
{
	CHECK(sandbox_enter() == 0);
	CHECK(socket(AF_INET, SOCK_STREAM, 0) < 0);
}

static void run_a_program(void)
{
	char *const args[] = {NULL};

	CHECK(sandbox_enter() == 0);
	CHECK(execve("/bin/true", args, args) < 0);
}

static void map_code(void)
{
	CHECK(sandbox_enter() == 0);
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
	CHECK(sandbox_enter() == 0);
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
