// SPDX-License-Identifier: Apache-2.0
/* Folders that people copy in or take away. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "store.h"
#include "vmms.h"

#define SETTLE_NS (UINT64_C(500) * 1000000) /* a copy comes file by file */
#define LOOK_AGAIN_NS (UINT64_C(2000) * 1000000)

struct store_watch {
	struct vmms *vmms;
	int fd;
	struct loop_timer timer;
};

static void on_settled(void *ctx)
{
	struct store_watch *w = ctx;

	store_rescan(w->vmms);
	/* Nobody tells when the last file of a copy is there. */
	if (store_is_unsettled(w->vmms)) {
		loop_timer_set(w->vmms->loop, &w->timer, host_now_ns() + LOOK_AGAIN_NS);
	}
}

static void on_change(void *ctx)
{
	struct store_watch *w = ctx;
	char events[4096];

	while (read(w->fd, events, sizeof(events)) > 0) {
	}
	loop_timer_set(w->vmms->loop, &w->timer, host_now_ns() + SETTLE_NS);
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
	if (w->fd < 0 || inotify_add_watch(w->fd, path,
					   IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
						   IN_ONLYDIR) < 0) {
		r = -errno;
	} else {
		r = loop_add(v->loop, w->fd, on_change, w);
	}
	if (r < 0) {
		if (w->fd >= 0) {
			close(w->fd);
		}
		free(w);
		return r;
	}
	v->store_watch = w;
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
