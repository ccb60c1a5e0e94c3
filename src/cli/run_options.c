// SPDX-License-Identifier: Apache-2.0
/* The options of `virid run`. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "host/memory.h"
#include "launch/cpu.h"
#include "lib/text.h"
#include "run.h"
#include "run_disks.h"

#define PROCESSORS_MAX 2048
#define MEMORY_DEFAULT (UINT64_C(512) << 20)
#define MEMORY_MIN (UINT64_C(4) << 20)
#define MIB (UINT64_C(1) << 20)

const char run_help_text[] =
	"usage: virid run --kernel FILE [OPTIONS]\n"
	"\n"
	"Runs one virtual machine in the foreground, without any service.\n"
	"\n"
	"  --kernel FILE        bzImage, ELF (PVH or vmlinux) or multiboot image\n"
	"  --initrd FILE        initial RAM disk, or the first multiboot module\n"
	"  --cmdline TEXT       kernel command line\n"
	"  --disk FILE[,OPTION...]\n"
	"                       VHD or VHDX file as a disk; options: ro, raw (also for host block "
	"devices), temporary (writes\n"
	"                       are forgotten at the end), iops=N, delay=TIME, log, "
	"controller=0..3, lun=0..63\n"
	"  --dvd [FILE][,OPTION...]\n"
	"                       ISO image in a DVD drive, or an empty drive; options: controller, "
	"lun\n"
	"  --ide FILE[,OPTION...]\n"
	"                       the same as --disk on the accelerated IDE channels; options: "
	"channel=0..1, drive=0..1\n"
	"  --net SWITCH[,OPTION...]\n"
	"                       a network adapter on that virtual switch; 'default' is NAT and "
	"needs no set-up, 'none' no\n"
	"                       switch; options:\n"
	"                       mac=, vlan=N and more, see virid(1)\n"
	"  --memory SIZE        guest memory, such as 512M or 2G (default 512M)\n"
	"  --processors N       virtual processors, 1 to 2048 (default 1)\n"
	"  --engine ENGINE      auto (default; what suits this host, see `virid engine probe`), "
	"emu "
	"(software) or kvm (the\n"
	"                       processor, through /dev/kvm)\n"
	"  --cpu MODEL[,-FEATURE...][,+FEATURE...]\n"
	"                       the guest's processor: baseline (usual with kvm), sequential "
	"(usual "
	"with emu) or host, without\n"
	"                       or with single features; `virid engine cpus` lists them\n"
	"  --console WHERE      COM1: stdio, file:PATH or none (default stdio; on a terminal "
	"Ctrl-] leaves)\n"
	"  --control SOCKET     makes a socket there, on which `virid control` can change the "
	"machine while it runs\n"
	"  --restore FILE       the machine goes on from this state, which `virid control SOCKET "
	"save` wrote; the other\n"
	"                       options must be those of then\n"
	"  --eager              with --restore: all of its memory is loaded before the guest goes "
	"on\n"
	"  --name NAME          name in messages (default the kernel's file name)\n"
	"  --timeout SECONDS    stop the machine after this time (units ms, s, m, h)\n"
	"  --no-reboot          a guest's reset ends the run\n"
	"  --no-legacy          a board without interrupt controllers (8259) and timer (8254) of "
	"old: guests that go by ACPI\n"
	"                       need neither, and start sooner\n"
	"  --clock CLOCK        real, or instructions: guest time counts instructions, the same in "
	"every run\n"
	"                       (one processor; default real)\n"
	"  --trace WHAT         list of port, mmio, msr (those that nobody knows), cpuid, "
	"exception\n"
	"  --stats              print times, instructions, exits, hypercalls and memory at the "
	"end\n"
	"\n"
	"Exit status: 0 the guest powered off, 1 host failure, 2 usage, 3 the guest reset and "
	"--no-reboot was given,\n"
	"4 the guest crashed, 5 its state was saved, 6 turned off, 124 timeout, 130 left with "
	"Ctrl-] or by a signal.\n";

enum run_option {
	OPT_KERNEL = 1,
	OPT_INITRD,
	OPT_CMDLINE,
	OPT_DISK,
	OPT_DVD,
	OPT_IDE,
	OPT_NET,
	OPT_MEMORY,
	OPT_PROCESSORS,
	OPT_ENGINE,
	OPT_CPU,
	OPT_CONSOLE,
	OPT_CONTROL,
	OPT_NAME,
	OPT_TIMEOUT,
	OPT_NO_REBOOT,
	OPT_NO_LEGACY,
	OPT_CLOCK,
	OPT_TRACE,
	OPT_STATS,
	OPT_RESTORE,
	OPT_EAGER,
	OPT_HELP,
};

static const struct option options[] = {
	{"kernel", required_argument, NULL, OPT_KERNEL},
	{"initrd", required_argument, NULL, OPT_INITRD},
	{"cmdline", required_argument, NULL, OPT_CMDLINE},
	{"disk", required_argument, NULL, OPT_DISK},
	{"dvd", required_argument, NULL, OPT_DVD},
	{"ide", required_argument, NULL, OPT_IDE},
	{"net", required_argument, NULL, OPT_NET},
	{"memory", required_argument, NULL, OPT_MEMORY},
	{"processors", required_argument, NULL, OPT_PROCESSORS},
	{"engine", required_argument, NULL, OPT_ENGINE},
	{"cpu", required_argument, NULL, OPT_CPU},
	{"console", required_argument, NULL, OPT_CONSOLE},
	{"control", required_argument, NULL, OPT_CONTROL},
	{"name", required_argument, NULL, OPT_NAME},
	{"timeout", required_argument, NULL, OPT_TIMEOUT},
	{"no-reboot", no_argument, NULL, OPT_NO_REBOOT},
	{"no-legacy", no_argument, NULL, OPT_NO_LEGACY},
	{"clock", required_argument, NULL, OPT_CLOCK},
	{"trace", required_argument, NULL, OPT_TRACE},
	{"stats", no_argument, NULL, OPT_STATS},
	{"restore", required_argument, NULL, OPT_RESTORE},
	{"eager", no_argument, NULL, OPT_EAGER},
	{"help", no_argument, NULL, OPT_HELP},
	{0},
};

static bool set_memory(struct run_options *o, const char *arg)
{
	uint64_t host = host_physical_bytes();

	if (!parse_size(arg, true, &o->memory_bytes)) {
		complain("--memory: '%s' is not a size; expected a number with K, M, G or T, such "
			 "as 512M",
			 arg);
		return false;
	}
	if (o->memory_bytes < MEMORY_MIN || o->memory_bytes % MIB != 0) {
		complain("--memory: %s; expected whole MiB, at least %lluM", arg,
			 (unsigned long long)(MEMORY_MIN / MIB));
		return false;
	}
	if (o->memory_bytes > host) {
		complain("--memory: %s is more than this host has; expected at most %lluM", arg,
			 (unsigned long long)(host / MIB));
		return false;
	}
	return true;
}

static bool set_processors(struct run_options *o, const char *arg)
{
	if (!parse_count(arg, &o->processors) || o->processors < 1 ||
	    o->processors > PROCESSORS_MAX) {
		complain("--processors: '%s'; expected a number from 1 to %d", arg, PROCESSORS_MAX);
		return false;
	}
	return true;
}

/* True when @arg is one of the words of @choices (NULL-terminated). */
static bool one_of(const char *option, const char *arg, const char *const *choices,
		   const char *expected)
{
	for (; *choices != NULL; choices++) {
		if (strcmp(arg, *choices) == 0) {
			return true;
		}
	}
	complain("%s: '%s'; expected %s", option, arg, expected);
	return false;
}

static bool check_trace(const char *list)
{
	static const char *const kinds[] = {"port", "mmio", "msr", "cpuid", "exception", NULL};
	char copy[128];

	if (!text_copy(copy, sizeof(copy), list)) {
		complain("--trace: the list is too long; expected some of port, mmio, msr, cpuid, "
			 "exception");
		return false;
	}
	for (char *save = NULL, *word = strtok_r(copy, ",", &save); word != NULL;
	     word = strtok_r(NULL, ",", &save)) {
		if (!one_of("--trace", word, kinds,
			    "a list of port, mmio, msr, cpuid, exception")) {
			return false;
		}
	}
	return true;
}

static bool add_net(struct run_options *o, const char *arg)
{
	struct launch_error error;

	if (!launch_nets_add(&o->nets, arg, &error)) {
		complain("--net %s: %s", arg, error.text);
		return false;
	}
	return true;
}

/* What the engine kvm does without an exit, each of which can be left to the core. */
static const struct accelerator {
	const char *on, *off;
	const char *name; /* in launch.without */
} accelerators[] = {{"apic=kvm", "apic=core", "apic"},
		    {"stimer=on", "stimer=off", "stimer"},
		    {"overlays=in-place", "overlays=over", "overlays"}};

#define ACCELERATORS (sizeof(accelerators) / sizeof(accelerators[0]))

static bool set_accelerator(bool off[ACCELERATORS], const char *word)
{
	for (size_t i = 0; i < ACCELERATORS; i++) {
		bool is_off = strcmp(word, accelerators[i].off) == 0;

		if (is_off || strcmp(word, accelerators[i].on) == 0) {
			off[i] = is_off;
			return true;
		}
	}
	return false;
}

/* The last word about one of them counts. */
static bool set_accelerators(struct run_options *o, const char *option, const char *list)
{
	bool off[ACCELERATORS] = {false};
	char copy[128], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", list);
	for (char *word = strtok_r(copy, ",", &save); word != NULL;
	     word = strtok_r(NULL, ",", &save)) {
		if (!set_accelerator(off, word)) {
			complain("%s kvm: '%s'; expected apic=core, apic=kvm, stimer=off, "
				 "stimer=on, overlays=over or overlays=in-place",
				 option, word);
			return false;
		}
	}
	for (size_t i = 0; i < ACCELERATORS; i++) {
		size_t used = strlen(o->without);

		if (off[i]) {
			snprintf(o->without + used, sizeof(o->without) - used, "%s%s",
				 used != 0 ? "," : "", accelerators[i].name);
		}
	}
	return true;
}

static bool set_engine(struct run_options *o, const char *option, const char *arg)
{
	static const char *const engines[] = {"auto", "emu", "kvm", NULL};

	o->without[0] = '\0';
	if (strncmp(arg, "kvm,", 4) == 0) {
		o->engine = RUN_KVM;
		return set_accelerators(o, option, arg + 4);
	}
	o->engine = strcmp(arg, "kvm") == 0   ? RUN_KVM
		    : strcmp(arg, "emu") == 0 ? RUN_EMU
					      : RUN_AUTO;
	return one_of(option, arg, engines, "auto, emu or kvm");
}

static bool set_cpu(struct run_options *o, const char *arg)
{
	struct launch_error error;

	o->cpu = arg;
	if (!launch_cpu_valid(arg, &error)) {
		complain("--cpu: %s", error.text);
		return false;
	}
	return true;
}

static bool set_option(struct run_options *o, enum run_option opt, const char *arg)
{
	static const char *const clocks[] = {"real", "instructions", NULL};

	switch (opt) {
	case OPT_KERNEL:
		o->kernel = arg;
		return true;
	case OPT_INITRD:
		o->initrd = arg;
		return true;
	case OPT_CMDLINE:
		o->cmdline = arg;
		return true;
	case OPT_DISK:
		return run_disks_add(&o->disks, LAUNCH_DISK_SCSI, "--disk", arg);
	case OPT_DVD:
		return run_disks_add(&o->disks, LAUNCH_DISK_DVD, "--dvd", arg);
	case OPT_IDE:
		return run_disks_add(&o->disks, LAUNCH_DISK_IDE, "--ide", arg);
	case OPT_NET:
		return add_net(o, arg);
	case OPT_MEMORY:
		return set_memory(o, arg);
	case OPT_PROCESSORS:
		return set_processors(o, arg);
	case OPT_ENGINE:
		return set_engine(o, "--engine", arg);
	case OPT_CPU:
		return set_cpu(o, arg);
	case OPT_CONSOLE:
		o->console = arg;
		if (strncmp(arg, "file:", 5) != 0 && strcmp(arg, "stdio") != 0 &&
		    strcmp(arg, "none") != 0) {
			complain("--console: '%s'; expected stdio, file:PATH or none", arg);
			return false;
		}
		return true;
	case OPT_CONTROL:
		o->control = arg;
		return true;
	case OPT_NAME:
		o->name = arg;
		return true;
	case OPT_TIMEOUT:
		if (!parse_duration_ns(arg, &o->timeout_ns) || o->timeout_ns == 0) {
			complain("--timeout: '%s'; expected a time above 0, such as 30 or 2m", arg);
			return false;
		}
		return true;
	case OPT_NO_REBOOT:
		o->no_reboot = true;
		return true;
	case OPT_NO_LEGACY:
		o->no_legacy = true;
		return true;
	case OPT_CLOCK:
		o->count_instructions = strcmp(arg, "instructions") == 0;
		return one_of("--clock", arg, clocks, "real or instructions");
	case OPT_TRACE:
		o->trace = arg;
		return check_trace(arg);
	case OPT_STATS:
		o->stats = true;
		return true;
	case OPT_RESTORE:
		o->restore = arg;
		return true;
	case OPT_EAGER:
		o->eager = true;
		return true;
	case OPT_HELP:
		o->help = true;
		return true;
	}
	return false;
}

bool run_traces_processor(const struct run_options *o)
{
	return o->trace != NULL &&
	       (strstr(o->trace, "cpuid") != NULL || strstr(o->trace, "exception") != NULL);
}

bool run_options_parse(int argc, char **argv, struct run_options *o)
{
	const char *engine = getenv("VIRID_ENGINE");
	int opt;

	*o = (struct run_options){
		.cpu = "",
		.cmdline = "",
		.memory_bytes = MEMORY_DEFAULT,
		.processors = 1,
		.console = "stdio",
	};
	/* --engine says otherwise. */
	if (engine != NULL && *engine != '\0' && !set_engine(o, "VIRID_ENGINE", engine)) {
		return false;
	}
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		if (opt == ':') {
			complain("%s needs a value; virid run --help explains it",
				 argv[optind - 1]);
			return false;
		}
		if (opt == '?') {
			char meant[CLI_GUESS_BYTES];

			complain("'%s' is not an option of virid run%s; --help lists them",
				 argv[optind - 1], guess_option(argv[optind - 1], options, meant));
			return false;
		}
		if (!set_option(o, (enum run_option)opt, optarg)) {
			return false;
		}
		if (o->help) {
			return true;
		}
	}
	if (optind < argc) {
		complain("'%s': virid run takes options only; --help lists them", argv[optind]);
		return false;
	}
	if (o->kernel == NULL) {
		complain("--kernel is missing: name a bzImage, ELF or multiboot file");
		return false;
	}
	if (o->eager && o->restore == NULL) {
		complain("--eager says how --restore works; expected --restore FILE too");
		return false;
	}
	if (o->count_instructions && o->processors != 1) {
		complain("--clock instructions: %llu processors; expected --processors 1, whose "
			 "instructions are the clock",
			 (unsigned long long)o->processors);
		return false;
	}
	if (o->count_instructions && o->engine == RUN_KVM) {
		complain("--clock instructions: expected --engine emu, which counts them; KVM does "
			 "not");
		return false;
	}
	if (o->engine == RUN_KVM && run_traces_processor(o)) {
		complain("--trace %s: expected port, mmio or msr with --engine kvm; KVM tells "
			 "nobody of cpuid and exception",
			 o->trace);
		return false;
	}
	struct launch_error error;

	if (!launch_disks_place(&o->disks, &error)) {
		complain("%s", error.text);
		return false;
	}
	return true;
}
