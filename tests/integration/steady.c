// SPDX-License-Identifier: Apache-2.0
/*
 * For tests of machines that are paused, saved and restored, on Linux in a guest: what no process there may notice.
 *
 *	steady watch PROCESSORS DISK STATUS	hashes, clocks, sleeps and a disk (its contents are lost), all checked
 *	steady serve PORT STATUS		one connection: sends back what comes, checked
 *	steady talk ADDRESS PORT STATUS
 *
 * STATUS is a file that is replaced several times a second: NAME=VALUE words. Counters of what was wrong begin with "bad_" and must stay 0.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/fs.h>

#define HASH_BYTES 65536u
#define BLOCK_BYTES 65536u
#define MESSAGE_WORDS 128u
#define SLEEP_NS 10000000
#define STATUS_NS 100000000
#define NS_PER_S UINT64_C(1000000000)

static _Atomic uint64_t hashes, sleeps, blocks, messages;
static _Atomic uint64_t bad_hash, bad_clock, bad_sleep, bad_block, bad_message;
static _Atomic uint64_t latest_ns; /* of CLOCK_MONOTONIC, seen by any thread */

static void fail(const char *what)
{
	fprintf(stderr, "steady: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Every processor's clock is at least where any other was before. */
static void look_at_clock(void)
{
	uint64_t before = atomic_load(&latest_ns), now = now_ns();

	if (now < before) {
		bad_clock++;
	}
	while (before < now && !atomic_compare_exchange_weak(&latest_ns, &before, now)) {
	}
}

static void nap(long ns)
{
	const struct timespec ts = {.tv_nsec = ns};

	nanosleep(&ts, NULL);
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 24;
}

static void fill(void *buf, size_t bytes, uint64_t seed)
{
	uint64_t *words = buf;

	for (size_t i = 0; i < bytes / 8; i++) {
		words[i] = next_random(&seed);
	}
}

/* ---- Watch ---- */

static uint64_t hash(const uint8_t *data)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < HASH_BYTES; i++) {
		h = (h ^ data[i]) * UINT64_C(1099511628211);
	}
	return h;
}

static void *hash_main(void *arg)
{
	uint8_t *data = malloc(HASH_BYTES);

	(void)arg;
	fill(data, HASH_BYTES, 1);
	const uint64_t wanted = hash(data);

	for (;;) {
		bad_hash += hash(data) != wanted;
		hashes++;
		look_at_clock();
	}
	return NULL;
}

static void *sleep_main(void *arg)
{
	(void)arg;
	for (;;) {
		uint64_t start = now_ns();

		nap(SLEEP_NS);
		if (now_ns() - start < SLEEP_NS) {
			bad_sleep++;
		}
		sleeps++;
		look_at_clock();
	}
	return NULL;
}

/* Each block is written with numbers of its own, and read again together with one that was written before. */
static void *disk_main(void *arg)
{
	static uint8_t wrote[BLOCK_BYTES] __attribute__((aligned(4096)));
	static uint8_t got[BLOCK_BYTES] __attribute__((aligned(4096)));
	int fd = open(arg, O_RDWR | O_DIRECT);
	uint64_t bytes = 0, random = 7;

	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes) < 0) {
		fail(arg);
	}
	uint64_t *seeds = calloc(bytes / BLOCK_BYTES, sizeof(*seeds));

	for (;;) {
		uint64_t at = next_random(&random) % (bytes / BLOCK_BYTES);
		uint64_t old = next_random(&random) % (bytes / BLOCK_BYTES);

		seeds[at] = next_random(&random) | 1;
		fill(wrote, sizeof(wrote), seeds[at]);
		if (pwrite(fd, wrote, sizeof(wrote), (off_t)(at * BLOCK_BYTES)) != BLOCK_BYTES) {
			bad_block++;
		}
		for (unsigned i = 0; i < 2; i++) {
			uint64_t n = i == 0 ? at : old;

			if (seeds[n] == 0) {
				continue;
			}
			fill(wrote, sizeof(wrote), seeds[n]);
			if (pread(fd, got, sizeof(got), (off_t)(n * BLOCK_BYTES)) != BLOCK_BYTES ||
			    memcmp(wrote, got, sizeof(got)) != 0) {
				bad_block++;
			}
		}
		blocks++;
	}
	return NULL;
}

/* ---- Talk ---- */

static bool transfer(int fd, void *buf, size_t bytes, bool send_it)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = send_it ? write(fd, (char *)buf + done, bytes - done)
				    : read(fd, (char *)buf + done, bytes - done);

		if (n <= 0) {
			return false;
		}
		done += (size_t)n;
	}
	return true;
}

/* The connection ends: nobody closes it, so that is wrong. */
static void *talk_main(void *arg)
{
	int fd = *(int *)arg;
	bool first = ((int *)arg)[1];
	uint64_t wanted[MESSAGE_WORDS], got[MESSAGE_WORDS];

	for (uint64_t n = 1;; n++) {
		fill(wanted, sizeof(wanted), n);
		if ((first && !transfer(fd, wanted, sizeof(wanted), true)) ||
		    !transfer(fd, got, sizeof(got), false) ||
		    (!first && !transfer(fd, got, sizeof(got), true))) {
			bad_message++;
			return NULL;
		}
		bad_message += memcmp(wanted, got, sizeof(got)) != 0;
		messages++;
	}
}

static void spawn(void *(*main)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, main, arg) != 0) {
		fail("thread");
	}
}

static void serve(const char *port, int *ends)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)atoi(port))};
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 1) < 0) {
		fail("listen");
	}
	ends[0] = accept(listener, NULL, NULL);
	ends[1] = 0;
}

static void talk(const char *host, const char *port, int *ends)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)atoi(port))};

	inet_pton(AF_INET, host, &address.sin_addr);
	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	ends[1] = 1;
	if (connect(ends[0], (struct sockaddr *)&address, sizeof(address)) < 0) {
		fail("connect");
	}
}

/* ---- Status ---- */

static void tell(const char *path)
{
	char beside[300];

	snprintf(beside, sizeof(beside), "%s.new", path);
	FILE *f = fopen(beside, "w");

	if (f == NULL) {
		fail(beside);
	}
	fprintf(f,
		"hashes=%llu sleeps=%llu blocks=%llu messages=%llu bad_hash=%llu bad_clock=%llu "
		"bad_sleep=%llu "
		"bad_block=%llu bad_message=%llu\n",
		(unsigned long long)hashes, (unsigned long long)sleeps, (unsigned long long)blocks,
		(unsigned long long)messages, (unsigned long long)bad_hash,
		(unsigned long long)bad_clock, (unsigned long long)bad_sleep,
		(unsigned long long)bad_block, (unsigned long long)bad_message);
	fclose(f);
	rename(beside, path);
}

int main(int argc, char **argv)
{
	static int ends[2];
	const char *status = argv[argc - 1];

	if (argc == 5 && strcmp(argv[1], "watch") == 0) {
		for (int i = 0; i < atoi(argv[2]); i++) {
			spawn(hash_main, NULL);
		}
		spawn(sleep_main, NULL);
		spawn(disk_main, argv[3]);
	} else if (argc == 4 && strcmp(argv[1], "serve") == 0) {
		serve(argv[2], ends);
		spawn(talk_main, ends);
	} else if (argc == 5 && strcmp(argv[1], "talk") == 0) {
		talk(argv[2], argv[3], ends);
		spawn(talk_main, ends);
	} else {
		fprintf(stderr, "usage: steady watch|serve|talk ...\n");
		return 2;
	}
	for (;;) {
		tell(status);
		nap(STATUS_NS);
	}
}
