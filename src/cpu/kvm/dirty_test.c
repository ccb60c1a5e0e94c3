// SPDX-License-Identifier: Apache-2.0
/*
 * The dirty log on every engine: memory is copied while two VPs write to it, the map changes and the host writes; what was taken last makes the
 * copy equal to all of memory, page for page.
 */
#include "test_kvm.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#include "emu/emu.h"

#define BIG_GPN 0x1000u /* more pages than a ring has entries */
#define BIG_PAGES 8192u
#define BIG_BYTES (BIG_PAGES * GMEM_PAGE_BYTES)
#define COVERED 3u /* pages of it that overlays cover now and then */
#define HLT 0xF4
#define ROUNDS 12u
#define WRITES_A_ROUND 300u

static const struct variant {
	const char *name;
	bool kvm;
	bool bitmaps;
} variants[] = {{"emu", false, false}, {"kvm, best", true, false}, {"kvm, bitmaps", true, true}};

struct lab {
	struct test_machine m;
	uint8_t *big, *other; /* the memory at BIG_GPN; a page that it is mapped to instead */
	uint8_t *copy;
	uint64_t *bitmap;
	_Atomic bool stop;
	pthread_t threads[VPS];
};

struct runner {
	struct lab *lab;
	unsigned vp;
	_Atomic unsigned bad; /* exits that nobody expects */
	const char *failed;
};

static uint64_t word_at(const struct lab *lab, uint64_t gpa)
{
	return __atomic_load_n((const uint64_t *)(const void *)(lab->m.ram + gpa),
			       __ATOMIC_RELAXED);
}

static uint64_t written_by(const struct lab *lab, unsigned vp)
{
	return word_at(lab, DATA + 64 * vp);
}

/* A program that comes to an exception ends at its handler, a HLT: from there all is to be seen. KVM forgets the registers at a triple fault. */
static void tell_registers(struct lab *lab, unsigned vp)
{
	static const struct {
		const char *name;
		uint32_t number;
	} rows[] = {{"rip", HvX64RegisterRip},	{"rflags", HvX64RegisterRflags},
		    {"rsp", HvX64RegisterRsp},	{"rax", HvX64RegisterRax},
		    {"rbx", HvX64RegisterRbx},	{"rcx", HvX64RegisterRcx},
		    {"rdx", HvX64RegisterRdx},	{"rsi", HvX64RegisterRsi},
		    {"rdi", HvX64RegisterRdi},	{"rbp", HvX64RegisterRbp},
		    {"cr0", HvX64RegisterCr0},	{"cr2", HvX64RegisterCr2},
		    {"cr3", HvX64RegisterCr3},	{"cr4", HvX64RegisterCr4},
		    {"efer", HvX64RegisterEfer}};
	uint64_t rip = machine_get(&lab->m, vp, HvX64RegisterRip);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		printf("# %s 0x%" PRIx64 "\n", rows[i].name,
		       machine_get(&lab->m, vp, rows[i].number));
	}
	if (rip - HANDLER < 256 * HANDLER_BYTES) {
		printf("# exception %u\n", (unsigned)((rip - HANDLER) / HANDLER_BYTES));
	}
}

static void tell_words(const struct lab *lab, const char *what, uint64_t gpa, unsigned count)
{
	printf("# %s", what);
	for (unsigned n = 0; n < count; n++) {
		printf(" 0x%" PRIx64, word_at(lab, gpa + 8 * n));
	}
	printf("\n");
}

/* The processor's marks in the page tables tell which translations it has made, and an exception's frame where it came from. */
static void tell_memory(const struct lab *lab, unsigned vp)
{
	tell_words(lab, "writes of VP 0", DATA, 1);
	tell_words(lab, "writes of VP 1", DATA + 64, 1);
	tell_words(lab, "code", CODE, 4);
	tell_words(lab, "the stack's last words", STACK - STACK_BYTES * vp - 64, 8);
	tell_words(lab, "page tables, top", PAGE_TABLES, 1);
	tell_words(lab, "page tables, 1 GiB", PAGE_TABLES + 0x1000, 1);
	tell_words(lab, "page tables, 2 MiB", PAGE_TABLES + 0x2000, 26);
}

static void tell_exit(struct runner *r, const struct hv_exit *exit)
{
	printf("# VP %u: exit %d\n", r->vp, (int)exit->kind);
	if (exit->kind == HV_EXIT_FAILED) {
		printf("# %s\n", exit->failed.what);
		r->failed = exit->failed.what;
	} else {
		tell_registers(r->lab, r->vp);
		tell_memory(r->lab, r->vp);
	}
	r->bad = 1;
}

static void *run_vp(void *arg)
{
	struct runner *r = arg;
	const struct hv_run how = {.deadline_tsc = NO_DEADLINE};
	struct hv_exit exit;

	while (!atomic_load(&r->lab->stop)) {
		r->lab->m.ops->run(r->lab->m.vps[r->vp], &how, &exit);
		if (exit.kind != HV_EXIT_INTERRUPTED) {
			tell_exit(r, &exit);
			break;
		}
	}
	return NULL;
}

/* Stores at random places for ever. */
static void put_program(struct lab *lab)
{
	static const uint8_t code[] = {0x48, 0x0F, 0xAF, 0xC3, /* imul rax, rbx */
				       0x48, 0x01, 0xD0,       /* add rax, rdx */
				       0x48, 0x89, 0xC1,       /* mov rcx, rax */
				       0x48, 0xC1, 0xE9, 0x20, /* shr rcx, 32 */
				       0x48, 0x21, 0xF1,       /* and rcx, rsi */
				       0x48, 0x89, 0x04, 0x0F, /* mov [rdi + rcx], rax */
				       0x48, 0xFF, 0x45, 0x00, /* inc qword [rbp] */
				       0xEB, 0xE5};	       /* again */

	machine_code(&lab->m, CODE, code, sizeof(code));
	memset(lab->m.ram + HANDLER, HLT, 256 * HANDLER_BYTES);
	for (unsigned n = 0; n < VPS; n++) {
		machine_set(&lab->m, n, HvX64RegisterRbx, UINT64_C(6364136223846793005));
		machine_set(&lab->m, n, HvX64RegisterRdx, UINT64_C(1442695040888963407));
		machine_set(&lab->m, n, HvX64RegisterRax, 77 + n);
		machine_set(&lab->m, n, HvX64RegisterRdi, BIG_GPN * UINT64_C(4096));
		machine_set(&lab->m, n, HvX64RegisterRsi, (BIG_BYTES - 1) & ~7u);
		machine_set(&lab->m, n, HvX64RegisterRbp, DATA + 64 * n);
	}
}

static bool lab_init(struct lab *lab, const struct variant *v)
{
	*lab = (struct lab){0};
	lab->big = aligned_alloc(4096, BIG_BYTES);
	lab->other = aligned_alloc(4096, 4096);
	lab->copy = calloc(1, BIG_BYTES);
	lab->bitmap = calloc(BIG_PAGES / 64, sizeof(uint64_t));
	if (lab->big == NULL || lab->other == NULL || lab->copy == NULL || lab->bitmap == NULL ||
	    !machine_init_as(&lab->m, v->kvm ? &kvm_engine_ops : &emu_engine_ops, device,
			     v->bitmaps)) {
		return false;
	}
	memset(lab->big, 0x11, BIG_BYTES);
	memset(lab->other, 0x22, 4096);
	for (unsigned n = 0; n < BIG_PAGES; n++) {
		if (gmem_map(&lab->m.gmem, BIG_GPN + n, lab->big + n * 4096, GMEM_RIGHTS) != 0) {
			return false;
		}
	}
	lab->m.ops->gpa_changed(lab->m.vm, BIG_GPN, BIG_PAGES);
	put_program(lab);
	return true;
}

static void lab_fini(struct lab *lab)
{
	machine_fini(&lab->m);
	free(lab->big);
	free(lab->other);
	free(lab->copy);
	free(lab->bitmap);
}

static int log_start(struct lab *lab)
{
	int r = lab->m.ops->dirty_start != NULL ? lab->m.ops->dirty_start(lab->m.vm) : 0;

	gmem_dirty_all(&lab->m.gmem);
	return r;
}

/* Takes the log of all pages, in two parts that are no whole words, and copies what is in it. Returns how many pages that were. */
static unsigned take_and_copy(struct lab *lab)
{
	const unsigned parts[] = {0, 64 * 17, BIG_PAGES};
	unsigned copied = 0;

	for (unsigned i = 0; i < 2; i++) {
		lab->m.ops->dirty_take(lab->m.vm, BIG_GPN + parts[i], parts[i + 1] - parts[i],
				       lab->bitmap + parts[i] / 64);
	}
	for (unsigned n = 0; n < BIG_PAGES; n++) {
		if (lab->bitmap[n / 64] >> (n % 64) & 1) {
			copied += gmem_read_any(&lab->m.gmem, (BIG_GPN + n) * UINT64_C(4096),
						lab->copy + n * 4096, 4096);
		}
	}
	return copied;
}

static unsigned pages_that_differ(const struct lab *lab)
{
	unsigned count = 0;

	for (unsigned n = 0; n < BIG_PAGES; n++) {
		uint64_t entry = gmem_entry(&lab->m.gmem, BIG_GPN + n);

		count += memcmp(gmem_entry_page(entry), lab->copy + n * 4096, 4096) != 0;
	}
	return count;
}

static void start_vps(struct lab *lab, struct runner *runners)
{
	for (unsigned n = 0; n < VPS; n++) {
		runners[n] = (struct runner){.lab = lab, .vp = n};
		pthread_create(&lab->threads[n], NULL, run_vp, &runners[n]);
	}
}

static void stop_vps(struct lab *lab)
{
	atomic_store(&lab->stop, true);
	for (unsigned n = 0; n < VPS; n++) {
		lab->m.ops->kick(lab->m.vps[n]);
		pthread_join(lab->threads[n], NULL);
	}
}

/* Until every VP has done a round's work. False: one stands still. */
static bool wait_round(const struct lab *lab, const struct runner *runners)
{
	uint64_t end[VPS];

	for (unsigned n = 0; n < VPS; n++) {
		end[n] = written_by(lab, n) + WRITES_A_ROUND;
	}
	for (unsigned n = 0; n < VPS; n++) {
		while (written_by(lab, n) < end[n]) {
			if (runners[n].bad != 0) {
				return false;
			}
			usleep(1000);
		}
	}
	return true;
}

/* A KVM that runs kernel code itself, as this host's may, does not look at the ring's limit meanwhile: the engine saw it and stopped. */
static bool ran_over(const struct runner *runners)
{
	for (unsigned n = 0; n < VPS; n++) {
		if (runners[n].failed != NULL && strstr(runners[n].failed, "ran over") != NULL) {
			return true;
		}
	}
	return false;
}

/* One overlay page comes or goes, one page of the map is exchanged, and the host writes across a page's end. */
static void disturb(struct lab *lab, struct gmem_overlay overlays[COVERED],
		    uint8_t pages[COVERED][4096], unsigned round)
{
	struct gmem *gm = &lab->m.gmem;
	unsigned n = round % COVERED;
	uint64_t gpn = BIG_GPN + 100 + 1000 * n, moved = BIG_GPN + 5000;

	if (overlays[n].active) {
		gmem_overlay_remove(gm, &overlays[n]);
	} else {
		gmem_overlay_add(gm, &overlays[n], gpn, pages[n], GMEM_RIGHTS);
	}
	lab->m.ops->gpa_changed(lab->m.vm, gpn, 1);
	gmem_map(gm, moved, round % 2 ? lab->other : lab->big + 5000 * 4096u, GMEM_RIGHTS);
	lab->m.ops->gpa_changed(lab->m.vm, moved, 1);
	gmem_write(gm, (BIG_GPN + 7000 + round) * UINT64_C(4096) - 4, "12345678", 8);
}

static void copy_while_running(struct test *t, const struct variant *v)
{
	static uint8_t pages[COVERED][4096] __attribute__((aligned(4096)));
	struct gmem_overlay overlays[COVERED] = {{0}};
	struct runner runners[VPS];
	struct lab lab;
	unsigned least = BIG_PAGES, last;

	EXPECT(t, lab_init(&lab, v));
	EXPECT_EQ(t, log_start(&lab), 0);
	start_vps(&lab, runners);
	EXPECT_EQ(t, take_and_copy(&lab), BIG_PAGES); /* all counts as written at first */
	for (unsigned round = 0; round < ROUNDS && wait_round(&lab, runners); round++) {
		unsigned copied = take_and_copy(&lab);

		least = copied < least ? copied : least;
		disturb(&lab, overlays, pages, round);
	}
	stop_vps(&lab);
	last = take_and_copy(&lab);
	if (!ran_over(runners)) {
		EXPECT(t, last > 0);
		/* Each VP wrote a round's number of pages, some of them twice. How many more than that is a matter of who got a processor. */
		EXPECT(t, least > WRITES_A_ROUND / 2);
		EXPECT_EQ(t, pages_that_differ(&lab), 0);
		EXPECT_EQ(t, take_and_copy(&lab), 0); /* nobody writes any more */
		EXPECT_EQ(t, runners[0].bad + runners[1].bad, 0);
	}
	if (lab.m.ops->dirty_stop != NULL) {
		lab.m.ops->dirty_stop(lab.m.vm);
	}
	for (unsigned n = 0; n < COVERED; n++) {
		gmem_overlay_remove(&lab.m.gmem, &overlays[n]);
	}
	lab_fini(&lab);
}

static void test_copy_while_running(struct test *t)
{
	for (size_t i = 0; i < ARRAY_LEN(variants); i++) {
		if (variants[i].kvm && no_device != NULL) {
			printf("# %s: %s\n", variants[i].name, no_device);
			continue;
		}
		printf("# %s\n", variants[i].name);
		copy_while_running(t, &variants[i]);
	}
}

/* A store to one page is one page in the log, whoever's translation it went through; stop and start lose nothing that comes later. */
static void one_store(struct test *t, const struct variant *v)
{
	static const uint8_t code[] = {0x48, 0x89, 0x07, /* mov [rdi], rax */
				       0xF4, 0xEB, 0xFA};
	const uint64_t at[] = {9, 9, 4000, 8191};
	struct lab lab;
	unsigned copied;

	EXPECT(t, lab_init(&lab, v));
	machine_code(&lab.m, CODE, code, sizeof(code));
	EXPECT_EQ(t, log_start(&lab), 0);
	take_and_copy(&lab);
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		machine_set(&lab.m, 0, HvX64RegisterRdi, (BIG_GPN + at[i]) * 4096);
		machine_set(&lab.m, 0, HvX64RegisterRip, CODE);
		EXPECT_EQ(t, machine_run(&lab.m, 0), HV_EXIT_HALT);
		/* The software engine tells a page once more when a translation of it that could be written through goes. */
		copied = take_and_copy(&lab);
		EXPECT(t, copied == 1 || (!v->kvm && copied == 2));
		EXPECT(t, lab.bitmap[at[i] / 64] >> (at[i] % 64) & 1);
		EXPECT_EQ(t, take_and_copy(&lab), 0);
		if (i == 1 && lab.m.ops->dirty_stop != NULL) {
			lab.m.ops->dirty_stop(lab.m.vm);
			EXPECT_EQ(t, log_start(&lab), 0);
			EXPECT_EQ(t, take_and_copy(&lab), BIG_PAGES);
		}
	}
	lab_fini(&lab);
}

static void test_one_store(struct test *t)
{
	for (size_t i = 0; i < ARRAY_LEN(variants); i++) {
		if (!variants[i].kvm || no_device == NULL) {
			printf("# %s\n", variants[i].name);
			one_store(t, &variants[i]);
		}
	}
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_one_store),
						 TEST(test_copy_while_running)};

	open_device();
	return test_main(cases, ARRAY_LEN(cases));
}
