// SPDX-License-Identifier: Apache-2.0
/*
 * The guest smp's check "code changed by another processor" as a program of this host: the same protocol between threads. What a processor fails here by
 * itself, without a hypervisor, says nothing of an engine that runs on it (an emulated processor whose translations of old code outlive a store that
 * came while they were made). Prints what the guest prints.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define CPUS 3u
#define MEETINGS 200u

static uint8_t *code; /* mov eax, number; ret */
static _Atomic uint64_t request, acks, errors, stop;

static uint32_t call(void)
{
	uint32_t (*function)(void);

	memcpy(&function, &code, sizeof(function));
	return function();
}

/* Spec: SDM 8.1.3, cross-modifying code: wait for the word, serialize, run the new code. */
static void *run_code(void *arg)
{
	uint64_t last = 0;

	while (!atomic_load(&stop)) {
		uint64_t wanted = atomic_load(&request);

		if (wanted != last) {
			uint32_t a = 0, b, c = 0, d;

			__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d) : : "memory");
			if (call() != (uint32_t)wanted) {
				atomic_fetch_add(&errors, 1);
			}
			last = wanted;
			atomic_fetch_add(&acks, 1);
		}
		call();
	}
	return arg;
}

int main(void)
{
	pthread_t threads[CPUS - 1];

	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	if (code == MAP_FAILED) {
		printf("1..0 # SKIP no memory to write code to\n");
		return 0;
	}
	memcpy(code, "\xB8\0\0\0\0\xC3", 6);
	for (unsigned n = 0; n < CPUS - 1; n++) {
		pthread_create(&threads[n], NULL, run_code, NULL);
	}
	for (uint32_t i = 1; i <= MEETINGS; i++) {
		/* One store, within one line. */
		*(volatile uint32_t *)(void *)(code + 1) = i;
		atomic_thread_fence(memory_order_seq_cst);
		atomic_store(&request, i);
		while (atomic_load(&acks) < (uint64_t)i * (CPUS - 1)) {
			sched_yield();
		}
	}
	atomic_store(&stop, 1);
	for (unsigned n = 0; n < CPUS - 1; n++) {
		pthread_join(threads[n], NULL);
	}
	if (errors != 0) {
		printf("# code changed by another processor: code_errors: got 0x%016llx, want "
		       "0x%016llx\n",
		       (unsigned long long)errors, 0ull);
	}
	printf("%sok 1 - code changed by another processor\n1..1\n", errors != 0 ? "not " : "");
	return errors != 0;
}
