// SPDX-License-Identifier: Apache-2.0
/* The program: makes batches of cases, has both sides run them, compares. Exit status 0: all agree, 1: not, 2: usage, 77: not possible. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "kvm/kvm.h"
#include "lib/bits.h"
#include "oracle.h"

struct options {
	uint64_t cases;
	uint64_t seed;
	uint64_t only; /* case number, or UINT64_MAX */
	unsigned groups;
	unsigned mode;
	unsigned failures_max;
	bool alone; /* the engine without the host: for builds with sanitizers */
	bool kvm;
	bool below_qemu; /* this host's processor is QEMU's */
	bool delivered;	 /* exceptions go through an IDT, as always with KVM */
};

struct totals {
	uint64_t cases;
	uint64_t failures;
	uint64_t retired; /* ended with the INT3 behind the instruction */
	uint64_t vectors[32];
	unsigned *failed_by_mnemonic;
};

struct oracle {
	struct options opt;
	struct oracle_forms forms;
	struct oracle_gen gen;
	struct oracle_shared *shared;
	struct oracle_native *native;
	struct oracle_guest *guest;
	uint8_t *code;
	struct oracle_result *engine; /* ORACLE_BATCH */
	struct totals totals;
};

static const char *group_name(unsigned groups)
{
	switch (groups) {
	case ORACLE_INT:
		return "int";
	case ORACLE_X87:
		return "x87";
	case ORACLE_MMX:
		return "mmx";
	case ORACLE_SSE:
		return "sse";
	default:
		return "all";
	}
}

static void usage(FILE *to)
{
	fprintf(to,
		"usage: oracle [--cases N] [--seed S] [--group int|x87|mmx|sse|all] [--mode "
		"64|32]\n"
		"              [--engine emu|kvm] [--delivered] [--failures N] [--case S:N] "
		"[--alone]\n"
		"              [--below-qemu] [--list] [--open]\n"
		"  --cases N     cases to run, 0: until stopped (default 100000)\n"
		"  --failures N  stop after N failures (default 20)\n"
		"  --case S:N    run case N of seed S alone and print everything\n"
		"  --engine E    kvm: the processor itself, through KVM; default: VIRID_ENGINE, or "
		"emu\n"
		"  --delivered   the guest's exceptions are delivered to it, not intercepted; "
		"always with "
		"KVM\n"
		"  --below-qemu  this host's processor is QEMU's: without what that gets wrong\n"
		"  --alone       run the engine only and compare nothing (builds with sanitizers)\n"
		"  --list        print the number of forms of each mnemonic and leave\n"
		"  --open        print what is not compared, and why, and leave\n");
}

static unsigned parse_group(const char *text)
{
	static const unsigned groups[] = {ORACLE_INT, ORACLE_X87, ORACLE_MMX, ORACLE_SSE,
					  ORACLE_ALL};

	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		if (strcmp(text, group_name(groups[i])) == 0) {
			return groups[i];
		}
	}
	fprintf(stderr, "oracle: --group %s: expected int, x87, mmx, sse or all\n", text);
	exit(2);
}

static bool parse_engine(const char *text)
{
	if (strcmp(text, "emu") != 0 && strcmp(text, "kvm") != 0) {
		fprintf(stderr, "oracle: --engine %s: expected emu or kvm\n", text);
		exit(2);
	}
	return strcmp(text, "kvm") == 0;
}

static uint64_t parse_number(const char *option, const char *text, char terminator,
			     const char **ret_end)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno != 0 || end == text || *end != terminator) {
		fprintf(stderr, "oracle: --%s %s: expected a number\n", option, text);
		exit(2);
	}
	*ret_end = end;
	return value;
}

static bool parse_options(int argc, char **argv, struct options *opt)
{
	static const struct option longs[] = {
		{"cases", required_argument, NULL, 'n'}, {"seed", required_argument, NULL, 's'},
		{"group", required_argument, NULL, 'g'}, {"mode", required_argument, NULL, 'm'},
		{"case", required_argument, NULL, 'c'},	 {"failures", required_argument, NULL, 'f'},
		{"list", no_argument, NULL, 'l'},	 {"alone", no_argument, NULL, 'a'},
		{"open", no_argument, NULL, 'o'},	 {"engine", required_argument, NULL, 'e'},
		{"delivered", no_argument, NULL, 'd'},	 {"below-qemu", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},	 {NULL, 0, NULL, 0},
	};
	const char *engine = getenv("VIRID_ENGINE");
	bool list = false;
	int c;

	*opt = (struct options){.cases = 100000,
				.seed = 1,
				.only = UINT64_MAX,
				.groups = ORACLE_ALL,
				.mode = 64,
				.failures_max = 20,
				.kvm = engine != NULL && parse_engine(engine)};
	while ((c = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		const char *end;

		switch (c) {
		case 'n':
			opt->cases = parse_number("cases", optarg, 0, &end);
			break;
		case 's':
			opt->seed = parse_number("seed", optarg, 0, &end);
			break;
		case 'f':
			opt->failures_max = (unsigned)parse_number("failures", optarg, 0, &end);
			break;
		case 'm':
			opt->mode = (unsigned)parse_number("mode", optarg, 0, &end);
			break;
		case 'g':
			opt->groups = parse_group(optarg);
			break;
		case 'c':
			opt->seed = parse_number("case", optarg, ':', &end);
			opt->only = parse_number("case", end + 1, 0, &end);
			break;
		case 'a':
			opt->alone = true;
			break;
		case 'e':
			opt->kvm = parse_engine(optarg);
			break;
		case 'd':
			opt->delivered = true;
			break;
		case 'q':
			opt->below_qemu = true;
			break;
		case 'l':
			list = true;
			break;
		case 'o':
			oracle_open_print();
			exit(0);
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind != argc || (opt->mode != 64 && opt->mode != 32 && opt->mode != 16)) {
		usage(stderr);
		exit(2);
	}
	return list;
}

static void *shared_pages(size_t bytes, int fd)
{
	int flags = fd >= 0 ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED) {
		fprintf(stderr, "oracle: mmap of %zu bytes: %s\n", bytes, strerror(errno));
		exit(1);
	}
	return p;
}

static void list_forms(const struct oracle_forms *forms)
{
	for (size_t m = 0; m < forms->mnemonic_count; m++) {
		printf("%-14s %zu\n", ZydisMnemonicGetString(forms->form[forms->first[m]].mnemonic),
		       forms->first[m + 1] - forms->first[m]);
	}
	printf("%zu mnemonics, %zu forms; %zu forms belong to extensions that the host or the "
	       "engine does not offer\n",
	       forms->mnemonic_count, forms->count, forms->skipped);
}

/* -1: the software engine. Ends the program, as skipped, where there is no KVM of use. */
static int open_device(const struct options *opt)
{
	int device = opt->kvm ? open("/dev/kvm", O_RDWR | O_CLOEXEC) : -1;
	const char *lacks;

	if (!opt->kvm) {
		return -1;
	}
	lacks = device < 0 ? strerror(errno) : kvm_engine_lacks(device);
	if (lacks != NULL) {
		printf("skipped: /dev/kvm: %s\n", lacks);
		exit(77);
	}
	return device;
}

static void setup(struct oracle *o)
{
	int fd = memfd_create("oracle-code", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, ORACLE_CODE_BYTES) != 0) {
		fprintf(stderr, "oracle: memfd: %s\n", strerror(errno));
		exit(1);
	}
	o->code = shared_pages(ORACLE_CODE_BYTES, fd);
	o->shared = shared_pages(sizeof(*o->shared), -1);
	o->engine = calloc(ORACLE_BATCH, sizeof(*o->engine));
	o->totals.failed_by_mnemonic = calloc(ZYDIS_MNEMONIC_MAX_VALUE + 1, sizeof(unsigned));
	if (o->engine == NULL || o->totals.failed_by_mnemonic == NULL) {
		fprintf(stderr, "oracle: out of memory\n");
		exit(1);
	}
	oracle_pool_fill(o->opt.seed, o->shared->pool);
	o->shared->mode = o->opt.mode;
	o->guest = oracle_guest_create(o->code, o->shared->pool, o->opt.mode, open_device(&o->opt),
				       o->opt.delivered);
	oracle_forms_init(&o->forms, o->opt.mode, o->opt.groups, oracle_guest_cpuid, o->guest);
	o->gen = (struct oracle_gen){.forms = &o->forms,
				     .mode = o->opt.mode,
				     .seed = o->opt.seed,
				     .pool = o->shared->pool,
				     .sequences = (o->opt.groups & ORACLE_INT) != 0,
				     .below_qemu = o->opt.below_qemu};
	oracle_decoder_init(&o->gen.decoder, o->opt.mode);
	o->native = o->opt.alone ? NULL : oracle_native_start(o->shared, fd);
	if (o->native == NULL && !o->opt.alone) {
		printf("skipped: the host does not let the child run (see above)\n");
		exit(77);
	}
	/* The descriptor stays open: a child that died is started again with it. */
}

static void fini(struct oracle *o)
{
	if (o->native != NULL) {
		oracle_native_stop(o->native);
	}
	oracle_guest_destroy(o->guest);
	oracle_forms_fini(&o->forms);
	free(o->engine);
	free(o->totals.failed_by_mnemonic);
	munmap(o->code, ORACLE_CODE_BYTES);
	munmap(o->shared, sizeof(*o->shared));
}

static void count_failure(struct oracle *o, unsigned i)
{
	struct oracle_shared *sh = o->shared;
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	unsigned seen = 0;

	o->totals.failures++;
	if (oracle_case_decode(&o->gen, &sh->cases[i], &insn, ops)) {
		seen = o->totals.failed_by_mnemonic[insn.mnemonic]++;
	}
	if (seen < 3) { /* enough of one kind */
		printf("not equal: --group %s --mode %u --case %" PRIu64 ":%" PRIu64 "\n",
		       group_name(o->opt.groups), o->opt.mode, o->opt.seed, sh->cases[i].number);
		oracle_report(&o->gen, &sh->cases[i], &sh->results[i], &o->engine[i], false);
	}
}

static void run_batch(struct oracle *o, uint64_t first, unsigned count)
{
	struct oracle_shared *sh = o->shared;

	for (unsigned i = 0; i < count; i++) {
		uint64_t n = first + i;

		oracle_case_make(&o->gen, n, &sh->cases[i]);
		oracle_case_slot(&sh->cases[i], o->code + (n % ORACLE_BATCH) * ORACLE_SLOT_BYTES);
	}
	sh->count = count;
	oracle_guest_code_changed(o->guest);
	if (!o->opt.alone) {
		oracle_native_submit(o->native);
	}
	for (unsigned i = 0; i < count; i++) {
		oracle_guest_run(o->guest, &sh->cases[i], &o->engine[i]);
	}
	if (o->opt.alone) {
		o->totals.cases += count;
		return;
	}
	if (!oracle_native_finish(o->native)) {
		printf("the child died or hung: --group %s --mode %u --case %" PRIu64 ":%" PRIu64
		       "\n",
		       group_name(o->opt.groups), o->opt.mode, o->opt.seed,
		       sh->cases[sh->current].number);
		sh->results[sh->current].vector = ORACLE_VECTOR_CHILD_DIED;
		oracle_report(&o->gen, &sh->cases[sh->current], &sh->results[sh->current],
			      &o->engine[sh->current], true);
		o->totals.failures++;
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		uint32_t vector = sh->results[i].vector;

		o->totals.cases++;
		o->totals.vectors[vector & 31]++;
		if (!oracle_agree(&o->gen, &sh->cases[i], &sh->results[i], &o->engine[i])) {
			count_failure(o, i);
		}
	}
}

static void summary(const struct oracle *o, double seconds)
{
	const struct totals *t = &o->totals;

	if (o->opt.alone) {
		printf("%" PRIu64 " cases run by the engine alone\n", t->cases);
		return;
	}
	printf("%" PRIu64 " cases of %zu mnemonics in %zu forms (group %s, mode %u, seed %" PRIu64
	       "): %" PRIu64 " differ; %.0f cases/s\n",
	       t->cases, o->forms.mnemonic_count, o->forms.count, group_name(o->opt.groups),
	       o->opt.mode, o->opt.seed, t->failures, seconds > 0 ? (double)t->cases / seconds : 0);
	printf("ended by: trap %" PRIu64 ", #DE %" PRIu64 ", #UD %" PRIu64 ", #GP %" PRIu64
	       ", #SS %" PRIu64 ", #PF %" PRIu64 ", #MF %" PRIu64 ", #XM %" PRIu64
	       "; %zu forms not offered by both sides\n",
	       t->vectors[3], t->vectors[0], t->vectors[6], t->vectors[13], t->vectors[12],
	       t->vectors[14], t->vectors[16], t->vectors[19], o->forms.skipped);
	for (unsigned m = 0; m <= ZYDIS_MNEMONIC_MAX_VALUE; m++) {
		if (t->failed_by_mnemonic[m] != 0) {
			printf("  %s: %u differ\n", ZydisMnemonicGetString((ZydisMnemonic)m),
			       t->failed_by_mnemonic[m]);
		}
	}
}

static void run_one(struct oracle *o)
{
	struct oracle_shared *sh = o->shared;

	run_batch(o, o->opt.only, 1);
	printf("--case %" PRIu64 ":%" PRIu64 "\n", o->opt.seed, o->opt.only);
	oracle_report(&o->gen, &sh->cases[0], &sh->results[0], &o->engine[0], true);
}

int main(int argc, char **argv)
{
	static struct oracle o;
	struct timespec start, end;
	bool list = parse_options(argc, argv, &o.opt);

	setvbuf(stdout, NULL, _IOLBF, 0);
	setup(&o);
	if (list) {
		list_forms(&o.forms);
		fini(&o);
		return 0;
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	if (o.opt.only != UINT64_MAX) {
		run_one(&o);
	} else {
		for (uint64_t n = 0; (o.opt.cases == 0 || n < o.opt.cases) &&
				     o.totals.failures < o.opt.failures_max;
		     n += ORACLE_BATCH) {
			uint64_t left = o.opt.cases == 0 ? ORACLE_BATCH : o.opt.cases - n;

			run_batch(&o, n, (unsigned)min_u64(left, ORACLE_BATCH));
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	summary(&o,
		(double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
	unsigned failed = o.totals.failures != 0;
	fini(&o);
	return failed != 0;
}
