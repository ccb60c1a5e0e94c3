// SPDX-License-Identifier: Apache-2.0
/* `virid run`: checks what was asked for, opens it, starts a worker with the descriptors, and
 * waits. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "run.h"

#define WORKER_ARGS_MAX (48 + RUN_DISKS_MAX * 8 + RUN_NETS_MAX)

/* Descriptors that the worker gets; -1: none. */
struct run_files {
	int kernel;
	int initrd;
	int console_in;
	int console_out;
	int control;
	int launcher[2]; /* ours and the worker's end of a socket pair */
	bool escape;
};

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

/* The machine's name in messages. */
static const char *machine_name(const struct run_options *o)
{
	const char *slash = strrchr(o->kernel, '/');

	return o->name != NULL ? o->name : slash != NULL ? slash + 1 : o->kernel;
}

/* Adapters, and the socket on which the worker asks for new cables. */
static bool open_nets(struct run_options *o, struct run_files *f)
{
	if (o->nets.count == 0 && o->control == NULL) {
		return true;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, f->launcher) < 0 ||
	    fcntl(f->launcher[0], F_SETFD, FD_CLOEXEC) < 0) {
		complain("socket to the worker: %s", strerror(errno));
		return false;
	}
	return run_nets_plug(&o->nets, machine_name(o), wire_queues(o->processors));
}

static bool open_files(struct run_options *o, struct run_files *f)
{
	*f = (struct run_files){-1, -1, -1, -1, -1, {-1, -1}, false};
	f->kernel = open_input("--kernel", o->kernel);
	if (f->kernel < 0) {
		return false;
	}
	if (o->initrd != NULL && (f->initrd = open_input("--initrd", o->initrd)) < 0) {
		return false;
	}
	return run_disks_open(&o->disks) && open_console(o, f) && open_nets(o, f) &&
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
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	add_arg(a, "virid-vmwp");
	add_arg(a, "--name=%s", machine_name(o));
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
	for (size_t i = 0; run_nets_option(&o->nets, i, false, &text); i++) {
		add_arg(a, "%s", text);
		free(text);
	}
	if (f->launcher[1] >= 0) {
		add_arg(a, "--launcher-fd=%d", f->launcher[1]);
	}
	add_arg(a, "--started-ns=%llu",
		(unsigned long long)now.tv_sec * 1000000000u + (unsigned long long)now.tv_nsec);
}

/* False: it still runs. */
static bool worker_ended(pid_t pid, int *ret_status)
{
	int status;

	if (waitpid(pid, &status, WNOHANG) != pid) {
		return false;
	}
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : CLI_FAILED;
	if (WIFSIGNALED(status)) {
		complain("the worker was killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	}
	return true;
}

/* Waits for @pid, passing on the signals that ask us to stop, and keeps its adapters plugged in. */
static int wait_for(pid_t pid, const sigset_t *watched, int launcher)
{
	struct run_nets_keeper *keeper = run_nets_keeper_create(launcher);
	struct pollfd fds[2] = {{.fd = signalfd(-1, watched, SFD_CLOEXEC), .events = POLLIN},
				{.fd = launcher, .events = POLLIN}};
	int status = CLI_FAILED, retry_ms = -1;

	while (keeper != NULL && fds[0].fd >= 0 && !worker_ended(pid, &status)) {
		struct signalfd_siginfo info;

		if (poll(fds, 2, retry_ms) > 0 && fds[0].revents != 0 &&
		    read(fds[0].fd, &info, sizeof(info)) == sizeof(info) &&
		    info.ssi_signo != SIGCHLD) {
			kill(pid, SIGTERM);
		}
		if (fds[1].revents != 0 && !run_nets_keeper_take(keeper)) {
			fds[1].fd = -1;
		}
		retry_ms = run_nets_keeper_try(keeper);
	}
	close(fds[0].fd);
	run_nets_keeper_destroy(keeper);
	return status;
}

static int start_worker(struct run_options *o, struct run_files *f)
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
		run_nets_inherit(&o->nets);
		execv(path, args.argv);
		complain("%s: %s", path, strerror(errno));
		_exit(CLI_FAILED);
	}
	int status = CLI_FAILED;

	if (pid < 0) {
		complain("starting the worker: %s", strerror(errno));
	} else {
		/* The worker's: what it lets go of shall be gone. */
		close(f->launcher[1]);
		run_nets_fini(&o->nets);
		status = wait_for(pid, &watched, f->launcher[0]);
	}
	terminal_restore();
	for (size_t i = 0; i < args.count; i++) {
		free(args.argv[i]);
	}
	return status;
}

int run_command(int argc, char **argv)
{
	struct run_options o;
	struct run_files f;

	if (!run_options_parse(argc, argv, &o)) {
		return CLI_USAGE;
	}
	if (o.help) {
		fputs(run_help_text, stdout);
		return CLI_OK;
	}
	/* A file that is not there is the caller's mistake; one that cannot be used, the host's. */
	int status = open_files(&o, &f) ? start_worker(&o, &f) : CLI_FAILED;

	run_disks_fini(&o.disks);
	run_nets_fini(&o.nets);
	if (f.control >= 0) {
		unlink(o.control);
	}
	return status;
}
