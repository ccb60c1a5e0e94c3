// SPDX-License-Identifier: Apache-2.0
/* Folders that people copy in or take away, and configurations that they change. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "store.h"
#include "vmms.h"

#define SETTLE_NS (UINT64_C(500) * 1000000) /* a copy comes file by file */
#define LOOK_AGAIN_NS (UINT64_C(2000) * 1000000)

struct store_watch {
	struct vmms *vmms;
	int fd;
	int all; /* the watch of the folder of VMs */
	struct loop_timer timer;
};

/* Their folders are watched, too: the kernel knows each only once. What it does not watch is found at the next rescan. */
static void watch_vms(struct store_watch *w)
{
	char path[VM_PATH_BYTES];

	for (size_t i = 0; i < w->vmms->vm_count; i++) {
		vm_path(w->vmms->vms[i], "", path);
		(void)inotify_add_watch(w->fd, path, IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR);
	}
}

static void on_settled(void *ctx)
{
	struct store_watch *w = ctx;

	store_rescan(w->vmms);
	watch_vms(w);
	/* Nobody tells when the last file of a copy is there. */
	if (store_is_unsettled(w->vmms)) {
		loop_timer_set(w->vmms->loop, &w->timer, host_now_ns() + LOOK_AGAIN_NS);
	}
}

/* Of all folders, a VM that came or went; in a VM's, only its configuration. */
static bool matters(const struct store_watch *w, const struct inotify_event *e)
{
	return e->wd == w->all || (e->mask & IN_Q_OVERFLOW) != 0 ||
	       (e->len > 0 && strcmp(e->name, "vm.json") == 0);
}

static void on_change(void *ctx)
{
	struct store_watch *w = ctx;
	_Alignas(struct inotify_event) char events[4096];
	bool wanted = false;
	ssize_t n;

	while ((n = read(w->fd, events, sizeof(events))) > 0) {
		const struct inotify_event *e;

		for (size_t at = 0; at < (size_t)n; at += sizeof(*e) + e->len) {
			e = (const struct inotify_event *)(const void *)(events + at);
			wanted = wanted || matters(w, e);
		}
	}
	if (wanted) {
		loop_timer_set(w->vmms->loop, &w->timer, host_now_ns() + SETTLE_NS);
	}
}

int store_watch(struct vmms *v)
{
	struct store_watch *w = calloc(1, sizeof(*w));
	char path[VM_PATH_BYTES];
	int r;

	if (w == NULL) {
		return -ENOMEM;
	}
	*w = (struct store_watch){.vmms = v, .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
	w->timer = (struct loop_timer){.fn = on_settled, .ctx = w};
	snprintf(path, sizeof(path), "%s/vms", v->state);
	w->all = w->fd < 0 ? -1
			   : inotify_add_watch(w->fd, path,
					       IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
						       IN_ONLYDIR);
	r = w->all < 0 ? -errno : loop_add(v->loop, w->fd, on_change, w);
	if (r < 0) {
		if (w->fd >= 0) {
			close(w->fd);
		}
		free(w);
		return r;
	}
	v->store_watch = w;
	watch_vms(w);
	return 0;
}

void store_unwatch(struct vmms *v)
{
	struct store_watch *w = v->store_watch;

	if (w != NULL) {
		loop_timer_set(v->loop, &w->timer, 0);
		loop_remove(v->loop, w->fd);
		close(w->fd);
		free(w);
		v->store_watch = NULL;
	}
}
