// SPDX-License-Identifier: Apache-2.0
#include "critical.h"

#include <stdio.h>

#include "control.h"
#include "pause.h"
#include "worker.h"

/* A controller's thread. */
static void on_trouble(void *ctx, const char *text)
{
	struct worker *w = ctx;

	pthread_mutex_lock(&w->lock);
	snprintf(w->trouble, sizeof(w->trouble), "%s", text != NULL ? text : "");
	pthread_mutex_unlock(&w->lock);
	atomic_store(&w->trouble_news, true);
	loop_wake(w->loop);
}

void critical_listen(struct worker *w)
{
	if (w->storage != NULL) {
		storage_set_trouble(w->storage, on_trouble, w);
	}
}

static void tell(struct worker *w)
{
	char text[sizeof(w->trouble)];

	pthread_mutex_lock(&w->lock);
	snprintf(text, sizeof(text), "%s", w->trouble);
	pthread_mutex_unlock(&w->lock);
	control_event(w->control, "trouble", "text=%s\n", text);
}

/* Between two machines, and in one that is paused, there is nothing to stop: its disks are quiet, or it gives up what is held. */
void critical_poll(struct worker *w)
{
	struct machine *m = &w->machine;

	if (!atomic_exchange(&w->trouble_news, false)) {
		return;
	}
	tell(w);
	bool trouble = storage_in_trouble(w->storage);

	if (m->paused || trouble == m->critical) {
		return;
	}
	if (trouble) {
		machine_stop(w);
	} else {
		machine_go(w);
	}
	m->critical = trouble;
	control_event(w->control, "state", "state=%s\ncritical=%d\n",
		      trouble ? "paused" : "running", trouble);
}
