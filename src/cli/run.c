// SPDX-License-Identifier: Apache-2.0
/* `virid run`: checks what was asked for, opens it, starts a worker with the descriptors, and
 * waits. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "host/memory.h"
#include "run_disks.h"

#define PROCESSORS_MAX 2048
#define MEMORY_DEFAULT (UINT64_C(512) << 20)
#define MEMORY_MIN (UINT64_C(4) << 20)
#define MIB (UINT64_C(1) << 20)
#define WORKER_ARGS_MAX (48 + RUN_DISKS_MAX * 8)

struct run_options {
	const char *kernel;
	const char *initrd;
	const char *cmdline;
	uint64_t memory_bytes;
	uint64_t processors;
	const char *console; /* "stdio", "none" or "file:PATH" */
	const char *name;
	const char *control; /* path of the socket; NULL: none */
	uint64_t timeout_ns;
	bool no_reboot;
	bool stats;
	bool count_instructions;
	const char *trace;
	struct run_disks disks;
	bool help;
};

/* Descriptors that the worker gets; -1: none. */
struct run_files {
	int kernel;
	int initrd;
	int console_in;
	int console_out;
	int control;
	bool escape;
};

static const char help_text[] =
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
	"  --memory SIZE        guest memory, such as 512M or 2G (default 512M)\n"
	"  --processors N       virtual processors, 1 to 2048 (default 1)\n"
	"  --engine ENGINE      auto or emu, the software engine (default auto)\n"
	"  --console WHERE      COM1: stdio, file:PATH or none (default stdio; on a terminal "
	"Ctrl-] leaves)\n"
	"  --control SOCKET     makes a socket there, on which `virid control` can change disks "
	"while the machine runs\n"
	"  --name NAME          name in messages (default the kernel's file name)\n"
	"  --timeout SECONDS    stop the machine after this time (units ms, s, m, h)\n"
	"  --no-reboot          a guest's reset ends the run\n"
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
	"4 the guest crashed, 124 timeout, 130 left with Ctrl-] or by a signal.\n";

enum run_option {
	OPT_KERNEL = 1,
	OPT_INITRD,
	OPT_CMDLINE,
	OPT_DISK,
	OPT_DVD,
	OPT_IDE,
	OPT_MEMORY,
	OPT_PROCESSORS,
	OPT_ENGINE,
	OPT_CONSOLE,
	OPT_CONTROL,
	OPT_NAME,
	OPT_TIMEOUT,
	OPT_NO_REBOOT,
	OPT_CLOCK,
	OPT_TRACE,
	OPT_STATS,
	OPT_HELP,
};

static const struct option options[] = {
	{"kernel", required_argument, NULL, OPT_KERNEL},
	{"initrd", required_argument, NULL, OPT_INITRD},
	{"cmdline", required_argument, NULL, OPT_CMDLINE},
	{"disk", required_argument, NULL, OPT_DISK},
	{"dvd", required_argument, NULL, OPT_DVD},
	{"ide", required_argument, NULL, OPT_IDE},
	{"memory", required_argument, NULL, OPT_MEMORY},
	{"processors", required_argument, NULL, OPT_PROCESSORS},
	{"engine", required_argument, NULL, OPT_ENGINE},
	{"console", required_argument, NULL, OPT_CONSOLE},
	{"control", required_argument, NULL, OPT_CONTROL},
	{"name", required_argument, NULL, OPT_NAME},
	{"timeout", required_argument, NULL, OPT_TIMEOUT},
	{"no-reboot", no_argument, NULL, OPT_NO_REBOOT},
	{"clock", required_argument, NULL, OPT_CLOCK},
	{"trace", required_argument, NULL, OPT_TRACE},
	{"stats", no_argument, NULL, OPT_STATS},
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

	if (strlen(list) >= sizeof(copy)) {
		complain("--trace: the list is too long; expected some of port, mmio, msr, cpuid, "
			 "exception");
		return false;
	}
	strcpy(copy, list);
	for (char *save = NULL, *word = strtok_r(copy, ",", &save); word != NULL;
	     word = strtok_r(NULL, ",", &save)) {
		if (!one_of("--trace", word, kinds,
			    "a list of port, mmio, msr, cpuid, exception")) {
			return false;
		}
	}
	return true;
}

static bool set_option(struct run_options *o, enum run_option opt, const char *arg)
{
	static const char *const engines[] = {"auto", "emu", NULL};
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
		return run_disks_add(&o->disks, RUN_DISK_SCSI, arg);
	case OPT_DVD:
		return run_disks_add(&o->disks, RUN_DISK_DVD, arg);
	case OPT_IDE:
		return run_disks_add(&o->disks, RUN_DISK_IDE, arg);
	case OPT_MEMORY:
		return set_memory(o, arg);
	case OPT_PROCESSORS:
		return set_processors(o, arg);
	case OPT_ENGINE:
		return one_of("--engine", arg, engines, "auto or emu");
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
	case OPT_CLOCK:
		o->count_instructions = strcmp(arg, "instructions") == 0;
		return one_of("--clock", arg, clocks, "real or instructions");
	case OPT_TRACE:
		o->trace = arg;
		return check_trace(arg);
	case OPT_STATS:
		o->stats = true;
		return true;
	case OPT_HELP:
		o->help = true;
		return true;
	}
	return false;
}

static bool parse_options(int argc, char **argv, struct run_options *o)
{
	int opt;

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
	if (o->count_instructions && o->processors != 1) {
		complain("--clock instructions: %llu processors; expected --processors 1, whose "
			 "instructions are the clock",
			 (unsigned long long)o->processors);
		return false;
	}
	return run_disks_place(&o->disks);
}

/* A regular file for reading, not empty; or -1 after one line. */
static int open_input(const char *option, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_NONBLOCK);

	if (fd < 0) {
		complain("%s %s: %s", option, path, strerror(errno));
		return -1;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
		complain("%s %s: %s; expected a regular file with an image", option, path,
			 S_ISDIR(st.st_mode)	? "a directory"
			 : !S_ISREG(st.st_mode) ? "not a regular file"
						: "empty");
		close(fd);
		return -1;
	}
	return fd;
}

static bool open_console(const struct run_options *o, struct run_files *f)
{
	if (strcmp(o->console, "none") == 0) {
		return true;
	}
	if (strcmp(o->console, "stdio") == 0) {
		f->console_in = fcntl(STDIN_FILENO, F_GETFD) < 0 ? -1 : dup(STDIN_FILENO);
		f->console_out = fcntl(STDOUT_FILENO, F_GETFD) < 0 ? -1 : dup(STDOUT_FILENO);
		return true;
	}
	const char *path = o->console + strlen("file:");

	f->console_out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY, 0666);
	if (f->console_out < 0) {
		complain("--console %s: %s; expected a file that can be written", o->console,
			 strerror(errno));
		return false;
	}
	return true;
}

static bool open_files(struct run_options *o, struct run_files *f)
{
	*f = (struct run_files){-1, -1, -1, -1, -1, false};
	f->kernel = open_input("--kernel", o->kernel);
	if (f->kernel < 0) {
		return false;
	}
	if (o->initrd != NULL && (f->initrd = open_input("--initrd", o->initrd)) < 0) {
		return false;
	}
	return run_disks_open(&o->disks) && open_console(o, f) &&
	       (o->control == NULL || (f->control = control_listen(o->control)) >= 0);
}

/* The worker program lies beside this one, or where it was installed. */
static void worker_path(char *path, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", path, size - 1);

	if (n > 0) {
		path[n] = '\0';
		char *slash = strrchr(path, '/');

		if (slash != NULL && (size_t)(slash - path) + sizeof("/virid-vmwp") <= size) {
			strcpy(slash, "/virid-vmwp");
			if (access(path, X_OK) == 0) {
				return;
			}
		}
	}
	snprintf(path, size, "%s", VIRID_LIBEXECDIR "/virid-vmwp");
}

struct worker_args {
	char *argv[WORKER_ARGS_MAX];
	size_t count;
};

__attribute__((format(printf, 2, 3))) static void add_arg(struct worker_args *a, const char *fmt,
							  ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (a->count + 1 >= WORKER_ARGS_MAX || vasprintf(&a->argv[a->count], fmt, ap) < 0) {
		abort();
	}
	va_end(ap);
	a->argv[++a->count] = NULL;
}

static void build_args(const struct run_options *o, const struct run_files *f,
		       struct worker_args *a)
{
	const char *slash = strrchr(o->kernel, '/');
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	add_arg(a, "virid-vmwp");
	add_arg(a, "--name=%s", o->name != NULL ? o->name : slash != NULL ? slash + 1 : o->kernel);
	add_arg(a, "--memory-bytes=%llu", (unsigned long long)o->memory_bytes);
	add_arg(a, "--processors=%llu", (unsigned long long)o->processors);
	add_arg(a, "--kernel-fd=%d", f->kernel);
	add_arg(a, "--kernel-path=%s", o->kernel);
	if (f->initrd >= 0) {
		add_arg(a, "--initrd-fd=%d", f->initrd);
		add_arg(a, "--initrd-path=%s", o->initrd);
	}
	add_arg(a, "--cmdline=%s", o->cmdline);
	add_arg(a, "--console-in-fd=%d", f->console_in);
	add_arg(a, "--console-out-fd=%d", f->console_out);
	if (f->escape) {
		add_arg(a, "--escape");
	}
	if (o->timeout_ns != 0) {
		add_arg(a, "--timeout-ns=%llu", (unsigned long long)o->timeout_ns);
	}
	if (o->no_reboot) {
		add_arg(a, "--no-reboot");
	}
	if (o->stats) {
		add_arg(a, "--stats");
	}
	if (o->count_instructions) {
		add_arg(a, "--count-instructions");
	}
	if (o->trace != NULL) {
		add_arg(a, "--trace=%s", o->trace);
	}
	char *text;

	if (f->control >= 0) {
		add_arg(a, "--control-fd=%d", f->control);
	}
	for (size_t i = 0; run_disks_option(&o->disks, i, false, &text); i++) {
		add_arg(a, "%s", text);
		free(text);
	}
	add_arg(a, "--started-ns=%llu",
		(unsigned long long)now.tv_sec * 1000000000u + (unsigned long long)now.tv_nsec);
}

/* Waits for @pid, passing on the signals that ask us to stop. */
static int wait_for(pid_t pid, const sigset_t *watched)
{
	for (;;) {
		int status, signal_number;

		if (waitpid(pid, &status, WNOHANG) == pid) {
			if (WIFEXITED(status)) {
				return WEXITSTATUS(status);
			}
			complain("the worker was killed by signal %d (%s)", WTERMSIG(status),
				 strsignal(WTERMSIG(status)));
			return CLI_FAILED;
		}
		if (sigwait(watched, &signal_number) == 0 && signal_number != SIGCHLD) {
			kill(pid, SIGTERM);
		}
	}
}

static int start_worker(const struct run_options *o, struct run_files *f)
{
	static struct worker_args args; /* a list too long for the stack */
	char path[4096];
	sigset_t watched, before;

	sigemptyset(&watched);
	sigaddset(&watched, SIGCHLD);
	sigaddset(&watched, SIGINT);
	sigaddset(&watched, SIGTERM);
	sigaddset(&watched, SIGHUP);
	sigprocmask(SIG_BLOCK, &watched, &before);
	f->escape = f->console_in >= 0 && terminal_raw();
	worker_path(path, sizeof(path));
	build_args(o, f, &args);
	pid_t pid = fork();

	if (pid == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		execv(path, args.argv);
		complain("%s: %s", path, strerror(errno));
		_exit(CLI_FAILED);
	}
	int status = CLI_FAILED;

	if (pid < 0) {
		complain("starting the worker: %s", strerror(errno));
	} else {
		status = wait_for(pid, &watched);
	}
	terminal_restore();
	for (size_t i = 0; i < args.count; i++) {
		free(args.argv[i]);
	}
	return status;
}

int run_command(int argc, char **argv)
{
	struct run_options o = {
		.cmdline = "",
		.memory_bytes = MEMORY_DEFAULT,
		.processors = 1,
		.console = "stdio",
	};
	struct run_files f;

	if (!parse_options(argc, argv, &o)) {
		return CLI_USAGE;
	}
	if (o.help) {
		fputs(help_text, stdout);
		return CLI_OK;
	}
	/* A file that is not there is the caller's mistake; one that cannot be used, the host's. */
	int status = open_files(&o, &f) ? start_worker(&o, &f) : CLI_FAILED;

	run_disks_fini(&o.disks);
	if (f.control >= 0) {
		unlink(o.control);
	}
	return status;
}
