// SPDX-License-Identifier: Apache-2.0
/* Four processors as real threads: atomics, ordering, TLB shootdown, code changed by another processor. */
#include "guest.h"

#define CPUS 4u
#define ROUNDS 5000u
#define MEETINGS 200u /* each may cost a time slice of the host */

static volatile uint64_t alive;
static volatile uint64_t phase; /* what the others are to do */
static volatile uint64_t done;
static volatile uint64_t counter, plain, locked_counter, lock_word;
static volatile union {
	uint64_t word[2];
	unsigned __int128 all;
} sum16;
static volatile uint32_t flags_x, flags_y, seen[CPUS];
static volatile uint64_t shoot_request, shoot_ack, shoot_errors, shoot_stop;
static volatile uint64_t code_errors, code_value;
static volatile uint64_t split[4] __attribute__((aligned(64)));

static void lock_inc(volatile uint64_t *p)
{
	__asm__ volatile("lock incq %0" : "+m"(*p) : : "cc");
}

static void pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static void work_atomics(unsigned index)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t one = 1, got;

		lock_inc(&counter);
		__asm__ volatile("lock xaddq %0, %1" : "+r"(one), "+m"(locked_counter) : : "cc");
		/* spin lock around a plain increment */
		do {
			got = 1;
			__asm__ volatile("xchgq %0, %1" : "+r"(got), "+m"(lock_word));
			if (got != 0) {
				pause();
			}
		} while (got != 0);
		plain++;
		__asm__ volatile("" : : : "memory");
		lock_word = 0;
		/* 16-byte counter */
		for (;;) {
			uint64_t lo = sum16.word[0], hi = sum16.word[1];
			bool ok;

			__asm__ volatile("lock cmpxchg16b %1\n\tsete %0"
					 : "=q"(ok), "+m"(sum16.all), "+a"(lo), "+d"(hi)
					 : "b"(lo + 1), "c"(hi + 2)
					 : "cc");
			if (ok) {
				break;
			}
		}
		/* bits and bytes of one word */
		__asm__ volatile("lock btsq %1, %0\n\tlock btrq %1, %0"
				 : "+m"(split[0])
				 : "r"((uint64_t)index)
				 : "cc");
		__asm__ volatile("lock incw %0"
				 : "+m"(*((volatile uint16_t *)&split[1] + index))
				 :
				 : "cc");
		__asm__ volatile("lock addl $1, %0"
				 : "+m"(*(volatile uint32_t *)((volatile uint8_t *)split + 18))
				 :
				 : "cc");
	}
}

/* Store buffering must not reorder across MFENCE: one of two processors sees the other's store. */
static void work_ordering(unsigned index)
{
	for (uint32_t i = 1; i <= MEETINGS && index < 2; i++) {
		volatile uint32_t *mine = index == 0 ? &flags_x : &flags_y,
				  *other = index == 0 ? &flags_y : &flags_x;

		*mine = i;
		__asm__ volatile("mfence" : : : "memory");
		seen[index] = *other;
		/* meet */
		lock_inc(&shoot_ack);
		while (shoot_ack < 2ull * (2 * i - 1)) {
			pause();
		}
		if (index == 0 && seen[0] < i && seen[1] < i) {
			lock_inc(&shoot_errors);
		}
		lock_inc(&shoot_ack);
		while (shoot_ack < 4ull * i) {
			pause();
		}
	}
}

/* Reads through one page until told that the mapping changed; acknowledges after INVLPG. */
static void work_shootdown(unsigned index)
{
	volatile uint64_t *p = (volatile uint64_t *)(TEST_VA + 0x1000);
	uint64_t last = 0;

	(void)index;
	while (shoot_stop == 0) {
		uint64_t request = shoot_request;

		if (request != last) {
			invlpg(p);
			last = request;
			/* From now on only the new page may be seen; the next change waits for the acknowledgement. */
			if (p[0] != 100 + (request & 1)) {
				lock_inc(&shoot_errors);
			}
			lock_inc(&shoot_ack);
		}
		(void)p[0];
	}
}

/* Runs a function that processor 0 rewrites; after a serializing handshake the new code must be seen. */
static void work_code(unsigned index)
{
	uint64_t last = 0;

	(void)index;
	while (shoot_stop == 0) {
		uint64_t request = shoot_request, v;

		if (request != last) {
			uint32_t r[4];

			cpuid(0, 0, r);
			__asm__ volatile("call *%1"
					 : "=a"(v)
					 : "r"(TEST_VA + 0x2000)
					 : "rcx", "rdx", "memory");
			if ((uint32_t)v != (uint32_t)request) {
				lock_inc(&code_errors);
			}
			last = request;
			lock_inc(&shoot_ack);
		}
		__asm__ volatile("call *%1"
				 : "=a"(v)
				 : "r"(TEST_VA + 0x2000)
				 : "rcx", "rdx", "memory");
	}
}

void guest_ap_main(unsigned index)
{
	uint64_t last = 0;

	lock_inc(&alive);
	for (;;) {
		while (phase == last) {
			pause();
		}
		last = phase;
		switch (last) {
		case 1:
			work_atomics(index);
			break;
		case 2:
			work_ordering(index);
			break;
		case 3:
			work_shootdown(index);
			break;
		case 4:
			work_code(index);
			break;
		default:
			break;
		}
		lock_inc(&done);
	}
}

static void start_phase(uint64_t n)
{
	done = 0;
	shoot_ack = shoot_errors = shoot_request = shoot_stop = code_errors = 0;
	__asm__ volatile("mfence" : : : "memory");
	phase = n;
}

static void wait_done(void)
{
	while (done != CPUS - 1) {
		pause();
	}
}

static void test_atomics(void)
{
	test_begin("locked instructions");
	start_phase(1);
	work_atomics(0);
	wait_done();
	CHECK_EQ(counter, CPUS * ROUNDS);
	CHECK_EQ(locked_counter, CPUS * ROUNDS);
	CHECK_EQ(plain, CPUS * ROUNDS);
	CHECK_EQ(sum16.word[0], CPUS * ROUNDS);
	CHECK_EQ(sum16.word[1], 2 * CPUS * ROUNDS);
	CHECK_EQ(split[0], 0);
	for (unsigned i = 0; i < CPUS; i++) {
		CHECK_EQ(*((volatile uint16_t *)&split[1] + i), ROUNDS);
	}
	CHECK_EQ(*(volatile uint32_t *)((volatile uint8_t *)split + 18), CPUS * ROUNDS);
	test_end();
}

static void test_ordering(void)
{
	test_begin("stores and loads around MFENCE");
	start_phase(2);
	work_ordering(0);
	wait_done();
	CHECK_EQ(shoot_errors, 0);
	test_end();
}

static void test_shootdown(void)
{
	volatile uint64_t *p = (volatile uint64_t *)test_map(1, 10, PTE_P | PTE_W);

	test_begin("TLB shootdown by flag and INVLPG");
	*(volatile uint64_t *)test_pages[10] = 100;
	*(volatile uint64_t *)test_pages[11] = 101;
	start_phase(3);
	for (uint64_t i = 1; i <= MEETINGS; i++) {
		test_map(1, (unsigned)(10 + (i & 1)), PTE_P | PTE_W);
		shoot_request = i;
		while (shoot_ack < i * (CPUS - 1)) {
			pause();
		}
		(void)p[0];
	}
	shoot_stop = 1;
	wait_done();
	CHECK_EQ(shoot_errors, 0);
	test_end();
}

static void test_code(void)
{
	volatile uint8_t *p = test_map(2, 12, PTE_P | PTE_W);

	test_begin("code changed by another processor");
	p[0] = 0xb8;
	*(volatile uint32_t *)(p + 1) = 0;
	p[5] = 0xc3;
	start_phase(4);
	for (uint32_t i = 1; i <= MEETINGS; i++) {
		*(volatile uint32_t *)(p + 1) = i;
		__asm__ volatile("mfence" : : : "memory");
		shoot_request = i;
		while (shoot_ack < (uint64_t)i * (CPUS - 1)) {
			pause();
		}
	}
	shoot_stop = 1;
	wait_done();
	CHECK_EQ(code_errors, 0);
	test_end();
}

void guest_main(void)
{
	for (unsigned i = 1; i < CPUS; i++) {
		outb(PORT_START_AP, (uint8_t)i);
	}
	while (alive != CPUS - 1) {
		pause();
	}
	test_atomics();
	test_ordering();
	test_shootdown();
	test_code();
}
