// SPDX-License-Identifier: Apache-2.0
/* Prints how many millions of simple instructions a second this processor does: user code with branches, loads and stores. */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define ROUNDS 20000000u
#define INSTRUCTIONS_PER_ROUND 10u

int main(void)
{
	static volatile uint64_t table[256];
	struct timespec a, b;
	uint64_t x = 1;

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		table[x >> 56] += x & 7;
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	double s = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) * 1e-9;

	printf("%.1f\n", (double)ROUNDS * INSTRUCTIONS_PER_ROUND / s / 1e6);
	return 0;
}
