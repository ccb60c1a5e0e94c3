// SPDX-License-Identifier: Apache-2.0
/*
 * First process of the benchmark's guest: the same integer, memory and fork work everywhere, timed with the guest's own clock (which the
 * host checks against its own: each phase prints a line when it starts and ends). Linked statically.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define INTEGER_ROUNDS 40000000u
#define MEMORY_BYTES ((size_t)8 << 20)
#define MEMORY_PASSES 12u
#define FORKS 150u

static volatile uint64_t sink;

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* About 10 instructions a round: multiply, shifts, a data-dependent branch. */
static void integer_work(void)
{
	uint64_t a = 88172645463325252u, sum = 0;

	for (unsigned i = 0; i < INTEGER_ROUNDS; i++) {
		a ^= a << 13;
		a ^= a >> 7;
		a ^= a << 17;
		if (a & 64) {
			sum += a * 3;
		} else {
			sum ^= a;
		}
	}
	sink = sum;
}

/* A linked walk through 8 MiB, plus sums over it. */
static void memory_work(void)
{
	size_t n = MEMORY_BYTES / sizeof(uint64_t);
	uint64_t *m = malloc(MEMORY_BYTES), sum = 0;

	if (m == NULL) {
		return;
	}
	for (size_t i = 0; i < n; i++) {
		m[i] = (i * 40503 + 1) % n;
	}
	for (unsigned pass = 0; pass < MEMORY_PASSES; pass++) {
		for (size_t i = 0; i < n; i++) {
			sum += m[i];
			m[i] = sum % n;
		}
		for (size_t i = 0, at = pass; i < n / 4; i++) {
			at = m[at];
			sum += at;
		}
	}
	sink = sum;
	free(m);
}

static void fork_work(void)
{
	for (unsigned i = 0; i < FORKS; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			_exit(7);
		}
		waitpid(pid, NULL, 0);
	}
}

static void phase(const char *name, void (*work)(void))
{
	double before = seconds();

	printf("bench: begin %s\n", name);
	fflush(stdout);
	work();
	printf("bench: end %s %.3f\n", name, seconds() - before);
	fflush(stdout);
}

int main(void)
{
	printf("bench: userspace\n");
	fflush(stdout);
	phase("integer", integer_work);
	phase("memory", memory_work);
	phase("fork", fork_work);
	printf("bench: done\n");
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	for (;;) {
		pause();
	}
}
