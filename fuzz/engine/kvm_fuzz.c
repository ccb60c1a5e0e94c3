// SPDX-License-Identifier: Apache-2.0
/*
 * Any guest (world.h) on the KVM engine, beside the software engine. No input may end the VM, hang, or leave a state that does not restore to
 * itself. How often both engines come to the same first exit, with the same registers and memory, is counted and told, not judged: the
 * processor below may be an emulated one with faults of its own.
 *
 * What a guest may bring on itself is no failure: an instruction on memory that is not plain, which KVM would have to emulate and does not know, a stack or descriptor
 * table there, and registers from the input that contradict each other, which KVM or the processor refuses as a whole; the same after an instruction has run would be the engine's failure.
 *
 * usage: fuzz_engine_kvm [--runs N] [--seconds N] [--seed N] [--last FILE] [--below-qemu] [--verbose] PATH...
 *
 * The inputs at PATHs (files and folders) are run, then N changed ones, or as many as N seconds take. FILE: where the input is that runs just now, for one that ends the
 * host. --below-qemu: only inputs that begin in long or real mode: QEMU's AMD-V ends itself ("invalid tss type") when something leaves ring 3 of the other
 * modes, up to 10.0 at least, and its #VMEXIT leaves VM set in RFLAGS.
 * Prints TAP.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "abi/hv.h"
#include "emu/emu.h"
#include "kvm/kvm.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "world.h"

#define INPUT_MAX 4096u
#define INPUTS_MAX 8192u
#define INPUTS_A_VM 256u
#define INSTRUCTIONS 3000u
#define RUN_PARTS 200u /* of a second: as long runs what does not end by itself */
#define EXCUSES 5u
#define HANG_SECONDS 60 /* for one input: then it is a finding */

struct input {
	uint8_t *data;
	size_t bytes;
};

struct fuzz {
	int device;
	const char *last;
	bool verbose, below_qemu;
	struct input inputs[INPUTS_MAX];
	size_t count;
	uint64_t random, more, seconds; /* changed inputs; time for them */
	struct world *kvm, *emu;
	unsigned used;
	unsigned runs, failures, excused[EXCUSES];
	unsigned compared, same, other_exit, other_registers, other_memory;
};

/* ---- Inputs ---- */

static void add_file(struct fuzz *f, const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t buf[INPUT_MAX];
	struct input *in = &f->inputs[f->count];

	if (file == NULL || f->count == INPUTS_MAX) {
		fprintf(stderr, "%s: cannot be read, or is one input too many\n", path);
		exit(2);
	}
	in->bytes = fread(buf, 1, sizeof(buf), file);
	in->data = malloc(in->bytes + 1);
	CHECK(in->data != NULL);
	memcpy(in->data, buf, in->bytes);
	fclose(file);
	f->count++;
}

static void add_path(struct fuzz *f, const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (dir == NULL) {
		add_file(f, path);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		char inner[4096];

		if (entry->d_name[0] != '.') {
			snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
			add_file(f, inner);
		}
	}
	closedir(dir);
}

static uint64_t draw(struct fuzz *f)
{
	f->random ^= f->random << 13;
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return f->random;
}

/* One input with some bytes changed, a piece moved, or the end of another behind its beginning. */
static size_t change(struct fuzz *f, uint8_t buf[INPUT_MAX])
{
	const struct input *a = &f->inputs[draw(f) % f->count], *b = &f->inputs[draw(f) % f->count];
	size_t bytes = a->bytes;

	memcpy(buf, a->data, bytes);
	if ((draw(f) & 3) == 0) {
		size_t keep = bytes != 0 ? draw(f) % bytes : 0, from = b->bytes / 2;

		bytes = min_u64(keep + b->bytes - from, INPUT_MAX);
		memcpy(buf + keep, b->data + from, bytes - keep);
	}
	for (uint64_t n = 1 + draw(f) % 8; bytes != 0 && n > 0; n--) {
		size_t at = draw(f) % bytes;

		buf[at] =
			(draw(f) & 1) ? (uint8_t)draw(f) : (uint8_t)(buf[at] ^ 1u << (draw(f) & 7));
	}
	return bytes;
}

static void keep_last(const struct fuzz *f, const uint8_t *data, size_t bytes)
{
	FILE *file = f->last != NULL ? fopen(f->last, "wb") : NULL;

	if (file != NULL) {
		fwrite(data, 1, bytes, file);
		fclose(file);
	}
}

/* ---- The two engines beside each other ---- */

static enum hv_exit_kind first_exit(struct world *w, uint64_t ticks, struct hv_exit *ret)
{
	const struct hv_run how = {.deadline_tsc = w->ops->tsc(w->vm) + ticks};

	do {
		w->ops->run(w->vp, &how, ret);
	} while (ret->kind == HV_EXIT_INTERRUPTED && w->ops->tsc(w->vm) < how.deadline_tsc);
	return ret->kind;
}

static bool same_registers(const struct world *a, const struct world *b, uint32_t *ret_name)
{
	for (uint32_t name = HvX64RegisterRax; name <= HvX64RegisterRflags; name++) {
		struct hv_u128 x = {0, 0}, y = {0, 0};

		if (!a->ops->reg_get(a->vp, name, &x) || !b->ops->reg_get(b->vp, name, &y) ||
		    x.lo != y.lo) {
			*ret_name = name;
			return false;
		}
	}
	return true;
}

/* Exits that both engines have, for the same reasons. */
static bool comparable(enum hv_exit_kind kind)
{
	return kind == HV_EXIT_PORT || kind == HV_EXIT_MEMORY || kind == HV_EXIT_HALT ||
	       kind == HV_EXIT_TRIPLE_FAULT;
}

static void compare(struct fuzz *f, const uint8_t *data, size_t bytes)
{
	struct hv_exit kvm, emu;
	uint32_t name = 0;

	world_load(f->emu, data, bytes);
	f->emu->ops->intercept_exceptions(f->emu->vm, 0);
	if (!comparable(first_exit(f->emu, INSTRUCTIONS, &emu))) {
		return;
	}
	world_load(f->kvm, data, bytes);
	first_exit(f->kvm, f->kvm->ops->tsc_hz(f->kvm->vm) / RUN_PARTS, &kvm);
	f->compared++;
	if (kvm.kind != emu.kind) {
		f->other_exit++;
	} else if (emu.kind == HV_EXIT_TRIPLE_FAULT) {
		f->same++; /* what the registers are then is nobody's business */
	} else if (!same_registers(f->kvm, f->emu, &name)) {
		f->other_registers++;
	} else if (memcmp(f->kvm->memory, f->emu->memory, WORLD_MEMORY_BYTES) != 0) {
		f->other_memory++;
	} else {
		f->same++;
	}
	if (f->verbose && (kvm.kind != emu.kind || name != 0)) {
		printf("# run %u: exit %d, software %d, register 0x%x\n", f->runs, kvm.kind,
		       emu.kind, name);
	}
}

/* ---- Runs ---- */

static const struct excuse {
	const char *what;
	bool at_start; /* before the guest has run: what it says is about the input's registers */
} excuses[EXCUSES] = {
	/* Instructions on memory that is no RAM or may not be written, and code that is not there: KVM carries those out itself, and knows few of them. */
	{"KVM cannot emulate an instruction", false},
	/* So it does with stacks and descriptor tables at such places, but for one case: VT-x comes out in the middle of a delivery, and KVM does not carry those out. */
	{"KVM cannot deliver an interrupt or exception through memory that is no RAM", false},
	/* Registers are set one by one, each right for itself; together they may be no mode of the processor's. */
	{"KVM refuses the control registers or segments", true},
	/* That, too, seen when translations are to be dropped: CR4 is written for it. */
	{"KVM does not drop translations", true},
	/* The processor looks at what KVM does not: attributes, limits and bases of segments, beside each other and the mode. */
	{"the processor refuses the guest's state", true},
};

static bool excused(struct fuzz *f)
{
	for (size_t i = 0; i < EXCUSES; i++) {
		if (strcmp(f->kvm->failed, excuses[i].what) == 0 &&
		    (!excuses[i].at_start || f->kvm->exits == 0)) {
			f->excused[i]++;
			return true;
		}
	}
	return false;
}

static void renew(struct fuzz *f)
{
	if (f->kvm != NULL && f->used < INPUTS_A_VM && f->kvm->failed == NULL) {
		f->used++;
		return;
	}
	if (f->kvm != NULL) {
		world_destroy(f->kvm);
		world_destroy(f->emu);
	}
	f->kvm = world_create(&kvm_engine_ops, f->device);
	f->emu = world_create(&emu_engine_ops, -1);
	f->used = 0;
}

static void run(struct fuzz *f, const uint8_t *data, size_t bytes)
{
	if (f->below_qemu && world_is_legacy(data, bytes)) {
		return;
	}
	keep_last(f, data, bytes);
	renew(f);
	alarm(HANG_SECONDS);
	compare(f, data, bytes);
	world_load(f->kvm, data, bytes);
	world_run(f->kvm,
		  f->kvm->ops->tsc(f->kvm->vm) + f->kvm->ops->tsc_hz(f->kvm->vm) / RUN_PARTS);
	if (f->kvm->failed != NULL) {
		if (!excused(f)) {
			printf("# run %u: the engine gave up after %u exits: %s\n", f->runs,
			       f->kvm->exits, f->kvm->failed);
			f->failures++;
		}
	} else if ((world_draw(f->kvm) & 3) == 0 && !world_check_state(f->kvm)) {
		printf("# run %u: saved state does not restore to itself\n", f->runs);
		f->failures++;
	}
	alarm(0);
	f->runs++;
}

static void report(const struct fuzz *f)
{
	printf("%sok 1 - any guest: no failure of the engine's\n", f->failures == 0 ? "" : "not ");
	printf("# %u runs, %u failures\n", f->runs, f->failures);
	for (size_t i = 0; i < EXCUSES; i++) {
		printf("# %u ended by what the guest is to blame for%s: %s\n", f->excused[i],
		       excuses[i].at_start ? " before it ran" : "", excuses[i].what);
	}
	printf("# beside the software engine: %u compared, %u the same, else %u other exits, %u "
	       "other "
	       "registers, %u other memory\n1..1\n",
	       f->compared, f->same, f->other_exit, f->other_registers, f->other_memory);
}

static uint64_t seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec;
}

static void run_all(struct fuzz *f)
{
	uint8_t buf[INPUT_MAX];
	uint64_t end;

	for (size_t i = 0; i < f->count; i++) {
		run(f, f->inputs[i].data, f->inputs[i].bytes);
	}
	end = seconds_now() + f->seconds;
	for (uint64_t n = 0; f->count != 0 && (n < f->more || seconds_now() < end); n++) {
		size_t bytes = change(f, buf);

		run(f, buf, bytes);
	}
}

static void take_options(struct fuzz *f, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--verbose") == 0) {
			f->verbose = true;
		} else if (strcmp(argv[i], "--below-qemu") == 0) {
			f->below_qemu = true;
		} else if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0) {
			f->seconds = strtoull(argv[++i], NULL, 10);
		} else if (i + 1 < argc && strcmp(argv[i], "--runs") == 0) {
			f->more = strtoull(argv[++i], NULL, 10);
		} else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0) {
			f->random += strtoull(argv[++i], NULL, 10);
		} else if (i + 1 < argc && strcmp(argv[i], "--last") == 0) {
			f->last = argv[++i];
		} else {
			add_path(f, argv[i]);
		}
	}
}

int main(int argc, char **argv)
{
	static struct fuzz f = {.random = UINT64_C(0x9e3779b97f4a7c15)};
	const char *why;

	take_options(&f, argc, argv);
	f.device = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	why = f.device < 0 ? "/dev/kvm cannot be opened" : kvm_engine_lacks(f.device);
	if (why != NULL) {
		printf("1..0 # SKIP %s\n", why);
		return 0;
	}
	run_all(&f);
	report(&f);
	return f.failures == 0 && f.runs != 0 ? 0 : 1;
}
