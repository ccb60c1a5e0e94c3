// SPDX-License-Identifier: Apache-2.0
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "adopt.h"
#include "cpu_policy.h"
#include "engine_guide.h"
#include "events.h"
#include "host/log.h"
#include "job.h"
#include "paths.h"
#include "policy.h"
#include "store.h"
#include "task.h"
#include "vm.h"
#include "vm_worker.h"
#include "vmms.h"

#define LOCK_TRIES 200u /* 2 s */

static bool read_boot_id(struct vmms *v, char *error, size_t size)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, v->boot_id, sizeof(v->boot_id) - 1);

	if (n > 0) {
		v->boot_id[strcspn(v->boot_id, "\n")] = '\0';
	} else {
		snprintf(error, size, "/proc/sys/kernel/random/boot_id: %s", strerror(errno));
	}
	if (fd >= 0) {
		close(fd);
	}
	return n > 0;
}

/* Is the one alive that wrote its pid there? */
static bool holder_lives(int fd, pid_t *ret)
{
	char text[16] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	*ret = n > 0 ? (pid_t)atoi(text) : 0;
	return *ret > 0 && (kill(*ret, 0) == 0 || errno == EPERM);
}

/* One that was killed while it started a worker leaves the lock to the new process until that is a worker. */
static bool lock(int fd, pid_t *ret_holder)
{
	const struct timespec nap = {.tv_nsec = 10000000};

	for (unsigned i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			return true;
		}
		if (holder_lives(fd, ret_holder)) {
			return false;
		}
		nanosleep(&nap, NULL);
	}
	return false;
}

/* Held until we end, however we end; with our pid in it, for who wants to tell us something. */
static bool take_lock(struct vmms *v, char *error, size_t size)
{
	char path[VM_PATH_BYTES], pid[16] = "";
	pid_t holder = 0;

	snprintf(path, sizeof(path), "%s/lock", v->state);
	v->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (v->lock_fd < 0) {
		snprintf(error, size, "%s: %s", path, strerror(errno));
		return false;
	}
	if (!lock(v->lock_fd, &holder)) {
		snprintf(error, size,
			 "%s: process %d serves this folder already; there can be one only", path,
			 (int)holder);
		return false;
	}
	snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(v->lock_fd, 0) < 0 || pwrite(v->lock_fd, pid, strlen(pid), 0) < 0) {
		snprintf(error, size, "%s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

static bool take_folder(const char *what, const char *folder, char *ret, char *error, size_t size)
{
	char *real;

	if (!paths_make(folder, 0700, error, size)) {
		return false;
	}
	real = realpath(folder, NULL);
	bool ok = real != NULL && strlen(real) < VMMS_PATH_BYTES - 64;

	if (ok) {
		memcpy(ret, real, strlen(real) + 1);
	} else {
		snprintf(error, size, "%s %s: %s", what, folder,
			 real == NULL ? strerror(errno) : "its path is too long");
	}
	free(real);
	return ok;
}

/* The system's socket is for people of a group, who have to get through to it. */
static void open_runtime_to_group(const struct vmms *v)
{
	if (geteuid() == 0 && chmod(v->runtime, 0711) < 0) {
		log_line("%s: %s", v->runtime, strerror(errno));
	}
}

static bool open_parts(struct vmms *v, char *error, size_t size)
{
	int r = loop_create(&v->loop);

	if (r == 0) {
		r = tasks_create(v->loop, &v->tasks);
	}
	if (r == 0 &&
	    ((v->jobs = jobs_create(v)) == NULL || (v->events = events_create()) == NULL)) {
		r = -ENOMEM;
	}
	if (r < 0) {
		snprintf(error, size, "starting: %s", strerror(-r));
		return false;
	}
	return store_open(v, &v->first, error, size);
}

bool service_open(const struct service_config *config, struct vmms **ret, char *error, size_t size)
{
	struct vmms *v = calloc(1, sizeof(*v));

	if (v == NULL) {
		snprintf(error, size, "out of memory");
		return false;
	}
	v->lock_fd = -1;
	if (!take_folder("--state", config->state, v->state, error, size) ||
	    !take_folder("--runtime", config->runtime, v->runtime, error, size) ||
	    !take_lock(v, error, size) || !read_boot_id(v, error, size) ||
	    !open_parts(v, error, size)) {
		service_stop_tasks(v);
		service_close(v);
		return false;
	}
	v->cpu = cpu_policy_create(v);
	v->engines = engine_guide_create(config->kvm_device, v->state);
	open_runtime_to_group(v);
	*ret = v;
	return true;
}

void service_begin(struct vmms *v)
{
	engine_guide_begin(v->engines, v->tasks);
	adopt_all(v, v->first);
	cpu_policy_sweep(v);
	if (v->first) {
		policy_start_all(v);
	}
	int r = store_watch(v);

	if (r < 0) {
		log_line("%s/vms is not watched: %s; folders that are copied in are found at the "
			 "next start",
			 v->state, strerror(-r));
	}
	events_publish(v, "host.started", NULL, NULL, NULL);
}

void service_stop_tasks(struct vmms *v)
{
	tasks_destroy(v->tasks);
	v->tasks = NULL;
}

void service_close(struct vmms *v)
{
	if (v->loop != NULL) {
		store_unwatch(v);
	}
	while (v->vm_count > 0) {
		struct vm *vm = v->vms[v->vm_count - 1];

		vm->on_end = NULL;
		vm->job = NULL; /* whoever comes after us finds out what became of it */
		vm_worker_detach(vm);
		vm_remove(vm);
	}
	free(v->vms);
	cpu_policy_destroy(v->cpu);
	if (v->jobs != NULL) {
		jobs_destroy(v->jobs);
	}
	events_destroy(v->events);
	engine_guide_destroy(v->engines);
	json_decref(v->host);
	loop_destroy(v->loop);
	if (v->lock_fd >= 0) {
		close(v->lock_fd);
	}
	free(v);
}
