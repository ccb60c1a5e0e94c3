// SPDX-License-Identifier: Apache-2.0
/* The worker's options: written by `virid run`, so wrong ones are a bug on one of the two sides. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/engine.h"
#include "worker.h"

enum worker_option {
	OPT_NAME = 1,
	OPT_MEMORY,
	OPT_PROCESSORS,
	OPT_KERNEL,
	OPT_KERNEL_PATH,
	OPT_INITRD,
	OPT_INITRD_PATH,
	OPT_CMDLINE,
	OPT_CONSOLE_IN,
	OPT_CONSOLE_OUT,
	OPT_ESCAPE,
	OPT_TIMEOUT,
	OPT_NO_REBOOT,
	OPT_NO_LEGACY,
	OPT_STATS,
	OPT_COUNT,
	OPT_TRACE,
	OPT_STARTED,
	OPT_FILE,
	OPT_DISK,
	OPT_CONTROL,
	OPT_NET,
	OPT_LAUNCHER,
	OPT_KVM,
	OPT_WITHOUT,
	OPT_CPU,
	OPT_STATE,
	OPT_STATE_PATH,
	OPT_EAGER,
	OPT_DETACHED,
	OPT_END,
};

static const struct option options[] = {
	{"name", required_argument, NULL, OPT_NAME},
	{"memory-bytes", required_argument, NULL, OPT_MEMORY},
	{"processors", required_argument, NULL, OPT_PROCESSORS},
	{"kernel-fd", required_argument, NULL, OPT_KERNEL},
	{"kernel-path", required_argument, NULL, OPT_KERNEL_PATH},
	{"initrd-fd", required_argument, NULL, OPT_INITRD},
	{"initrd-path", required_argument, NULL, OPT_INITRD_PATH},
	{"cmdline", required_argument, NULL, OPT_CMDLINE},
	{"console-in-fd", required_argument, NULL, OPT_CONSOLE_IN},
	{"console-out-fd", required_argument, NULL, OPT_CONSOLE_OUT},
	{"escape", no_argument, NULL, OPT_ESCAPE},
	{"timeout-ns", required_argument, NULL, OPT_TIMEOUT},
	{"no-reboot", no_argument, NULL, OPT_NO_REBOOT},
	{"no-legacy", no_argument, NULL, OPT_NO_LEGACY},
	{"stats", no_argument, NULL, OPT_STATS},
	{"count-instructions", no_argument, NULL, OPT_COUNT},
	{"trace", required_argument, NULL, OPT_TRACE},
	{"started-ns", required_argument, NULL, OPT_STARTED},
	{"file", required_argument, NULL, OPT_FILE},
	{"disk", required_argument, NULL, OPT_DISK},
	{"control-fd", required_argument, NULL, OPT_CONTROL},
	{"net", required_argument, NULL, OPT_NET},
	{"launcher-fd", required_argument, NULL, OPT_LAUNCHER},
	{"kvm-fd", required_argument, NULL, OPT_KVM},
	{"without", required_argument, NULL, OPT_WITHOUT},
	{"cpu", required_argument, NULL, OPT_CPU},
	{"state-fd", required_argument, NULL, OPT_STATE},
	{"state-path", required_argument, NULL, OPT_STATE_PATH},
	{"eager", no_argument, NULL, OPT_EAGER},
	{"detached", no_argument, NULL, OPT_DETACHED},
	{"end-fd", required_argument, NULL, OPT_END},
	{0},
};

/* Names of what the engine shall leave to the core. */
static bool add_without(struct worker_config *c, const char *list)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} known[] = {{"apic", HV_WITHOUT_APICS},
		     {"stimer", HV_WITHOUT_TIMERS},
		     {"overlays", HV_WITHOUT_PLACES}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strstr(list, known[i].name) != NULL) {
			c->without |= known[i].bit;
		}
	}
	return c->without != 0;
}

/* SLOT:FD:WRITABLE:BYTES:PATH, then from BYTES on the real path */
static bool add_file(struct storage_config *s, char *arg)
{
	struct storage_file_handed *files = realloc(s->files, (s->file_count + 1) * sizeof(*files));
	int fd, writable, path;
	unsigned slot, bytes;

	if (files == NULL) {
		return false;
	}
	s->files = files;
	if (sscanf(arg, "%u:%d:%d:%u:%n", &slot, &fd, &writable, &bytes, &path) != 4 ||
	    bytes >= strlen(arg + path) || arg[(unsigned)path + bytes] != ':') {
		return false;
	}
	arg[(unsigned)path + bytes] = '\0';
	files[s->file_count++] = (struct storage_file_handed){
		.slot = slot,
		.file = {.path = arg + path,
			 .real = arg + path + bytes + 1,
			 .fd = fd,
			 .writable = writable != 0},
	};
	return true;
}

/* KIND:CONTROLLER:LUN:FLAGS:IOPS:DELAY_NS:PATH; KIND scsi, dvd or ide; FLAGS letters of r (read-only), w (raw), t (temporary), l (log), or - */
static bool add_disk(struct storage_config *s, const char *arg)
{
	struct disk_config d = {0};
	struct disk_config *disks = realloc(s->disks, (s->disk_count + 1) * sizeof(*disks));
	unsigned long long iops, delay_ns;
	char kind[8], flags[8];
	int path;

	if (disks == NULL) {
		return false;
	}
	s->disks = disks;
	if (sscanf(arg, "%7[a-z]:%u:%u:%7[rwtl-]:%llu:%llu:%n", kind, &d.controller, &d.lun, flags,
		   &iops, &delay_ns, &path) != 6) {
		return false;
	}
	d.kind = strcmp(kind, "ide") == 0   ? DISK_IDE
		 : strcmp(kind, "dvd") == 0 ? DISK_DVD
					    : DISK_SCSI;
	d.read_only = strchr(flags, 'r') != NULL;
	d.raw = strchr(flags, 'w') != NULL;
	d.temporary = strchr(flags, 't') != NULL;
	d.log = strchr(flags, 'l') != NULL;
	d.iops = iops;
	d.delay_ns = delay_ns;
	d.path = arg + path;
	disks[s->disk_count++] = d;
	return s->disk_count <= STORAGE_DISKS_MAX;
}

/* A descriptor, or with @fds the place of one in that list, after a ':'. */
static bool next_descriptor(const char **at, const int *fds, size_t fd_count, int *ret)
{
	unsigned value;
	int n;

	if (sscanf(*at, ":%u%n", &value, &n) != 1 || (fds != NULL && value >= fd_count) ||
	    value > INT_MAX) {
		return false;
	}
	*at += n;
	*ret = fds != NULL ? fds[value] : (int)value;
	return true;
}

bool options_net(struct net_config *c, char *arg, const int *fds, size_t fd_count)
{
	struct net_adapter_config *adapters =
		realloc(c->adapters, (c->count + 1) * sizeof(*adapters));
	struct net_adapter_config a = {0};
	int plug[3 + NET_QUEUES_MAX];
	unsigned queues;
	int n;

	if (adapters == NULL) {
		return false;
	}
	c->adapters = adapters;
	if (sscanf(arg, "%u:%2hhx-%2hhx-%2hhx-%2hhx-%2hhx-%2hhx:%u:%u%n", &a.number, &a.mac[0],
		   &a.mac[1], &a.mac[2], &a.mac[3], &a.mac[4], &a.mac[5], &a.mtu, &queues,
		   &n) != 9 ||
	    a.number >= NET_ADAPTERS_MAX || queues > NET_QUEUES_MAX) {
		return false;
	}
	const char *at = arg + n;

	unsigned descriptors = queues == 0 ? 0 : 3 + queues; /* none: on no switch */

	for (unsigned i = 0; i < descriptors; i++) {
		if (!next_descriptor(&at, fds, fd_count, &plug[i])) {
			return false;
		}
	}
	a.spec = at + 1;
	adapters[c->count++] = a;
	return *at == ':' && (fds == NULL || fd_count == descriptors) &&
	       (queues == 0 ||
		net_plug_take(&adapters[c->count - 1].plug, queues, plug, descriptors));
}

static bool set_option(struct worker_config *c, int opt, char *arg)
{
	switch ((enum worker_option)opt) {
	case OPT_NAME:
		c->name = arg;
		return true;
	case OPT_MEMORY:
		c->memory_bytes = strtoull(arg, NULL, 10);
		return true;
	case OPT_PROCESSORS:
		c->processors = (uint32_t)strtoul(arg, NULL, 10);
		return true;
	case OPT_KERNEL:
		c->kernel_fd = atoi(arg);
		return true;
	case OPT_KERNEL_PATH:
		c->kernel_path = arg;
		return true;
	case OPT_INITRD:
		c->initrd_fd = atoi(arg);
		return true;
	case OPT_INITRD_PATH:
		c->initrd_path = arg;
		return true;
	case OPT_CMDLINE:
		c->cmdline = arg;
		return true;
	case OPT_CONSOLE_IN:
		c->console_in_fd = atoi(arg);
		return true;
	case OPT_CONSOLE_OUT:
		c->console_out_fd = atoi(arg);
		return true;
	case OPT_ESCAPE:
		c->console_escape = true;
		return true;
	case OPT_TIMEOUT:
		c->timeout_ns = strtoull(arg, NULL, 10);
		return true;
	case OPT_NO_REBOOT:
		c->no_reboot = true;
		return true;
	case OPT_NO_LEGACY:
		c->no_legacy = true;
		return true;
	case OPT_STATS:
		c->stats = true;
		return true;
	case OPT_COUNT:
		c->count_instructions = true;
		return true;
	case OPT_TRACE:
		c->trace = arg;
		return true;
	case OPT_STARTED:
		c->started_ns = strtoull(arg, NULL, 10);
		return true;
	case OPT_FILE:
		return add_file(&c->storage, arg);
	case OPT_CONTROL:
		c->control_fd = atoi(arg);
		return true;
	case OPT_DISK:
		return add_disk(&c->storage, arg);
	case OPT_NET:
		return options_net(&c->net, arg, NULL, 0);
	case OPT_LAUNCHER:
		c->launcher_fd = atoi(arg);
		return true;
	case OPT_KVM:
		c->kvm_fd = atoi(arg);
		return true;
	case OPT_WITHOUT:
		return add_without(c, arg);
	case OPT_CPU:
		c->cpu = arg;
		return true;
	case OPT_STATE:
		c->state_fd = atoi(arg);
		return true;
	case OPT_STATE_PATH:
		c->state_path = arg;
		return true;
	case OPT_EAGER:
		c->eager = true;
		return true;
	case OPT_DETACHED:
		c->detached = true;
		return true;
	case OPT_END:
		c->end_fd = atoi(arg);
		return true;
	}
	return false;
}

bool options_storage(struct storage_config *s, char *option)
{
	if (strncmp(option, "--disk=", 7) == 0) {
		return add_disk(s, option + 7);
	}
	return strncmp(option, "--file=", 7) == 0 && add_file(s, option + 7);
}

bool options_parse(int argc, char **argv, struct worker_config *config)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (!set_option(config, opt, optarg)) {
			return false;
		}
	}
	config->storage.processors = config->processors;
	config->storage.scsi = config->control_fd >= 0;
	config->net.processors = config->processors;
	config->net.later = config->control_fd >= 0;
	return optind == argc;
}
