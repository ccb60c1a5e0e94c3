// SPDX-License-Identifier: Apache-2.0
/*
 * The smallest machine that runs the images of this folder: an engine, memory, processors as threads, and the ports of image/guest.h.
 * The image prints its results as TAP. --count makes guest time count instructions; --twice runs the image two times and wants
 * the same output; --cpus N allows N processors; --engine kvm, or VIRID_ENGINE=kvm in the environment, has the processor run the guest;
 * --lax says that this processor is an emulated one, which lets pass what a real one refuses: rows for on_test_host() are left out.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "abi/hv.h"
#include "emu/emu.h"
#include "gmem/gmem.h"
#include "kvm/kvm.h"
#include "lib/bits.h"
#include "test/guest_ram.h"
#include "x86/arch.h"

#define MEMORY_BYTES (64u << 20)
#define CPUS_MAX 6u
#define OUTPUT_MAX 65536u
#define TIME_LIMIT_S 60
#define TIME_LIMIT_NESTED_S 300 /* KVM is that of an emulated processor */
#define MMIO_BASE 0xfeb00000u

struct settings {
	const char *path;
	const char *engine;
	unsigned cpus;
	bool count, twice, lax;
	int device; /* of the engine; -1: none */
};

struct cpu {
	struct machine *m;
	struct hv_engine_vp *vp;
	uint32_t index;
	pthread_t thread;
	_Atomic bool started;
	_Atomic int interrupt; /* vector, or -1 */
	_Atomic bool nmi;
};

struct machine {
	const struct hv_engine_ops *ops;
	int device;
	struct gmem gmem;
	struct hv_engine_vm *vm;
	uint8_t *memory;
	uint8_t mmio[4096];
	struct cpu cpu[CPUS_MAX];
	unsigned cpus;
	bool count;
	bool lax;
	_Atomic bool done;
	_Atomic int status;
	bool expect_shutdown;
	uint32_t poke_gpa;
	char *output;
	size_t output_bytes;
};

static _Noreturn void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void code_written(void *ctx, uint64_t gpa, size_t bytes)
{
	struct machine *m = ctx;

	m->ops->code_written(m->vm, gpa, bytes);
}

static uint64_t clock_ns(void *ctx)
{
	struct timespec ts;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The images are our own build's: nothing is checked. */
static uint32_t load64(struct machine *m, const uint8_t *file)
{
	const Elf64_Ehdr *eh = (const void *)file;
	const Elf64_Phdr *ph = (const void *)(file + eh->e_phoff);

	for (unsigned i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD) {
			memcpy(m->memory + ph[i].p_paddr, file + ph[i].p_offset, ph[i].p_filesz);
		}
	}
	return (uint32_t)eh->e_entry;
}

static uint32_t load32(struct machine *m, const uint8_t *file)
{
	const Elf32_Ehdr *eh = (const void *)file;
	const Elf32_Phdr *ph = (const void *)(file + eh->e_phoff);

	for (unsigned i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD) {
			memcpy(m->memory + ph[i].p_paddr, file + ph[i].p_offset, ph[i].p_filesz);
		}
	}
	return eh->e_entry;
}

static uint32_t image_load(struct machine *m, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	const uint8_t *file;
	uint32_t entry;

	if (fd < 0 || fstat(fd, &st) != 0) {
		die(path);
	}
	file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file == MAP_FAILED) {
		die(path);
	}
	entry = file[EI_CLASS] == ELFCLASS64 ? load64(m, file) : load32(m, file);
	munmap((void *)(uintptr_t)file, (size_t)st.st_size);
	close(fd);
	return entry;
}

static void reg_put(struct cpu *c, uint32_t name, uint64_t lo, uint64_t hi)
{
	struct hv_u128 v = {lo, hi};

	if (!c->m->ops->reg_set(c->vp, name, &v)) {
		printf("Bail out! register 0x%x refused\n", name);
		exit(1);
	}
}

static uint64_t reg_get(struct cpu *c, uint32_t name)
{
	struct hv_u128 v = {0, 0};

	(void)c->m->ops->reg_get(c->vp, name, &v);
	return v.lo;
}

/* Flat 32-bit protected mode, as multiboot hands over. */
static void cpu_init(struct cpu *c, uint32_t entry)
{
	uint64_t flat = UINT32_MAX | UINT64_C(0x10) << 32 | UINT64_C(0xc093) << 48;

	reg_put(c, HvX64RegisterCr0, X86_CR0_PE | X86_CR0_ET, 0);
	reg_put(c, HvX64RegisterCs, 0, UINT32_MAX | UINT64_C(0x08) << 32 | UINT64_C(0xc09b) << 48);
	reg_put(c, HvX64RegisterSs, 0, flat);
	reg_put(c, HvX64RegisterDs, 0, flat);
	reg_put(c, HvX64RegisterEs, 0, flat);
	reg_put(c, HvX64RegisterFs, 0, flat);
	reg_put(c, HvX64RegisterGs, 0, flat);
	reg_put(c, HvX64RegisterRip, entry, 0);
	reg_put(c, HvX64RegisterRflags, 2, 0);
	reg_put(c, HvX64RegisterRax, c->index == 0 ? 0x2badb002 : 0, 0);
	reg_put(c, HvX64RegisterRbx, c->index, 0);
}

static void stop(struct machine *m, int status)
{
	m->status = status;
	m->done = true;
	for (unsigned i = 0; i < m->cpus; i++) {
		m->ops->kick(m->cpu[i].vp);
	}
}

static void put_char(struct machine *m, char c)
{
	if (m->output_bytes < OUTPUT_MAX) {
		m->output[m->output_bytes++] = c;
	}
}

static void *cpu_thread(void *arg);

static void port_write(struct cpu *c, uint16_t port, uint32_t v)
{
	struct machine *m = c->m;
	uint8_t byte = (uint8_t)v;

	switch (port) {
	case 0xe9:
		put_char(m, (char)v);
		break;
	case 0xf4:
		stop(m, (int)v);
		break;
	case 0xe0:
		c->interrupt = byte;
		break;
	case 0xe1:
		c->nmi = true;
		break;
	case 0xe2:
		if (v < m->cpus && !atomic_exchange(&m->cpu[v].started, true)) {
			pthread_create(&m->cpu[v].thread, NULL, cpu_thread, &m->cpu[v]);
		}
		break;
	case 0xe4:
		m->poke_gpa = v;
		break;
	case 0xe5:
		(void)gmem_write(&m->gmem, m->poke_gpa, &byte, 1);
		break;
	case 0xe6:
		m->expect_shutdown = true;
		break;
	default:
		break;
	}
}

#define PORT_TEST_HOST 0xe7
#define TEST_HOST 0x56
#define TEST_HOST_EMULATED 0x57 /* its processor is */

static uint32_t port_read(struct cpu *c, uint16_t port)
{
	switch (port) {
	case PORT_TEST_HOST:
		return c->m->lax ? TEST_HOST_EMULATED : TEST_HOST;
	case 0xe8:
		return c->m->cpus;
	case 0xea:
		return c->m->ops == &kvm_engine_ops;
	default:
		return UINT32_MAX;
	}
}

static void on_memory(struct cpu *c, const struct hv_exit *e)
{
	struct machine *m = c->m;
	uint64_t values[4] = {UINT64_MAX};
	uint64_t at = e->memory.gpa - MMIO_BASE;

	if (e->memory.access == HV_ACCESS_EXECUTE) {
		printf("Bail out! fetch from GPA 0x%llx\n", (unsigned long long)e->memory.gpa);
		exit(1);
	}
	if (at < sizeof(m->mmio) - 8) {
		if (e->memory.access == HV_ACCESS_WRITE) {
			memcpy(m->mmio + at, &e->memory.data, e->memory.bytes);
		} else {
			values[0] = 0;
			memcpy(&values[0], m->mmio + at, e->memory.bytes);
		}
	}
	m->ops->complete(c->vp, values);
}

static void on_exit_reason(struct cpu *c, const struct hv_exit *e)
{
	struct machine *m = c->m;
	uint64_t values[4] = {0};
	uint32_t regs[4];

	switch (e->kind) {
	case HV_EXIT_PORT:
		if (e->port.write) {
			port_write(c, e->port.port, e->port.data);
		} else {
			values[0] = port_read(c, e->port.port);
		}
		m->ops->complete(c->vp, values);
		break;
	case HV_EXIT_MEMORY:
		on_memory(c, e);
		break;
	case HV_EXIT_MSR:
		m->ops->inject_exception(c->vp, X86_EXC_GP, true, 0, 0);
		break;
	case HV_EXIT_CR8:
		m->ops->complete(c->vp, values);
		break;
	case HV_EXIT_CPUID:
		m->ops->cpuid(m->vm, e->cpuid.leaf, e->cpuid.subleaf, regs);
		for (unsigned i = 0; i < 4; i++) {
			values[i] = regs[i];
		}
		m->ops->complete(c->vp, values);
		break;
	case HV_EXIT_HYPERCALL:
		reg_put(c, HvX64RegisterRax, reg_get(c, HvX64RegisterRcx) + 1, 0);
		m->ops->complete(c->vp, values);
		break;
	case HV_EXIT_HALT:
		if (m->cpus == 1 && c->interrupt < 0 && !c->nmi) {
			put_char(m, '\n');
			printf("Bail out! halted for ever at 0x%llx\n",
			       (unsigned long long)reg_get(c, HvX64RegisterRip));
			stop(m, 1);
		}
		usleep(100);
		break;
	case HV_EXIT_TRIPLE_FAULT:
		if (m->expect_shutdown) {
			stop(m, 0);
			break;
		}
		printf("Bail out! triple fault at 0x%llx\n",
		       (unsigned long long)reg_get(c, HvX64RegisterRip));
		stop(m, 1);
		break;
	case HV_EXIT_FAILED:
		printf("Bail out! the engine: %s\n", e->failed.what);
		stop(m, 1);
		break;
	case HV_EXIT_INTERRUPTED:
	case HV_EXIT_INTERRUPT_WINDOW:
	case HV_EXIT_IRET_NMI:
	case HV_EXIT_EOI:
		break;
	case HV_EXIT_EXCEPTION:
		printf("Bail out! an exception exit nobody asked for\n");
		stop(m, 1);
		break;
	}
}

static void *cpu_thread(void *arg)
{
	struct cpu *c = arg;
	struct machine *m = c->m;

	while (!m->done) {
		struct hv_run how = {.deadline_tsc = UINT64_MAX};
		struct hv_exit exit;

		if (c->nmi && m->ops->can_nmi(c->vp)) {
			c->nmi = false;
			m->ops->inject_nmi(c->vp);
		} else if (c->interrupt >= 0 && m->ops->can_interrupt(c->vp)) {
			m->ops->inject_interrupt(c->vp,
						 (uint8_t)atomic_exchange(&c->interrupt, -1));
		}
		how.want_nmi_window = c->nmi;
		how.want_interrupt_window = c->interrupt >= 0;
		m->ops->run(c->vp, &how, &exit);
		on_exit_reason(c, &exit);
	}
	return NULL;
}

static void *watchdog(void *arg)
{
	struct machine *m = arg;

	unsigned limit_s = m->device >= 0 ? TIME_LIMIT_NESTED_S : TIME_LIMIT_S;

	for (unsigned i = 0; i < limit_s * 10 && !m->done; i++) {
		usleep(100000);
	}
	if (!m->done) {
		fwrite(m->output, 1, m->output_bytes, stdout);
		printf("Bail out! no end after %u seconds; processor 0 retired %llu instructions\n",
		       limit_s, (unsigned long long)m->ops->instructions(m->cpu[0].vp));
		fflush(stdout);
		_exit(1);
	}
	return NULL;
}

static void machine_init(struct machine *m)
{
	struct hv_engine_config config = {.gmem = &m->gmem,
					  .vp_max = m->cpus,
					  .clock = clock_ns,
					  .clock_hz = 1000000000,
					  .count_instructions = m->count,
					  .device_fd = m->device};

	m->memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	m->output = malloc(OUTPUT_MAX);
	if (m->memory == MAP_FAILED || m->output == NULL || test_space_init(&m->gmem, 40) != 0) {
		die("memory");
	}
	if (test_ram_map(&m->gmem, m->memory, 0, MEMORY_BYTES / GMEM_PAGE_BYTES) != 0) {
		die("gmem_map");
	}
	if (m->ops->vm_create(&config, &m->vm) != 0) {
		die("vm_create");
	}
	m->ops->gpa_changed(m->vm, 0, MEMORY_BYTES / GMEM_PAGE_BYTES);
	gmem_set_watch(&m->gmem, &(struct gmem_watch){code_written, m});
	for (uint32_t i = 0; i < m->cpus; i++) {
		m->cpu[i].m = m;
		m->cpu[i].index = i;
		m->cpu[i].interrupt = -1;
		if (m->ops->vp_create(m->vm, i, &m->cpu[i].vp) != 0) {
			die("vp_create");
		}
	}
}

static void machine_fini(struct machine *m)
{
	for (unsigned i = 0; i < m->cpus; i++) {
		m->ops->vp_destroy(m->cpu[i].vp);
	}
	m->ops->vm_destroy(m->vm);
	gmem_fini(&m->gmem);
	munmap(m->memory, MEMORY_BYTES);
}

/* Runs the image to its end; the output is the caller's. */
static int machine_run(const struct settings *set, char **ret_output, size_t *ret_bytes)
{
	struct machine *m = calloc(1, sizeof(*m));
	pthread_t dog;
	uint32_t entry;
	int status;

	if (m == NULL) {
		die("memory");
	}
	m->ops = set->device >= 0 ? &kvm_engine_ops : &emu_engine_ops;
	m->device = set->device;
	m->cpus = set->cpus;
	m->count = set->count;
	m->lax = set->lax;
	machine_init(m);
	entry = image_load(m, set->path);
	for (unsigned i = 0; i < m->cpus; i++) {
		cpu_init(&m->cpu[i], entry);
	}
	m->cpu[0].started = true;
	if (pthread_create(&dog, NULL, watchdog, m) != 0 ||
	    pthread_create(&m->cpu[0].thread, NULL, cpu_thread, &m->cpu[0]) != 0) {
		die("pthread_create");
	}
	for (unsigned i = 0; i < m->cpus; i++) {
		if (m->cpu[i].started) {
			pthread_join(m->cpu[i].thread, NULL);
		}
	}
	pthread_join(dog, NULL);
	status = m->status;
	*ret_output = m->output;
	*ret_bytes = m->output_bytes;
	machine_fini(m);
	free(m);
	return status;
}

/* Opens what the engine needs. Ends the program, as skipped, where that cannot be had. */
static void open_device(struct settings *set)
{
	set->device = -1;
	if (strcmp(set->engine, "emu") == 0) {
		return;
	}
	if (set->count) {
		printf("1..0 # SKIP KVM counts no instructions\n");
		exit(0);
	}
	set->device = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (set->device < 0) {
		printf("1..0 # SKIP /dev/kvm: %s\n", strerror(errno));
		exit(0);
	}
}

static bool parse(int argc, char **argv, struct settings *set)
{
	const char *engine = getenv("VIRID_ENGINE");

	*set = (struct settings){.engine = engine != NULL ? engine : "emu", .cpus = 1};
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--count") == 0) {
			set->count = true;
		} else if (strcmp(argv[i], "--twice") == 0) {
			set->twice = true;
		} else if (strcmp(argv[i], "--lax") == 0) {
			set->lax = true;
		} else if (strcmp(argv[i], "--cpus") == 0 && i + 1 < argc) {
			set->cpus = (unsigned)strtoul(argv[++i], NULL, 10);
		} else if (strcmp(argv[i], "--engine") == 0 && i + 1 < argc) {
			set->engine = argv[++i];
		} else {
			set->path = argv[i];
		}
	}
	return set->path != NULL && set->cpus >= 1 && set->cpus <= CPUS_MAX &&
	       (strcmp(set->engine, "emu") == 0 || strcmp(set->engine, "kvm") == 0);
}

int main(int argc, char **argv)
{
	struct settings set;
	char *output, *again;
	size_t bytes, again_bytes;
	int status;

	if (!parse(argc, argv, &set)) {
		fprintf(stderr,
			"usage: guest_host [--count] [--twice] [--lax] [--cpus 1..%u] [--engine "
			"emu|kvm] IMAGE\n",
			CPUS_MAX);
		return 2;
	}
	open_device(&set);
	status = machine_run(&set, &output, &bytes);
	fwrite(output, 1, bytes, stdout);
	if (set.twice) {
		int status2 = machine_run(&set, &again, &again_bytes);

		if (status2 != status || again_bytes != bytes ||
		    memcmp(output, again, bytes) != 0) {
			printf("Bail out! the second run printed something else:\n%.*s",
			       (int)again_bytes, again);
			status = 1;
		}
		free(again);
	}
	free(output);
	return status;
}
