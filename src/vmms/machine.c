// SPDX-License-Identifier: Apache-2.0
#include "machine.h"

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
#include "process.h"

#define LOCK_TRIES 200u /* 2 s */

/* What is open while a machine is started. */
struct opening {
	const struct machine_plan *plan;
	struct launch_error *error;
	struct launch launch;
	struct launch_disks disks;
	struct launch_nets nets;
	int ours; /* end of the launcher's socket pair */
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
	free(p->kernel);
	free(p->initrd);
	free(p->cmdline);
	free(p->run_folder);
	free(p->state_file);
	free(p);
}

/* ---- Disks and adapters ---- */

static void add_disk(struct launch_disks *all, const struct machine_disk *d)
{
	static const enum launch_disk_kind kinds[] = {
		[MACHINE_SCSI] = LAUNCH_DISK_SCSI,
		[MACHINE_DVD] = LAUNCH_DISK_DVD,
		[MACHINE_IDE] = LAUNCH_DISK_IDE,
	};
	char *path = strdup(d->path);

	CHECK(path != NULL && all->count < LAUNCH_DISKS_MAX);
	all->disks[all->count++] = (struct launch_disk){
		.kind = kinds[d->kind],
		.option = d->kind == MACHINE_DVD ? "DVD" : "disk",
		.path = path,
		.controller = d->number,
		.lun = d->location,
		.read_only = d->read_only || d->kind == MACHINE_DVD,
		.raw = d->raw,
		.temporary = d->temporary,
		.iops = d->iops,
	};
}

static bool add_adapter(struct launch_nets *all, const struct machine_adapter *a,
			struct launch_error *error)
{
	if (!launch_nets_add(all, a->text, error)) {
		return false;
	}
	all->nets[all->count - 1].number = a->number;
	return true;
}

static bool open_disks(struct opening *o)
{
	for (size_t i = 0; i < o->plan->disk_count; i++) {
		add_disk(&o->disks, &o->plan->disks[i]);
	}
	return launch_disks_open(&o->disks, o->error);
}

static bool plug_adapters(struct opening *o)
{
	struct launch_error why;

	for (size_t i = 0; i < o->plan->adapter_count; i++) {
		if (!add_adapter(&o->nets, &o->plan->adapters[i], &why)) {
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
	if (l->identity < 0 || l->log < 0) {
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

static void close_fd(int fd)
{
	if (fd >= 0) {
		close(fd);
	}
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
	launch_disks_fini(&o->disks);
	launch_nets_fini(&o->nets);
}

static bool start_process(struct opening *o, struct machine_process *ret)
{
	const struct machine_plan *p = o->plan;
	struct launch *l = &o->launch;

	l->name = p->name;
	l->memory_bytes = p->memory_bytes;
	l->processors = p->processors;
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
	bool ok = open_images(o) && open_runtime(o) && open_disks(o) && plug_adapters(o) &&
		  open_launcher(o) && start_process(o, ret);

	close_all(o);
	close_fd(o->ours);
	free(o);
	return ok;
}

/* ---- Changes ---- */

static bool fill_disk(struct packet *p, const char *word, const struct launch_disks *disks,
		      uint64_t bytes, struct launch_error *error)
{
	char number[40];
	char *text;
	bool ok = packet_add_word(p, word, error);

	for (size_t i = 0; ok && launch_disks_option(disks, i, true, &text); i++) {
		ok = packet_add_word(p, text, error);
		free(text);
	}
	for (size_t i = 0; ok && i < disks->file_count; i++) {
		ok = packet_copy_fd(p, disks->files[i].fd, error);
	}
	snprintf(number, sizeof(number), "--bytes=%llu", (unsigned long long)bytes);
	return ok && packet_add_word(p, number, error);
}

struct packet *machine_disk_request(const char *word, const struct machine_disk *d, uint64_t bytes,
				    struct launch_error *error)
{
	struct launch_disks *disks = calloc(1, sizeof(*disks));
	struct packet *p = calloc(1, sizeof(*p));
	bool opens = strcmp(word, "attach") == 0 || strcmp(word, "medium") == 0;

	CHECK(disks != NULL && p != NULL);
	add_disk(disks, d);
	bool ok = (!opens || launch_disks_open(disks, error)) &&
		  fill_disk(p, word, disks, bytes, error);

	launch_disks_fini(disks);
	free(disks);
	if (!ok) {
		packet_drop(p);
		return NULL;
	}
	return p;
}

static bool fill_adapter(struct packet *p, const char *word, const struct launch_nets *nets,
			 struct launch_error *error)
{
	int fds[PACKET_DESCRIPTORS_MAX];
	char *text;

	CHECK(launch_nets_option(nets, 0, true, &text));
	bool ok = packet_add_word(p, word, error) && packet_add_word(p, text, error);
	unsigned count = launch_nets_fds(nets, 0, fds, PACKET_DESCRIPTORS_MAX);

	free(text);
	for (unsigned i = 0; ok && i < count; i++) {
		ok = packet_copy_fd(p, fds[i], error);
	}
	return ok;
}

/* Without a cable there is nothing to hand over. */
static bool fill_number(struct packet *p, const char *word, unsigned number,
			struct launch_error *error)
{
	char text[32];

	snprintf(text, sizeof(text), "--number=%u", number);
	return packet_add_word(p, word, error) && packet_add_word(p, text, error);
}

static bool plug_and_fill(struct packet *p, const char *word, const char *name, uint64_t processors,
			  const struct machine_adapter *a, struct launch_error *error)
{
	struct launch_nets *nets = calloc(1, sizeof(*nets));

	CHECK(nets != NULL);
	bool ok = add_adapter(nets, a, error) &&
		  launch_nets_plug(nets, name, wire_queues(processors), error) &&
		  fill_adapter(p, word, nets, error);

	launch_nets_fini(nets);
	free(nets);
	return ok;
}

static bool is_unplugged(const struct machine_adapter *a)
{
	size_t n = strlen(LAUNCH_NETS_NONE);

	return strncmp(a->text, LAUNCH_NETS_NONE, n) == 0 &&
	       (a->text[n] == '\0' || a->text[n] == ',');
}

struct packet *machine_adapter_request(const char *word, const char *name, uint64_t processors,
				       const struct machine_adapter *a, struct launch_error *error)
{
	struct packet *p = calloc(1, sizeof(*p));
	bool ok;

	CHECK(p != NULL);
	if (strcmp(word, "net-detach") == 0) {
		ok = fill_number(p, word, a->number, error);
	} else if (strcmp(word, "net-connect") == 0 && is_unplugged(a)) {
		ok = fill_number(p, "net-disconnect", a->number, error);
	} else {
		ok = plug_and_fill(p, word, name, processors, a, error);
	}
	if (!ok) {
		packet_drop(p);
		return NULL;
	}
	return p;
}
