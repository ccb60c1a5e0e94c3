// SPDX-License-Identifier: Apache-2.0
#include "engine_guide.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/loop.h"
#include "lib/check.h"
#include "task.h"

#define PATH_BYTES 4096u
/* A failure of the host is looked at again after so long. */
#define FAILED_AGAIN_NS (UINT64_C(60) * 1000000000)

struct engine_guide {
	char *device;
	char cache[PATH_BYTES]; /* the report on disk */
	pthread_mutex_t
		measuring; /* held while somebody measures: two at once would disturb each other */
	pthread_mutex_t lock; /* of what follows; never held for long */
	bool known;
	struct engines_report report;
	uint64_t at_ns;
	bool begun; /* loop thread: engine_guide_begin is at work */
};

struct engine_guide *engine_guide_create(const char *device, const char *folder)
{
	struct engine_guide *g = calloc(1, sizeof(*g));

	CHECK(g != NULL);
	g->device = strdup(device);
	CHECK(g->device != NULL);
	if (!engines_cache_path(g->cache, sizeof(g->cache))) {
		snprintf(g->cache, sizeof(g->cache), "%s/engines", folder);
	}
	CHECK(pthread_mutex_init(&g->measuring, NULL) == 0 &&
	      pthread_mutex_init(&g->lock, NULL) == 0);
	return g;
}

void engine_guide_destroy(struct engine_guide *g)
{
	if (g == NULL) {
		return;
	}
	pthread_mutex_destroy(&g->measuring);
	pthread_mutex_destroy(&g->lock);
	free(g->device);
	free(g);
}

/* ---- What is known ---- */

static bool needs_device(const struct engines_report *r)
{
	return r->kvm_state != ENGINES_KVM_ABSENT && r->kvm_state != ENGINES_KVM_FORBIDDEN;
}

/*
 * Whether the device can be opened is looked at each time, as it may come and go; what was measured holds as long as the service runs. False: it has to be
 * measured.
 */
static bool recall(struct engine_guide *g, struct engines_report *ret)
{
	struct engines_report now = {0};
	int fd = engines_open_device(g->device, &now);

	if (fd < 0) {
		*ret = now;
		return true;
	}
	close(fd);
	pthread_mutex_lock(&g->lock);
	bool fresh = g->known && needs_device(&g->report) &&
		     (g->report.kvm_state != ENGINES_KVM_FAILED ||
		      host_now_ns() - g->at_ns < FAILED_AGAIN_NS);

	if (fresh) {
		*ret = g->report;
	}
	pthread_mutex_unlock(&g->lock);
	return fresh;
}

static void remember(struct engine_guide *g, const struct engines_report *r)
{
	pthread_mutex_lock(&g->lock);
	g->report = *r;
	g->known = true;
	g->at_ns = host_now_ns();
	pthread_mutex_unlock(&g->lock);
}

/* ---- Asking ---- */

void engine_guide_choose(struct engine_guide *g, struct engines_choice *ret_choice)
{
	/* What another device does is not this host's. */
	bool keeps = strcmp(g->device, ENGINES_KVM_DEVICE) == 0;
	struct engines_report r;

	pthread_mutex_lock(&g->measuring);
	if (!recall(g, &r)) {
		engines_probe(g->device, keeps ? g->cache : NULL, false, &r);
		remember(g, &r);
	}
	pthread_mutex_unlock(&g->measuring);
	engines_choose(&r, ret_choice);
}

static void work(void *ctx)
{
	struct engines_choice c;

	engine_guide_choose(ctx, &c);
}

static void done(void *ctx)
{
	struct engine_guide *g = ctx;

	g->begun = false;
}

void engine_guide_begin(struct engine_guide *g, struct tasks *tasks)
{
	if (!g->begun) {
		g->begun = true;
		task_run(tasks, work, done, g);
	}
}

bool engine_guide_peek(struct engine_guide *g, struct tasks *tasks,
		       struct engines_choice *ret_choice)
{
	struct engines_report r;

	if (!recall(g, &r)) {
		engine_guide_begin(g, tasks);
		return false;
	}
	engines_choose(&r, ret_choice);
	return true;
}

int engine_guide_open(const struct engine_guide *g, struct launch_error *error)
{
	struct engines_report r = {0};
	struct engines_choice why;
	int fd = engines_open_device(g->device, &r);

	if (fd < 0) {
		engines_choose(&r, &why);
		launch_refuse(error,
			      "its configuration asks for KVM, and %s; give the service what it "
			      "lacks, or let it choose (virid vm set --engine auto)",
			      why.reason);
	}
	return fd;
}
