// SPDX-License-Identifier: Apache-2.0
#include "machine_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "launch/worker.h"
#include "lib/check.h"
#include "machine_engine.h"
#include "process.h"

#define LOCK_TRIES 200u /* 2 s */

/* What is open while a machine is started. */
struct opening {
	const struct machine_plan *plan;
	struct launch_error *error;
	struct launch launch;
	struct launch_disks disks;
	struct launch_nets nets;
	int ours;			 /* end of the launcher's socket pair */
	struct machine_process *process; /* what comes of it */
};

void machine_plan_free(struct machine_plan *p)
{
	for (size_t i = 0; i < p->disk_count; i++) {
		free(p->disks[i].path);
	}
	for (size_t i = 0; i < p->adapter_count; i++) {
		free(p->adapters[i].text);
	}
	free(p->disks);
	free(p->adapters);
	free(p->name);
	if (p->group >= 0) {
		close(p->group);
	}
	free(p->model);
	free(p->kernel);
	free(p->initrd);
	free(p->cmdline);
	free(p->run_folder);
	free(p->state_file);
	free(p);
}

static void close_fd(int fd)
{
	if (fd >= 0) {
		close(fd);
	}
}

/* ---- Disks and adapters ---- */

static bool open_disks(struct opening *o)
{
	for (size_t i = 0; i < o->plan->disk_count; i++) {
		machine_add_disk(&o->disks, &o->plan->disks[i]);
	}
	return launch_disks_open(&o->disks, o->error);
}

static bool plug_adapters(struct opening *o)
{
	struct launch_error why;

	for (size_t i = 0; i < o->plan->adapter_count; i++) {
		if (!machine_add_adapter(&o->nets, &o->plan->adapters[i], &why)) {
			return launch_refuse(o->error, "network adapter %u: %s",
					     o->plan->adapters[i].number, why.text);
		}
	}
	if (!launch_nets_plug(&o->nets, o->plan->name, wire_queues(o->plan->processors), &why)) {
		return launch_refuse(o->error, "network adapters: %s", why.text);
	}
	return true;
}

/* ---- Starting ---- */

static bool open_images(struct opening *o)
{
	const struct machine_plan *p = o->plan;
	struct launch *l = &o->launch;

	l->kernel = launch_open_image("kernel", p->kernel, o->error);
	if (l->kernel < 0) {
		return false;
	}
	if (p->initrd[0] != '\0' &&
	    (l->initrd = launch_open_image("initrd", p->initrd, o->error)) < 0) {
		return false;
	}
	if (p->state_file != NULL && (l->state = open(p->state_file, O_RDONLY | O_CLOEXEC)) < 0) {
		return launch_refuse(o->error, "saved state %s: %s", p->state_file,
				     strerror(errno));
	}
	return true;
}

static int open_in(int folder, const char *name, int flags)
{
	return openat(folder, name, flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* A process that is about to become another machine's worker has ours open until then. */
static bool lock_end(int fd)
{
	const struct timespec nap = {.tv_nsec = 10000000};

	for (unsigned i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			return true;
		}
		nanosleep(&nap, NULL);
	}
	errno = EWOULDBLOCK;
	return false;
}

/*
 * The end file is locked by its open file, which the worker shares: as long as it is locked there is a worker, or one is about to be. So no second one is
 * started, and whoever looks for it after a crash knows (adopt.c).
 */
static bool open_end(struct opening *o, int folder)
{
	int fd = open_in(folder, "end", O_RDWR);

	o->launch.end = fd;
	if (fd >= 0 && lock_end(fd) && ftruncate(fd, 0) == 0) {
		return true;
	}
	return launch_refuse(
		o->error, "%s/end: %s", o->plan->run_folder,
		errno == EWOULDBLOCK
			? "a worker of this VM is still there; try again when it has ended"
			: strerror(errno));
}

static bool open_files(struct opening *o, int folder)
{
	struct launch *l = &o->launch;
	char path[64];

	if (!open_end(o, folder)) {
		return false;
	}
	unlinkat(folder, "control", 0); /* of one that ended */
	l->identity = open_in(folder, "worker", O_WRONLY | O_TRUNC);
	l->log = open_in(folder, "log", O_WRONLY | O_APPEND | O_TRUNC);
	int engine = open_in(folder, "engine", O_WRONLY | O_TRUNC);
	bool written = engine >= 0 && machine_engine_write(engine, o->process) == 0;

	close_fd(engine);
	if (l->identity < 0 || l->log < 0 || !written) {
		return launch_refuse(o->error, "%s: cannot make files: %s", o->plan->run_folder,
				     strerror(errno));
	}
	/* By the descriptor: names of sockets are short. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d/control", folder);
	l->control = launch_control_listen(path, o->error);
	return l->control >= 0;
}

/* What people and we find in the runtime folder while it runs. */
static bool open_runtime(struct opening *o)
{
	const char *folder = o->plan->run_folder;

	if (mkdir(folder, 0700) < 0 && errno != EEXIST) {
		return launch_refuse(o->error, "%s: cannot make the folder: %s", folder,
				     strerror(errno));
	}
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		return launch_refuse(o->error, "%s: %s", folder, strerror(errno));
	}
	bool ok = open_files(o, fd);

	close(fd);
	return ok;
}

static bool open_launcher(struct opening *o)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		return launch_refuse(o->error, "socket to the worker: %s", strerror(errno));
	}
	o->ours = pair[0];
	o->launch.launcher = pair[1];
	return true;
}

static void close_all(struct opening *o)
{
	const struct launch *l = &o->launch;

	close_fd(l->kernel);
	close_fd(l->initrd);
	close_fd(l->state);
	close_fd(l->end);
	close_fd(l->log);
	close_fd(l->identity);
	close_fd(l->control);
	close_fd(l->launcher);
	close_fd(l->kvm);
	launch_disks_fini(&o->disks);
	launch_nets_fini(&o->nets);
}

static bool start_process(struct opening *o)
{
	struct machine_process *ret = o->process;
	const struct machine_plan *p = o->plan;
	struct launch *l = &o->launch;

	l->name = p->name;
	l->memory_bytes = p->memory_bytes;
	l->processors = p->processors;
	l->cpu = p->model;
	l->group = p->group;
	l->affinity = hostcpu_set_is_empty(&p->affinity) ? NULL : &p->affinity;
	l->nodes = hostcpu_set_is_empty(&p->nodes) ? NULL : &p->nodes;
	l->kernel_path = p->kernel;
	l->initrd_path = p->initrd;
	l->cmdline = p->cmdline;
	l->state_path = p->state_file;
	l->detached = true;
	l->disks = &o->disks;
	l->nets = &o->nets;
	ret->pid = launch_worker(l, o->error);
	if (ret->pid < 0) {
		return false;
	}
	/* It is our child: until we wait for it its id is no other's, even if it has ended. */
	if (!process_start_time(ret->pid, &ret->start_time)) {
		ret->start_time = 0;
	}
	ret->pidfd = process_open_child(ret->pid);
	if (ret->pidfd < 0) {
		process_kill_child(ret->pid);
		return launch_refuse(o->error, "watching the worker: %s", strerror(-ret->pidfd));
	}
	ret->launcher = o->ours;
	o->ours = -1;
	return true;
}

bool machine_start(const struct machine_plan *p, struct machine_process *ret,
		   struct launch_error *error)
{
	struct opening *o = calloc(1, sizeof(*o));

	if (o == NULL) {
		return launch_refuse(error, "out of memory");
	}
	o->plan = p;
	o->error = error;
	o->ours = -1;
	o->launch = launch_nothing;
	o->process = ret;
	bool ok = open_images(o) &&
		  machine_engine_open(p, o->launch.state, &o->launch.kvm, ret, error) &&
		  open_runtime(o) && open_disks(o) && plug_adapters(o) && open_launcher(o) &&
		  start_process(o);

	close_all(o);
	close_fd(o->ours);
	free(o);
	return ok;
}
