// SPDX-License-Identifier: Apache-2.0
/* `virid run`: checks what was asked for, opens it, starts a worker with the descriptors, and
 * waits. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "launch/worker.h"
#include "run.h"

/* Descriptors that the worker gets; -1: none. */
struct run_files {
	int kernel;
	int initrd;
	int console_in;
	int console_out;
	int control;
	int kvm;
	int state;
	int launcher[2]; /* ours and the worker's end of a socket pair */
};

static bool open_console(const struct run_options *o, struct run_files *f)
{
	if (strcmp(o->console, "none") == 0) {
		return true;
	}
	if (strcmp(o->console, "stdio") == 0) {
		f->console_in = fcntl(STDIN_FILENO, F_GETFD) < 0
					? -1
					: fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
		f->console_out = fcntl(STDOUT_FILENO, F_GETFD) < 0
					 ? -1
					 : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
		return true;
	}
	const char *path = o->console + strlen("file:");

	f->console_out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0666);
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
	struct launch_error error;

	if (o->nets.count == 0 && o->control == NULL) {
		return true;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, f->launcher) < 0) {
		complain("socket to the worker: %s", strerror(errno));
		return false;
	}
	if (!launch_nets_plug(&o->nets, machine_name(o), wire_queues(o->processors), &error)) {
		complain("--net: %s", error.text);
		return false;
	}
	return true;
}

static bool open_image(const char *option, const char *path, int *ret)
{
	struct launch_error error;

	*ret = launch_open_image(option, path, &error);
	if (*ret < 0) {
		complain("%s", error.text);
	}
	return *ret >= 0;
}

static bool open_disks(struct run_options *o)
{
	struct launch_error error;

	if (!launch_disks_open(&o->disks, &error)) {
		complain("%s", error.text);
		return false;
	}
	return true;
}

static bool open_control(const struct run_options *o, struct run_files *f)
{
	struct launch_error error;

	if (o->control == NULL) {
		return true;
	}
	f->control = launch_control_listen(o->control, &error);
	if (f->control < 0) {
		complain("--control %s", error.text);
	}
	return f->control >= 0;
}

static bool open_files(struct run_options *o, struct run_files *f)
{
	*f = (struct run_files){-1, -1, -1, -1, -1, -1, -1, {-1, -1}};
	return open_image("--kernel", o->kernel, &f->kernel) &&
	       (o->initrd == NULL || open_image("--initrd", o->initrd, &f->initrd)) &&
	       (o->restore == NULL || open_image("--restore", o->restore, &f->state)) &&
	       run_engine_open(o, f->state, &f->kvm) && open_disks(o) && open_console(o, f) &&
	       open_nets(o, f) && open_control(o, f);
}

static struct launch describe(const struct run_options *o, const struct run_files *f, bool escape)
{
	struct launch l = launch_nothing;

	l.name = machine_name(o);
	l.memory_bytes = o->memory_bytes;
	l.processors = o->processors;
	l.kernel = f->kernel;
	l.kernel_path = o->kernel;
	l.initrd = f->initrd;
	l.initrd_path = o->initrd;
	l.cmdline = o->cmdline;
	l.console_in = f->console_in;
	l.console_out = f->console_out;
	l.escape = escape;
	l.timeout_ns = o->timeout_ns;
	l.no_reboot = o->no_reboot;
	l.no_legacy = o->no_legacy;
	l.stats = o->stats;
	l.count_instructions = o->count_instructions;
	l.trace = o->trace;
	l.control = f->control;
	l.kvm = f->kvm;
	l.cpu = o->cpu;
	l.without = o->without;
	l.launcher = f->launcher[1];
	l.state = f->state;
	l.state_path = o->restore;
	l.eager = o->eager;
	l.disks = &o->disks;
	l.nets = &o->nets;
	return l;
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
	struct launch_keeper *keeper = launch_keeper_create(launcher);
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
		if (fds[1].revents != 0 && !launch_keeper_take(keeper)) {
			fds[1].fd = -1;
		}
		retry_ms = launch_keeper_try(keeper);
	}
	close(fds[0].fd);
	launch_keeper_destroy(keeper);
	return status;
}

static int start_worker(struct run_options *o, struct run_files *f)
{
	struct launch_error error;
	sigset_t watched;
	int status = CLI_FAILED;

	sigemptyset(&watched);
	sigaddset(&watched, SIGCHLD);
	sigaddset(&watched, SIGINT);
	sigaddset(&watched, SIGTERM);
	sigaddset(&watched, SIGHUP);
	sigprocmask(SIG_BLOCK, &watched, NULL);
	struct launch l = describe(o, f, f->console_in >= 0 && terminal_raw());
	pid_t pid = launch_worker(&l, &error);

	if (pid < 0) {
		complain("%s", error.text);
	} else {
		/* The worker's: what it lets go of shall be gone. */
		close(f->launcher[1]);
		launch_disks_fini(&o->disks);
		launch_nets_fini(&o->nets);
		status = wait_for(pid, &watched, f->launcher[0]);
	}
	terminal_restore();
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

	launch_disks_fini(&o.disks);
	launch_nets_fini(&o.nets);
	if (f.control >= 0) {
		unlink(o.control);
	}
	return status;
}
