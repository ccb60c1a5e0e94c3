// SPDX-License-Identifier: Apache-2.0
/*
 * VMs come and go and leave nothing: descriptors, mappings, threads, timers, memory of ours, and what the kernel shows of its own. Cycles: the
 * first argument, 60 without one; "kvm" as the second: no others.
 */
#include "test_kvm.h"

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "emu/emu.h"

#define WARM_UP 5u
#define PORT 0x42u

static unsigned cycles = 60;

/* What must not grow. -1: not to be seen here. */
struct traces {
	long descriptors;
	long threads;
	long mappings;
	long timers;
	long allocated;	  /* bytes */
	long kvm_objects; /* folders of VMs in debugfs */
	long kvm_users;	  /* references to KVM's module */
};

static long entries(const char *folder)
{
	DIR *dir = opendir(folder);
	long count = 0;

	if (dir == NULL) {
		return -1;
	}
	while (readdir(dir) != NULL) {
		count++;
	}
	closedir(dir);
	return count;
}

static long lines(const char *path)
{
	FILE *f = fopen(path, "r");
	long count = 0;

	if (f == NULL) {
		return -1;
	}
	for (int c; (c = fgetc(f)) != EOF;) {
		count += c == '\n';
	}
	fclose(f);
	return count;
}

static long number(const char *path)
{
	FILE *f = fopen(path, "r");
	long n = -1;

	if (f != NULL) {
		if (fscanf(f, "%ld", &n) != 1) {
			n = -1;
		}
		fclose(f);
	}
	return n;
}

static struct traces look(void)
{
	long users = number("/sys/module/kvm_amd/refcnt");

	return (struct traces){
		.descriptors = entries("/proc/self/fd"),
		.threads = entries("/proc/self/task"),
		.mappings = lines("/proc/self/maps"),
		.timers = lines("/proc/self/timers"),
		.allocated = (long)mallinfo2().uordblks,
		.kvm_objects = entries("/sys/kernel/debug/kvm"),
		.kvm_users = users >= 0 ? users : number("/sys/module/kvm_intel/refcnt"),
	};
}

static bool same(const struct traces *a, const struct traces *b)
{
	return a->descriptors == b->descriptors && a->threads == b->threads &&
	       a->mappings == b->mappings && a->timers == b->timers &&
	       a->allocated == b->allocated && a->kvm_objects == b->kvm_objects &&
	       a->kvm_users == b->kvm_users;
}

static void print(const char *when, const struct traces *n)
{
	printf("# %s: %ld descriptors, %ld threads, %ld mappings, %ld lines of timers, %ld bytes, "
	       "%ld VMs in debugfs, %ld users\n",
	       when, n->descriptors, n->threads, n->mappings, n->timers, n->allocated,
	       n->kvm_objects, n->kvm_users);
}

/* One VM: both VPs run, with a deadline, an exit in the middle of an instruction, a page of the map changed, and the log of writes on. */
static bool cycle(const struct hv_engine_ops *ops, unsigned n)
{
	static const uint8_t code[] = {0x48, 0xC7, 0x07, 1, 0, 0, 0, /* mov qword [rdi], 1 */
				       0xE6, PORT,		     /* out PORT, al */
				       0xEB, 0xF5};		     /* again */
	uint64_t bitmap[RAM_PAGES / 64];
	struct test_machine m;
	bool ok = machine_init_as(&m, ops, device, n % 2 != 0);

	if (ok && ops->dirty_start != NULL) {
		ok = ops->dirty_start(m.vm) == 0;
	}
	if (ok) {
		machine_code(&m, CODE, code, sizeof(code));
	}
	for (unsigned vp = 0; ok && vp < VPS; vp++) {
		const struct hv_run soon = {.deadline_tsc = ops->tsc(m.vm) + 1};

		machine_set(&m, vp, HvX64RegisterRdi, DATA);
		ops->run(m.vps[vp], &soon, &m.exit);
		ok = m.exit.kind == HV_EXIT_INTERRUPTED || m.exit.kind == HV_EXIT_PORT;
		if (ok && m.exit.kind == HV_EXIT_PORT) {
			machine_answer(&m, vp, 0);
		}
		ok = ok && machine_run(&m, vp) == HV_EXIT_PORT;
		gmem_unmap(&m.gmem, 512 + vp);
		ops->gpa_changed(m.vm, 512 + vp, 1);
	}
	if (ok) {
		ops->dirty_take(m.vm, 0, RAM_PAGES, bitmap);
		ok = bitmap[DATA / 4096 / 64] >> (DATA / 4096 % 64) & 1;
	}
	machine_fini(&m);
	return ok;
}

/* The kernel ends some of its own threads and objects a little later. */
static bool settles(const struct traces *before)
{
	const struct timespec moment = {.tv_nsec = 10000000};
	struct traces now = look();

	for (unsigned i = 0; i < 1000 && !same(before, &now); i++) {
		nanosleep(&moment, NULL);
		now = look();
	}
	print("after", &now);
	return same(before, &now);
}

static void leaves_nothing(struct test *t, const struct hv_engine_ops *ops)
{
	struct traces before = {0};

	for (unsigned n = 0; n < WARM_UP + cycles; n++) {
		if (n == WARM_UP) {
			nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
			before = look();
			print("before", &before);
		}
		if (!cycle(ops, n)) {
			test_fail(t, __FILE__, __LINE__, "cycle %u", n);
			return;
		}
	}
	EXPECT(t, settles(&before));
}

static void test_emu(struct test *t)
{
	leaves_nothing(t, &emu_engine_ops);
}

static void test_kvm(struct test *t)
{
	if (no_device != NULL) {
		SKIP(t, no_device);
	}
	leaves_nothing(t, &kvm_engine_ops);
}

static void on_alarm(int number)
{
}

/* KVM makes no VM while a signal waits for the thread. One signal for each, at another moment of its making. */
static void test_signals(struct test *t)
{
	const struct sigaction action = {.sa_handler = on_alarm}, none = {.sa_handler = SIG_DFL};
	const struct itimerval never = {{0}, {0}};
	unsigned failed = 0;

	if (no_device != NULL) {
		SKIP(t, no_device);
	}
	sigaction(SIGALRM, &action, NULL);
	for (unsigned n = 0; n < 200; n++) {
		const struct itimerval once = {.it_value = {.tv_usec = 1 + 10 * n}};

		setitimer(ITIMER_REAL, &once, NULL);
		failed += kvm_engine_try(device) != 0;
		setitimer(ITIMER_REAL, &never, NULL);
	}
	sigaction(SIGALRM, &none, NULL);
	EXPECT_EQ(t, failed, 0);
}

static void test_limits(struct test *t)
{
	if (no_device != NULL) {
		SKIP(t, no_device);
	}
	EXPECT(t, kvm_engine_vps_max(device) >= 1);
	EXPECT(t, kvm_engine_try(-1) == -EBADF);
}

/* What is freed goes back at once and not into a cache that counts as used: the allocator takes that wish only when a program begins. */
static void begin_anew(char **argv)
{
	static const char name[] = "GLIBC_TUNABLES", value[] = "glibc.malloc.tcache_count=0";
	const char *now = getenv(name);

	if ((now == NULL || strcmp(now, value) != 0) && setenv(name, value, 1) == 0) {
		execv("/proc/self/exe", argv);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {TEST(test_emu), TEST(test_kvm), TEST(test_signals),
						 TEST(test_limits)};

	begin_anew(argv);
	if (argc > 1) {
		cycles = (unsigned)strtoul(argv[1], NULL, 10);
	}
	open_device();
	if (argc > 2 && strcmp(argv[2], "kvm") == 0) {
		return test_main(&cases[1], 1);
	}
	return test_main(cases, ARRAY_LEN(cases));
}
