// SPDX-License-Identifier: Apache-2.0
#include "pause.h"

#include <time.h>

#include "bus.h"
#include "ic.h"
#include "net.h"
#include "storage.h"
#include "vmbus/vmbus.h"
#include "worker.h"

#define NAP_NS 50000

static void nap(void)
{
	const struct timespec ts = {.tv_nsec = NAP_NS};

	nanosleep(&ts, NULL);
}

/* Closes that the guest has asked for need the devices' threads; after this the guest has no message on its way. */
static void settle_bus(struct worker *w)
{
	for (bus_poll(w); !vmbus_settled(w->machine.bus); bus_poll(w)) {
		nap();
	}
}

/* Disk controllers may ask the bus for subchannels until they are quiet. */
static void settle_storage(struct worker *w)
{
	storage_quiesce(w->storage);
	while (!storage_quiet(w->storage)) {
		bus_poll(w);
		nap();
	}
	bus_poll(w);
}

/* The guest's receiver takes what is typed, or not. */
static void set_listening(struct worker *w, bool listening)
{
	pthread_mutex_lock(&w->machine.board_lock);
	w->machine.listening = listening;
	if (listening) {
		console_ready(w->console);
	}
	pthread_mutex_unlock(&w->machine.board_lock);
}

void machine_pause(struct worker *w)
{
	struct machine *m = &w->machine;

	if (m->paused) {
		return;
	}
	atomic_store(&m->halt, true);
	vp_threads_kick(w);
	vp_threads_wait(w);
	vid_partition_freeze(m->partition, true);
	settle_bus(w);
	settle_storage(w);
	net_quiesce(w->net);
	set_listening(w, false);
	bus_pause(w);
	loop_timer_set(w->loop, &w->board_timer, 0);
	m->paused = true;
}

int machine_resume(struct worker *w)
{
	struct machine *m = &w->machine;
	int r = vid_partition_freeze(m->partition, false);

	if (r != 0) {
		return r;
	}
	m->paused = false;
	atomic_store(&m->halt, false);
	storage_resume(w->storage);
	net_resume(w->net);
	ic_time_jump(w);
	bus_poll(w);
	vp_threads_start(w);
	set_listening(w, true);
	worker_arm_board_timer(w);
	return 0;
}
