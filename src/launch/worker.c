// SPDX-License-Identifier: Apache-2.0
#include "launch/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hostcpu/set.h"
#include "lib/text.h"

#define ARGS_MAX (48 + LAUNCH_DISKS_MAX * 8 + LAUNCH_NETS_MAX)
#define NET_DESCRIPTORS (3u + WIRE_QUEUES_WORKER)
#define FAILED 1

const struct launch launch_nothing = {
	.kernel = -1,
	.initrd = -1,
	.cmdline = "",
	.console_in = -1,
	.console_out = -1,
	.control = -1,
	.launcher = -1,
	.kvm = -1,
	.state = -1,
	.end = -1,
	.log = -1,
	.identity = -1,
	.group = -1,
};

/* Everything that the child needs, made before the fork: after it only system calls are safe. */
struct plan {
	char path[4096];
	char *argv[ARGS_MAX];
	size_t count;
	int *fds; /* that stay open over exec */
	size_t fd_count;
};

__attribute__((format(printf, 2, 3))) static void add_arg(struct plan *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (p->count + 1 >= ARGS_MAX || vasprintf(&p->argv[p->count], fmt, ap) < 0) {
		abort();
	}
	va_end(ap);
	p->argv[++p->count] = NULL;
}

static void add_fd(struct plan *p, int fd)
{
	int *fds = realloc(p->fds, (p->fd_count + 1) * sizeof(*fds));

	if (fds == NULL) {
		abort();
	}
	p->fds = fds;
	fds[p->fd_count++] = fd;
}

static void add_fd_arg(struct plan *p, const char *option, int fd)
{
	if (fd >= 0) {
		add_arg(p, "--%s=%d", option, fd);
		add_fd(p, fd);
	}
}

static void add_image(struct plan *p, const char *what, int fd, const char *path)
{
	if (fd >= 0) {
		add_arg(p, "--%s-fd=%d", what, fd);
		add_arg(p, "--%s-path=%s", what, path);
		add_fd(p, fd);
	}
}

static void add_disks(struct plan *p, const struct launch_disks *d)
{
	char *text;

	for (size_t i = 0; d != NULL && launch_disks_option(d, i, false, &text); i++) {
		add_arg(p, "%s", text);
		free(text);
	}
	for (size_t i = 0; d != NULL && i < d->file_count; i++) {
		add_fd(p, d->files[i].fd);
	}
}

static void add_nets(struct plan *p, const struct launch_nets *n)
{
	int fds[NET_DESCRIPTORS];
	char *text;

	for (size_t i = 0; n != NULL && launch_nets_option(n, i, false, &text); i++) {
		unsigned count = launch_nets_fds(n, i, fds, NET_DESCRIPTORS);

		add_arg(p, "%s", text);
		free(text);
		for (unsigned k = 0; k < count; k++) {
			add_fd(p, fds[k]);
		}
	}
}

static void add_switches(struct plan *p, const struct launch *l)
{
	const struct {
		bool on;
		const char *option;
	} switches[] = {
		{l->escape, "--escape"},      {l->no_reboot, "--no-reboot"},
		{l->stats, "--stats"},	      {l->count_instructions, "--count-instructions"},
		{l->eager, "--eager"},	      {l->detached, "--detached"},
		{l->no_legacy, "--no-legacy"}};

	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
		if (switches[i].on) {
			add_arg(p, "%s", switches[i].option);
		}
	}
}

static void build(struct plan *p, const struct launch *l)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	add_arg(p, "virid-vmwp");
	add_arg(p, "--name=%s", l->name);
	add_arg(p, "--memory-bytes=%llu", (unsigned long long)l->memory_bytes);
	add_arg(p, "--processors=%llu", (unsigned long long)l->processors);
	add_image(p, "kernel", l->kernel, l->kernel_path);
	add_image(p, "initrd", l->initrd, l->initrd_path);
	add_arg(p, "--cmdline=%s", l->cmdline);
	add_fd_arg(p, "console-in-fd", l->console_in);
	add_fd_arg(p, "console-out-fd", l->console_out);
	add_switches(p, l);
	if (l->timeout_ns != 0) {
		add_arg(p, "--timeout-ns=%llu", (unsigned long long)l->timeout_ns);
	}
	if (l->trace != NULL) {
		add_arg(p, "--trace=%s", l->trace);
	}
	if (l->cpu != NULL && l->cpu[0] != '\0') {
		add_arg(p, "--cpu=%s", l->cpu);
	}
	if (l->without != NULL && l->without[0] != '\0') {
		add_arg(p, "--without=%s", l->without);
	}
	add_fd_arg(p, "control-fd", l->control);
	add_fd_arg(p, "launcher-fd", l->launcher);
	add_fd_arg(p, "kvm-fd", l->kvm);
	add_fd_arg(p, "state-fd", l->state);
	if (l->state_path != NULL) {
		add_arg(p, "--state-path=%s", l->state_path);
	}
	add_fd_arg(p, "end-fd", l->end);
	add_disks(p, l->disks);
	add_nets(p, l->nets);
	add_arg(p, "--started-ns=%llu",
		(unsigned long long)now.tv_sec * 1000000000u + (unsigned long long)now.tv_nsec);
}

/* The worker program lies beside this one, or where it was installed. */
static void find_program(char *path, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", path, size - 1);

	if (n > 0) {
		path[n] = '\0';
		char *slash = strrchr(path, '/');

		if (slash != NULL &&
		    text_copy(slash, size - (size_t)(slash - path), "/virid-vmwp") &&
		    access(path, X_OK) == 0) {
			return;
		}
	}
	snprintf(path, size, "%s", VIRID_LIBEXECDIR "/virid-vmwp");
}

/* Its own standard descriptors, and nobody's terminal. */
static void detach(int null, int log)
{
	setsid();
	dup2(null, STDIN_FILENO);
	dup2(log >= 0 ? log : null, STDOUT_FILENO);
	if (log >= 0) {
		dup2(log, STDERR_FILENO);
	}
}

/* Who finds the file finds us, whatever happens to who started us. */
static void leave_identity(int file)
{
	char text[1024];
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	/* Where it cannot be written nobody finds us, and nothing else is lost. */
	(void)(n > 0 && write(file, text, (size_t)n) == n);
	close(fd);
}

/* Where it runs and where its memory comes from: what it maps and who it starts from now on is there. */
static bool settle(const struct launch *l)
{
	return (l->affinity == NULL || syscall(SYS_sched_setaffinity, 0, sizeof(l->affinity->words),
					       l->affinity->words) >= 0) &&
	       (l->nodes == NULL ||
		syscall(SYS_set_mempolicy, MPOL_BIND, l->nodes->words, HOSTCPU_MAX + 1) == 0);
}

_Noreturn static void fail(int failed)
{
	int why = errno;
	ssize_t n = write(failed, &why, sizeof(why));

	(void)n;
	_exit(FAILED);
}

/* In the child; another thread may have held any lock when we forked, so only system calls. */
_Noreturn static void become_worker(const struct plan *p, const struct launch *l, int null,
				    int failed)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++) {
		signal(s, SIG_DFL);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (l->identity >= 0) {
		leave_identity(l->identity);
	}
	if (!settle(l)) {
		fail(failed);
	}
	if (l->detached) {
		detach(null, l->log);
	}
	for (size_t i = 0; i < p->fd_count; i++) {
		fcntl(p->fds[i], F_SETFD, 0);
	}
	execv(p->path, p->argv);
	fail(failed);
}

/* As fork, but the child begins in a group of cgroup v2: not even its first instruction runs elsewhere. */
static pid_t fork_into(int group)
{
	struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};

	if (group < 0) {
		return fork();
	}
	args.cgroup = (uint64_t)group;
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* Waits for exec: the pipe closes with it, or says why it failed. */
static bool has_begun(int fd, const char *path, struct launch_error *error)
{
	int why;

	if (read(fd, &why, sizeof(why)) != sizeof(why)) {
		return true;
	}
	return launch_refuse(error, "%s: %s; the worker cannot be started", path, strerror(why));
}

static pid_t start(const struct plan *p, const struct launch *l, struct launch_error *error)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), failed[2];
	pid_t pid = -1;

	if (null < 0 || pipe2(failed, O_CLOEXEC) < 0) {
		launch_refuse(error, "starting the worker: %s", strerror(errno));
		close(null);
		return -1;
	}
	pid = fork_into(l->group);
	if (pid == 0) {
		become_worker(p, l, null, failed[1]);
	}
	if (pid < 0) {
		launch_refuse(error, "starting the worker: %s", strerror(errno));
	}
	close(failed[1]);
	if (pid > 0 && !has_begun(failed[0], p->path, error)) {
		waitpid(pid, NULL, 0);
		pid = -1;
	}
	close(failed[0]);
	close(null);
	return pid;
}

pid_t launch_worker(const struct launch *l, struct launch_error *error)
{
	struct plan *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		launch_refuse(error, "starting the worker: %s", strerror(ENOMEM));
		return -1;
	}
	find_program(p->path, sizeof(p->path));
	build(p, l);
	pid_t pid = start(p, l, error);

	for (size_t i = 0; i < p->count; i++) {
		free(p->argv[i]);
	}
	free(p->fds);
	free(p);
	return pid;
}
