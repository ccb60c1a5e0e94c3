// SPDX-License-Identifier: Apache-2.0
#include "hostcpu/groups.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "hostcpu/host.h"
#include "lib/bits.h"

#define GROUP_BYTES (HOSTCPU_PATH_BYTES + 256u)
#define TEXT_BYTES 4096u

/* ---- Finding the place ---- */

/* On hosts with both versions, version 2 is beside the others. */
static const char *find_mount(void)
{
	static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	struct statfs fs;

	for (size_t i = 0; i < 2; i++) {
		if (statfs(places[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC) {
			return places[i];
		}
	}
	return NULL;
}

__attribute__((format(printf, 2, 3))) static bool refuse(struct hostcpu_groups *g, const char *fmt,
							 ...)
{
	va_list ap;

	va_start(ap, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
	vsnprintf(g->reason, sizeof(g->reason), fmt, ap);
	va_end(ap);
	return false;
}

static const char advice[] =
	"expected a group that the service may divide, such as systemd gives with Delegate=cpu "
	"cpuset";

/* *ret: the service's group. */
static bool find_service(struct hostcpu_groups *g, char ret[HOSTCPU_PATH_BYTES])
{
	char text[TEXT_BYTES], path[HOSTCPU_PATH_BYTES];
	const char *mount = find_mount();
	long n;

	if (mount == NULL) {
		return refuse(g, "this host has no cgroup v2 at /sys/fs/cgroup");
	}
	n = hostcpu_read("/proc/self", "cgroup", text, sizeof(text));
	if (n <= 0 || !hostcpu_cgroup_parse(text, (size_t)n, path)) {
		return refuse(g, "/proc/self/cgroup names no group of cgroup v2 that can be seen");
	}
	int bytes = snprintf(ret, HOSTCPU_PATH_BYTES, "%s%s", mount,
			     strcmp(path, "/") == 0 ? "" : path);

	if (bytes < 0 || (size_t)bytes >= HOSTCPU_PATH_BYTES - 64) {
		return refuse(g, "the path of the service's group is too long");
	}
	return true;
}

/* The controller cpu, which somebody above us has to let through. */
static bool has_cpu(struct hostcpu_groups *g, const char *service, bool *ret_cpuset)
{
	char text[TEXT_BYTES];
	long n = hostcpu_read(service, "cgroup.controllers", text, sizeof(text));

	if (n < 0) {
		return refuse(g, "%.200s/cgroup.controllers: %s", service, strerror((int)-n));
	}
	if (!hostcpu_has_word(text, (size_t)n, "cpu")) {
		/* One line, or nothing at all. */
		int shown = n <= 1 ? 0 : n - 1 < 80 ? (int)n - 1 : 80;

		return refuse(g,
			      "the service's group %.200s has no controller cpu (found: %.*s); %s",
			      service, shown == 0 ? 4 : shown, shown == 0 ? "none" : text, advice);
	}
	*ret_cpuset = hostcpu_has_word(text, (size_t)n, "cpuset");
	return true;
}

static bool failed(struct hostcpu_groups *g, const char *folder, const char *file, int why)
{
	return refuse(g, "%.200s%s%s: %s; %s", folder, file[0] == '\0' ? "" : "/", file,
		      strerror(-why), advice);
}

/* A group in which processes of ours can be, made when it is not there. */
static int make_threaded(const char *folder)
{
	if (mkdir(folder, 0755) < 0 && errno != EEXIST) {
		return -errno;
	}
	return hostcpu_write(folder, "cgroup.type", "threaded");
}

static bool make_ready(struct hostcpu_groups *g, const char *service, bool cpuset)
{
	int r = make_threaded(g->folder);

	if (r < 0) {
		return failed(g, g->folder, "", r);
	}
	r = hostcpu_write(service, "cgroup.subtree_control", "+cpu");
	if (r < 0) {
		return failed(g, service, "cgroup.subtree_control", r);
	}
	r = hostcpu_write(g->folder, "cgroup.subtree_control", "+cpu");
	if (r < 0) {
		return failed(g, g->folder, "cgroup.subtree_control", r);
	}
	/* Without it there are other ways. */
	g->cpuset = cpuset && hostcpu_write(service, "cgroup.subtree_control", "+cpuset") == 0 &&
		    hostcpu_write(g->folder, "cgroup.subtree_control", "+cpuset") == 0;
	/* Beside the service's own threads, machines are what this is about. */
	(void)hostcpu_write(g->folder, "cpu.weight", "10000");
	return true;
}

void hostcpu_groups_open(const char *key, struct hostcpu_groups *ret)
{
	struct hostcpu_groups g = {.acts = false};
	char service[HOSTCPU_PATH_BYTES];
	bool cpuset = false;

	if (find_service(&g, service) && has_cpu(&g, service, &cpuset)) {
		snprintf(g.folder, sizeof(g.folder), "%.*s/virid-%.40s",
			 (int)(HOSTCPU_PATH_BYTES - 64), service, key);
		g.acts = make_ready(&g, service, cpuset);
	}
	if (!g.acts) {
		g.folder[0] = '\0';
	}
	*ret = g;
}

void hostcpu_groups_close(const struct hostcpu_groups *g)
{
	if (g->acts) {
		(void)rmdir(g->folder);
	}
}

/* ---- What there is ---- */

/* The group that all machines are in may itself be limited, as those above it: the smallest counts. */
static uint64_t least_of_limits(const struct hostcpu_groups *g, uint64_t hundredths)
{
	char folder[HOSTCPU_PATH_BYTES], text[128];
	uint64_t quota, period;

	memcpy(folder, g->folder, sizeof(folder));
	/* The root of the tree has no such file. */
	for (char *slash = strrchr(folder, '/'); slash != NULL && slash != folder;
	     *slash = '\0', slash = strrchr(folder, '/')) {
		long n = hostcpu_read(folder, "cpu.max", text, sizeof(text));

		if (n < 0) {
			break;
		}
		if (hostcpu_max_parse(text, (size_t)n, &quota, &period)) {
			hundredths = min_u64(hundredths, hostcpu_hundredths(quota, period));
		}
	}
	return hundredths;
}

void hostcpu_groups_capacity(const struct hostcpu_groups *g, const struct hostcpu_set *host,
			     struct hostcpu_capacity *ret)
{
	char text[HOSTCPU_LIST_BYTES];
	struct hostcpu_set own;
	long n = g->cpuset ? hostcpu_read(g->folder, "cpuset.cpus.effective", text, sizeof(text))
			   : -1;

	ret->set = *host;
	if (n > 0 && hostcpu_set_parse(text, (size_t)n, &own) && !hostcpu_set_is_empty(&own)) {
		ret->set = own;
	}
	ret->hundredths = (uint64_t)hostcpu_set_count(&ret->set) * 100;
	if (g->acts) {
		ret->hundredths = least_of_limits(g, ret->hundredths);
	}
}

/* ---- One machine ---- */

static void group_path(const struct hostcpu_groups *g, const char *id, char ret[GROUP_BYTES])
{
	snprintf(ret, GROUP_BYTES, "%s/%.64s", g->folder, id);
}

int hostcpu_group_make(const struct hostcpu_groups *g, const char *id)
{
	char folder[GROUP_BYTES];

	group_path(g, id, folder);
	return make_threaded(folder);
}

static int set_number(const char *folder, const char *file, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return hostcpu_write(folder, file, text);
}

static int set_quota(const char *folder, uint64_t quota_us)
{
	char text[64];

	if (quota_us == 0) {
		snprintf(text, sizeof(text), "max %u", HOSTCPU_PERIOD_US);
	} else {
		snprintf(text, sizeof(text), "%" PRIu64 " %u", quota_us, HOSTCPU_PERIOD_US);
	}
	return hostcpu_write(folder, "cpu.max", text);
}

static int set_list(const char *folder, const char *file, const struct hostcpu_set *s)
{
	char list[HOSTCPU_LIST_BYTES], text[HOSTCPU_LIST_BYTES + 1];

	hostcpu_set_format(s, list);
	/* Nothing at all is not a write. */
	snprintf(text, sizeof(text), "%s\n", list);
	return hostcpu_write(folder, file, text);
}

int hostcpu_group_set(const struct hostcpu_groups *g, const char *id,
		      const struct hostcpu_limits *limits, const char **ret_file)
{
	char folder[GROUP_BYTES];
	int r;

	group_path(g, id, folder);
	*ret_file = "cpu.weight";
	r = set_number(folder, *ret_file, limits->weight);
	if (r == 0) {
		*ret_file = "cpu.max";
		r = set_quota(folder, limits->quota_us);
	}
	if (r == 0 && g->cpuset) {
		*ret_file = "cpuset.cpus";
		r = set_list(folder, *ret_file, &limits->set);
	}
	if (r == 0 && g->cpuset) {
		*ret_file = "cpuset.mems";
		r = set_list(folder, *ret_file, &limits->nodes);
	}
	return r;
}

int hostcpu_group_set_weight(const struct hostcpu_groups *g, const char *id, unsigned weight)
{
	char folder[GROUP_BYTES];

	group_path(g, id, folder);
	return set_number(folder, "cpu.weight", weight);
}

int hostcpu_group_open(const struct hostcpu_groups *g, const char *id)
{
	char folder[GROUP_BYTES];

	group_path(g, id, folder);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int hostcpu_group_take(const struct hostcpu_groups *g, const char *id, int pid)
{
	char folder[GROUP_BYTES];

	group_path(g, id, folder);
	return set_number(folder, "cgroup.procs", (uint64_t)pid);
}

bool hostcpu_group_usage(const struct hostcpu_groups *g, const char *id, struct hostcpu_usage *ret)
{
	char folder[GROUP_BYTES], text[TEXT_BYTES];

	group_path(g, id, folder);
	long n = hostcpu_read(folder, "cpu.stat", text, sizeof(text));

	return n > 0 && hostcpu_usage_parse(text, (size_t)n, ret);
}

int hostcpu_group_remove(const struct hostcpu_groups *g, const char *id)
{
	char folder[GROUP_BYTES];

	group_path(g, id, folder);
	return rmdir(folder) == 0 || errno == ENOENT ? 0 : -errno;
}

unsigned hostcpu_groups_sweep(const struct hostcpu_groups *g,
			      bool (*keep)(void *ctx, const char *id), void *ctx)
{
	DIR *all = opendir(g->folder);
	struct dirent *e;
	unsigned left = 0;

	if (all == NULL) {
		return 0;
	}
	while ((e = readdir(all)) != NULL) {
		if (e->d_type == DT_DIR && e->d_name[0] != '.' && !keep(ctx, e->d_name) &&
		    hostcpu_group_remove(g, e->d_name) < 0) {
			left++;
		}
	}
	closedir(all);
	return left;
}
